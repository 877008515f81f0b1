"""Traffic under way while something happens: long-lived streams and new connections, of both IP families."""

import collections
import contextlib
import json
import os
import re
import subprocess

from lab import fabric, netns, process
from objects import EXTERNAL

_CONNECTIONS = [*fabric.PYTHON, f"{os.path.dirname(os.path.realpath(__file__))}/connections.py"]
# How long after the end of a connection its packets may be written down.  Another one with the same port is not
# there so soon: conntrack keeps it for longer.
_WRITTEN_S = 20


class Traffic:
    """From each of 'pods' to the external host: a stream per protocol and family, and new connections.
    A stream sends every 'interval' milliseconds."""

    def __init__(self, egress, pods, interval=10):
        self.lab = egress.lab
        self.external = egress.external
        self.mark = self.external.mark()
        self.dropped_before = self.dropped_by_sockets()
        self.streams = {(pod.full_name, proto, host): pod.stream(host, proto=proto, interval=interval, timeout=20)
                        for pod in pods for host in EXTERNAL for proto in ("tcp", "udp", "ping")}
        self.connections = {(pod.full_name, host): pod.popen([*_CONNECTIONS, host, str(interval / 2)], text=True,
                                                             stdout=subprocess.PIPE)
                            for pod in pods for host in EXTERNAL}
        for child in self.connections.values():
            child.stdout.readline()
        self.flow()

    def flow(self):
        """Waits until every stream has brought a few answers more.  That may take long on a busy machine; whether
        all of them came is for stop() to say."""
        for stream in self.streams.values():
            stream.wait_answers(5)

    def stop(self):
        """Ends it.  Returns {} if no packet was lost, no connection failed and none broke; else what was wrong."""
        wrong = {}
        dropped = self.dropped_by_sockets() - self.dropped_before
        # All at the same time: each may wait a while for what is missing.
        for child in (*(stream.child for stream in self.streams.values()), *self.connections.values()):
            child.terminate()
        for name, stream in self.streams.items():
            summary = stream.stop()
            if summary["missing"] or summary["broken"] or summary["errors"]:
                wrong[name] = summary
        for name, child in self.connections.items():
            output, _ = child.communicate(timeout=60)
            summary = json.loads(output)
            lost = self.lost(summary.pop("resent"))
            if summary["failed"] or not summary["opened"] or lost:
                wrong[name] = {**summary, "lost": lost}
        if wrong and dropped:
            wrong["by the way"] = f"the lab's sockets, the switches' ports among them, dropped {dropped} packets"
        return wrong

    def lost(self, connections):
        """Those of 'connections' of which fewer SYNs and data segments came to the external host than were sent.  On
        a machine that comes to a stop for a moment TCP sends again what is only late: then all of it comes."""
        def lost():
            times = collections.defaultdict(list)
            for packet in self.external.seen(self.mark, proto="tcp"):
                if set("SP") & set(packet["flags"]):
                    times[packet["src"], packet["sport"]].append(packet["time"])
            return [each for each in connections
                    if sum(0 <= time - each["begin"] <= each["end"] - each["begin"] + _WRITTEN_S
                           for time in times[each["src"], each["port"]]) < each["sent"]]

        with contextlib.suppress(process.LabError):
            process.wait_until(lambda: not connections or not lost(), "the rest of the packets", 10, 0.5)
        return lost() if connections else []

    def dropped_by_sockets(self):
        """How many packets the lab's sockets had no room for, so far.  A userspace switch that gets no processor for
        a tenth of a second may lose some."""
        sockets = (netns.run(name, ["ss", "-0uwam"]) for name in netns.names(self.lab.name))
        return sum(int(n) for text in sockets for n in re.findall(r"skmem:\(.*,d(\d+)\)", text))
