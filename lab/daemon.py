"""A program that runs in the background, and that is stopped by the process id in its pidfile."""

import os
import signal

from . import process


class Daemon:
    """Subclasses say with _is_ours() how to tell the process from another that has its number by now, and
    start it with start(), which calls _check_absent()."""

    def __init__(self, what, pidfile):
        """'what' is for messages."""
        self.what = what
        self.pidfile = pidfile

    def _is_ours(self, pid):
        raise NotImplementedError

    def pid(self):
        """The process id if it runs, else None."""
        pid = process.read_pidfile(self.pidfile)
        # A pidfile may outlive its process.
        return pid if pid and process.alive(pid) and self._is_ours(pid) else None

    def _check_absent(self):
        if self.pid() is not None:
            raise process.LabError(f"{self.what} runs already")

    def stop(self):
        """Asks it to end, as its service manager would, and waits."""
        self._end(signal.SIGTERM)

    def kill(self):
        """Ends it with SIGKILL."""
        self._end(signal.SIGKILL)

    def _end(self, number):
        if pid := self.pid():
            process.stop([pid], number, grace=10.0)

    def pause(self):
        """Makes it do nothing any more, until resume(): connections stay, nothing is answered."""
        os.kill(self.pid(), signal.SIGSTOP)

    def resume(self):
        os.kill(self.pid(), signal.SIGCONT)
