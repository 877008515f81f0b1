#!/usr/bin/python3
"""Says on a link that an IP address is at a MAC address: a gratuitous ARP, or an unsolicited advertisement.

Usage: announce.py DEVICE MAC IP"""

import ipaddress
import socket
import struct
import sys


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def arp(mac, ip):
    address = ipaddress.IPv4Address(ip).packed
    return (b"\xff" * 6 + mac + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1)
            + mac + address + bytes(6) + address)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def advertisement(mac, ip):
    source = ipaddress.IPv6Address(ip).packed
    all_nodes = ipaddress.IPv6Address("ff02::1").packed
    override = 0x20000000
    body = struct.pack("!BBHI", 136, 0, 0, override) + source + b"\x02\x01" + mac
    pseudo = source + all_nodes + struct.pack("!II", len(body), 58)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    return (bytes.fromhex("333300000001") + mac + struct.pack("!H", 0x86DD)
            + struct.pack("!IHBB", 0x60000000, len(body), 58, 255) + source + all_nodes + body)


def main():
    device, mac, ip = sys.argv[1], mac_bytes(sys.argv[2]), sys.argv[3]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((device, 0))
        sock.send(advertisement(mac, ip) if ":" in ip else arp(mac, ip))


if __name__ == "__main__":
    main()
