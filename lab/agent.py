"""The egress agent of a node: how it is started, ended and asked."""

import os

from . import cni, daemon, process

SOURCE_TREE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def program(name):
    """The program 'name' of the build that $OVS_EGRESS_BUILDDIR names, else of the source tree."""
    return f"{os.environ.get('OVS_EGRESS_BUILDDIR') or SOURCE_TREE}/controller/{name}"


class Agent(daemon.Daemon):
    def __init__(self, node, source, options):
        """'source' is its option --source."""
        self.node = node
        self.switch = node.switch
        directory = node.switch.directory
        super().__init__(f"the agent of {node.name}", f"{directory}/ovs-egressd.pid")
        self.log = f"{directory}/ovs-egressd.log"
        self.control = f"{directory}/ovs-egressd.ctl"
        self._source = source
        self._options = options

    def arguments(self, *extra):
        return [
            program("ovs-egressd"),
            f"--node={self.node.name}",
            f"--source={self._source}",
            f"--bridge={cni.BRIDGE}",
            f"--hook-table={cni.HOOK_TABLE}",
            f"--hook-match={cni.HOOK_MATCH}",
            f"--reply-port={cni.GATEWAY_PORT}",
            f"--reply-table={cni.REPLY_TABLE}",
            f"--uplink-bridge={cni.UPLINK_BRIDGE}",
            f"--pidfile={self.pidfile}",
            f"--unixctl={self.control}",
            f"--log-file={self.log}",
            "-vconsole:off",
            *self._options,
            *extra,
            self.switch.database,
        ]

    def _is_ours(self, pid):
        return process.environment(pid).get("OVS_RUNDIR") == self.switch.directory

    def start(self, *extra):
        """Starts the agent with the lab's options and 'extra' ones; returns when it is in the
        background and answers."""
        self._check_absent()
        self.switch.run([*self.arguments("--detach", "--no-chdir", *extra)])

    def restart(self, *extra):
        self.stop()
        self.start(*extra)

    def ctl_arguments(self, *arguments):
        return [program("ovs-egressctl"), f"--target={self.control}", *arguments]

    def ctl(self, *arguments, check=True):
        """What ovs-egressctl says."""
        return self.switch.run(self.ctl_arguments(*arguments), check=check)

    def appctl(self, *arguments):
        """What it says to a command of Open vSwitch's daemons."""
        return self.switch.run(["ovs-appctl", f"--target={self.control}", "--timeout=10", *arguments])
