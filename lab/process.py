"""Processes and waiting: run a command, wait for a condition, end a process by its id."""

import os
import select
import signal
import subprocess
import time


class LabError(Exception):
    """Something the lab could not do; the text says what and why."""


def run(argv, stdin=None, check=True, timeout=30, env=None):
    """Runs 'argv' and returns its standard output.  A failure raises LabError with its words,
    unless 'check' is false."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout,
                              env=env)
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(argv)}: no end after {timeout} s") from None
    except OSError as error:
        raise LabError(f"{argv[0]}: {error.strerror}") from None
    if check and done.returncode:
        raise LabError(f"{' '.join(argv)}: exit status {done.returncode}: "
                       f"{(done.stderr or done.stdout).strip()}")
    return done.stdout


def wait_until(condition, what, deadline=30.0, interval=0.01):
    """Waits until 'condition' returns something true and returns that.  'deadline' is in seconds;
    when it has passed, LabError says that 'what' did not happen."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise LabError(f"{what}: not within {deadline} s")
        time.sleep(interval)


def read_pidfile(path):
    """The process id in the file 'path', or None if there is no such file or no id in it."""
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read().strip())
    except (FileNotFoundError, ValueError):
        return None


def state(pid):
    """The letter that stands for the state of the process 'pid' in /proc/PID/stat, or "X" if there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def alive(pid):
    """True if the process 'pid' exists and is no zombie."""
    return state(pid) not in "ZX"


def environment(pid):
    """The environment that the process 'pid' was started with, or {} if it is gone."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            text = file.read().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return {}
    return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)


def _open(pid):
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _signal(pidfd, number):
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        pass


def stop(pids, first=signal.SIGTERM, grace=3.0):
    """Ends the processes 'pids': the signal 'first', then SIGKILL for who is there after 'grace'
    seconds.  Returns when all are gone."""
    open_fds = {pid: fd for pid in pids if (fd := _open(pid)) is not None}
    left = dict(open_fds)
    try:
        for number, patience in ((first, grace), (signal.SIGKILL, 5.0)):
            for fd in left.values():
                _signal(fd, number)
            end = time.monotonic() + patience
            while left and (rest := end - time.monotonic()) > 0:
                # A pidfd is readable once its process has ended, also as a zombie.
                ended, _, _ = select.select(list(left.values()), [], [], rest)
                left = {pid: fd for pid, fd in left.items() if fd not in ended}
        if left:
            raise LabError(f"processes {sorted(left)} outlive SIGKILL")
    finally:
        for fd in open_fds.values():
            os.close(fd)
    for pid in open_fds:
        try:
            os.waitpid(pid, os.WNOHANG)         # A child of ours leaves no zombie.
        except ChildProcessError:
            pass
