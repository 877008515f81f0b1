"""A node of a big cluster: one real node of the lab that is told of many policies, nodes and pods.

The other nodes and all pods exist only as manifests; a pod here is that plus a port of the node's
switch, which is all that the agent sees of a pod anyway."""

import json
import os

from lab import addresses, cluster, manifests, process

from . import priority, unixctl

OUR_FLOWS = "cookie=0x6567000000000000/0xffff000000000000"
NAMESPACE = "bench"

_NODE = """apiVersion: v1
kind: Node
metadata:
  name: {name}
  labels:
    kubernetes.io/hostname: {name}
    kubernetes.io/os: linux
spec:
  podCIDRs:
  - 10.{high}.{low}.0/24
  - fd00:{index:x}::/64
status:
  addresses:
  - type: InternalIP
    address: 192.168.{host_high}.{low}
  - type: InternalIP
    address: fd01::{index:x}
  conditions:
  - type: Ready
    status: "True"
"""

POOL = """apiVersion: ovs-egress.io/v1alpha1
kind: EgressPool
metadata:
  name: bench
spec:
  cidrs:
  - 10.64.0.0/16
  - 2001:db8:64::/112
"""

_POLICY = """apiVersion: ovs-egress.io/v1alpha1
kind: EgressPolicy
metadata:
  name: policy-{index:05d}
spec:
  appliedTo:
    namespaceSelector:
      matchLabels:
        kubernetes.io/metadata.name: bench
    podSelector:
      matchLabels:
        app: app-{index:05d}
  egressPool: bench
"""

_POD = """apiVersion: v1
kind: Pod
metadata:
  name: pod-{index:03d}
  namespace: bench
  labels:
    app: app-{app:05d}
    tier: backend
spec:
  nodeName: {node}
status:
  phase: Running
  podIPs:
  - ip: {ipv4}
  - ip: {ipv6}
"""


def node_text(index):
    """The manifest of a node that exists as an object only."""
    return _NODE.format(name=f"bench-node-{index:04d}", index=index, high=128 + index // 256,
                        host_high=index // 256, low=index % 256)


class Scenario:
    """A lab of one node; use as a context manager."""

    def __init__(self, name, n_routes, n_pods, n_nodes):
        self.n_routes, self.n_pods = n_routes, n_pods
        self.lab = cluster.Cluster.up(name, nodes=1)
        try:
            self.node = self.lab.nodes[0]
            priority.put_first(self.node.switch.vswitchd_pid())
            self.directory = self.lab.manifests.path
            self._scratch = f"{self.lab.state}/scratch"
            self._control = None
            os.mkdir(self._scratch)
            self._write_manifests(n_nodes)
            self._add_ports()
        except BaseException:
            self.lab.down()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lab.down()

    # The source.

    def _put(self, name, text):
        with open(f"{self.directory}/{name}", "w", encoding="utf-8") as file:
            file.write(text)

    def _write_manifests(self, n_nodes):
        self.lab.manifests.write(manifests.namespace(NAMESPACE))
        for index in range(2, n_nodes + 1):
            self._put(f"node-{index}.yaml", node_text(index))
        self._put("pool.yaml", POOL)
        for index in range(self.n_pods):
            self._put(f"pod-{index}.yaml", self._pod_text(index, index % self.n_routes))
        for index in range(self.n_routes):
            self._put(f"policy-{index}.yaml", _POLICY.format(index=index))

    def merge_policies(self):
        """From a file for each policy to one file for all.  The agent must not run."""
        for index in range(self.n_routes):
            os.unlink(f"{self.directory}/policy-{index}.yaml")
        self._put("policies.yaml",
                  "---\n".join(_POLICY.format(index=index) for index in range(self.n_routes)))

    def _pod_ips(self, index):
        network, number = divmod(index, 250)
        return addresses.pod4(1 + network, 2 + number), addresses.pod6(1 + network, 2 + number)

    def _pod_text(self, index, app):
        ipv4, ipv6 = self._pod_ips(index)
        return _POD.format(index=index, app=app, node=self.node.name, ipv4=ipv4, ipv6=ipv6)

    def prepare_pod(self, index, app):
        """Writes pod 'index' with another label to where the agent does not look; returns what
        os.rename() needs to put it into force."""
        path = f"{self._scratch}/pod"
        with open(path, "w", encoding="utf-8") as file:
            file.write(self._pod_text(index, app))
        return path, f"{self.directory}/pod-{index}.yaml"

    # The switch.

    def _add_ports(self):
        arguments = ["--no-wait"]
        for index in range(self.n_pods):
            ipv4, ipv6 = self._pod_ips(index)
            arguments += ["--", "add-port", "br-int", f"bp{index}", "--", "set", "Interface",
                          f"bp{index}", "type=internal", f"ofport_request={1000 + index}",
                          f"external_ids:pod-name=pod-{index:03d}",
                          f"external_ids:pod-namespace={NAMESPACE}",
                          f'external_ids:ip-address="{ipv4},{ipv6}"',
                          f'external_ids:attached-mac="{addresses.mac_of(ipv4)}"']
        # For the flows alone, to see how fast they go in when somebody else sends them.
        arguments += ["--", "add-br", "br-ref", "--", "set", "Bridge", "br-ref",
                      "datapath_type=netdev", "fail_mode=secure"]
        self.node.switch.vsctl(*arguments)
        wait = f"bp{self.n_pods - 1}"
        process.wait_until(
            lambda: self.node.switch.vsctl("get", "Interface", wait, "ofport").strip() != "[]",
            "ports", 60, 0.1)

    def delete_flows(self, bridge="br-int"):
        self.node.switch.ofctl("del-flows", bridge, OUR_FLOWS)

    def dump(self, path):
        """Writes all flows of ours to a file that ovs-ofctl reads; returns how many there are."""
        flows = self.node.switch.flows("br-int", OUR_FLOWS)
        with open(path, "w", encoding="ascii") as file:
            file.write("\n".join(flows) + "\n")
        return len(flows)

    # The agent.

    def start(self):
        self.node.agent.start()
        priority.put_first(self.node.agent.pid())
        self._control = unixctl.Control(self.node.agent.control)

    def stop(self):
        self._control.close()
        self.node.agent.stop()

    def control(self):
        return self._control

    def wait_settled(self, deadline=60):
        """Until the agent knows every pod, owns its egress IPs and its switch has every flow."""
        def settled():
            state = json.loads(self._control.ask("egress/show", "--json"))
            return (state["switch"]["settled"] and not state["egress_ips"]["unclaimed"]
                    and state["pods"]["selected"] == self.n_pods and state)

        return process.wait_until(settled, "a settled agent", deadline, 0.05)
