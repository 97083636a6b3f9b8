#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The agent as an ordinary user: what it can do, and what it says of what it cannot."""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from harness import (BIN, Deployment, Skip, expect, expect_failure, run_tests, spiffe_id, tests_of,
                     wait_until)

NOBODY = 65534
AS_NOBODY = {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def start_rootless(d, **changes):
    if os.getuid() != 0:
        raise Skip("needs root: it starts the agent as another user")
    d.start_server()
    agent = d.make_agent(**changes)
    os.chown(d.directory / "agent", NOBODY, NOBODY)
    agent.start(env={"WRIT_JOIN_TOKEN": d.token(spiffe_id("/node"))}, **AS_NOBODY)
    d.await_agent()
    return agent


def test_every_user_is_served_by_its_ids():
    with Deployment() as d:
        start_rootless(d)
        d.entry("/own", [f"unix:uid:{NOBODY}"], "/node")
        d.entry("/other", ["unix:uid:0"], "/node")
        for path, user in (("/own", AS_NOBODY), ("/other", {})):
            wait_until(lambda user=user, path=path: spiffe_id(path) in d.workload(
                "svid", "fetch", "x509", **user), f"an SVID for {path}")


def test_executables_of_its_own_user_are_known_and_of_others_it_says_why_not():
    with Deployment() as d:
        agent = start_rootless(
            d, workload_attestors={"unix": {"discover_workload_path": True}})
        d.entry("/own", [f"unix:path:{os.path.realpath(BIN / 'writ')}"], "/node")
        wait_until(lambda: spiffe_id("/own") in d.workload("svid", "fetch", "x509", **AS_NOBODY),
                   "an SVID by the executable's path")
        expect_failure(lambda: d.workload("svid", "fetch", "x509"), "no attestor could identify")
        sentence = "the agent must run as root or as the workload's user"
        expect(sentence in agent.log(), "the log does not say why")
        expect(sentence in d.workload("why"), "`writ why` does not say why")


if __name__ == "__main__":
    run_tests(tests_of(sys.modules[__name__]))
