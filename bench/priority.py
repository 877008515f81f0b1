"""Lets what is measured, and what it is compared with, go before whatever else the machine does."""

import contextlib
import os

_NICE = -15


def put_first(*pids):
    """Gives the processes 'pids' priority.  A daemon is a session of its own, and sessions share
    the processors evenly, whatever their processes' nice values are, unless they have one too."""
    for pid in pids:
        os.setpriority(os.PRIO_PROCESS, pid, _NICE)
        with contextlib.suppress(FileNotFoundError):    # A kernel without autogroups.
            with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as file:
                file.write(str(_NICE))
