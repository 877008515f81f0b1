"""The address plan of a lab: who has which address, and what the MAC addresses are made of."""

import ipaddress

FABRIC4 = ipaddress.ip_network("172.16.18.0/24")
FABRIC6 = ipaddress.ip_network("fd00:172:16:18::/64")
EXTERNAL4 = ipaddress.ip_network("172.29.161.0/24")
EXTERNAL6 = ipaddress.ip_network("fd00:172:29:161::/64")
ONPREM4 = ipaddress.ip_network("10.99.0.0/24")
ONPREM6 = ipaddress.ip_network("fd00:10:99::/64")
PODS4 = ipaddress.ip_network("10.203.0.0/16")
PODS6 = ipaddress.ip_network("fd00:10:203::/48")

CONTROL4, CONTROL6 = "172.16.18.10", "fd00:172:16:18::10"
ROUTER4, ROUTER6 = "172.16.18.1", "fd00:172:16:18::1"
EXTERNAL_HOST4, EXTERNAL_HOST6 = "172.29.161.22", "fd00:172:29:161::22"
ONPREM_HOST4, ONPREM_HOST6 = "10.99.0.10", "fd00:10:99::10"

FABRIC_MTU = 1500
# Geneve over IPv6 takes 70 bytes (40 IPv6, 8 UDP, 8 Geneve, 14 Ethernet); 30 are left for options.
POD_MTU = FABRIC_MTU - 100

MAX_NODES = 99
FIRST_POD, LAST_POD = 2, 254


def node4(index):
    return f"172.16.18.{100 + index}"


def node6(index):
    return f"fd00:172:16:18::{100 + index}"


def pod_cidr4(index):
    return f"10.203.{index}.0/24"


def pod_cidr6(index):
    return f"fd00:10:203:{index}::/64"


def gateway4(index):
    return f"10.203.{index}.1"


def gateway6(index):
    return f"fd00:10:203:{index}::1"


def pod4(index, number):
    return f"10.203.{index}.{number}"


def pod6(index, number):
    return f"fd00:10:203:{index}::{number:x}"


def mac_of(ipv4):
    """A MAC address that tells its owner's IPv4 address."""
    return "0a:58:" + ":".join(f"{octet:02x}" for octet in ipaddress.IPv4Address(ipv4).packed)


def link_local(mac):
    """The IPv6 link-local address that the kernel gives a device with the address 'mac'."""
    octets = bytearray.fromhex(mac.replace(":", ""))
    octets[0] ^= 2
    interface = bytes(octets[:3]) + b"\xff\xfe" + bytes(octets[3:])
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + interface))
