"""What every system test starts from and ends with.

Each test has a lab of its own, brought up in well under a second.  At its end every agent that still runs
must say that recomputing changes nothing, no daemon may have logged a warning that the test did not announce,
no sanitizer may have found anything, and nobody else's flows, groups or meters may have changed."""

import glob
import json
import os
import re
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, TOP)

from lab import cluster, process  # noqa: E402  (the path has to be set first)

# Which cookies and meters are ours: see pipeline/cookies.h.
OUR_COOKIE = re.compile(r"cookie=0x6567[0-9a-f]{12}\b")
OUR_METERS = range(0x10000, 0x20000)

# An agent's problem.
FILE_IN_FORCE = "in force, because the API server has not answered since the start"

# A log line of a level that nobody has to look at.
QUIET = re.compile(r"\|(INFO|DBG)\|")

# What a daemon says that was held up in its work, and where that time went.
HELD_UP = re.compile(r"\|timeval(\([^)]*\))?\|WARN\|(faults|disk|context switches|"
                     r"Unreasonably long \d+ms poll interval \((?P<user>\d+)ms user, (?P<system>\d+)ms system\))")


def is_quiet(line):
    """Is it a log line that needs no explanation?  It may tell that the machine gave a daemon no processor, as long as
    the daemon itself did not compute for long."""
    held_up = HELD_UP.search(line)
    if held_up:
        return int(held_up["user"] or 0) + int(held_up["system"] or 0) < 500
    return bool(QUIET.search(line))


