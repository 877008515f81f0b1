"""Several policies on one pod: priority, then the longer matching destination, then age, then the
name."""

import pytest

import objects

EVERYWHERE = ["0.0.0.0/0", "::/0"]
WIDE = ["172.29.0.0/16", "fd00:172:29::/48"]
NARROW = ["172.29.161.22/32", "fd00:172:29:161::22/128"]

OLD, NEW = "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"
IPS = {"a": objects.RED, "b": objects.GREEN, "c": objects.BLUE}

HIGHER = "higher priority"
OLDER = "older, unless the other has a longer matching destination"
BY_NAME = "first by name, unless the other has a longer matching destination"

# Who has what; who wins in what order as each winner goes; and what the tool says about it.
CASES = {
    "priority-before-all-else": (
        {"a": {"created": OLD, "priority": -1, "destinationCIDRs": NARROW},
         "b": {"created": NEW, "priority": 1}},
        "ba", [("b", HIGHER), ("a", None)]),
    "default-priority-is-0": (
        {"a": {"priority": -1}, "b": {}, "c": {"priority": 1}},
        "cba", [("c", HIGHER), ("b", HIGHER), ("a", None)]),
    "longer-destination-before-age": (
        {"a": {"created": OLD}, "b": {"created": NEW, "destinationCIDRs": WIDE},
         "c": {"created": NEW, "destinationCIDRs": NARROW}},
        "cba", [("a", OLDER), ("b", BY_NAME), ("c", None)]),
    "no-destination-is-the-shortest": (
        {"a": {"created": OLD}, "b": {"created": NEW, "destinationCIDRs": WIDE}},
        "ba", [("a", OLDER), ("b", None)]),
    "age-before-name": (
        {"a": {"created": NEW}, "b": {"created": OLD}}, "ba", [("b", OLDER), ("a", None)]),
    "same-destination-then-age": (
        {"a": {"created": NEW, "destinationCIDRs": NARROW},
         "b": {"created": OLD, "destinationCIDRs": NARROW}}, "ba", [("b", OLDER), ("a", None)]),
    "name": (
        {"c": {"created": OLD}, "b": {"created": OLD}, "a": {"created": OLD}},
        "abc", [("a", BY_NAME), ("b", BY_NAME), ("c", None)]),
    "name-without-any-date": (
        {"b": {}, "a": {}}, "ab", [("a", BY_NAME), ("b", None)]),
}


@pytest.fixture
def pod(egress):
    return egress.lab.add_pod("red/sender", 1)


def apply(egress, name, **spec):
    egress.apply(objects.policy(name, IPS[name], namespace="red", **spec), name)


def wait_sources(egress, pod, *expected):
    """Waits until 'pod' leaves as 'expected', pairs of egress IPs: one for objects.EXTERNAL, and
    one for objects.NEIGHBOUR if there is a second."""
    hosts = objects.EXTERNAL + (objects.NEIGHBOUR if len(expected) > 1 else ())
    wanted = sum(expected, ())
    egress.wait(lambda: objects.sources(pod, hosts) == wanted, f"{pod.full_name} as {wanted}")


def told_by_tool(egress, pod):
    """Which policies the tool says select 'pod', in their order, and why each comes before the
    next."""
    answer = egress.ctl(1, "pod", pod.full_name)
    return [(each["name"], each["wins_by"]) for each in answer["routes"]]


@pytest.mark.parametrize("case", CASES)
def test_the_loser_takes_over(egress, pod, case):
    policies, winners, told = CASES[case]
    for name, spec in policies.items():
        apply(egress, name, **spec)
    egress.start()

    assert told_by_tool(egress, pod) == told
    for name in winners:
        mark = egress.external.mark()
        wait_sources(egress, pod, IPS[name])
        assert objects.send_all_kinds(pod) == set(IPS[name])
        # The one before may have been the winner a moment longer, nobody else ever.
        seen = {each["src"] for each in egress.external.seen(mark)}
        before = winners[winners.index(name) - 1] if name != winners[0] else name
        assert seen <= {*IPS[name], *IPS[before]}
        egress.lab.delete(name)
    wait_sources(egress, pod, objects.pair(egress.lab.node(1)))
    assert "no policy selects it" in egress.text(1, "pod", pod.full_name)


def test_a_newcomer_that_wins_takes_over_at_once(egress, pod):
    apply(egress, "b")
    egress.start()
    wait_sources(egress, pod, objects.GREEN)

    apply(egress, "c", priority=1)
    wait_sources(egress, pod, objects.BLUE)
    apply(egress, "a", priority=2)
    wait_sources(egress, pod, objects.RED)
    apply(egress, "a", priority=0)
    wait_sources(egress, pod, objects.BLUE)
    apply(egress, "c", priority=-1)
    wait_sources(egress, pod, objects.RED)


