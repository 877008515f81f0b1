"""Whatever happens, in whatever order: once it is over, routes, statuses and flows are those
that somebody would decide who knows nothing of what happened."""

import changes
import kubectl
import reference
from lab import process

SEED, STEPS = 20, 200


def test_random_changes(make_egress):
    egress, mirror = make_egress(), make_egress(kube=False)
    fresh = reference.Reference(mirror, egress.lab.control)
    world = changes.Changes(egress.lab, mirror.lab, SEED)
    egress.lab.manager().start()
    for each in (egress, mirror):
        # The reference's agents end, time and again, as those of a kubelet do.
        each.expect_warning(r"fatal_signal\|WARN\|terminating with signal 15")
    world.create_all()
    for node in egress.lab.nodes:
        node.agent.start()

    check(egress.lab, fresh, ["everything is new"])
    for step in range(STEPS):
        # What happens at once may be seen in parts.
        check(egress.lab, fresh, [f"step {step}"] + [world.change() for _ in range(step % 3 + 1)])
    check_restart(egress, fresh)


def check(lab, fresh, what):
    """After 'what' was done, 'lab' becomes what it has to be."""
    fresh.decide()
    try:
        process.wait_until(lambda: not fresh.differences(lab), "the same", 60)
    except process.LabError:
        assert (what, fresh.differences(lab)) == (what, {})


def check_restart(egress, fresh):
    """Another manager finds nothing to write, and other agents nothing to send."""
    lab = egress.lab
    versions = kubectl.versions(lab.control)
    lab.manager().kill()
    another = lab.manager("another")
    another.start("--retry-period=1")
    egress.wait(another.leads, "another leader", 90)
    egress.wait(lambda: "writes: 0 waiting, 0 in flight; 0 succeeded" in another.show(),
                "an idle leader")
    assert kubectl.versions(lab.control) == versions
    for node in lab.nodes:
        node.agent.restart()
    egress.settle()

    assert not fresh.differences(lab)
    assert [egress.flow_mods(node.name) for node in lab.nodes] == [0] * 3