class Egress:
    """A lab with its agents, and what tests ask of them."""

    def __init__(self, lab, directory):
        self.lab = lab
        self.external = lab.external
        self.onprem = lab.onprem
        self.expected_warnings = []
        self.foreign_changes_expected = False
        self._directory = directory
        self._foreign = {node.name: self.foreign(node) for node in lab.nodes}

    # Doing.

    def start(self, *options):
        """Starts every agent and waits until all of them are settled."""
        for node in self.lab.nodes:
            node.agent.start(*options)
        self.settle()

    def apply(self, text, name="policy"):
        self.lab.apply_text(name, text)

    def example(self, name, count=None):
        """Applies the first 'count' objects (None: all) of examples/NAME."""
        with open(f"{TOP}/examples/{name}", encoding="utf-8") as file:
            documents = file.read().split("\n---\n")
        self.apply("\n---\n".join(documents[:count]), name.removesuffix(".yaml"))

    def expect_warning(self, pattern):
        """Log lines of level WARN that match 'pattern' are part of the test."""
        self.expected_warnings.append(re.compile(pattern))

    # Asking.

    def ctl(self, node, *arguments):
        """The agent's answer as a value."""
        return json.loads(self.lab.node(node).agent.ctl("--json", *arguments))

    def text(self, node, *arguments):
        return self.lab.node(node).agent.ctl(*arguments)

    def route(self, name, node=1):
        """The route of the policy whose metadata.name is 'name', as 'node' sees it, or None."""
        found = [each for each in self.ctl(node, "routes")["routes"] if each["name"] == name]
        return found[0] if found else None

    def gateway(self, name):
        """The node that owns the egress IP of the policy 'name'."""
        return self.lab.node(self.route(name)["gateway"])

    def wait_gateway(self, name, node):
        """Waits until 'node', or its number, owns the egress IP of the policy 'name'."""
        wanted = self.lab.node(node).name
        self.wait(lambda: self.route(name)["gateway"] == wanted, f"{wanted} as gateway of {name}")

    def problems(self, node=1):
        return [f"{each['object']}: {each['text']}" for each in self.ctl(node, "show")["problems"]]

    def running(self):
        return [node for node in self.lab.nodes if node.agent.pid() is not None]

    def wait(self, condition, what, deadline=30.0):
        return process.wait_until(condition, what, deadline)

    def wait_problem(self, text, node=1, deadline=30.0):
        """Waits for just the problem 'text' at 'node'."""
        try:
            self.wait(lambda: text in self.problems(node), text, deadline)
        except process.LabError:
            pytest.fail(f"expected the problem\n    {text}\nbut there are\n    "
                        + "\n    ".join(self.problems(node)))

    def settle(self, deadline=60.0, without_server=False):
        """Waits until every agent's flows are in its switch, and every egress IP is claimed; and until no agent goes
        by its file because the API server has not answered since it was started, unless that is part of the test:
        'without_server'."""
        def settled():
            for node in self.running():
                state = self.ctl(node.name, "show")
                if not state["switch"]["settled"] or state["egress_ips"]["unclaimed"]:
                    return False
                if not without_server and any(each["text"].startswith(FILE_IN_FORCE) for each in state["problems"]):
                    return False
            return True

        self.wait(settled, "settled agents", deadline)

    def wait_source(self, pod, source, host=None, deadline=30.0):
        """Waits until 'host' (default: the external one) sees 'pod' as 'source'."""
        def seen():
            answer = pod.udp(host or self.external.ipv4, timeout=0.5)
            return answer["ok"] and answer["src"] == source

        self.wait(seen, f"{pod.full_name} as {source}", deadline)

    def flow_mods(self, node):
        return self.ctl(node, "show")["switch"]["flow_mods"]

    @staticmethod
    def foreign(node):
        """What is on br-int and is not ours: flows, groups and meters, without counters."""
        flows = [flow for flow in node.switch.flows("br-int") if not OUR_COOKIE.search(flow)]
        groups = node.switch.ofctl("dump-groups", "br-int")
        # A meter is one line, and one more for each of its bands.
        meters = re.split(r"^(?=meter=)", node.switch.ofctl("dump-meters", "br-int"), flags=re.MULTILINE)
        numbers = {meter: re.match(r"meter=(\d+) ", meter) for meter in meters}
        foreign_meters = [meter for meter, number in numbers.items()
                          if not number or int(number[1]) not in OUR_METERS]
        strip = re.compile(r"xid=0x[0-9a-f]+")
        return (flows, strip.sub("", groups), [strip.sub("", meter).strip() for meter in foreign_meters])

    # Ending.

    def check_foreign(self):
        """Others' flows may come and go with the CNI's pods; all else must be as the CNI wants it."""
        for node in self.lab.nodes:
            if not node.switch.vswitchd_pid():
                continue
            flows, groups, meters = self.foreign(node)
            _, old_groups, old_meters = self._foreign[node.name]
            wanted = node.cni_flows(self.lab.records_of(node.name))
            assert len(flows) == len(wanted), f"{node.name}: the CNI's flows changed"
            if not self.foreign_changes_expected:
                assert (groups, meters) == (old_groups, old_meters)

    def check_recompute(self):
        for node in self.running():
            self.wait(lambda node=node: self.ctl(node.name, "show")["switch"]["settled"],
                      f"settled {node.name}")
            assert self.ctl(node.name, "recompute")["flow_mods"] == 0, \
                f"{node.name}: recomputing changed something"

    def check_logs(self):
        for path in [*(node.agent.log for node in self.lab.nodes),
                     *glob.glob(f"{self.lab.state}/control/manager-*.log")]:
            if not os.path.exists(path):
                continue
            with open(path, encoding="utf-8") as file:
                loud = [line.strip() for line in file if not is_quiet(line)]
            unexpected = [line for line in loud
                          if not any(each.search(line) for each in self.expected_warnings)]
            assert not unexpected, f"{path} has\n" + "\n".join(unexpected)

    def exit_daemons(self):
        """Ends agents and managers as they end when they are asked to, so that a leak checker may have its
        say."""
        daemons = [(node.agent.pid(), node.agent.control, node.switch.run) for node in self.running()]
        daemons += [(each.pid(), each.socket, self.lab.control.run) for each in self.lab.managers()]
        for pid, socket, run in daemons:
            run(["ovs-appctl", f"--target={socket}", "--timeout=20", "exit"])
            self.wait(lambda pid=pid: not process.alive(pid), f"end of {socket}", 20)

    def check_sanitizers(self):
        reports = glob.glob(f"{self._directory}/sanitizer.*")
        assert not reports, "\n".join(open(each, encoding="utf-8").read() for each in reports)


@pytest.fixture
def make_egress(tmp_path, monkeypatch, request):
    """Makes the test's lab: make_egress(nodes=3, flavour="antrea", agent_options=()).  Checks it at the end."""
    made = []
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
        monkeypatch.setenv(name, f"log_path={tmp_path}/sanitizer:print_stacktrace=1")

    def make(**options):
        name = f"t{os.getpid() % 100000}-{len(made)}"
        made.append(Egress(cluster.Cluster.up(name=name, **options), tmp_path))
        return made[-1]

    yield make

    try:
        # A test that failed has said what there is to say.
        report = getattr(request.node, "call_report", None)
        if report is None or report.passed:
            for egress in made:
                egress.check_recompute()
                egress.check_foreign()
                egress.check_logs()
                egress.exit_daemons()
        # What a sanitizer found is why the rest failed.
        for egress in made:
            egress.check_sanitizers()
    finally:
        for egress in made:
            if os.environ.get("KEEP_LAB"):
                print(f"lab {egress.lab.name} is kept")
            else:
                egress.lab.down()


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.call_report = outcome.get_result()


@pytest.fixture
def egress(make_egress):
    """A lab with three nodes and no agent yet."""
    return make_egress()
