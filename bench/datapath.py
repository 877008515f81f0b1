"""The data plane: a pod's path through a gateway against the CNI's own to a pod on another node.

All begin in the same pod on node 1 and cross the fabric through a tunnel to node 2.  There the
CNI's path ends in a pod, one link further, and so does the gateway's in a host that is plugged into
the node's uplink bridge: links and devices are as many on both, so what differs is what the
switches do.  The third ends in a host on the fabric: a link and a bridge more than the CNI's."""

import contextlib
import json
import os
import re
import subprocess

from lab import addresses, cluster, cni, fabric, netns, process

from . import priority
from .table import median, paired_ratio

ROUNDS = 7
SECONDS = 1
ATTEMPTS = 3            # iperf3's server refuses until it has ended the measurement before.
PARALLEL = 16
IPERF_PORT, CONNECTIONS_PORT = 5201, 5300
NEAR4, FAR4 = "172.16.18.200", "172.16.18.201"
PATHS = ("cni", "gateway", "fabric")
EGRESS4 = "172.16.18.131"

THROUGHPUT_AIM, UPCALLS_AIM = 0.9, 5.0

_POLICY = f"""apiVersion: ovs-egress.io/v1alpha1
kind: EgressPolicy
metadata:
  name: bench
spec:
  appliedTo:
    podSelector:
      matchLabels:
        app: client
  egressIPs:
  - {EGRESS4}
  gateway:
    nodeSelector:
      matchLabels:
        kubernetes.io/hostname: {{gateway}}
"""


def _add_host(lab, name, ipv4, neighbour):
    """A host with one link: its other end is the device 'name' in the namespace 'neighbour'."""
    host = fabric.Place(netns.full_name(lab.name, name))
    netns.ip_batch([f"netns add {host.netns}"])
    netns.prepare(host.netns)
    netns.ip_batch([fabric.veth_line("eth0", host.netns, name, neighbour)])
    netns.ip_batch(["link set lo up", "link set eth0 up", f"addr add {ipv4}/24 dev eth0",
                    f"route add default via {addresses.ROUTER4}"], host.netns)
    with netns.inside(host.netns):
        netns.checksum_in_software("eth0")
    return host


def _add_near_host(lab, node):
    """A host at the uplink bridge of 'node'."""
    host = _add_host(lab, "near", NEAR4, node.netns)
    with netns.inside(node.netns):
        netns.give_to_switch("near")
    netns.ip_batch(["link set near up"], node.netns)
    node.switch.vsctl("add-port", cni.UPLINK_BRIDGE, "near")
    return host


def _add_far_host(lab):
    """A host on the fabric."""
    bridge = netns.full_name(lab.name, "fabric")
    host = _add_host(lab, "far", FAR4, bridge)
    netns.ip_batch(["link set far up", "link set far master fabric"], bridge)
    with netns.inside(bridge):
        netns.checksum_in_software("far")
    return host


