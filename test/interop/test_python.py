#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""py-spiffe against a real agent: python/interop.py, in an environment that holds it."""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import workloads  # pylint: disable=wrong-import-position
from harness import Skip  # pylint: disable=wrong-import-position

SCRIPT = pathlib.Path(__file__).resolve().parent / "python" / "interop.py"


def main():
    try:
        python = workloads.python_with(["spiffe==0.3.2"])
    except Skip as reason:
        print(f"skip py-spiffe: {reason}")
        return 0
    with workloads.deploy() as deployment:
        env = dict(os.environ, SPIFFE_ENDPOINT_SOCKET=workloads.endpoint(deployment))
        return subprocess.run([python, str(SCRIPT)], env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
