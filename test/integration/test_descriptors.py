#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A daemon that has no file descriptor left, whoever took them: connections that are open go on,
the cause is logged once, and all is well again as soon as there are descriptors."""

import contextlib
import itertools
import multiprocessing
import os
import pathlib
import resource
import socket
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
import http2
from harness import (SANITIZED, Deployment, Skip, Watch, expect, free_port, own_uid, run_tests,
                     tests_of, wait_until)

FETCH_X509 = "/SpiffeWorkloadAPI/FetchX509SVID"
FETCH_BUNDLES = "/SpiffeWorkloadAPI/FetchX509Bundles"
GET_BUNDLE = "/spire.api.server.bundle.v1.Bundle/GetBundle"
LIST_ENTRIES = "/spire.api.server.entry.v1.Entry/ListEntries"
HEALTH = "/grpc.health.v1.Health/Check"
# Descriptors that the process may have besides those that it has. The last are kept for its own
# work: a crowd takes what is above; or there are none at all, as when its own files took them.
SPARE, NONE = 48, 0
USER_CLIENTS, ADDRESSES = 12, 60
USERS = range(50_001, 50_011)
OUT_OF_DESCRIPTORS = "file descriptors run out"


def open_descriptors(daemon):
    return sorted(int(name) for name in os.listdir(f"/proc/{daemon.process.pid}/fd"))


@contextlib.contextmanager
def few_descriptors(daemon, spare):
    """While it lasts, the process may have `spare` descriptors more than it has."""
    before = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    taken = set(open_descriptors(daemon))
    free = (number for number in itertools.count() if number not in taken)
    limit = next(itertools.islice(free, spare, None))
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, before)


def deployed():
    if os.getuid() != 0:
        raise Skip("only root may change the limits of the daemons, which are not dumpable")
    http = {"server": free_port(), "agent": free_port()}
    deployment = Deployment(server={"listen": {"http": f"127.0.0.1:{http['server']}"}},
                            agent={"http": f"127.0.0.1:{http['agent']}"})
    deployment.start_server()
    deployment.start_agent()
    deployment.http = http
    deployment.entry("/workload", [own_uid()], "/node")
    wait_until(lambda: "/workload" in deployment.workload("svid", "fetch", "x509"), "an SVID comes")
    return deployment


def live(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/live", timeout=10) as answer:
        return answer.status == 200


def connect_from(number, address):
    """A TCP client of an address of its own, so that no client's share is what ends the crowd."""
    client = socket.socket()
    client.bind((f"127.0.0.{2 + number}", 0))
    client.settimeout(http2.IO_SECONDS)
    client.connect(("127.0.0.1", address))
    return client


def unix_crowd(path, user, ready, go):
    """Connections of one user, held until told to go."""
    os.setgid(user)
    os.setuid(user)
    with contextlib.ExitStack() as clients:
        for _ in range(USER_CLIENTS):
            with contextlib.suppress(OSError):
                client = clients.enter_context(http2.unix(path))
                client.sendall(http2.greeting())
        ready.set()
        go.wait()


@contextlib.contextmanager
def local_users(path):
    """Clients of a Unix socket, of several users."""
    go = multiprocessing.Event()
    crowds = []
    for user in USERS:
        ready = multiprocessing.Event()
        crowd = multiprocessing.Process(target=unix_crowd, args=(path, user, ready, go))
        crowd.start()
        crowds.append(crowd)
        expect(ready.wait(60), "a crowd is there")
    try:
        yield
    finally:
        go.set()
        for crowd in crowds:
            crowd.join()


@contextlib.contextmanager
def addresses(port):
    """Clients of a TCP port, each of an address of its own, all of them silent."""
    with contextlib.ExitStack() as clients:
        for number in range(ADDRESSES):
            with contextlib.suppress(OSError):
                clients.enter_context(connect_from(number, port))
        yield


def run_out(daemon, http_port, crowd, goes_on, is_served):
    """A crowd takes what it can get; then there is nothing at all. `goes_on`: without descriptors,
    too. `is_served`: while a crowd has all that it can get. HTTP waits for its turn."""
    with few_descriptors(daemon, SPARE):
        with crowd():
            wait_until(lambda: OUT_OF_DESCRIPTORS in daemon.log(), "it says so")
            for _ in range(3):
                goes_on()
                is_served()
        is_served()
    expect("Too many open files" not in daemon.log(), "nothing failed for want of a descriptor")
    with contextlib.ExitStack() as waiting:
        with few_descriptors(daemon, NONE), crowd():
            scraper = waiting.enter_context(http2.tcp(http_port))
            scraper.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for _ in range(3):
                goes_on()
        expect(b" 200 " in scraper.recv(100), "HTTP is served as soon as there are descriptors")
    is_served()
    expect(daemon.log().count(OUT_OF_DESCRIPTORS) == 1, "it says so once a minute")
    expect("has its share" not in daemon.log(), "no share ended a crowd before")


def expect_all_served(deployment):
    agent = deployment.agents["agent"]
    deployment.workload("svid", "fetch", "x509")
    deployment.writ("health", "server")
    deployment.writ("health", "agent", socket_path=agent.config["admin_socket"])
    with http2.tls(deployment.port) as connection:
        expect(http2.ask(connection, GET_BUNDLE), "the server's port is served")
    for port in deployment.http.values():
        expect(live(port), "HTTP is served")


def skip_where_checks_need_descriptors():
    if SANITIZED:
        raise Skip("the sanitizer looks at addresses through a pipe of its own, and without a "
                   "descriptor takes every object for a wrong one")


def test_the_agent_without_descriptors():
    skip_where_checks_need_descriptors()
    with deployed() as deployment, Watch(deployment) as watch:
        agent = deployment.agents["agent"]
        admin = agent.config["admin_socket"]
        wait_until(lambda: "/workload" in watch.text(), "the watch has begun")
        with http2.Session(http2.unix(deployment.workload_socket())) as workload, \
             http2.Session(http2.unix(admin)) as operator:
            changes = itertools.count()

            def is_served():
                expect(workload.call(FETCH_X509), "the workload's open connection is served")

            def goes_on():
                expect(operator.call(HEALTH), "the admin socket's open connection is served")
                path = f"/more-{next(changes)}"
                deployment.entry(path, [own_uid()], "/node")
                wait_until(lambda: path in watch.text(), "the open stream hears of a change")

            goes_on()
            is_served()
            run_out(agent, deployment.http["agent"],
                    lambda: local_users(deployment.workload_socket()), goes_on, is_served)
            wait_until(lambda: expect_all_served(deployment) is None, "all are served again")


def test_the_server_without_descriptors():
    skip_where_checks_need_descriptors()
    with deployed() as deployment:
        with http2.Session(http2.unix(deployment.server_socket)) as operator, \
             http2.Session(http2.tls(deployment.port)) as client:

            def goes_on():
                expect(operator.call(LIST_ENTRIES), "the admin socket's open connection is served")
                expect(client.call(GET_BUNDLE), "the port's open connection is served")

            goes_on()
            run_out(deployment.server, deployment.http["server"],
                    lambda: addresses(deployment.port), goes_on, goes_on)
            wait_until(lambda: expect_all_served(deployment) is None, "all are served again")


if __name__ == "__main__":
    run_tests(tests_of(sys.modules[__name__]))
