#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`writ why` with real binaries: what a refusal says, what it leads to, and who learns it."""

import json
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from harness import (CommandFailed, Deployment, Skip, run_tests, spiffe_id, tests_of, wait_until)

NOBODY = 65534


def refusal(d, **options):
    """The ID that a refused fetch names."""
    try:
        d.workload("svid", "fetch", "x509", **options)
    except CommandFailed as failure:
        assert "no identity issued" in failure.output, failure.output
        return re.search(r"writ why --id ([0-9a-f]{12})", failure.output).group(1)
    raise AssertionError("expected a refusal")


def admin(d, *arguments):
    return d.writ_json("why", *arguments, socket_path=d.agents["agent"].config["admin_socket"])


def test_a_refusal_leads_to_the_selector_that_is_missing():
    with Deployment() as d:
        d.start_server()
        d.start_agent()
        entry = d.entry("/web", ["unix:uid:4242", f"unix:gid:{os.getgid()}"], "/node")
        wait_until(lambda: admin(d, "--pid", str(os.getpid()))["agent"]["entries"] == 1,
                   "the entry is at the agent")
        denial = refusal(d)
        assert f"writ why --id {denial}" in d.agents["agent"].log()
        answer = admin(d, "--id", denial)
        assert answer["refusal"]["method"] == "FetchX509SVID", answer
        assert answer["nearest"][0]["entry_id"] == entry, answer
        assert answer["nearest"][0]["missing"] == ["unix:uid:4242"], answer
        assert f"it has unix:uid:{os.getuid()}" in answer["nearest"][0]["why"], answer
        assert answer["agent"]["spiffe_id"].startswith(spiffe_id("/spire/agent/join_token/"))
        assert f"writ why --spiffe-id {answer['agent']['spiffe_id']}" in answer["advice"][-1]
        assert f"writ why --spiffe-id {spiffe_id('/web')}" in answer["advice"][-1], answer
        assert f"--parent-id {spiffe_id('/node')} " in answer["advice"][0], answer

        # The workload itself learns of its selectors, and of no entry.
        own = d.workload_json("why")
        assert f"unix:uid:{os.getuid()}" in own["attestors"][0]["selectors"], own
        assert own["nearest"] == [] and entry not in json.dumps(own), own
        assert own["agent"] == {"spiffe_id": "", "problem": "", "expires_at": 0, "entries": 0}, own
        assert "join_token" not in json.dumps(own), own
        assert d.workload_json("why", "--id", denial)["refusal"]["id"] == denial
        table = d.workload("why")
        assert "Selectors found" in table and "What to do" in table, table


def test_what_is_wrong_with_a_matching_entry_is_mended_as_advised():
    with Deployment() as d:
        d.start_server()
        d.start_agent()
        own = f"unix:uid:{os.getuid()}"
        entry = d.entry("/stored", [own], "/node", "--store-svid")
        pid = str(os.getpid())
        wait_until(lambda: admin(d, "--pid", pid)["nearest"], "the entry is at the agent")
        update = ["entry", "update", "--id", entry, "--store-svid=false"]
        command = f"`writ {' '.join(update)}`"
        here = admin(d, "--pid", pid)["advice"]
        assert any(command in line for line in here), here
        assert not any("each selector" in line for line in here), here
        there = d.writ_json("why", "--spiffe-id", spiffe_id("/stored"))["advice"]
        assert command in there[0], there
        d.writ(*update)
        wait_until(lambda: admin(d, "--pid", pid)["identities"], "the identity")


def test_what_others_were_refused_is_told_to_operators_alone():
    if os.getuid() != 0:
        raise Skip("needs root: it becomes another user")
    with Deployment() as d:
        d.start_server()
        d.start_agent()
        wait_until(lambda: not admin(d, "--pid", str(os.getpid()))["agent"]["problem"], "ready")
        denial = refusal(d)
        for arguments in (["--id", denial], ["--pid", "1"]):
            try:
                d.workload("why", *arguments, user=NOBODY, group=NOBODY, extra_groups=[])
                raise AssertionError("told to a stranger")
            except CommandFailed as failure:
                assert failure.code == 1, failure
        assert admin(d, "--id", denial)["uid"] == os.getuid()
        try:
            admin(d, "--id", "000000000000")
            raise AssertionError("an unknown ID was explained")
        except CommandFailed as failure:
            assert failure.code == 1 and "no refusal is kept" in failure.output, failure


def test_an_identity_that_is_served_is_shown_as_issued():
    with Deployment() as d:
        d.start_server()
        d.start_agent()
        d.entry("/web", [f"unix:uid:{os.getuid()}"], "/node")
        issued = lambda: [one for one in admin(d, "--pid", str(os.getpid()))["identities"]
                          if one["x509_expires_at"] > 0]
        identity = wait_until(issued, "the identity with its SVID")[0]
        assert identity["spiffe_id"] == spiffe_id("/web"), identity


def test_the_server_says_which_agents_an_entry_reaches():
    with Deployment() as d:
        d.start_server()
        d.start_agent()
        d.entry("/web", ["unix:uid:1"], "/node")
        d.entry("/lost", ["unix:uid:1"], "/typo")
        agent = d.writ_json("agent", "list")["agents"][0]["spiffe_id"]
        web = d.writ_json("why", "--spiffe-id", spiffe_id("/web"))
        assert [found["spiffe_id"] for found in web["entries"][0]["agents"]] == [agent], web
        assert web["entries"][0]["obstacles"] == [], web
        lost = d.writ_json("why", "--spiffe-id", spiffe_id("/lost"))
        assert "neither an agent's ID" in lost["entries"][0]["obstacles"][0], lost
        d.writ("agent", "ban", "--spiffe-id", agent)
        banned = d.writ_json("why", "--spiffe-id", spiffe_id("/web"))
        assert "is banned" in banned["entries"][0]["obstacles"][0], banned
        none = d.writ("why", "--spiffe-id", spiffe_id("/none"))
        assert "No entry gives it out" in none, none
        node = d.writ_json("why", "--spiffe-id", spiffe_id("/node"))
        assert node["entries"][0]["node_alias"] and "--parent-id" in node["advice"][0], node


def test_a_question_to_the_wrong_daemon_says_whom_to_ask():
    with Deployment() as d:
        d.start_server()
        d.start_agent()
        agent = d.agents["agent"].config["admin_socket"]
        for arguments, socket_path, asked in (
                (["--spiffe-id", spiffe_id("/web")], agent, "server's admin socket"),
                (["--pid", "1"], d.server_socket, "agent/admin.sock")):
            try:
                d.writ("why", *arguments, socket_path=socket_path)
                raise AssertionError(f"answered: {arguments}")
            except CommandFailed as failure:
                assert failure.code == 1 and asked in failure.output, failure.output


def test_wrong_use_ends_with_status_2():
    with Deployment() as d:
        d.start_server()
        for arguments in (["--spiffe-id", "web"], ["--pid", "-1"],
                          ["--pid", "1", "--spiffe-id", spiffe_id("/web")]):
            try:
                d.writ("why", *arguments)
                raise AssertionError(f"accepted: {arguments}")
            except CommandFailed as failure:
                assert failure.code == 2, failure


if __name__ == "__main__":
    run_tests(tests_of(sys.modules[__name__]))
