"""Network namespaces: enter, make, prepare, find who lives in them."""

import contextlib
import ctypes
import fcntl
import os
import re
import socket
import struct
import subprocess

from . import process

PREFIX = "oe-"
LAB_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?")
_DIRECTORY = "/run/netns"
_CLONE_NEWNET = 0x40000000
_SIOCETHTOOL = 0x8946
_ETHTOOL_STXCSUM = 0x17

_libc = ctypes.CDLL(None, use_errno=True)


def full_name(lab, what):
    """The name of the namespace for 'what' (a node, a pod, the router) in the lab 'lab'."""
    return f"{PREFIX}{lab}.{what}"


def names(lab=None):
    """The namespaces of 'lab', or of all labs."""
    start = PREFIX if lab is None else full_name(lab, "")
    try:
        return sorted(name for name in os.listdir(_DIRECTORY) if name.startswith(start))
    except FileNotFoundError:
        return []


def lab_of(name):
    """The lab that the namespace 'name' belongs to."""
    return name[len(PREFIX):].partition(".")[0]


def exists(name):
    return os.path.exists(f"{_DIRECTORY}/{name}")


def _enter(fd):
    if _libc.setns(fd, _CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


@contextlib.contextmanager
def inside(name):
    """Puts the calling thread, and what it starts meanwhile, into the namespace 'name'."""
    try:
        there = os.open(f"{_DIRECTORY}/{name}", os.O_RDONLY)
    except FileNotFoundError:
        raise process.LabError(f"no network namespace {name}") from None
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _enter(there)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(there)
        os.close(home)


def run(name, argv, **options):
    """process.run() inside the namespace 'name'."""
    with inside(name):
        return process.run(argv, **options)


def popen(name, argv, **options):
    """subprocess.Popen() inside the namespace 'name'."""
    with inside(name):
        return subprocess.Popen(argv, **options)


def ip_batch(lines, name=None, force=False):
    """Runs the lines as one batch of ip(8), inside 'name' or outside of all labs.  'force' goes on
    after a line that fails."""
    argv = ["ip", *(["-force"] if force else []), "-batch", "-"]
    text = "\n".join(lines) + "\n"
    if name is None:
        return process.run(argv, stdin=text, check=not force)
    return run(name, argv, stdin=text, check=not force)


def sysctl(settings):
    """Writes {"ipv4/ip_forward": 1, ...} below /proc/sys/net of the calling thread's namespace."""
    for key, value in settings.items():
        with open(f"/proc/sys/net/{key}", "w", encoding="ascii") as file:
            file.write(str(value))


def prepare(name, forwarding=False):
    """Makes the fresh namespace 'name' fit for the lab, before it has devices: no duplicate address
    detection, no router advertisements, no redirects, no reverse path filter, no limit on ICMP
    errors."""
    settings = {}
    for scope in ("all", "default"):
        settings |= {
            f"ipv6/conf/{scope}/disable_ipv6": 0,
            f"ipv6/conf/{scope}/accept_dad": 0,
            f"ipv6/conf/{scope}/accept_ra": 0,
            f"ipv6/conf/{scope}/accept_redirects": 0,
            f"ipv6/conf/{scope}/router_solicitations": 0,
            f"ipv4/conf/{scope}/rp_filter": 0,
            f"ipv4/conf/{scope}/send_redirects": 0,
            f"ipv4/conf/{scope}/accept_redirects": 0,
        }
    settings |= {"ipv4/icmp_ratelimit": 0, "ipv6/icmp/ratelimit": 0}
    if forwarding:
        settings |= {"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1}
    with inside(name):
        sysctl(settings)


def checksum_in_software(*devices):
    """Turns transmit checksum offload of 'devices' in the calling thread's namespace off: a
    userspace switch reads packets as they are and would find the checksum missing."""
    value = ctypes.create_string_buffer(struct.pack("=II", _ETHTOOL_STXCSUM, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for device in devices:
            request = struct.pack("16sP16x", device.encode(), ctypes.addressof(value))
            fcntl.ioctl(sock, _SIOCETHTOOL, request)


def give_to_switch(*devices):
    """Makes the kernel in the calling thread's namespace leave what arrives on 'devices', ports
    of a userspace switch, to the switch.  It sees every such packet, too: it would answer ARP
    there, and then route the packets past the switch."""
    for device in devices:
        sysctl({f"ipv4/conf/{device}/arp_ignore": 8, f"ipv4/conf/{device}/forwarding": 0,
                f"ipv6/conf/{device}/disable_ipv6": 1})
    checksum_in_software(*devices)


def lives_in(pid, name):
    """True if the process 'pid' runs in the namespace 'name'."""
    try:
        home = os.stat(f"/proc/{pid}/ns/net").st_ino
        return home == os.stat(f"{_DIRECTORY}/{name}").st_ino and process.alive(pid)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def inhabitants(wanted):
    """The processes, but for the caller, whose network namespace is one of 'wanted' (names)."""
    inodes = set()
    for name in wanted:
        with contextlib.suppress(FileNotFoundError):
            inodes.add(os.stat(f"{_DIRECTORY}/{name}").st_ino)
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if os.stat(f"/proc/{entry}/ns/net").st_ino in inodes and process.alive(int(entry)):
                found.append(int(entry))
    return found


def delete(wanted):
    """Deletes the namespaces 'wanted' (names)."""
    if wanted:
        ip_batch([f"netns del {name}" for name in wanted], force=True)
    left = [name for name in wanted if exists(name)]
    if left:
        raise process.LabError(f"namespaces {', '.join(left)} cannot be deleted")
