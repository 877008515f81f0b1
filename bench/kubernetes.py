"""A cluster's control plane with a real API server: how fast the manager decides and writes, how
big manager and agent are, and how long one change takes from the API to the switch."""

import concurrent.futures
import contextlib
import json
import os
import re
import time

import yaml

from lab import cluster, kube, kube_api, kube_credentials, process

from . import priority, scenario, unixctl, usage
from .table import percentile

POLICIES, NODES, NAMESPACES = 10000, 1000, 500
CREATORS = 4            # Connections that create them.
PARALLEL = 16           # Patches under way at a time, as many as the manager's writes.
PODS = 10               # Real ones, each with a policy of its own.
CHANGES, WARM_UP = 500, 10
IDLE_SECONDS = 60

RATIO_AIM, MANAGER_AIM_MB, CHANGE_AIM_MS = 1.5, 150.0, 50.0

# A status like the manager's; "#" is what bench/patches.c puts another number for.
STATUS = {"egressIPs": ["10.64.0.1", "2001:db8:64::1"], "egressNode": "bench-node-#",
          "conditions": [
              {"type": kind, "status": "True", "reason": reason, "message": message,
               "lastTransitionTime": "2024-05-01T12:00:00Z"}
              for kind, reason, message in (
                  ("IPAllocated", "Allocated", "the policy has an egress IP"),
                  ("IPAssigned", "Assigned", "the gateway is node bench-node-0001"))]}

OWN = "/apis/ovs-egress.io/v1alpha1"
EGRESS_POLICIES = f"{OWN}/egresspolicies"


def _namespace(index):
    return f"bench-{index % NAMESPACES:03d}"


def _app(index):
    return f"app-{index:05d}"


def _name(index):
    return f"policy-{index:05d}"


def _policy(index):
    return {"apiVersion": "ovs-egress.io/v1alpha1", "kind": "EgressPolicy",
            "metadata": {"name": _name(index)},
            "spec": {"egressPool": "bench", "appliedTo": {
                "namespaceSelector": {"matchLabels": {
                    "kubernetes.io/metadata.name": _namespace(index)}},
                "podSelector": {"matchLabels": {"app": _app(index)}}}}}


class Clients:
    """Several connections of the administrator, for many requests."""

    def __init__(self, control):
        path = control.credentials.path
        self._clients = [kube_api.Client(control.netns, control.ipv4, kube.PORT,
                                         ca=path(kube_credentials.CA_CERTIFICATE),
                                         certificate=(path("admin.crt"), path("admin.key")))
                         for _ in range(CREATORS)]

    def each(self, action, items):
        """Does 'action' with a client and each of 'items'."""
        def do_share(number):
            for item in items[number::CREATORS]:
                action(self._clients[number], item)

        with concurrent.futures.ThreadPoolExecutor(max_workers=CREATORS) as pool:
            for done in [pool.submit(do_share, number) for number in range(CREATORS)]:
                done.result()

    def close(self):
        for client in self._clients:
            client.close()


class Scenario:
    """A lab with all the objects on its API server; use as a context manager."""

    def __init__(self, name):
        self.n_patched = 0              # So that no patch says what was there before.
        self.lab = cluster.Cluster.up(name, nodes=1, kube=True)
        try:
            self.control, self.node = self.lab.control, self.lab.nodes[0]
            self.manager = self.lab.manager()
            self.program = self._build_patches()
            priority.put_first(self.control.etcd.pid(), self.control.api_server.pid(),
                               self.node.switch.vswitchd_pid())
            self._create()
        except BaseException:
            self.lab.down()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lab.down()

    def _build_patches(self):
        program = f"{self.lab.state}/patches"
        source = f"{os.path.dirname(os.path.realpath(__file__))}/patches.c"
        process.run([os.environ.get("CC", "gcc"), "-std=gnu11", "-O2", "-o", program, source,
                     "-lcurl"])
        return program

    def _create(self):
        def create_node(client, index):
            node = yaml.safe_load(scenario.node_text(index))
            client.post("/api/v1/nodes", node)
            client.patch(f"/api/v1/nodes/{node['metadata']['name']}/status",
                         {"status": node["status"]})

        with contextlib.closing(Clients(self.control)) as clients:
            clients.each(lambda client, index: client.post(
                "/api/v1/namespaces", {"metadata": {"name": _namespace(index)}}),
                range(NAMESPACES))
            clients.each(create_node, range(2, NODES + 1))
            self.control.client.post(f"{OWN}/egresspools", yaml.safe_load(scenario.POOL))
            clients.each(lambda client, index: client.post(EGRESS_POLICIES, _policy(index)),
                         range(POLICIES))

    # The manager.

    def start_manager(self):
        self.manager.start()
        priority.put_first(self.manager.pid())

    def wait_written(self, n_writes=2 * POLICIES, deadline=600):
        """Until the manager has made 'n_writes' at least, and has nothing to write any more;
        returns how many it made."""
        with contextlib.closing(unixctl.Control(self.manager.socket)) as control:
            def written():
                text = control.ask("manager/show")
                found = re.search(r"(\d+) policies.*\n.* (\d+) waiting, (\d+) in flight; "
                                  r"(\d+) succeeded", text)
                policies, waiting, in_flight, succeeded = map(int, found.groups())
                done = "(this one)" in text and policies == POLICIES and succeeded >= n_writes
                return not waiting and not in_flight and done and succeeded

            return process.wait_until(written, "all writes", deadline, 0.02)

    def check_statuses(self):
        """Every policy has to have its egress IPs and its gateway, in its status and as a route."""
        policies = self.control.client.get(EGRESS_POLICIES)["items"]
        routes = self.control.client.get(f"{OWN}/egressroutes")["items"]
        right = [each for each in policies
                 if len(each["status"]["egressIPs"]) == 2 and each["status"]["egressNode"]]
        if not len(policies) == len(right) == len(routes) == POLICIES:
            raise process.LabError(f"{len(right)} statuses, {len(routes)} routes")

    # Bare patches.

    def patch(self, count, parallel):
        """How long 'count' patches of policies' statuses take, in seconds."""
        path = self.control.credentials.path
        self.n_patched += 1
        body = json.dumps({"status": STATUS}).replace("#", f"{self.n_patched}-#")
        url = f"{self.control.credentials.server}{EGRESS_POLICIES}/policy-%/status"
        output = self.control.run(
            [self.program, path(kube_credentials.CA_CERTIFICATE), path("admin.crt"),
             path("admin.key"), url, str(count), str(POLICIES), str(parallel)], stdin=body,
            timeout=900)
        return float(output)

    # The agent.

    def start_agent(self):
        for index in range(PODS):
            self.lab.add_pod(f"{_namespace(index)}/pod", 1, {"app": _app(index)})
        self.node.agent.start()
        priority.put_first(self.node.agent.pid())
        self.switch = unixctl.Control(self.node.agent.control)
        process.wait_until(self._is_settled, "a settled agent", 60, 0.1)

    def _is_settled(self):
        state = json.loads(self.switch.ask("egress/show", "--json"))
        return state["switch"]["settled"] and state["pods"]["selected"] == PODS

    def change_policy(self, number, spec):
        """How long from a request that changes a policy to the switch's confirmation."""
        policy = f"{EGRESS_POLICIES}/{_name(number % PODS)}"
        acked = json.loads(self.switch.ask("switch/wait"))["acked_seqno"]
        self.switch.send("switch/wait", str(acked))
        begin = time.perf_counter()
        self.control.client.patch(policy, {"spec": spec})
        self.switch.receive()
        return time.perf_counter() - begin

    def patch_something(self, number):
        """How long one request takes that concerns nobody."""
        begin = time.perf_counter()
        self.control.client.patch("/api/v1/namespaces/kube-public",
                                  {"metadata": {"annotations": {"number": str(number)}}})
        return time.perf_counter() - begin


