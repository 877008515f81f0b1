"""A program that runs in the background, and that is stopped by the process id in its pidfile."""

import os
import signal

from . import process

# System calls poll and ppoll on x86-64, ppoll on aarch64.
_POLL = ("7", "271", "73")


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

    def pause_between_turns(self):
        """Like pause(), but while it waits for events: not in the midst of what it does, which no Lease could
        take back, and which takes too long then."""
        def paused():
            self.pause()
            process.wait_until(lambda: process.state(self.pid()) == "T", "a process that is stopped")
            with open(f"/proc/{self.pid()}/syscall", encoding="ascii") as file:
                if file.read().split()[0] in _POLL:
                    return True
            self.resume()
            return False

        process.wait_until(paused, "a process that waits", interval=0.003)

    def resume(self):
        os.kill(self.pid(), signal.SIGCONT)
