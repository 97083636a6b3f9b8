#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The verdicts in test/golden/go_spiffe are go-spiffe's: each input is judged by the library again.
To make the data anew: `go test ./verdicts -args -write` in test/interop/go."""

import os
import subprocess
import sys

from test_go import HERE, report
import workloads
from harness import Skip


def main():
    try:
        go = workloads.find_go()
    except Skip as reason:
        print(f"skip go-spiffe's verdicts: {reason}")
        return 0
    env = dict(os.environ, GOFLAGS="-mod=mod -buildvcs=false", GOTOOLCHAIN="local")
    command = [go, "test", "-json", "-count=1", "./verdicts"]
    process = subprocess.Popen(command, cwd=HERE, env=env, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    return 0 if report(process) else 1


if __name__ == "__main__":
    sys.exit(main())
