"""A replica of ovs-egress-manager: how it is started, ended and asked."""

from . import agent, daemon, netns


class Manager(daemon.Daemon):
    """A replica in the namespace of a lab's control plane, with the account "manager"."""

    def __init__(self, control, directory, name):
        """'name' is its identity in the Lease, too."""
        super().__init__(f"the manager {name}", f"{directory}/manager-{name}.pid")
        self.name = name
        self.log = f"{directory}/manager-{name}.log"
        self.socket = f"{directory}/manager-{name}.ctl"
        self._control = control

    def arguments(self, *extra):
        return [
            agent.program("ovs-egress-manager"),
            f"--kubeconfig={self._control.kubeconfig('manager')}",
            f"--identity={self.name}",
            f"--pidfile={self.pidfile}",
            f"--unixctl={self.socket}",
            f"--log-file={self.log}",
            "-vconsole:off",
            *extra,
        ]

    def _is_ours(self, pid):
        return netns.lives_in(pid, self._control.netns)

    def start(self, *extra):
        """Starts it with 'extra' options; returns when it is in the background and answers."""
        self._check_absent()
        self._control.run(self.arguments("--detach", "--no-chdir", *extra))

    def appctl(self, *arguments):
        return self._control.run(["ovs-appctl", f"--target={self.socket}", "--timeout=10", *arguments])

    def show(self):
        return self.appctl("manager/show")

    def leads(self):
        return "(this one)" in self.show().partition("\n")[0]
