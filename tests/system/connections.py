#!/usr/bin/python3
"""Runs in a pod: opens one TCP connection after the other to HOST port 8080, each for one line and its answer,
with a pause between them, until SIGTERM.  Then says, as one JSON line, how many there were, as whom the host saw
them, and what failed.

Usage: connections.py HOST MILLISECONDS"""

import json
import signal
import socket
import sys
import time


def main():
    stopping = []
    opened, sources, failed = 0, set(), []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    print(json.dumps({"started": True}), flush=True)
    while not stopping:
        try:
            # A lost SYN is sent again after a second: too late.
            with socket.create_connection((sys.argv[1], 8080), timeout=0.9) as sock:
                sock.sendall(b"hello\n")
                sources.add(json.loads(sock.makefile().readline())["src"])
            opened += 1
        except OSError as error:
            failed.append(str(error))
        time.sleep(float(sys.argv[2]) / 1000)
    print(json.dumps({"opened": opened, "sources": sorted(sources), "failed": failed}), flush=True)


if __name__ == "__main__":
    main()
