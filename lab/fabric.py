"""What is outside of the nodes: the fabric's bridge, the router, and two hosts behind it."""

import contextlib
import fcntl
import json
import os
import socket
import subprocess

from . import addresses, netns, process

_HERE = os.path.dirname(os.path.realpath(__file__))
PYTHON = ["/usr/bin/python3", "-I", "-S"]
CLIENT = [*PYTHON, f"{_HERE}/client.py"]
# What a stream may write that nobody has read yet: thousands of answers.
_ANSWERS_SIZE = 512 << 10

#            name        IPv4, IPv6 of the host                              its network
HOSTS = {
    "external": (addresses.EXTERNAL_HOST4, addresses.EXTERNAL_HOST6,
                 addresses.EXTERNAL4, addresses.EXTERNAL6),
    "onprem": (addresses.ONPREM_HOST4, addresses.ONPREM_HOST6,
               addresses.ONPREM4, addresses.ONPREM6),
}


def veth_line(device, namespace, peer, peer_namespace, mtu=addresses.FABRIC_MTU):
    """The line for ip(8) that makes a veth pair between two namespaces."""
    return (f"link add {device} netns {namespace} mtu {mtu} type veth "
            f"peer name {peer} netns {peer_namespace} mtu {mtu}")


def build(lab, nodes):
    """Makes the namespaces and links of 'lab': everything but what is inside the nodes.  'nodes'
    are (index, name of the namespace)."""
    fabric, router = netns.full_name(lab, "fabric"), netns.full_name(lab, "router")
    hosts = {host: netns.full_name(lab, host) for host in HOSTS}
    everybody = [fabric, router, *hosts.values(), *(name for _, name in nodes)]
    netns.ip_batch([f"netns add {name}" for name in everybody])
    for name in everybody:
        netns.prepare(name, forwarding=name not in hosts.values() and name != fabric)

    netns.ip_batch([veth_line("uplink", router, "router", fabric),
                    *(veth_line("uplink", name, host, router) for host, name in hosts.items()),
                    *(veth_line("eth0", name, f"node{index}", fabric) for index, name in nodes)])
    _set_up_fabric(fabric, [index for index, _ in nodes])
    _set_up_router(router, [index for index, _ in nodes])
    for host, name in hosts.items():
        _set_up_host(host, name)


def _set_up_fabric(name, indices):
    ports = ["router", *(f"node{index}" for index in indices)]
    netns.ip_batch(["link set lo up",
                    "link add fabric type bridge forward_delay 0 mcast_snooping 0",
                    "link set fabric up",
                    *(f"link set {port} master fabric up" for port in ports)], name)
    with netns.inside(name):
        netns.checksum_in_software(*ports)


def _set_up_router(name, indices):
    lines = ["link set lo up", "link set uplink up",
             f"addr add {addresses.ROUTER4}/24 dev uplink",
             f"addr add {addresses.ROUTER6}/64 dev uplink nodad"]
    for host, (_, _, network4, network6) in HOSTS.items():
        lines += [f"link set {host} up", f"addr add {network4[1]}/24 dev {host}",
                  f"addr add {network6[1]}/64 dev {host} nodad"]
    for index in indices:
        lines += [f"route add {addresses.pod_cidr4(index)} via {addresses.node4(index)}",
                  f"route add {addresses.pod_cidr6(index)} via {addresses.node6(index)}"]
    netns.ip_batch(lines, name)
    with netns.inside(name):
        netns.checksum_in_software("uplink", *HOSTS)


def _set_up_host(host, name):
    ipv4, ipv6, network4, network6 = HOSTS[host]
    netns.ip_batch(["link set lo up", "link set uplink up", f"addr add {ipv4}/24 dev uplink",
                    f"addr add {ipv6}/64 dev uplink nodad", f"route add default via {network4[1]}",
                    f"route add default via {network6[1]}"], name)
    with netns.inside(name):
        netns.checksum_in_software("uplink")


def greet(ips):
    """Sends a datagram to the discard port of each of 'ips': the kernel then looks for them."""
    for ip in ips:
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", (ip, 9))


class Place:
    """Somewhere to run a command."""

    def __init__(self, namespace):
        self.netns = namespace

    def run(self, argv, **options):
        return netns.run(self.netns, argv, **options)

    def popen(self, argv, **options):
        return netns.popen(self.netns, argv, **options)

    def client(self, what, host, *options, timeout=60):
        """Runs client.py here and returns its last line as a dict."""
        argv = [*CLIENT, what, host, *options]
        output = self.run(argv, check=False, timeout=timeout)
        if not output:
            raise process.LabError(f"{' '.join(argv)}: no answer at all")
        return json.loads(output.splitlines()[-1])

    def tcp(self, host, port=8080, **options):
        """One line over a new TCP connection: {ok, src and port as the other side saw them} or {ok,
        error}.  'options' are client.py's: timeout=15, source_port=..."""
        return self.client("tcp", host, *client_options(port=port, **options))

    def udp(self, host, port=8080, **options):
        return self.client("udp", host, *client_options(port=port, **options))

    def ping(self, host, **options):
        return self.client("ping", host, *client_options(**options))

    def stream(self, host, **options):
        """Starts numbered messages to 'host' that go on until Stream.stop()."""
        argv = [*CLIENT, "stream", host, *client_options(**options)]
        return Stream(self.popen(argv, stdout=subprocess.PIPE, text=True))