def _measure_writes(table, some):
    """As many patches as the manager's writes, some before and some after these: the machine has
    others to serve, now more and now less."""
    ways = {1: "one after another", PARALLEL: f"{PARALLEL} at a time"}
    references = {parallel: some.patch(POLICIES, parallel) for parallel in ways}

    begin = time.perf_counter()
    some.start_manager()
    n_writes = some.wait_written()
    taken = time.perf_counter() - begin
    some.check_statuses()
    memory = _memory(some.manager.pid())
    some.manager.stop()

    for parallel, how in ways.items():
        reference = references[parallel] + some.patch(n_writes - POLICIES, parallel)
        table.add(f"manager's start to all {n_writes} writes", f"{taken:.1f} s",
                  f"as many PATCHes, {how}: {reference:.1f} s", taken / reference,
                  f"ratio <= {RATIO_AIM}", taken / reference <= RATIO_AIM)
    _add_memory(table, memory, "manager", "when all is written", MANAGER_AIM_MB)


def _memory(pid):
    """How much is resident now, and how much was at most."""
    return usage.memory(pid), usage.memory(pid, "VmHWM")


def _add_memory(table, memory, who, when, aim=None):
    now, most = memory
    table.add(f"{who}'s resident memory {when}", usage.mb(now), f"at most {usage.mb(most)}", None,
              f"<= {aim:.0f} MB" if aim else "", most / 1024 <= aim if aim else None)


def _destination(number):
    return {"destinationCIDRs": [f"198.51.{number // 250}.{number % 250}/32"]}


def _gateway(number):
    """One of the nodes that exist as objects only: it will claim nothing."""
    node = f"bench-node-{2 + number % (NODES - 1):04d}"
    return {"gateway": {"nodeSelector": {"matchLabels": {"kubernetes.io/hostname": node}}}}


def _measure_changes(table, some):
    kinds = {"destination": _destination, "gateway": _gateway}
    times = {kind: [] for kind in kinds}
    references = []
    for number in range(WARM_UP + CHANGES):
        for kind, spec in kinds.items():
            times[kind].append(some.change_policy(number, spec(number)))
        references.append(some.patch_something(number))
    for kind in kinds:
        for percent in (50, 99):
            value, reference = (percentile(each[WARM_UP:], percent)
                                for each in (times[kind], references))
            table.add(f"a policy's other {kind} to flow in the switch, p{percent}", usage.ms(value),
                      f"one PATCH {usage.ms(reference)}", value / reference,
                      f"<= {CHANGE_AIM_MS:.0f} ms", value * 1000 <= CHANGE_AIM_MS)


def _measure_idleness(table, pids):
    before = {who: usage.processor_time(pid) for who, pid in pids.items()}
    time.sleep(IDLE_SECONDS)
    for who, pid in pids.items():
        used = (usage.processor_time(pid) - before[who]) / IDLE_SECONDS
        table.add(f"{who}'s processor time when idle", f"{used * 100:.2f} %", "one core", used)


def run(table):
    with Scenario(f"bench{os.getpid() % 100000}-kube") as some:
        _measure_writes(table, some)
        some.start_manager()            # It mends what the patches made wrong.
        some.wait_written(n_writes=POLICIES)
        some.start_agent()
        pids = {"manager": some.manager.pid(), "agent": some.node.agent.pid()}
        _measure_changes(table, some)
        _measure_idleness(table, pids)
        _add_memory(table, _memory(pids["manager"]), "manager", "at the end", MANAGER_AIM_MB)
        _add_memory(table, _memory(pids["agent"]), "agent", "at the end")
