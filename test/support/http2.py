# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 by hand (RFC 9113), for clients that do what no library would: frames, a header block for
a gRPC call, and connections to the daemons' sockets."""

import re
import select
import socket
import ssl
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0, 1, 3, 4, 6, 7, 8, 9)
END_STREAM, END_HEADERS, ACK = 1, 4, 1
CANCEL = struct.pack(">I", 8)
INITIAL_WINDOW_SIZE = 4  # a setting
WINDOW_BYTES = 65535     # before any setting or update
WINDOW_BYTES_MAX = (1 << 31) - 1
FRAME_BYTES_MAX = 1 << 14
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


def greeting_with_window(window_bytes):
    """As greeting(); of each answer, and of all together, the peer may send so much."""
    more = window_bytes - WINDOW_BYTES
    return (PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, window_bytes)) +
            (frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", more)) if more > 0 else b""))


def unary_call(stream, path):
    return (frame(HEADERS, END_HEADERS, stream, call_headers(path)) +
            frame(DATA, END_STREAM, stream, EMPTY_MESSAGE))


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


class Windows:
    """How much the peer lets a client send on one stream."""

    def __init__(self):
        self.initial = WINDOW_BYTES
        self.stream = WINDOW_BYTES
        self.connection = WINDOW_BYTES

    def room(self):
        return min(self.stream, self.connection, FRAME_BYTES_MAX)

    def take(self, count):
        self.stream -= count
        self.connection -= count

    def on_frame(self, kind, stream, payload):
        if kind == WINDOW_UPDATE:
            more = int.from_bytes(payload, "big")
            if stream == 0:
                self.connection += more
            else:
                self.stream += more
        if kind == SETTINGS:
            for key, value in struct.iter_unpack(">HI", payload):
                if key == INITIAL_WINDOW_SIZE:
                    self.stream += value - self.initial
                    self.initial = value


class Session:
    """One connection and its calls, one after the other."""

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
        """With an empty message: whether one comes as the answer; the call is reset then."""
        self.stream += 2
        self.connection.sendall(unary_call(self.stream, path))
        while True:
            kind, flags, stream, payload = self.next_frame()
            if kind == GOAWAY:
                return False
            if stream != self.stream:
                continue
            if kind == DATA and payload:
                self.connection.sendall(frame(RST_STREAM, 0, stream, CANCEL))
                return True
            if kind == RST_STREAM or kind == HEADERS and flags & END_STREAM:
                return False

    def status_of(self, path, message):
        """Sends a message at the pace that the peer allows; the status at the call's end, None
        where none is told."""
        self.stream += 2
        self.connection.sendall(frame(HEADERS, END_HEADERS, self.stream, call_headers(path)))
        rest = b"\0" + struct.pack(">I", len(message)) + message
        windows = Windows()
        while True:
            count = min(windows.room(), len(rest))
            if count > 0:
                piece, rest = rest[:count], rest[count:]
                windows.take(count)
                self.connection.sendall(
                    frame(DATA, 0 if rest else END_STREAM, self.stream, piece))
                continue
            kind, flags, stream, payload = self.next_frame()
            windows.on_frame(kind, stream, payload)
            if kind in (SETTINGS, PING) and not flags & ACK:
                answer = payload if kind == PING else b""
                self.connection.sendall(frame(kind, ACK, 0, answer))
            if kind in (GOAWAY, RST_STREAM):
                return None
            if kind == HEADERS and flags & END_STREAM:
                # gRPC writes it as plain text the first time.
                found = re.search(rb"grpc-status.(\d+)", payload, re.DOTALL)
                return int(found.group(1)) if found else None

    def next_frame(self):
        while True:
            length = int.from_bytes(self.received[:3], "big")
            if len(self.received) >= 9 + length:
                head, payload = self.received[:9], self.received[9:9 + length]
                self.received = self.received[9 + length:]
                return head[3], head[4], int.from_bytes(head[5:9], "big"), payload
            piece = self.connection.recv(1 << 16)
            if not piece:
                return GOAWAY, 0, 0, b""
            self.received += piece


def ask(connection, path):
    """A unary or streaming call with an empty message; whether a message comes as its answer."""
    return Session(connection).call(path)