def test_each_destination_has_its_winner(egress, pod):
    objects.add_neighbour_addresses(egress.external)
    apply(egress, "a", created=OLD, destinationCIDRs=WIDE)
    apply(egress, "b", created=NEW, destinationCIDRs=NARROW)
    egress.start()

    wait_sources(egress, pod, objects.GREEN, objects.RED)
    objects.check_sources(pod, objects.pair(pod), objects.ONPREM)

    apply(egress, "a", created=OLD, destinationCIDRs=WIDE, priority=1)
    wait_sources(egress, pod, objects.RED, objects.RED)


def test_what_the_winner_excepts_is_the_losers(egress, pod):
    objects.add_neighbour_addresses(egress.external)
    apply(egress, "a", priority=1, exceptCIDRs=NARROW)
    apply(egress, "b")
    egress.start()

    wait_sources(egress, pod, objects.GREEN, objects.RED)

    # An exception does not stretch to another policy's destination, be that longer or shorter.
    apply(egress, "a", priority=1, exceptCIDRs=WIDE)
    apply(egress, "b", destinationCIDRs=NARROW)
    wait_sources(egress, pod, objects.GREEN, objects.pair(egress.lab.node(1)))
    objects.check_sources(pod, objects.RED, objects.ONPREM)


def test_exceptions_of_several_policies_overlap(egress, pod):
    objects.add_neighbour_addresses(egress.external)
    node = objects.pair(egress.lab.node(1))
    apply(egress, "a", priority=2, exceptCIDRs=WIDE)
    apply(egress, "b", priority=1, exceptCIDRs=NARROW)
    apply(egress, "c", priority=0)
    egress.start()

    wait_sources(egress, pod, objects.BLUE, objects.GREEN)
    objects.check_sources(pod, objects.RED, objects.ONPREM)

    apply(egress, "c", exceptCIDRs=EVERYWHERE)
    wait_sources(egress, pod, node, objects.GREEN)
    apply(egress, "a", priority=2, exceptCIDRs=NARROW)
    wait_sources(egress, pod, node, objects.RED)
    egress.lab.delete("b")
    apply(egress, "a", priority=2, exceptCIDRs=WIDE)
    wait_sources(egress, pod, node, node)
    objects.check_sources(pod, objects.RED, objects.ONPREM)


@pytest.mark.parametrize("on_no_gateway", ["Drop", "Fallback"])
def test_a_winner_without_gateway_does_not_lose(egress, pod, on_no_gateway):
    """A pod that should leave as one egress IP must not appear as another one."""
    other = egress.lab.add_pod("red/other", 2)
    apply(egress, "a", priority=1, gateway="nobody", onNoGateway=on_no_gateway)
    apply(egress, "b")
    egress.start()
    dropped, node = (None, None), objects.pair(egress.lab.node(1))

    objects.check_sources(pod, dropped if on_no_gateway == "Drop" else node)
    if on_no_gateway == "Drop":
        objects.check_sources(other, dropped)
        assert not egress.external.seen()
    assert "no gateway" in egress.text(1, "pod", pod.full_name)

    egress.lab.delete("a")
    wait_sources(egress, pod, objects.GREEN)


def test_a_winner_of_one_family_keeps_the_other_from_the_loser(egress, pod):
    egress.apply(objects.policy("a", objects.RED[:1], namespace="red", priority=1), "a")
    apply(egress, "b")
    egress.start()

    objects.check_sources(pod, (objects.RED[0], None))
    objects.check_seen(egress.external, {("udp", objects.RED[0])})

    # Unless it does not want the other family at all.
    egress.apply(objects.policy("a", objects.RED[:1], namespace="red", priority=1,
                                destinationCIDRs=["0.0.0.0/0"]), "a")
    wait_sources(egress, pod, (objects.RED[0], objects.GREEN[1]))


def test_the_tool_says_which_wins_and_why(egress, pod):
    node2 = egress.lab.node(2).name
    apply(egress, "a", created=OLD, gateway=node2)
    apply(egress, "b", created=NEW, gateway=node2, destinationCIDRs=NARROW)
    apply(egress, "c", priority=7, gateway=node2, exceptCIDRs=WIDE)
    egress.start()

    kind = "EgressPolicy.ovs-egress.io"
    assert egress.text(1, "pod", pod.full_name).splitlines() == [
        f"pod: {pod.full_name}",
        f"port: {pod.record['ifname']} (ofport {pod.ofport})",
        f"addresses: {pod.ipv4},{pod.ipv6}",
        "state: known",
        f"first: {kind}/c, priority 7: egress IP {','.join(objects.BLUE)}, gateway {node2}, active",
        f"    not to: {' '.join(WIDE)}",
        "    before the next one as: higher priority",
        f"then: {kind}/a, priority 0: egress IP {','.join(objects.RED)}, gateway {node2}, active",
        f"    before the next one as: {OLDER}",
        f"then: {kind}/b, priority 0: egress IP {','.join(objects.GREEN)}, gateway {node2}, active",
        f"    only to: {' '.join(NARROW)}",
    ]
