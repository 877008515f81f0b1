"""What a process uses, and how figures are told."""

import glob


def ms(seconds):
    return f"{seconds * 1000:.1f} ms"


def mb(kilobytes):
    return f"{kilobytes / 1024:.1f} MB"


def memory(pid, key="VmRSS"):
    """A line of /proc/PID/status, in kB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(f"{key}:"):
                return int(line.split()[1])
    raise KeyError(key)


def _scheduled(path):
    with open(path, encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e9


def first_thread_time(pid):
    """What the process's first thread, a daemon's only busy one, has used so far, in seconds."""
    return _scheduled(f"/proc/{pid}/schedstat")


def processor_time(pid):
    """What all of the process's threads have used so far, in seconds."""
    return sum(map(_scheduled, glob.glob(f"/proc/{pid}/task/*/schedstat")))
