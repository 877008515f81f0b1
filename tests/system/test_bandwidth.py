"""A policy's bandwidth: a meter on its gateway limits what its pods send, and nothing else."""

import re
import subprocess

import pytest

import objects
from lab import fabric

MEGABIT = 1000 * 1000
PORT = 9000

# Takes in one connection; says how many bytes came, and when the last one did.
RECEIVE = f"""
import socket, time
server = socket.create_server(("::", {PORT}), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
connection = server.accept()[0]
n = 0
while data := connection.recv(65536):
    n += len(data)
print(n, time.monotonic())
"""

# Sends for a second, with so small a buffer that hardly anything is left to be sent after it; says when it began.
SEND = f"""
import socket, sys, time
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
connection = socket.socket(family)
connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
connection.connect((sys.argv[1], {PORT}))
start = time.monotonic()
print(start)
while time.monotonic() < start + 1:
    connection.send(bytes(16384))
"""


def send_for_a_second(egress, pod, host):
    """Returns (bits, seconds): what arrived at 'host', which is the external host."""
    receiver = egress.external.popen([*fabric.PYTHON, "-c", RECEIVE], stdout=subprocess.PIPE,
                                     text=True)
    with receiver:
        assert receiver.stdout.readline() == "ready\n"
        start = pod.run([*fabric.PYTHON, "-c", SEND, host])
        n, end = receiver.stdout.readline().split()
    return int(n) * 8, float(end) - float(start)


def sends_faster(egress, pod, host, rate):
    """Does 'pod' get more than 'rate' bits per second through in one of a few tries?  A machine that is busy slows
    some of them down, a meter all of them."""
    for _ in range(5):
        bits, seconds = send_for_a_second(egress, pod, host)
        if bits / seconds > rate:
            return True
    return False


def meters(node):
    """The rates of the meters on br-int by their ids, in kbit/s."""
    text = node.switch.ofctl("dump-meters", "br-int")
    return {int(number): int(rate)
            for number, rate in re.findall(r"meter=(\d+).*?rate=(\d+)", text, re.DOTALL)}


def meter_packets(node, number):
    """How many packets went through a meter since it is there."""
    text = node.switch.ofctl("meter-stats", "br-int", f"meter={number}")
    return int(re.search(r"packet_in_count:(\d+)", text).group(1))


@pytest.mark.parametrize("host", objects.EXTERNAL, ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("gateway", [1, 2], ids=["own-gateway", "other-gateway"])
def test_limits_what_its_pods_send(egress, gateway, host):
    red, green = (egress.lab.add_pod(f"{name}/sender", 1) for name in ("red", "green"))
    node = egress.lab.node(gateway)
    limit = {"bandwidth": {"rate": "8M", "burst": "800k"}}
    egress.apply(objects.policy("red", objects.RED, namespace="red", gateway=node.name, **limit),
                 "red")
    egress.apply(objects.policy("green", objects.GREEN, namespace="green", gateway=node.name),
                 "green")
    egress.start()
    assert [list(meters(each).values()) for each in egress.lab.nodes] == [
        [8000] if each is node else [] for each in egress.lab.nodes]

    bits, seconds = send_for_a_second(egress, red, host)

    # TCP makes less of it than the meter lets pass, which is what counts.
    assert bits < 1.1 * (8 * MEGABIT * seconds + 0.8 * MEGABIT)
    assert sends_faster(egress, red, host, MEGABIT)
    assert sends_faster(egress, green, host, 3 * 8 * MEGABIT)

    # Without a limit, there is none.
    egress.apply(objects.policy("red", objects.RED, namespace="red", gateway=node.name), "red")
    egress.wait(lambda: not meters(node), "no meter")
    egress.settle()
    assert sends_faster(egress, red, host, 3 * 8 * MEGABIT)


def test_leaves_other_meters_alone(egress):
    green = egress.lab.add_pod("green/sender", 1)
    node = egress.lab.node(2)
    node.switch.ofctl("add-meter", "br-int", "meter=7,kbps,stats,band=type=drop,rate=1234")

    def apply(name, ips, **limit):
        egress.apply(objects.policy(name, ips, namespace=name, gateway=node.name,
                                    bandwidth=limit), name)

    apply("red", objects.RED, rate="8M")
    apply("green", objects.GREEN, rate="20M")
    egress.start()
    assert sorted(meters(node).values()) == [1234, 8000, 20000]
    number = next(number for number, rate in meters(node).items() if rate == 20000)
    objects.check_sources(green, objects.GREEN)
    packets = meter_packets(node, number)
    assert packets > 0

    # A meter that is put anew begins to count anew.
    apply("red", objects.RED, rate="4M")
    egress.wait(lambda: sorted(meters(node).values()) == [1234, 4000, 20000], "4 Mbit/s")
    apply("blue", objects.BLUE, rate="5500k")
    egress.wait(lambda: sorted(meters(node).values()) == [1234, 4000, 5500, 20000], "5.5 Mbit/s")
    egress.lab.delete("red")
    egress.lab.delete("blue")
    egress.wait(lambda: meters(node) == {7: 1234, number: 20000}, "others' meters only")
    objects.check_sources(green, objects.GREEN)
    assert meter_packets(node, number) > packets

    egress.lab.delete("green")
    egress.wait(lambda: meters(node) == {7: 1234}, "nobody's meter but the other's")
    node.switch.ofctl("del-meter", "br-int", "meter=7")
