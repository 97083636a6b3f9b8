#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rate limits on the real binaries: agents behind one address wait for each other, agents behind
others do not, and everybody is served in the end."""
import pathlib
import sys
import socket
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from harness import Deployment, expect, free_port, run_tests, tests_of, wait_until

WAITS = "call waits for its turn"


class Relay:
    """Passes TCP connections on to a port, from a source address of its own."""

    def __init__(self, source, port):
        self.source, self.port = source, port
        self.listener = socket.create_server(("127.0.0.1", free_port()))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.port),
                                                  source_address=(self.source, 0))
            except OSError:
                return
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self.copy, args=pair, daemon=True).start()

    @staticmethod
    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def start_agents(deployment, sources):
    """All at once: under a sanitizer, making a token takes longer than their turn."""
    made = []
    for number, source in enumerate(sources):
        relay = Relay(source, deployment.port)
        agent = deployment.make_agent(f"agent{number}", server={"address": relay.address})
        made.append((agent, deployment.token()))
    for agent, token in made:
        agent.start(env={"WRIT_JOIN_TOKEN": token})
    for number in range(len(sources)):
        deployment.await_agent(f"agent{number}")


def waits(deployment):
    return [line for line in deployment.server.log().splitlines() if WAITS in line]


def test_agents_of_many_addresses_do_not_wait_for_each_other():
    with Deployment(server={"rate_limit": {"attestation": 1}}) as deployment:
        deployment.start_server()
        start_agents(deployment, [f"127.0.0.{number}" for number in range(2, 10)])
        expect(not waits(deployment), f"none should have waited: {waits(deployment)}")


def test_agents_of_one_address_wait_for_their_turn_and_all_get_in():
    with Deployment(server={"rate_limit": {"attestation": 1}}) as deployment:
        deployment.start_server()
        start_agents(deployment, ["127.0.0.2"] * 4 + ["127.0.0.3"])
        wait_until(lambda: waits(deployment), "an agent waited")
        expect(all("127.0.0.2" in line for line in waits(deployment)),
               f"only the crowded address waits: {waits(deployment)}")


if __name__ == "__main__":
    run_tests(tests_of(sys.modules[__name__]))
