"""The published walk-through: two namespaces leave with their own egress IPs, the rest with their
node's."""

import objects

# Pod, node, and as whom it has to be seen.  Two selected pods of one namespace on two nodes, one of
# another namespace, and one that no policy selects.
PODS = [("lab/web-1", 1, "172.16.18.131"), ("lab/web-2", 2, "172.16.18.131"),
        ("yelb-app/ui", 1, "172.16.18.132"), ("default/other", 1, "172.16.18.101")]


def add_pods(egress):
    """The walk-through's pods by name."""
    return {name: egress.lab.add_pod(name, node) for name, node, _ in PODS}


def check_sources(egress, pods):
    """Each of 'pods' is seen as it has to be, for ICMP, TCP and UDP, and nobody as anybody else."""
    mark = egress.external.mark()

    for name, _, source in PODS:
        assert objects.send_all_kinds(pods[name], [egress.external.ipv4]) == {source}
    objects.check_seen(egress.external,
                       objects.all_kinds_from(*{source for _, _, source in PODS}), mark, family=4)