class Paths:
    """A lab with the paths; use as a context manager."""

    def __init__(self):
        self._servers = []
        self.lab = cluster.Cluster.up(f"bench{os.getpid() % 100000}-data", nodes=3)
        try:
            self._set_up()
        except BaseException:
            self.lab.down()
            raise

    def _set_up(self):
        lab = self.lab
        self.program = f"{lab.state}/connections"
        source = f"{os.path.dirname(os.path.realpath(__file__))}/connections.c"
        process.run([os.environ.get("CC", "gcc"), "-std=gnu11", "-O2", "-o", self.program, source])
        self.client = lab.add_pod("bench/client", 1, {"app": "client"})
        server = lab.add_pod("bench/server", 2, {"app": "server"})
        near, far = _add_near_host(lab, lab.nodes[1]), _add_far_host(lab)
        self.hosts = {"cni": server.ipv4, "gateway": NEAR4, "fabric": FAR4}
        for place in (server, near, far):
            self._serve(place, ["iperf3", "-s"])
            self._serve(place, [self.program, "serve", str(CONNECTIONS_PORT)])
            self._wait_listening(place)
        with netns.inside(self.client.netns):
            netns.sysctl({"ipv4/ip_local_port_range": "2000\t65000"})
        lab.apply_text("bench", _POLICY.format(gateway=lab.nodes[1].name))
        for node in lab.nodes:
            node.agent.start()
            priority.put_first(node.switch.vswitchd_pid())
        process.wait_until(self._is_egress, "the pod behind its egress IP", 20, 0.1)

    def _serve(self, place, argv):
        self._servers.append(place.popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL))

    def _wait_listening(self, place):
        def listening():
            listeners = place.run(["ss", "-Hltn"])
            return all(f":{port} " in listeners for port in (IPERF_PORT, CONNECTIONS_PORT))

        process.wait_until(listening, f"listeners in {place.netns}")

    def _is_egress(self):
        answer = self.client.udp(self.lab.external.ipv4, timeout=0.5)
        return answer["ok"] and answer["src"] == EGRESS4

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            for child in self._servers:
                child.kill()
                child.wait()
        self.lab.down()

    def throughput(self, path, *options):
        """What one TCP stream gets through, in bits per second."""
        argv = ["iperf3", "-c", self.hosts[path], "-p", str(IPERF_PORT), "-J", "-t", str(SECONDS),
                *options]
        for _ in range(ATTEMPTS):
            result = json.loads(self.client.run(argv, check=False))
            if "error" not in result:
                return result["end"]["sum_received"]["bits_per_second"]
        raise process.LabError(f"iperf3, {path}: {result['error']}")

    def connections(self, path):
        """How many new connections there were, and how many upcalls on both nodes together."""
        before = self._upcalls()
        output = self.client.run([self.program, "dial", self.hosts[path], str(CONNECTIONS_PORT),
                                  str(SECONDS), str(PARALLEL)])
        complete, failed = map(int, output.split())
        if failed or not complete:
            raise process.LabError(f"{path}: {failed} connections failed, {complete} did not")
        return complete, self._upcalls() - before

    def _upcalls(self):
        """Packets so far that no flow of the datapath knew what to do with."""
        return sum(int(re.search(r"missed:(\d+)", node.switch.appctl("dpctl/show")).group(1))
                   for node in self.lab.nodes[:2])


def _mbps(bits):
    return f"{bits / 1e6:.0f} Mbit/s"


def _interleaved(measure):
    """Measures all paths in every round, changing who comes first; returns {path: values}."""
    values = {path: [] for path in PATHS}
    for number in range(ROUNDS):
        for path in PATHS if number % 2 else reversed(PATHS):
            values[path].append(measure(path))
    return values


def _add_throughput_rows(table, paths, direction, *options):
    values = _interleaved(lambda path: paths.throughput(path, *options))
    cni_text = f"CNI {_mbps(median(values['cni']))}"
    ratio = paired_ratio(values["gateway"], values["cni"])
    table.add(f"TCP through the gateway, one stream, {direction}", _mbps(median(values["gateway"])),
              cni_text, ratio, f"ratio >= {THROUGHPUT_AIM}", ratio >= THROUGHPUT_AIM)
    table.add(f"the same to a host on the fabric, {direction}", _mbps(median(values["fabric"])),
              cni_text, paired_ratio(values["fabric"], values["cni"]))


def _upcalls_per_1000(values):
    return 1000 * sum(upcalls for _, upcalls in values) / sum(complete for complete, _ in values)


def _add_connection_rows(table, paths):
    """To be called first, so that the upcalls which set the paths up are in."""
    values = _interleaved(paths.connections)
    ours, theirs = ([complete / SECONDS for complete, _ in values[path]]
                    for path in ("gateway", "cni"))
    table.add("new TCP connections through the gateway", f"{median(ours):.0f}/s",
              f"CNI {median(theirs):.0f}/s", paired_ratio(ours, theirs))
    ours, theirs = (_upcalls_per_1000(values[path]) for path in ("gateway", "cni"))
    table.add("upcalls for 1,000 of them, both nodes", f"{ours:.2f}", f"CNI {theirs:.2f}",
              ours / theirs if theirs else None, f"<= {UPCALLS_AIM:.0f}", ours <= UPCALLS_AIM)


def run(table):
    with Paths() as paths:
        _add_connection_rows(table, paths)
        _add_throughput_rows(table, paths, "pod to outside")
        _add_throughput_rows(table, paths, "outside to pod", "-R")
