#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile clients on every socket of the real binaries: while they do their worst, and afterwards,
others get their answers, memory stays bounded and the cause is logged once."""

import contextlib
import fcntl
import json
import pathlib
import resource
import ssl
import struct
import sys
import termios

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
import http2
from harness import (SANITIZED, Deployment, expect, own_uid, run_tests, spiffe_id, tests_of,
                     wait_until)

FETCH_X509 = "/SpiffeWorkloadAPI/FetchX509SVID"
FETCH_JWT = "/SpiffeWorkloadAPI/FetchJWTSVID"
ATTEST = "/spire.api.server.agent.v1.Agent/AttestAgent"
EXPLAIN = "/writ.v1.AgentWhy/ExplainWorkload"
GET_BUNDLE = "/spire.api.server.bundle.v1.Bundle/GetBundle"
LIST_ENTRIES = "/spire.api.server.entry.v1.Entry/ListEntries"
RESOURCE_EXHAUSTED = 8
VANISHING_CLIENTS = 10_000
STUCK_READERS = 100
STUCK_IDENTITIES = 250
STUCK_BYTES_MIN = 100_000  # of an answer of 300 kB, where a socket's buffer takes 200
STUCK_CHANGES = 15  # 450 MB, were each of them to wait for its reader
STUCK_CLIENTS = 20  # of the server
STUCK_CALLS = 1000  # of each
SILENT_CLIENTS = 20  # of each kind, on each socket
GARBAGE_SECONDS_MAX = 5  # below the deadline that silence has
CLOSED_SECONDS_MAX = 30  # the first bytes have a deadline of 10 s
RESET_CALLS = 30_000  # 600 MB, were each of them to stay
GROWTH_MIB_MAX = 150 * (8 if SANITIZED else 1)


def resident_mib(daemon):
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def served(limit_descriptors=None):
    """A server and an agent with one workload, this process."""
    deployment = Deployment(server={"log": {"level": "info"}}, agent={"log": {"level": "info"}})
    deployment.start_server(preexec_fn=limit_descriptors)
    if limit_descriptors is None:
        deployment.start_agent()
    else:
        agent = deployment.make_agent()
        agent.start(env={"WRIT_JOIN_TOKEN": deployment.token("spiffe://example.org/node")},
                    preexec_fn=limit_descriptors)
        deployment.await_agent()
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


def sockets(deployment):
    """How to connect to each socket that gRPC serves, and whose it is."""
    agent = deployment.agents["agent"]
    return [
        (agent, lambda: http2.unix(deployment.workload_socket())),
        (agent, lambda: http2.unix(agent.config["admin_socket"])),
        (deployment.server, lambda: http2.unix(deployment.server_socket)),
        (deployment.server, lambda: http2.tls(deployment.port)),
    ]


def call(path, body=http2.EMPTY_MESSAGE, flags=http2.END_STREAM):
    return (http2.greeting() + http2.frame(http2.HEADERS, http2.END_HEADERS, 1,
                                           http2.call_headers(path)) +
            http2.frame(http2.DATA, flags, 1, body))


def is_closed(connection):
    """Whether the peer has ended it; what it said before is read away."""
    connection.setblocking(False)
    try:
        while connection.recv(1 << 16):
            pass
        return True
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return connection.fileno() >= 0


def test_clients_that_vanish_leave_nothing_behind():
    with served() as deployment:
        agent = deployment.agents["agent"]
        descriptors = pathlib.Path(f"/proc/{agent.process.pid}/fd")
        before = len(list(descriptors.iterdir()))
        resident = resident_mib(agent)
        whole = call(FETCH_X509)
        for i in range(VANISHING_CLIENTS):
            with http2.unix(deployment.workload_socket()) as client:
                with contextlib.suppress(OSError):
                    client.sendall(whole[:i * 7 % (len(whole) + 1)])
        expect_service(deployment)
        wait_until(lambda: len(list(descriptors.iterdir())) <= before + 5, "their files are closed")
        growth = resident_mib(agent) - resident
        expect(growth < GROWTH_MIB_MAX, f"the agent grew by {growth} MiB")


def write_entries(deployment):
    """Many identities for this process, so that its answer is larger than a socket's buffer."""
    path = deployment.directory / "entries.json"
    path.write_text(json.dumps({"entries": [
        {"id": f"many-{number}", "spiffe_id": spiffe_id(f"/many/{number}"),
         "parent_id": spiffe_id("/node"), "selectors": [own_uid()]}
        for number in range(STUCK_IDENTITIES)]}))
    deployment.writ("entry", "create", "--file", str(path))
    wait_until(lambda: deployment.workload("svid", "fetch", "x509").count(spiffe_id("/many/")) ==
               STUCK_IDENTITIES, "all identities are served")


