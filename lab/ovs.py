"""One Open vSwitch: its own ovsdb-server and ovs-vswitchd in one namespace, its own directory."""

import os
import shutil
import signal

from . import netns, process

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


class Switch:
    def __init__(self, namespace, directory):
        self.namespace = namespace
        self.directory = directory
        self.database = f"unix:{directory}/db.sock"
        self.env = {
            **os.environ,
            "OVS_RUNDIR": directory,
            "OVS_DBDIR": directory,
            "OVS_LOGDIR": directory,
            "OVS_SYSCONFDIR": directory,
        }

    @staticmethod
    def create_database(path):
        """Makes an empty database; copies of it serve several switches."""
        process.run(["ovsdb-tool", "create", path, SCHEMA])

    def run(self, argv, **options):
        return netns.run(self.namespace, argv, env=self.env, **options)

    def start(self, empty_database, setup):
        """Starts with a copy of 'empty_database'; 'setup' holds ovs-vsctl arguments that make the
        bridges, in place before ovs-vswitchd looks."""
        shutil.copyfile(empty_database, f"{self.directory}/conf.db")
        self.start_database()
        self.vsctl("--no-wait", "init", "--", *setup)
        self.start_vswitchd()

    def start_database(self):
        self.run(["ovsdb-server", f"{self.directory}/conf.db", f"--remote=p{self.database}",
                  f"--pidfile={self.directory}/ovsdb-server.pid", "--detach", "--no-chdir",
                  f"--log-file={self.directory}/ovsdb-server.log", "-vconsole:off",
                  f"--unixctl={self.directory}/ovsdb-server.ctl"])

    def start_vswitchd(self):
        """Starts ovs-vswitchd and waits until its bridges are there."""
        self.run(["ovs-vswitchd", self.database,
                  f"--pidfile={self.directory}/ovs-vswitchd.pid", "--detach", "--no-chdir",
                  f"--log-file={self.directory}/ovs-vswitchd.log", "-vconsole:off"])
        self.vsctl("show")

    def vswitchd_pid(self):
        return process.read_pidfile(f"{self.directory}/ovs-vswitchd.pid")

    def control(self):
        """The socket that ovs-vswitchd takes commands on."""
        return f"{self.directory}/ovs-vswitchd.{self.vswitchd_pid()}.ctl"

    def stop_vswitchd(self, number=signal.SIGTERM):
        pid = self.vswitchd_pid()
        if pid is not None:
            process.stop([pid], number)

    def vsctl(self, *arguments):
        """One ovs-vsctl transaction; waits until ovs-vswitchd has done it."""
        return self.run(["ovs-vsctl", f"--db={self.database}", "--timeout=10", *arguments])

    def appctl(self, *arguments):
        return self.run(["ovs-appctl", "--timeout=10", *arguments])

    def ofctl(self, command, bridge, *arguments, stdin=None):
        return self.run(["ovs-ofctl", "-OOpenFlow15", "--timeout=10", command, bridge, *arguments],
                        stdin=stdin)

    def change_flows(self, bridge, lines):
        """Applies lines as ovs-ofctl(8) add-flows takes them ("add ...", "delete ...") as one
        bundle: all or none."""
        if lines:
            self.run(["ovs-ofctl", "-OOpenFlow15", "--timeout=10", "--bundle", "add-flows", bridge,
                      "-"], stdin="\n".join(lines) + "\n")

    def flows(self, bridge, match=""):
        """The flows of 'bridge' without statistics, sorted by ovs-ofctl."""
        text = self.ofctl("dump-flows", bridge, "--no-stats", "--sort", *([match] if match else []))
        return [line.strip() for line in text.splitlines() if "actions=" in line]
