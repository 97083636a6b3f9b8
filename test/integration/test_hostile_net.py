#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile clients on every socket of the real binaries: while they do their worst, and afterwards,
others get their answers, memory stays bounded and the cause is logged once."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
import http2
from harness import Deployment, expect, own_uid, run_tests, tests_of, wait_until

FETCH_X509 = "/SpiffeWorkloadAPI/FetchX509SVID"
FETCH_JWT = "/SpiffeWorkloadAPI/FetchJWTSVID"
ATTEST = "/spire.api.server.agent.v1.Agent/AttestAgent"
GET_BUNDLE = "/spire.api.server.bundle.v1.Bundle/GetBundle"
LIST_ENTRIES = "/spire.api.server.entry.v1.Entry/ListEntries"
RESET_CALLS = 30_000  # 600 MB, were each of them to stay
GROWTH_MIB_MAX = 150


def resident_mib(daemon):
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def served():
    """A server and an agent with one workload, this process."""
    deployment = Deployment(server={"log": {"level": "info"}}, agent={"log": {"level": "info"}})
    deployment.start_server()
    deployment.start_agent()
    deployment.entry("/workload", [own_uid()], "/node")
    wait_until(lambda: "/workload" in deployment.workload("svid", "fetch", "x509"), "an SVID comes")
    return deployment


def expect_service(deployment):
    """Others' answers from every socket."""
    expect("/workload" in deployment.workload("svid", "fetch", "x509"), "the workload is served")
    deployment.writ("health", "server")
    deployment.writ("health", "agent",
                    socket_path=deployment.agents["agent"].config["admin_socket"])
    with http2.tls(deployment.port) as connection:
        expect(http2.ask(connection, GET_BUNDLE), "the server's port is served")


def test_calls_that_are_reset_at_once_cost_bounded_memory():
    with served() as deployment:
        agent = deployment.agents["agent"]
        attacks = [
            (deployment.server, lambda: http2.tls(deployment.port),
             [LIST_ENTRIES, GET_BUNDLE, ATTEST, "/no.such/Method"]),
            (agent, lambda: http2.unix(deployment.workload_socket()),
             [FETCH_X509, FETCH_JWT, "/no.such/Method"]),
            (agent, lambda: http2.unix(agent.config["admin_socket"]), ["/no.such/Method"]),
        ]
        for daemon, connect, paths in attacks:
            before = resident_mib(daemon)
            for path in paths:
                with connect() as connection:
                    ended = http2.flood(connection, http2.reset_calls(path, RESET_CALLS), 30)
                expect(ended, f"{daemon.name} ends a connection that resets calls of {path}")
            growth = resident_mib(daemon) - before
            expect(growth < GROWTH_MIB_MAX, f"{daemon.name} grew by {growth} MiB")
            expect_service(deployment)
        for daemon, listeners in (deployment.server, 1), (agent, 2):
            said = daemon.log().count("too much is asked")
            expect(said == listeners, f"{daemon.name} says it {said} times for {listeners} sockets")


if __name__ == "__main__":
    run_tests(tests_of(sys.modules[__name__]))
