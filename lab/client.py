#!/usr/bin/python3
"""Traffic from inside a pod; every result is one JSON line on standard output.

    client.py tcp    HOST [--port=P]     one line over a new TCP connection
    client.py udp    HOST [--port=P]     one datagram
    client.py ping   HOST [--count=N]    echo requests
    client.py knock  HOST [--port=P]     datagrams from the earliest moment on until an answer;
                                         a line "started" comes first
    client.py stream HOST [--proto=tcp|udp|ping] [--interval=MS] [--count=N]
                                         numbered messages over one connection, one line per answer,
                                         until SIGTERM; the last line sums up

HOST is an IPv4 or IPv6 address.  --timeout=SECONDS bounds the wait for an answer, --source-port
fixes the client's port.  The exit status is 0 if the answer came."""

import argparse
import json
import os
import selectors
import signal
import socket
import struct
import sys
import time

# A stream may have little patience with answers that are missing at its end.
CONNECT_TIMEOUT_S = 15
# As root; the usual buffer holds what a stream gets in a second or two.
_SO_RCVBUFFORCE = 33
_BUFFER_SIZE = 4 << 20


def _say(**fields):
    print(json.dumps(fields), flush=True)


def _family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _socket(args, kind):
    sock = socket.socket(_family(args.host), kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if args.source_port:
        sock.bind(("", args.source_port))
    return sock


def _failed(error):
    _say(ok=False, error=error.strerror or "timed out", errno=error.errno)
    return 1


def tcp(args):
    with _socket(args, socket.SOCK_STREAM) as sock:
        sock.settimeout(args.timeout)
        try:
            sock.connect((args.host, args.port))
            sock.sendall(b"hello\n")
            answer = sock.makefile().readline()
        except OSError as error:
            return _failed(error)
    if not answer:
        _say(ok=False, error="closed without an answer", errno=None)
        return 1
    _say(ok=True, **json.loads(answer))
    return 0


def udp(args):
    with _socket(args, socket.SOCK_DGRAM) as sock:
        sock.settimeout(args.timeout)
        try:
            sock.connect((args.host, args.port))
            sock.send(b"x" * (args.size or 1))
            answer = sock.recv(65536)
        except OSError as error:
            return _failed(error)
    _say(ok=True, **json.loads(answer))
    return 0


def knock(args):
    """A datagram every few milliseconds, from before the pod has a network if need be.  Whoever
    waits for the moment when it begins reads the first line."""
    end = time.monotonic() + args.timeout
    sent = failed = 0
    with _socket(args, socket.SOCK_DGRAM) as sock:
        sock.settimeout(args.interval / 1000)
        _say(started=True)
        while time.monotonic() < end:
            try:
                sock.sendto(b"knock %d" % sent, (args.host, args.port))
                sent += 1
            except OSError:
                failed += 1
                time.sleep(args.interval / 1000)
                continue
            try:
                answer = json.loads(sock.recv(65536))
            except OSError:
                continue
            _say(ok=True, sent=sent, failed=failed, **answer)
            return 0
    _say(ok=False, error="timed out", errno=None, sent=sent, failed=failed)
    return 1


class Tcp:
    def __init__(self, args):
        self.socket = _socket(args, socket.SOCK_STREAM)
        self.socket.settimeout(max(args.timeout, CONNECT_TIMEOUT_S))
        self.socket.connect((args.host, args.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.rest = b""

    def send(self, number):
        self.socket.send(b"%d\n" % number)

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionResetError(104, "closed by the other side")
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            answer = json.loads(line)
            yield int(answer.pop("line")), answer


class Udp:
    def __init__(self, args):
        self.socket = _socket(args, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_SIZE)
        self.socket.connect((args.host, args.port))
        self.socket.setblocking(False)

    def send(self, number):
        self.socket.send(b"%d" % number)

    def receive(self):
        answer = json.loads(self.socket.recv(65536))
        yield int(answer.pop("line")), answer


class Ping:
    def __init__(self, args):
        family = _family(args.host)
        self.v6 = family == socket.AF_INET6
        self.socket = socket.socket(family, socket.SOCK_RAW, 58 if self.v6 else 1)
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_SIZE)
        self.socket.connect((args.host, 0))
        self.socket.setblocking(False)
        self.id = os.getpid() & 0xFFFF
        self.size = args.size or 8

    def send(self, number):
        kind = 128 if self.v6 else 8
        header = struct.pack("!BBHHH", kind, 0, 0, self.id, number & 0xFFFF)
        data = header + struct.pack("!Q", number) + bytes(max(0, self.size - 8))
        if not self.v6:                 # The kernel fills in ICMPv6's checksum only.
            total = sum(struct.unpack(f"!{len(data) // 2}H", data[:len(data) & ~1]))
            total = (total & 0xFFFF) + (total >> 16)
            total = ~(total + (total >> 16)) & 0xFFFF
            data = data[:2] + struct.pack("!H", total) + data[4:]
        self.socket.send(data)

    def receive(self):
        data, peer = self.socket.recvfrom(65536)
        if not self.v6:
            data = data[(data[0] & 15) * 4:]
        if len(data) >= 16 and data[0] == (129 if self.v6 else 0):
            if struct.unpack_from("!H", data, 4)[0] == self.id:
                yield struct.unpack_from("!Q", data, 8)[0], {"from": peer[0]}


class Stream:
    """Numbered messages at a steady rate; the answers are taken as they come."""

    def __init__(self, connection, interval, count, verbose):
        self.connection = connection
        self.interval = interval
        self.count = count
        self.verbose = verbose
        self.sent_at = {}
        self.sent = self.received = self.errors = 0
        self.stopping = False

    def _receive(self):
        now = time.monotonic()
        for number, answer in self.connection.receive():
            started = self.sent_at.pop(number, None)
            if started is not None:
                self.received += 1
                if self.verbose:
                    _say(seq=number, ms=round((now - started) * 1000, 3), time=time.time(),
                         **answer)

    def _send(self):
        self.sent_at[self.sent] = time.monotonic()
        self.connection.send(self.sent)
        self.sent += 1

    def run(self, patience):
        """Sends until 'count' or SIGTERM, then waits up to 'patience' seconds for what is
        missing.  An answer that has arrived by then is none that is missing, whoever was late to
        read it."""
        selector = selectors.DefaultSelector()
        selector.register(self.connection.socket, selectors.EVENT_READ)
        next_send = time.monotonic()
        end = None
        while end is None or self.sent_at:
            now = time.monotonic()
            if end is None and (self.stopping or (self.count and self.sent >= self.count)):
                end = now + patience
            try:
                if end is None and now >= next_send:
                    next_send = max(next_send + self.interval, now)
                    self._send()
                wait = (next_send if end is None else end) - time.monotonic()
                # Short enough to see SIGTERM, which does not end a select.
                if selector.select(min(max(wait, 0), 0.05)):
                    self._receive()
                elif end is not None and now >= end:
                    break
            except BlockingIOError:
                pass
            except ConnectionRefusedError:
                self.errors += 1
            except (ConnectionError, TimeoutError) as error:
                return error.strerror
            except OSError:
                self.errors += 1
        return None


def _stream(args, kind, verbose):
    try:
        stream = Stream(kind(args), args.interval / 1000, args.count, verbose)
    except OSError as error:
        return _failed(error)

    def stop(_signal, _frame):
        stream.stopping = True

    signal.signal(signal.SIGTERM, stop)
    broken = stream.run(args.timeout)
    missing = sorted(stream.sent_at)
    _say(ok=not missing and broken is None, sent=stream.sent, received=stream.received,
         errors=stream.errors, missing=missing[:100], broken=broken)
    return 0 if not missing and broken is None else 1


def stream(args):
    return _stream(args, {"tcp": Tcp, "udp": Udp, "ping": Ping}[args.proto], True)


def ping(args):
    args.count = args.count or 1
    return _stream(args, Ping, False)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["tcp", "udp", "ping", "knock", "stream"])
    parser.add_argument("host")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--source-port", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=2.0, metavar="SECONDS")
    parser.add_argument("--interval", type=float, default=20.0, metavar="MS")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--size", type=int, default=0, metavar="BYTES")
    parser.add_argument("--proto", choices=["tcp", "udp", "ping"], default="tcp")
    args = parser.parse_args()
    what = {"tcp": tcp, "udp": udp, "ping": ping, "knock": knock, "stream": stream}
    sys.exit(what[args.what](args))


if __name__ == "__main__":
    main()
