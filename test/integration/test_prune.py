#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pruning on the real binaries: expired unused join tokens go with their alias entries, expired
agents only when configured, banned ones never."""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from harness import Deployment, expect, run_tests, spiffe_id, tests_of, wait_until


def restart(deployment, **changes):
    """A start begins with a round of pruning."""
    deployment.server.stop()
    deployment.server.config.update(changes)
    deployment.start_server()


def agents(deployment):
    return [agent["spiffe_id"] for agent in deployment.writ_json("agent", "list")["agents"]]


def test_expired_unused_tokens_go_with_their_alias_entries():
    with Deployment() as deployment:
        deployment.start_server()
        deployment.token(spiffe_id("/short"), "--ttl", "1s")
        deployment.token(spiffe_id("/long"), "--ttl", "1h")
        expiry = time.monotonic() + 2
        wait_until(lambda: time.monotonic() > expiry, "the token expired")
        restart(deployment)
        wait_until(lambda: "deleted expired join tokens" in deployment.server.log(), "pruned")
        aliases = [entry["spiffe_id"] for entry in deployment.writ_json("entry", "list")["entries"]]
        expect(aliases == [spiffe_id("/long")], f"only the other's alias is left: {aliases}")


def test_expired_agents_go_when_configured_and_banned_ones_stay():
    with Deployment(server={"svid": {"agent_ttl": "3s"}}) as deployment:
        deployment.start_server()
        for name in ("gone", "banned"):
            deployment.start_agent(name, alias=f"/{name}").stop()
        expiry = time.monotonic() + 5
        banned = next(agent for agent in deployment.writ_json("entry", "list")["entries"]
                      if agent["spiffe_id"] == spiffe_id("/banned"))["parent_id"]
        deployment.writ("agent", "ban", "--spiffe-id", banned)
        wait_until(lambda: time.monotonic() > expiry, "the agents' SVIDs ended")
        restart(deployment)
        expect(len(agents(deployment)) == 2, "by default agents stay")
        restart(deployment, prune={"agents_expired_for": "1s"})
        expect(len(agents(deployment)) == 2, "those that cannot attest again stay")
        restart(deployment, prune={"agents_expired_for": "1s", "non_reattestable": True})
        wait_until(lambda: agents(deployment) == [banned], "the expired one went")
        aliases = [entry["spiffe_id"] for entry in deployment.writ_json("entry", "list")["entries"]]
        expect(aliases == [spiffe_id("/banned")], f"its alias went with it: {aliases}")


if __name__ == "__main__":
    run_tests(tests_of(sys.modules[__name__]))