def client_options(timeout=15, **options):
    """Options of client.py.  A program waits longer for an answer than people do: it may be late on
    a busy machine.  Who expects none says for how long."""
    options["timeout"] = timeout
    return [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]


class Stream:
    """Messages under way, from client.py stream.  Its answers are collected in 'answers'."""

    def __init__(self, child):
        self.child = child
        self.answers = []
        self.summary = None
        self._rest = ""
        os.set_blocking(child.stdout.fileno(), False)
        # Nobody may look for a while, over which the stream must not come to a stop.  A kernel that
        # has given away too much already says no.
        with contextlib.suppress(PermissionError):
            fcntl.fcntl(child.stdout, fcntl.F_SETPIPE_SZ, _ANSWERS_SIZE)

    def poll(self):
        """Takes what has arrived and returns all answers so far."""
        while chunk := self._read():
            *lines, self._rest = (self._rest + chunk).split("\n")
            for line in lines:
                record = json.loads(line)
                if "seq" in record:
                    self.answers.append(record)
                else:
                    self.summary = record
        return self.answers

    def _read(self):
        try:
            return os.read(self.child.stdout.fileno(), 65536).decode()
        except BlockingIOError:
            return ""

    def wait_answers(self, count, deadline=30.0):
        """Waits for 'count' answers more than there are now."""
        wanted = len(self.poll()) + count

        def enough():
            if len(self.poll()) >= wanted:
                return True
            if self.summary is not None:
                raise process.LabError(f"stream ended: {self.summary}")
            return False

        process.wait_until(enough, f"{count} more answers", deadline)

    def stop(self, deadline=60.0):
        """Ends the stream and returns its summary: sent, received, missing, broken."""
        if self.child.poll() is None:
            self.child.terminate()
        process.wait_until(lambda: self.poll() is not None and self.child.poll() is not None,
                           "end of the stream", deadline)
        self.poll()
        self.child.stdout.close()
        return self.summary


class Witness:
    """witness.py in some place: what arrived there, and an echo service, TCP and UDP port 8080."""

    def __init__(self, place, device, directory):
        self.place = place
        self.device = device
        self.directory = directory
        self.log = f"{directory}/seen.jsonl"
        self._pidfile = f"{directory}/witness.pid"

    def start(self):
        """Starts the witness, for wait() to wait for."""
        os.makedirs(self.directory, exist_ok=True)
        with open(f"{self.directory}/witness.log", "ab") as log:
            return self.place.popen([*PYTHON, f"{_HERE}/witness.py", self.directory, self.device],
                                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                    start_new_session=True)

    def wait(self, child):
        def ready():
            if child.poll() is not None:
                raise process.LabError(f"the witness ended: see {self.directory}/witness.log")
            return process.read_pidfile(self._pidfile) == child.pid

        process.wait_until(ready, f"witness in {self.directory}")

    def stop(self):
        pid = process.read_pidfile(self._pidfile)
        if pid in netns.inhabitants([self.place.netns]):
            process.stop([pid])
            os.unlink(self._pidfile)

    def mark(self):
        """A point in the log; seen(since=mark) returns what came after it."""
        return os.path.getsize(self.log)

    def seen(self, since=0, **wanted):
        """The packets that arrived after 'since' and have every value in 'wanted', for instance
        seen(proto="tcp", src="172.16.18.131", flags="S")."""
        records = []
        with open(self.log, "rb") as file:
            file.seek(since)
            for line in file:
                if not line.endswith(b"\n"):
                    break               # Not written to its end yet.
                record = json.loads(line)
                if all(record.get(key) == value for key, value in wanted.items()):
                    records.append(record)
        return records

    def wait_seen(self, count=1, since=0, deadline=30.0, **wanted):
        """Waits until 'count' packets like 'wanted' were seen, and returns all of them."""
        def enough():
            records = self.seen(since, **wanted)
            return records if len(records) >= count else None

        return process.wait_until(enough, f"{count} packets like {wanted} in {self.log}", deadline)


class Host(Place):
    """A host outside of the cluster, with its witness."""

    def __init__(self, lab, name, directory):
        super().__init__(netns.full_name(lab, name))
        self.name = name
        self.ipv4, self.ipv6 = HOSTS[name][:2]
        self.witness = Witness(self, "uplink", directory)
        self.mark = self.witness.mark
        self.seen = self.witness.seen
        self.wait_seen = self.witness.wait_seen
