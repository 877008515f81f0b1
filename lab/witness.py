#!/usr/bin/python3
"""Runs in a host, a node or a pod: writes down every packet that arrives, and answers.

Usage: witness.py DIRECTORY DEVICE

DIRECTORY/seen.jsonl gets one JSON object per IP packet that arrives on DEVICE.  TCP and
UDP port 8080 answer each line, or each datagram, with a JSON line that says who the sender is as
seen from here; a TCP connection stays open for as many lines as the client likes.
DIRECTORY/witness.pid appears when all of that works."""

import ipaddress
import json
import os
import selectors
import socket
import struct
import sys
import time

PORT = 8080
_ETH_P_ALL = 3
_IP_PKTINFO = 8
_SO_RCVBUFFORCE = 33
# What arrives in some seconds, over which the witness may get no processor.
_BUFFER_SIZE = 8 << 20
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}
_FLAGS = "FSRPAUEC"


def _layer4(record, protocol, data):
    record["proto"] = _PROTOCOLS.get(protocol, str(protocol))
    if protocol in (6, 17) and len(data) >= 8:
        record["sport"], record["dport"] = struct.unpack_from("!HH", data)
    if protocol == 6 and len(data) >= 14:
        record["flags"] = "".join(name for bit, name in enumerate(_FLAGS) if data[13] & 1 << bit)
    if protocol in (1, 58) and len(data) >= 2:
        record["icmp_type"], record["icmp_code"] = data[0], data[1]
        if len(data) >= 8 and (protocol, data[0]) in ((1, 0), (1, 8), (58, 128), (58, 129)):
            record["icmp_id"], record["icmp_seq"] = struct.unpack_from("!HH", data, 4)


def describe(frame, now):
    """What is written down of an Ethernet frame; None for what is no IP or neighbour discovery."""
    ethertype, = struct.unpack_from("!H", frame, 12)
    packet = frame[14:]
    if ethertype == 0x0800 and len(packet) >= 20:
        record = {"time": now, "family": 4, "src": str(ipaddress.IPv4Address(packet[12:16])),
                  "dst": str(ipaddress.IPv4Address(packet[16:20])), "ttl": packet[8],
                  "length": struct.unpack_from("!H", packet, 2)[0]}
        if struct.unpack_from("!H", packet, 6)[0] & 0x1FFF:
            record["proto"] = "fragment"
        else:
            _layer4(record, packet[9], packet[(packet[0] & 15) * 4:])
    elif ethertype == 0x86DD and len(packet) >= 40:
        record = {"time": now, "family": 6, "src": str(ipaddress.IPv6Address(packet[8:24])),
                  "dst": str(ipaddress.IPv6Address(packet[24:40])), "ttl": packet[7],
                  "length": struct.unpack_from("!H", packet, 4)[0] + 40}
        _layer4(record, packet[6], packet[40:])
    else:
        return None
    # Neighbour discovery and multicast listener reports are the link's own business.
    if record["proto"] == "icmp6" and 130 <= record.get("icmp_type", 0) <= 143:
        return None
    return None if record["proto"] == "0" else record


class Witness:
    def __init__(self, directory, device):
        self.selector = selectors.DefaultSelector()
        self.log = open(f"{directory}/seen.jsonl", "a", encoding="utf-8")
        sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        sniffer.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_SIZE)
        sniffer.bind((device, _ETH_P_ALL))
        self._register(sniffer, self._sniff)
        for family in (socket.AF_INET, socket.AF_INET6):
            udp = self._bound(family, socket.SOCK_DGRAM)
            udp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_SIZE)
            if family == socket.AF_INET:
                udp.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            else:
                udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            self._register(udp, self._datagram)
            tcp = self._bound(family, socket.SOCK_STREAM)
            tcp.listen(512)
            self._register(tcp, self._accept)

    @staticmethod
    def _bound(family, kind):
        sock = socket.socket(family, kind)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("", PORT))
        return sock

    def _register(self, sock, handler):
        sock.setblocking(False)
        self.selector.register(sock, selectors.EVENT_READ, handler)

    def _sniff(self, sock):
        try:
            for _ in range(256):
                frame, address = sock.recvfrom(2048)
                if address[2] != socket.PACKET_OUTGOING:
                    record = describe(frame, time.time())
                    if record:
                        self.log.write(json.dumps(record) + "\n")
        except BlockingIOError:
            pass
        self.log.flush()

    @staticmethod
    def _answer(peer, line):
        answer = {"src": peer[0], "port": peer[1], "line": line.decode(errors="replace").strip()}
        return (json.dumps(answer) + "\n").encode()

    def _datagram(self, sock):
        data, ancillary, _, peer = sock.recvmsg(65536, 256)
        try:
            # A node has several addresses: the one that was asked answers.
            sock.sendmsg([self._answer(peer, data)],
                         [(level, kind, self._as_source(level, info))
                          for level, kind, info in ancillary], 0, peer)
        except OSError:
            pass                    # No way back; the packet is in the log.

    @staticmethod
    def _as_source(level, info):
        """The packet information 'info' of what was received, made to choose the source only and to
        leave the device to the routes."""
        if level == socket.IPPROTO_IP:
            return struct.pack("=i", 0) + info[4:8] + bytes(4)
        return info[:16] + struct.pack("=i", 0)

    def _accept(self, sock):
        connection, peer = sock.accept()
        rest = bytearray()
        self._register(connection, lambda c: self._lines(c, peer, rest))

    def _lines(self, connection, peer, rest):
        try:
            data = connection.recv(65536)
            rest += data
            while (end := rest.find(b"\n")) >= 0:
                connection.sendall(self._answer(peer, bytes(rest[:end])))
                del rest[:end + 1]
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(connection)
            connection.close()

    def run(self):
        while True:
            for key, _ in self.selector.select():
                try:
                    key.data(key.fileobj)
                except (BlockingIOError, ConnectionError):
                    pass


def main():
    directory, device = sys.argv[1:]
    witness = Witness(directory, device)
    with open(f"{directory}/witness.pid.new", "w", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    os.rename(f"{directory}/witness.pid.new", f"{directory}/witness.pid")
    witness.run()


if __name__ == "__main__":
    main()
