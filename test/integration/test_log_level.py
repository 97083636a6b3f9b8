#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The level of the server's log, changed while it runs."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from harness import Deployment, expect, expect_failure, run_tests, tests_of

ANSWERED = "call answered"


def test_level_changes_at_once_and_goes_back():
    with Deployment(server={"log": {"level": "info"}}) as deployment:
        deployment.start_server()
        expect(ANSWERED not in deployment.server.log(), "info shows no calls")
        level = deployment.writ_json("log-level", "set", "debug")
        expect(level == {"level": "debug", "configured_level": "info"}, f"what it says: {level}")
        deployment.writ("entry", "list")
        expect("ListEntries" in deployment.server.log(), "debug shows calls")
        expect(deployment.writ_json("log-level", "reset")["level"] == "info", "it was reset")
        before = deployment.server.log()
        deployment.writ("entry", "list")
        expect("debug" not in deployment.server.log()[len(before):], "and is quiet again")
        expect("Level:" in deployment.writ("log-level", "get"), "people can read it")
        expect_failure(lambda: deployment.writ("log-level", "set", "loud"), "loud")


if __name__ == "__main__":
    run_tests(tests_of(sys.modules[__name__]))
