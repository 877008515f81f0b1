"""An egress IP that some host has already."""

CONTESTED = "172.16.18.160"
POLICY = f"""
apiVersion: ovs-egress.io/v1alpha1
kind: EgressPolicy
metadata:
  name: contested
spec:
  appliedTo:
    podSelector: {{}}
  egressIPs: [{CONTESTED}]
  gateway:
    nodeSelector:
      matchLabels:
        kubernetes.io/hostname: NODE
"""


def test_gateway_hears_rivals_before_it_claims(egress):
    """The flows that let the agent hear of rivals are there before the claim, and "show" counts it."""
    gateway = egress.lab.node(2)
    egress.lab.router.run(["ip", "addr", "add", f"{CONTESTED}/24", "dev", "uplink"])
    egress.expect_warning("egress_claims")
    egress.start()
    egress.apply(POLICY.replace("NODE", gateway.name))

    egress.wait(lambda: any(each.startswith(CONTESTED) for each in egress.problems(gateway.name)),
                "a problem with the contested egress IP")

    assert egress.ctl(gateway.name, "show")["egress_ips"] == {"claimed": 0, "unclaimed": 1}
    watches = [flow.split(" actions=")[0].split("table=220, ")[1]
               for flow in gateway.flows("table=220") if CONTESTED in flow]
    assert sorted(watches) == [f"priority=200,arp,arp_tpa={CONTESTED},arp_op=1",
                               f"priority=300,arp,arp_spa={CONTESTED}"]