def pending_bytes(client):
    return struct.unpack("i", fcntl.ioctl(client, termios.FIONREAD, bytes(4)))[0]


def change(deployment, hint):
    deployment.writ("entry", "update", "--id", "many-0", "--hint", hint)
    wait_until(lambda: hint in deployment.workload("svid", "fetch", "x509"),
               "a change arrives elsewhere")


def test_readers_that_do_not_read_hold_up_nobody():
    """Of workloads, by the two ways to take nothing: a window that is never opened, and an open one
    before a socket whose buffer is full."""
    with served() as deployment, contextlib.ExitStack() as stuck:
        agent = deployment.agents["agent"]
        write_entries(deployment)
        resident = resident_mib(agent)
        windows = [0, http2.WINDOW_BYTES_MAX] * (STUCK_READERS // 2)
        clients = []
        for window in windows:
            client = stuck.enter_context(http2.unix(deployment.workload_socket()))
            client.sendall(http2.greeting_with_window(window) + http2.unary_call(1, FETCH_X509))
            clients.append(client)
        full = clients[1::2]
        wait_until(lambda: all(pending_bytes(client) > STUCK_BYTES_MIN for client in full),
                   "the buffers are full")
        change(deployment, "first")
        pending = [pending_bytes(client) for client in clients]
        for number in range(STUCK_CHANGES):
            change(deployment, f"change-{number}")
        expect(pending == [pending_bytes(client) for client in clients], "none of them was stuck")
        growth = resident_mib(agent) - resident
        expect(growth < GROWTH_MIB_MAX, f"the agent grew by {growth} MiB")
        expect_service(deployment)

        # Who reads on gets what was on its way, and then the last state alone.
        hints = [f"change-{number}".encode() for number in range(STUCK_CHANGES)]
        read = b""
        while hints[-1] not in read:
            read += full[0].recv(1 << 16)
        told = [hint for hint in hints if bytes([len(hint)]) + hint in read]
        expect(len(told) <= 2, f"{told} waited for a reader")


def test_clients_of_the_server_that_do_not_read_hold_up_nobody():
    with served() as deployment, contextlib.ExitStack() as stuck:
        resident = resident_mib(deployment.server)
        for _ in range(STUCK_CLIENTS):
            client = stuck.enter_context(http2.tls(deployment.port))
            with contextlib.suppress(OSError):  # the server ends those whose client has its share
                client.sendall(http2.greeting_with_window(0))
                for number in range(STUCK_CALLS):
                    client.sendall(http2.unary_call(2 * number + 1, GET_BUNDLE))
        expect_service(deployment)
        growth = resident_mib(deployment.server) - resident
        expect(growth < GROWTH_MIB_MAX, f"the server grew by {growth} MiB")


def test_messages_that_are_too_large_are_refused():
    large = bytes(5 << 20)
    paths = [FETCH_X509, EXPLAIN, GET_BUNDLE, GET_BUNDLE]
    with served() as deployment:
        for (daemon, connect), path in zip(sockets(deployment), paths):
            with http2.Session(connect()) as session:
                status = session.status_of(path, large)
                expect(status == RESOURCE_EXHAUSTED, f"{daemon.name}: {path} gives {status}")
            with connect() as client:  # one that is announced and never whole
                client.sendall(call(path, b"\0" + len(large).to_bytes(4, "big") + bytes(1000),
                                    flags=0))
            with connect() as client:  # a frame of 16 MiB, larger than what is allowed
                client.sendall(http2.greeting() + b"\xff\xff\xff\0\0\0\0\0\1")
                wait_until(lambda client=client: is_closed(client), "it is ended")
        expect_service(deployment)


def test_garbage_ends_its_connection_alone():
    def is_ended_by(connect, garbage):
        with connect() as client:
            client.sendall(garbage)
            wait_until(lambda: is_closed(client), f"{garbage[:40]} ends its connection",
                       GARBAGE_SECONDS_MAX)

    with served() as deployment:
        for _, connect in sockets(deployment):
            for garbage in (b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\xff" * 5000,
                            http2.greeting() + b"\xff" * 5000,
                            http2.greeting() + http2.frame(http2.HEADERS, 4, 1, b"\xff" * 50)):
                is_ended_by(connect, garbage)
        is_ended_by(lambda: http2.tcp(deployment.port), b"\x16\x03\x01\x00\x64" + b"\xff" * 100)
        expect_service(deployment)


def test_silent_and_dribbling_clients_are_dropped():
    """Half-open TLS, TLS without a word after it, and beginnings that never end."""
    with served() as deployment, contextlib.ExitStack() as open_ones:
        clients = []
        connects = sockets(deployment) + [(deployment.server,
                                           lambda: http2.tcp(deployment.port))]
        for _, connect in connects:
            for said in b"", http2.PREFACE[:10]:
                for _ in range(SILENT_CLIENTS):
                    client = open_ones.enter_context(connect())
                    client.sendall(said)
                    clients.append(client)
        for _ in range(SILENT_CLIENTS):
            client = open_ones.enter_context(http2.tcp(deployment.port))
            client.sendall(b"\x16\x03\x01\x02\x00\x01")  # a ClientHello's first bytes
            clients.append(client)
        expect_service(deployment)
        wait_until(lambda: all(is_closed(client) for client in clients), "all of them are dropped",
                   CLOSED_SECONDS_MAX)
        expect_service(deployment)


def test_service_goes_on_when_descriptors_run_out():
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    with served(few) as deployment:
        for daemon, connect in sockets(deployment)[0], sockets(deployment)[3]:
            with contextlib.ExitStack() as open_ones:
                for _ in range(300):
                    with contextlib.suppress(OSError):
                        client = open_ones.enter_context(connect())
                        client.sendall(http2.greeting())
                # What this client's share leaves is not enough to be served by the same user's
                # next connection, but the daemon's other sockets and its own work go on.
                deployment.writ("health", "server")
                deployment.writ("health", "agent",
                                socket_path=deployment.agents["agent"].config["admin_socket"])
                refused = daemon.log().count("Connection refused: its client has its share")
                expect(refused == 1, f"{daemon.name} says so once, not {refused} times")
            wait_until(lambda: expect_service(deployment) is None, "all are served again")


def test_headers_without_end_cost_nothing():
    """gRPC would keep all of a block and begin to read it anew with each of its frames."""
    with served() as deployment:
        for daemon, connect in sockets(deployment):
            before = resident_mib(daemon)
            for payload_bytes, frames in (1 << 14, 4000), (1, 100_000), (0, 100_000):
                with connect() as client:
                    ended = http2.flood(client, http2.endless_headers(payload_bytes, frames), 30)
                expect(ended, f"{daemon.name} ends headers in pieces of {payload_bytes} bytes")
            growth = resident_mib(daemon) - before
            expect(growth < GROWTH_MIB_MAX, f"{daemon.name} grew by {growth} MiB")
            expect_service(deployment)


if __name__ == "__main__":
    run_tests(tests_of(sys.modules[__name__]))
