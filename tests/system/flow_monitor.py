"""Who changes flows while something happens: nobody, if all is well."""

import subprocess

from lab import cni, netns, process


class FlowMonitor:
    """Every change of br-int's flows, by whomever, as ovs-ofctl reports it."""

    MARK = "cookie=0x77"

    def __init__(self, switch):
        self.switch = switch
        self.path = f"{switch.directory}/flow-monitor"
        with netns.inside(switch.namespace), open(self.path, "w", encoding="utf-8") as file:
            self.child = subprocess.Popen(
                ["ovs-ofctl", "-OOpenFlow14", "monitor", cni.BRIDGE, "watch:!initial"],
                env=switch.env, stdout=file, stderr=subprocess.STDOUT)
        self._sync("start")
        self.start = len(self._text())

    def _text(self):
        with open(self.path, encoding="utf-8") as file:
            return file.read()

    def _sync(self, what):
        """Waits until what was done before has been reported."""
        seen = self._text().count(f"DELETED reason=delete table=250 {self.MARK}")

        def reported():
            self.switch.ofctl("add-flow", cni.BRIDGE, f"table=250,{self.MARK},priority=77 actions=drop")
            self.switch.ofctl("del-flows", cni.BRIDGE, f"{self.MARK}/-1")
            return self._text().count(f"DELETED reason=delete table=250 {self.MARK}") > seen

        process.wait_until(reported, f"{what} of the flow monitor", interval=0.05)

    def stop(self):
        """Returns the changes since the start."""
        self._sync("end")
        process.stop([self.child.pid])
        self.child.wait()
        return [line.strip() for line in self._text()[self.start:].splitlines()
                if "event=" in line and self.MARK not in line]
