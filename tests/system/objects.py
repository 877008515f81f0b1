"""What the tests of both IP families have in common: policies in few words, requests of every
kind."""

import contextlib
import json
import subprocess

from lab import addresses, fabric, process

# The egress IPs that tests use, as (IPv4, IPv6): all on the nodes' link.
RED = ("172.16.18.131", "fd00:172:16:18::131")
GREEN = ("172.16.18.132", "fd00:172:16:18::132")
BLUE = ("172.16.18.133", "fd00:172:16:18::133")

# What an agent says about a switch that is not there for the moment.
SWITCH_GONE = r"\|rconn\|WARN\|.*\.mgmt: connection failed|\.mgmt: connection dropped"

EXTERNAL = (addresses.EXTERNAL_HOST4, addresses.EXTERNAL_HOST6)
ONPREM = (addresses.ONPREM_HOST4, addresses.ONPREM_HOST6)

# Further addresses of the external host, if it is given them.
NEIGHBOUR = ("172.29.161.23", "fd00:172:29:161::23")


def add_neighbour_addresses(external):
    """Gives the external host NEIGHBOUR as addresses, next to its own ones."""
    for ip, plen in zip(NEIGHBOUR, (24, 64)):
        external.run(["ip", "addr", "add", f"{ip}/{plen}", "dev", "uplink", "nodad"])


def pair(place):
    """Both addresses of a pod, a node or a host."""
    return (place.ipv4, place.ipv6)


def policy(name, ips=(), *, namespace=None, created=None, gateway=None, **spec):
    """The manifest of an EgressPolicy for all pods of 'namespace', or for whom spec["appliedTo"]
    says.  'gateway' is the name of the one node that may be its gateway, or labels that a gateway
    must have; 'created' is a creationTimestamp.  The rest are fields of its spec."""
    metadata = {"name": name}
    if created:
        metadata["creationTimestamp"] = created
    if namespace:
        spec["appliedTo"] = {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    if ips:
        spec["egressIPs"] = list(ips)
    if gateway:
        labels = {"kubernetes.io/hostname": gateway} if isinstance(gateway, str) else gateway
        spec["gateway"] = {"nodeSelector": {"matchLabels": labels}}
    return json.dumps({"apiVersion": "ovs-egress.io/v1alpha1", "kind": "EgressPolicy",
                       "metadata": metadata, "spec": spec}, indent=1)


def _sources(pod, timeouts):
    """As whom each host in 'timeouts' sees 'pod' over UDP; None where no answer comes in time."""
    children = [pod.popen([*fabric.CLIENT, "udp", host, f"--timeout={timeout}"],
                          stdout=subprocess.PIPE, text=True) for host, timeout in timeouts.items()]
    return tuple(json.loads(child.communicate()[0]).get("src") for child in children)


def sources(pod, hosts=EXTERNAL):
    """As whom each of 'hosts' sees 'pod' over UDP; None where no answer comes soon.  It is for who
    asks again and again; who asks once takes check_sources()."""
    return _sources(pod, dict.fromkeys(hosts, 1))


def check_sources(pod, expected, hosts=EXTERNAL):
    """Each of 'hosts' sees 'pod' over UDP as 'expected' says, where None is no answer.  One that is
    expected has time, for the machine may be busy."""
    found = _sources(pod, {host: 15 if source else 1 for host, source in zip(hosts, expected, strict=True)})
    assert found == tuple(expected), f"{pod.full_name} to {hosts}: {found}, not {expected}"


def send_all_kinds(pod, hosts=EXTERNAL):
    """Sends an echo request, a TCP connection's segments and a datagram to each of 'hosts', all of
    which have to answer.  Returns the set of sources that TCP and UDP saw there."""
    seen = set()
    for host in hosts:
        assert pod.ping(host)["received"] == 1, f"{pod.full_name} to {host}"
        for kind in ("tcp", "udp"):
            answer = pod.client(kind, host, "--timeout=15")
            assert answer["ok"], f"{pod.full_name} to {host} over {kind}: {answer}"
            seen.add(answer["src"])
    return seen


def protocols_and_sources(records):
    """What a witness saw, as a set."""
    return {(each["proto"], each["src"]) for each in records}


def all_kinds_from(*ips):
    """The protocols_and_sources() of send_all_kinds() with 'ips' as sources."""
    return {(proto, ip) for ip in ips
            for proto in ("icmp6" if ":" in ip else "icmp", "tcp", "udp")}


def check_seen(witness, expected, since=0, **wanted):
    """'witness' saw just the protocols and sources 'expected'.  It may write a packet down a moment
    after somebody got the answer to it."""
    def seen():
        return protocols_and_sources(witness.seen(since, **wanted))

    with contextlib.suppress(process.LabError):
        process.wait_until(lambda: seen() >= expected, "all that is expected")
    assert seen() == expected
