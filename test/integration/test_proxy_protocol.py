#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""PROXY headers before the server's TLS: believed from trusted ranges, refused from elsewhere."""

import pathlib
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
import http2
from harness import Deployment, expect, run_tests, tests_of, wait_until

GET_BUNDLE = "/spire.api.server.bundle.v1.Bundle/GetBundle"
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"
V2_BEGIN = b"\r\n\r\n\0\r\nQUIT\n"
V2 = (V2_BEGIN + b"\x21\x11" + struct.pack(">H", 12) + socket.inet_aton("192.0.2.2") +
      socket.inet_aton("198.51.100.1") + struct.pack(">HH", 56324, 443))
V2_LOCAL = V2_BEGIN + b"\x20\x00\x00\x00"


def deployment(*ranges):
    return Deployment(server={"proxy_protocol_trusted_cidrs": list(ranges)})


def answered(port, header, pieces=1):
    connection = http2.tcp(port)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    step = max(1, -(-len(header) // pieces))
    for i in range(0, len(header), step):
        connection.sendall(header[i:i + step])
    try:
        with http2.over_tls(connection) as tls:
            return http2.ask(tls, GET_BUNDLE)
    except OSError:
        return False
    finally:
        connection.close()


def caller_is_logged(running, address):
    wait_until(lambda: f"caller=anonymous@{address}" in running.server.log(),
               f"{address} is the caller")


def test_the_header_of_a_trusted_source_names_the_caller():
    with deployment("10.0.0.0/8", "127.0.0.0/8") as running:
        running.start_server()
        for header, address in (V1, "192.0.2.1"), (V2, "192.0.2.2"), (V2_LOCAL, "127.0.0.1"):
            expect(answered(running.port, header), f"served for {address}")
            caller_is_logged(running, address)
        expect(answered(running.port, V1, pieces=len(V1)), "served when it dribbles in")
        expect(answered(running.port, b""), "served without a header")


def test_a_malformed_header_ends_the_connection_and_is_logged_once():
    with deployment("127.0.0.0/8") as running:
        running.start_server()
        for _ in range(3):
            expect(not answered(running.port, b"PROXY TCP4 nobody nowhere 1 2\r\n"), "refused")
        expect(answered(running.port, V1), "others are served")
        expect(running.server.log().count("warn  Connection refused") == 1, "logged once")


def test_a_header_from_another_source_ends_the_connection():
    for ranges in (["10.0.0.0/8"], []):
        with deployment(*ranges) as running:
            running.start_server()
            for header in V1, V2, V2_LOCAL:
                expect(not answered(running.port, header), "refused")
            expect(answered(running.port, b""), "served without a header")
            expect("192.0.2.1" not in running.server.log(), "what it says is not believed")
            if ranges:
                expect("none of the trusted ranges" in running.server.log(), "the cause is logged")


if __name__ == "__main__":
    run_tests(tests_of(sys.modules[__name__]))
