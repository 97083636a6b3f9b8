#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo, as a newcomer runs it."""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from harness import BIN, ROOT, expect, run_tests, tests_of  # pylint: disable=wrong-import-position


def test_demo_shows_every_step_and_cleans_up():
    done = subprocess.run(["bash", str(ROOT / "test" / "demo" / "demo.sh"), str(BIN)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    expect(done.returncode == 0, done.stdout)
    for words in ("Start a server", "Start an agent", "spiffe://example.org/demo",
                  "Audience:", "Valid:", "Watch a rotation"):
        expect(words in done.stdout, f"'{words}' is not shown:\n{done.stdout}")
    directory = done.stdout.split("Writ, in ")[1].split(" ")[0]
    expect(not os.path.exists(directory), f"{directory} was left behind")
    serials = [line.split()[-1] for line in done.stdout.split("Watch a rotation")[1].splitlines()
               if "Serial number" in line]
    expect(len(set(serials)) == 2, f"no rotation was seen: {serials}")


if __name__ == "__main__":
    run_tests(tests_of(sys.modules[__name__]))
