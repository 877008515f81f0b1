"""Traffic under way while something happens: long-lived streams and new connections, of both IP families."""

import json
import os
import subprocess

from lab import fabric, process
from objects import EXTERNAL

_CONNECTIONS = [*fabric.PYTHON, f"{os.path.dirname(os.path.realpath(__file__))}/connections.py"]


class Traffic:
    """From each of 'pods' to the external host: a stream per protocol and family, and new connections.
    A stream sends every 'interval' milliseconds."""

    def __init__(self, pods, interval=10):
        self.streams = {(pod.full_name, proto, host): pod.stream(host, proto=proto, interval=interval, timeout=1)
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
            stream.wait_answers(5, deadline=20)

    def stop(self):
        """Ends it.  Returns {} if no packet was lost, no connection failed and none broke; else what was wrong."""
        wrong = {}
        for name, stream in self.streams.items():
            summary = stream.stop()
            if summary["missing"] or summary["broken"] or summary["errors"]:
                wrong[name] = summary
        for name, child in self.connections.items():
            process.stop([child.pid])
            output, _ = child.communicate()
            summary = json.loads(output)
            if summary["failed"] or not summary["opened"]:
                wrong[name] = summary
        return wrong
