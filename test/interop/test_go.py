#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""go-spiffe against a real agent: go/interop_test.go, each of its tests counted."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import workloads  # pylint: disable=wrong-import-position
from harness import Skip  # pylint: disable=wrong-import-position

HERE = pathlib.Path(__file__).resolve().parent / "go"


def report(process, only=None):
    """Prints a line for each Go test; true when none failed."""
    output = {}
    failed = False
    for line in process.stdout:
        try:
            event = json.loads(line)
        except ValueError:
            print(line, end="")
            continue
        test = event.get("Test")
        if event["Action"] == "output":
            output.setdefault(test, []).append(event["Output"])
        elif event["Action"] in ("pass", "fail", "skip"):
            failed |= event["Action"] == "fail"
            if test is None or (only and test != only):
                continue
            if event["Action"] == "pass":
                print(f"ok {test}")
            elif event["Action"] == "fail":
                print("".join(output.get(test, [])))
                print(f"FAIL {test}")
            elif only is None and test != "TestNoIdentity":
                print(f"skip {test}: {''.join(output.get(test, [])).strip()}")
    process.wait()
    if failed:
        print("".join(output.get(None, [])))
    return not failed and process.returncode == 0


def main():
    try:
        go = workloads.find_go()
    except Skip as reason:
        print(f"skip go-spiffe: {reason}")
        return 0
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        program = f"{directory}/interop.test"
        env = dict(os.environ, GOFLAGS="-mod=mod -buildvcs=false", GOTOOLCHAIN="local")
        built = subprocess.run([go, "test", "-c", "-o", program, "."], cwd=HERE, env=env,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               check=False)
        if built.returncode != 0:
            print(built.stdout)
            print("FAIL go-spiffe tests do not build")
            return 1
        with workloads.deploy() as deployment:
            env["SPIFFE_ENDPOINT_SOCKET"] = workloads.endpoint(deployment)
            command = [go, "tool", "test2json", "-t", program, "-test.v=test2json",
                       "-test.parallel=8", "-test.timeout=5m"]
            good = report(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True))
            try:
                nobody = workloads.as_nobody()
            except Skip as reason:
                print(f"skip TestNoIdentity: {reason}")
                return 0 if good else 1
            env["WRIT_EXPECT_NO_IDENTITY"] = "1"
            done = subprocess.run([program, "-test.v", "-test.run=^TestNoIdentity$"], env=env,
                                  cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, check=False, **nobody)
            if done.returncode != 0:
                print(done.stdout)
            print("ok TestNoIdentity" if done.returncode == 0 else "FAIL TestNoIdentity")
            return 0 if good and done.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
