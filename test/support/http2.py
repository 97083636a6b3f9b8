# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 by hand (RFC 9113), for clients that do what no library would: frames, a header block for
a gRPC call, and connections to the daemons' sockets."""

import select
import socket
import ssl
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, END_HEADERS = 1, 4
CANCEL = struct.pack(">I", 8)
EMPTY_MESSAGE = b"\0\0\0\0\0"
IO_SECONDS = 10


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(
        ">I", stream) + payload


def literal(name, value):
    """A header as a literal that changes no table (RFC 7541, section 6.2.2), shorter than 127."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def call_headers(path):
    return b"".join(literal(*header) for header in [
        (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"),
        ("content-type", "application/grpc"), ("te", "trailers"), ("workload.spiffe.io", "true")])


def greeting():
    return PREFACE + frame(SETTINGS, 0, 0)


def unix(path):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)  # waits while the queue of connections is full
    connection.settimeout(IO_SECONDS)
    return connection


def tcp(port):
    return socket.create_connection(("127.0.0.1", port), IO_SECONDS)


def over_tls(connection):
    """An anonymous client of a server whose certificate it does not look at."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context.wrap_socket(connection)


def tls(port):
    return over_tls(tcp(port))


def flood(connection, pieces, seconds):
    """Sends what `pieces` yields and reads away what comes, until the peer ends it, the pieces or
    the time are used up. True when the peer ended it."""
    connection.setblocking(False)
    would_block = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
    deadline = time.monotonic() + seconds
    buffer = b""
    for piece in pieces:
        buffer += piece
        if len(buffer) < 1 << 14:
            continue
        while buffer:
            if time.monotonic() > deadline:
                return False
            readable, writable, _ = select.select([connection], [connection], [], 1)
            try:
                if readable and not connection.recv(1 << 18):
                    return True
            except would_block:
                pass
            except OSError:
                return True
            try:
                if writable:
                    buffer = buffer[connection.send(buffer):]
            except would_block:
                pass
            except OSError:
                return True
    return False


def reset_calls(path, count):
    """`count` calls, each reset as soon as it is open."""
    headers = call_headers(path)
    yield greeting()
    for i in range(count):
        stream = 2 * i + 1
        yield (frame(HEADERS, END_HEADERS, stream, headers) +
               frame(DATA, END_STREAM, stream, EMPTY_MESSAGE) +
               frame(RST_STREAM, 0, stream, CANCEL))


def endless_headers(payload_bytes, count):
    """A header block of `count` CONTINUATION frames that does not end, of a literal that claims to
    be of 2 GiB."""
    yield greeting() + frame(HEADERS, 0, 1, b"\0\1x\x7f\xff\xff\xff\xff\7")
    for _ in range(count):
        yield frame(CONTINUATION, 0, 1, b"a" * payload_bytes)


class Session:
    """One connection and its calls, each with an empty message, one after the other."""

    def __init__(self, connection):
        self.connection = connection
        self.stream = -1
        self.received = b""
        connection.sendall(greeting())

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.connection.close()

    def call(self, path):
        """Whether a message comes as the answer; the call is reset then."""
        self.stream += 2
        self.connection.sendall(frame(HEADERS, END_HEADERS, self.stream, call_headers(path)) +
                                frame(DATA, END_STREAM, self.stream, EMPTY_MESSAGE))
        while True:
            kind, flags, stream, length = self.next_frame()
            if kind == GOAWAY:
                return False
            if stream != self.stream:
                continue
            if kind == DATA and length > 0:
                self.connection.sendall(frame(RST_STREAM, 0, stream, CANCEL))
                return True
            if kind == RST_STREAM or kind == HEADERS and flags & END_STREAM:
                return False

    def next_frame(self):
        while True:
            length = int.from_bytes(self.received[:3], "big")
            if len(self.received) >= 9 + length:
                head, self.received = self.received[:9], self.received[9 + length:]
                return head[3], head[4], int.from_bytes(head[5:9], "big"), length
            piece = self.connection.recv(1 << 16)
            if not piece:
                return GOAWAY, 0, 0, 0
            self.received += piece


def ask(connection, path):
    """A unary or streaming call with an empty message; whether a message comes as its answer."""
    return Session(connection).call(path)
