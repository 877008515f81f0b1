"""What real CNIs write about a pod: into its interface's external_ids and its annotations."""

import hashlib
import json

from . import addresses


def _antrea(pod):
    return {
        "pod-name": pod["name"],
        "pod-namespace": pod["namespace"],
        "ip-address": f"{pod['ipv4']},{pod['ipv6']}",
        "attached-mac": pod["mac"],
        "container-id": pod["container_id"],
    }, {}


def _ovn_kubernetes(pod):
    ips = [f"{pod['ipv4']}/24", f"{pod['ipv6']}/64"]
    gateways = [addresses.gateway4(pod["node_index"]), addresses.gateway6(pod["node_index"])]
    network = {"default": {"ip_addresses": ips, "mac_address": pod["mac"],
                           "gateway_ips": gateways}}
    return {
        "iface-id": f"{pod['namespace']}_{pod['name']}",
        "ip_addresses": ",".join(ips),
        "attached_mac": pod["mac"],
        "sandbox": pod["container_id"],
    }, {"k8s.ovn.org/pod-networks": json.dumps(network)}


def _kube_ovn(pod):
    ips = f"{pod['ipv4']},{pod['ipv6']}"
    return {
        "iface-id": f"{pod['name']}.{pod['namespace']}",
        "ip": ips,
        "pod_name": pod["name"],
        "pod_namespace": pod["namespace"],
        "pod_netns": f"/run/netns/{pod['netns']}",
    }, {
        "ovn.kubernetes.io/allocated": "true",
        "ovn.kubernetes.io/ip_address": ips,
        "ovn.kubernetes.io/mac_address": pod["mac"],
    }


_FLAVOURS = {"antrea": _antrea, "ovn-kubernetes": _ovn_kubernetes, "kube-ovn": _kube_ovn}
NAMES = tuple(_FLAVOURS)


def external_ids(flavour, pod):
    return _FLAVOURS[flavour](pod)[0]


def annotations(flavour, pod):
    return _FLAVOURS[flavour](pod)[1]


def container_id(namespace, name):
    return hashlib.sha256(f"{namespace}/{name}".encode()).hexdigest()
