#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Notices with real binaries: what changes at the server is at the workload at once, although the
agent would not poll for another ten minutes. Latencies are printed, not judged."""

import pathlib
import signal
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from harness import Deployment, Watch, expect, own_uid, run_tests, tests_of, wait_until

SLOW = {"sync_interval": "10m"}
FOLLOWS = "The server tells of changes as they happen"


def ids(deployment):
    return {svid["spiffe_id"].removeprefix("spiffe://example.org")
            for svid in deployment.workload_json("svid", "fetch", "x509")["svids"]}


def await_following(deployment, times=1):
    wait_until(lambda: deployment.agents["agent"].log().count(FOLLOWS) >= times,
               "the agent follows")


def test_entry_is_at_the_workload_at_once():
    with Deployment().start_server() as deployment:
        deployment.start_agent(**SLOW)
        await_following(deployment)
        deployment.entry("/first", [own_uid()], "/node")
        took = []
        with Watch(deployment) as watch:
            wait_until(lambda: any(line.endswith("/first") for line in watch.ids()), "the first")
            for i in range(10):
                deployment.entry(f"/app{i}", [own_uid()], "/node")
                created = time.monotonic()
                while not any(line.endswith(f"/app{i}") for line in watch.ids()):
                    expect(time.monotonic() - created < 60, "the entry did not arrive")
                    time.sleep(0.001)
                took.append(1000 * (time.monotonic() - created))
        print(f"  entry created to SVID at the workload: median {statistics.median(took):.1f} ms, "
              f"most {max(took):.1f} ms")


def test_update_delete_and_nesting_arrive():
    with Deployment().start_server() as deployment:
        deployment.start_agent(**SLOW)
        await_following(deployment)
        parent = deployment.entry("/parent", [own_uid()], "/node")
        deployment.entry("/child", [own_uid()], "/parent")
        wait_until(lambda: ids(deployment) == {"/parent", "/child"}, "both")
        deployment.writ("entry", "update", "--id", parent, "--spiffe-id",
                        "spiffe://example.org/other", "--parent-id", "spiffe://example.org/node",
                        "--selector", own_uid())
        wait_until(lambda: ids(deployment) == {"/other"}, "the child went with its parent's name")
        keep = deployment.entry("/keep", [own_uid()], "/node")
        wait_until(lambda: ids(deployment) == {"/other", "/keep"}, "the new one")
        deployment.writ("entry", "delete", "--id", parent)
        wait_until(lambda: ids(deployment) == {"/keep"}, "the deleted one went")
        expect(keep, "no ID")


def test_stream_is_resumed_after_a_restart_of_the_server():
    with Deployment().start_server() as deployment:
        deployment.start_agent(**SLOW)
        await_following(deployment)
        deployment.entry("/before", [own_uid()], "/node")
        wait_until(lambda: ids(deployment) == {"/before"}, "the first")
        for times, sig in ((2, signal.SIGTERM), (3, signal.SIGKILL)):
            deployment.server.stop(sig)
            deployment.server.start()
            wait_until(lambda: deployment.writ("health", "server"), "the server serves again")
            await_following(deployment, times)
            deployment.entry(f"/after{times}", [own_uid()], "/node")
            wait_until(lambda: f"/after{times}" in ids(deployment), "what came after the restart")


def test_ban_reaches_an_agent_that_follows():
    with Deployment().start_server() as deployment:
        agent = deployment.start_agent(**SLOW)
        await_following(deployment)
        name = deployment.writ_json("agent", "list")["agents"][0]["spiffe_id"]
        deployment.writ("agent", "ban", "--spiffe-id", name)
        expect(agent.wait() != 0, "a banned agent ends with a failure")


if __name__ == "__main__":
    run_tests(tests_of(sys.modules[__name__]))
