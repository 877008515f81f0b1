"""The control plane: how fast, how big and how quiet the agent is with many routes and pods."""

import json
import os
import signal
import time

from lab import process

from . import scenario, unixctl, usage
from .table import median, paired_ratio, percentile

ROUTES, FEW_ROUTES, PODS, NODES = 10000, 100, 500, 1000
FILLS = 5               # From the empty switch, each time after the same by ovs-ofctl.
STARTS = 3
CHANGES = 900           # Of a pod's label, per number of routes.
WARM_UP = 10

FILL_AIM, CHANGE_AIM_MS, SPREAD_AIM, MEMORY_AIM_MB = 1.5, 10.0, 1.5, 40.0


def _state(big):
    return json.loads(big.control().ask("switch/wait"))


def _wait_flow_mods(big, wanted):
    """Until as many flow-mods as that were sent, since the agent started, and are confirmed."""
    return process.wait_until(lambda: _state(big)["flow_mods"] >= wanted, f"{wanted} flow-mods",
                              60, 0.002)


# (1) From an empty switch to all flows.

def _fill_by_ofctl(big, path):
    """How long ovs-ofctl takes to put the flows in the file 'path' into an empty bridge."""
    switch = big.node.switch
    argv = ["ovs-ofctl", "-OOpenFlow15", "--bundle", "replace-flows", "br-ref", path]
    begin = time.perf_counter()
    switch.run(argv)
    taken = time.perf_counter() - begin
    big.delete_flows("br-ref")
    return taken


def _fill_by_agent(big, n_flows):
    """How long the agent takes until the switch, which just lost all our flows, has confirmed all.

    The agent is stopped while they are deleted, so what it has to do begins when it goes on: to
    read from the flow monitor what is gone, and to put it back."""
    pid = big.node.agent.pid()
    before = _state(big)["flow_mods"]
    os.kill(pid, signal.SIGSTOP)
    try:
        big.delete_flows()
        begin = time.perf_counter()
    finally:
        os.kill(pid, signal.SIGCONT)
    _wait_flow_mods(big, before + n_flows)
    return time.perf_counter() - begin


def _start_agent(big):
    """How long it takes from the agent's start until a switch without our flows has all."""
    big.stop()
    big.delete_flows()
    begin = time.perf_counter()
    big.start()
    _state(big)                         # Answered as soon as there is something to be confirmed.
    return time.perf_counter() - begin


def _against_ofctl(big, path, rounds, measure):
    """Returns what 'measure' and ovs-ofctl took in each round."""
    times, references = [], []
    for _ in range(rounds):
        references.append(_fill_by_ofctl(big, path))
        times.append(measure())
        big.wait_settled()
    return times, references


def _measure_fills(table, big):
    path = f"{big.lab.state}/flows.txt"
    n_flows = big.dump(path)

    times, references = _against_ofctl(big, path, FILLS, lambda: _fill_by_agent(big, n_flows))
    if big.dump(path) != n_flows:
        raise process.LabError("not all flows came back")
    ratio = paired_ratio(times, references)
    table.add(f"empty switch to all {n_flows} flows, agent running", usage.ms(median(times)),
              f"ovs-ofctl {usage.ms(median(references))}", ratio, f"ratio <= {FILL_AIM}",
              ratio <= FILL_AIM)

    for kind in ("one file each", "one file"):
        if kind == "one file":
            big.stop()
            big.merge_policies()
            big.start()
            big.wait_settled()
        times, references = _against_ofctl(big, path, STARTS, lambda: _start_agent(big))
        table.add(f"agent's start to all flows, policies in {kind}", usage.ms(median(times)),
                  f"ovs-ofctl {usage.ms(median(references))}", paired_ratio(times, references))


# (2) A pod's label changes.

def _change_label(some, number):
    """How long from the change in the source to the switch's confirmation."""
    pod = number % some.n_pods
    source, target = some.prepare_pod(pod, (pod + 37 * (1 + number // some.n_pods) + 1)
                                      % some.n_routes)
    control = some.control()
    acked = json.loads(control.ask("switch/wait"))["acked_seqno"]
    control.send("switch/wait", str(acked))
    begin = time.perf_counter()
    os.rename(source, target)
    control.receive()
    return time.perf_counter() - begin


def _round_trip(control):
    """How long ovs-vswitchd takes to answer the simplest of questions.  A label change takes two
    such answers of its, one after the other: that all is there, and that it is committed."""
    begin = time.perf_counter()
    control.ask("version")
    return time.perf_counter() - begin


def _measure_changes(table, big, few):
    times = {big: [], few: []}
    references = {big: [], few: []}
    efforts = {big: [], few: []}
    pids = {some: some.node.agent.pid() for some in (big, few)}
    controls = {some: unixctl.Control(some.node.switch.control()) for some in (big, few)}
    for number in range(WARM_UP + CHANGES):
        for some in (few, big) if number % 2 else (big, few):
            begin = usage.first_thread_time(pids[some])
            times[some].append(_change_label(some, number))
            efforts[some].append(usage.first_thread_time(pids[some]) - begin)
            references[some].append(_round_trip(controls[some]))

    for some in (few, big):
        for percent in (50, 99):
            value, reference = (percentile(each[some][WARM_UP:], percent)
                                for each in (times, references))
            table.add(f"pod's label change to barrier reply, {some.n_routes} routes, p{percent}",
                      usage.ms(value), f"one answer {usage.ms(reference)}", value / reference,
                      f"<= {CHANGE_AIM_MS:.0f} ms", value * 1000 <= CHANGE_AIM_MS)
    for percent in (50, 99):
        value, base = (percentile(times[some][WARM_UP:], percent) for some in (big, few))
        table.add(f"the same, {big.n_routes} against {few.n_routes} routes, p{percent}",
                  usage.ms(value), usage.ms(base), value / base, f"ratio <= {SPREAD_AIM}",
                  value / base <= SPREAD_AIM)
    value, base = (percentile(efforts[some][WARM_UP:], 50) for some in (big, few))
    table.add("the agent's processor time for it, likewise, p50", f"{value * 1000:.2f} ms",
              f"{base * 1000:.2f} ms", value / base)


# (3), (4) Memory; a restart.

def _measure_memory(table, big, when):
    agent = usage.memory(big.node.agent.pid())
    switch = usage.memory(big.node.switch.vswitchd_pid())
    table.add(f"resident memory {when}", usage.mb(agent), f"ovs-vswitchd {usage.mb(switch)}",
              agent / switch, f"<= {MEMORY_AIM_MB:.0f} MB", agent / 1024 <= MEMORY_AIM_MB)


def _measure_restart(table, big):
    big.stop()
    big.start()
    n_flows = big.wait_settled()["switch"]["flows"]
    flow_mods = _state(big)["flow_mods"]
    table.add("flow-mods sent by a restart with nothing changed", str(flow_mods),
              f"{n_flows} flows", flow_mods / n_flows, "0", flow_mods == 0)


def run(table):
    name = f"bench{os.getpid() % 100000}"
    with (scenario.Scenario(f"{name}-big", ROUTES, PODS, NODES) as big,
          scenario.Scenario(f"{name}-few", FEW_ROUTES, PODS, NODES) as few):
        for some in (big, few):
            some.start()
        for some in (big, few):
            some.wait_settled()
        _measure_memory(table, big, "after the start")
        _measure_changes(table, big, few)
        _measure_restart(table, big)
        _measure_fills(table, big)
        _measure_memory(table, big, "at the end")
