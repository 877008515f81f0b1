"""The published walk-through, on CNIs that name their pods as one of three does."""

import pytest

import objects
import walkthrough as published

FLAVOURS = ["antrea", "ovn-kubernetes", "kube-ovn"]


@pytest.fixture(params=FLAVOURS)
def walkthrough(request, make_egress):
    """The walk-through's pods and policies."""
    egress = make_egress(flavour=request.param)
    egress.pods = published.add_pods(egress)
    egress.example("antrea.yaml", 3)
    egress.start()
    return egress


def test_each_pod_has_its_source(walkthrough):
    published.check_sources(walkthrough, walkthrough.pods)


@pytest.fixture(params=FLAVOURS)
def both_families(request, make_egress):
    """The same pods; egress IPs of both families; and certain nodes as gateways.  So lab/web-1 and
    yelb-app/ui leave through other nodes, and lab/web-2 through its own."""
    egress = make_egress(flavour=request.param)
    egress.pods = published.add_pods(egress)
    for name, ips, namespace, gateway in (("red", objects.RED, "lab", 2),
                                          ("green", objects.GREEN, "yelb-app", 3)):
        egress.apply(objects.policy(name, ips, namespace=namespace,
                                    gateway=egress.lab.node(gateway).name), name)
    egress.start()
    return egress


def translated_by(node):
    """The sources that 'node' translates to in connections that it knows."""
    table = node.switch.appctl("dpctl/dump-conntrack")
    return {ip for ip in (*objects.RED, *objects.GREEN) if f"dst={ip}," in table}


def test_both_families_through_own_node_and_others(both_families):
    egress = both_families
    node = objects.pair(egress.lab.node(1))
    sources = {"lab/web-1": objects.RED, "lab/web-2": objects.RED, "yelb-app/ui": objects.GREEN,
               "default/other": node}
    mark = egress.external.mark()

    for name, pair in sources.items():
        assert objects.send_all_kinds(egress.pods[name]) == set(pair)

    assert (egress.gateway("red").index, egress.gateway("green").index) == (2, 3)
    assert [translated_by(each) for each in egress.lab.nodes] == [set(), set(objects.RED),
                                                                  set(objects.GREEN)]
    objects.check_seen(egress.external,
                       objects.all_kinds_from(*objects.RED, *objects.GREEN, *node), mark)
