#!/usr/bin/python3
"""Provokes ICMP errors from inside a pod or a host; the result is one JSON line on standard output.

    icmp_client.py probe HOST PORT [SIZE] [--ttl=N] [--echo]
                                                           one datagram, or echo request, that may not be
                                                           fragmented; says what is on its socket's error queue
    icmp_client.py bulk  HOST PORT SIZE                    one line of SIZE bytes over TCP, and its echo
    icmp_client.py late  IP PORT                           takes a datagram on IP, answers it once there is a
                                                           line on standard input, and says what comes back"""

import argparse
import errno
import json
import select
import socket
import struct
import sys

# From linux/in.h, linux/in6.h and linux/errqueue.h.
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_RECVERR = 10, 2, 11
IPV6_MTU_DISCOVER, IPV6_RECVERR = 23, 25


def say(**fields):
    print(json.dumps(fields), flush=True)


def open_socket(host, echo=False):
    """A socket for datagrams, or for ICMP, that never fragments and keeps the errors that it gets."""
    kind = socket.SOCK_RAW if echo else socket.SOCK_DGRAM
    if ":" in host:
        sock = socket.socket(socket.AF_INET6, kind, socket.IPPROTO_ICMPV6 if echo else 0)
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IP_PMTUDISC_DO)
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
    else:
        sock = socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP if echo else 0)
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    return sock


def next_error(sock, timeout):
    """The next error on the queue of 'sock', or {"error": None} if none comes."""
    poll = select.poll()
    poll.register(sock, select.POLLERR)
    if not poll.poll(timeout * 1000):
        return {"error": None}
    _, ancillary, _, _ = sock.recvmsg(2048, 1024, socket.MSG_ERRQUEUE)
    _, _, data = ancillary[0]
    number, _, kind, code, _, info, _ = struct.unpack_from("=IBBBBII", data)
    family, = struct.unpack_from("=H", data, 16)
    offender = (socket.inet_ntop(socket.AF_INET, data[20:24]) if family == socket.AF_INET
                else socket.inet_ntop(socket.AF_INET6, data[24:40]))
    return {"error": errno.errorcode[number], "type": kind, "code": code, "mtu": info, "from": offender}


def echo_request(host, size):
    """An echo request with the number 1 and 'size' zeroes.  ICMPv6's checksum is the kernel's work."""
    if ":" in host:
        return struct.pack("!BBHHH", 128, 0, 0, 1, 1) + bytes(size)
    return struct.pack("!BBHHH", 8, 0, 0xFFFF - 0x0802, 1, 1) + bytes(size)


def probe(args):
    with open_socket(args.host, args.echo) as sock:
        if args.ttl:
            level, option = ((socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if ":" in args.host
                             else (socket.IPPROTO_IP, socket.IP_TTL))
            sock.setsockopt(level, option, args.ttl)
        sock.connect((args.host, args.port))
        sock.send(echo_request(args.host, args.size) if args.echo else b"x" * args.size)
        say(**next_error(sock, 5))


def bulk(args):
    with socket.create_connection((args.host, args.port), timeout=5) as sock:
        sock.sendall(b"x" * (args.size - 1) + b"\n")
        say(length=len(json.loads(sock.makefile().readline())["line"]))


def late(args):
    with open_socket(args.host) as sock:
        sock.bind((args.host, args.port))
        say(ready=True)
        _, peer = sock.recvfrom(2048)
        say(peer=peer[0])
        sys.stdin.readline()
        sock.connect(peer)
        sock.send(b"late")
        say(**next_error(sock, 5))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["probe", "bulk", "late"])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("size", type=int, nargs="?", default=1)
    parser.add_argument("--ttl", type=int, default=0)
    parser.add_argument("--echo", action="store_true")
    args = parser.parse_args()
    {"probe": probe, "bulk": bulk, "late": late}[args.what](args)


if __name__ == "__main__":
    main()
