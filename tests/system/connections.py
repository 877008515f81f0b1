#!/usr/bin/python3
"""Runs in a pod: opens one TCP connection after the other to HOST port 8080, each for one line and its answer,
with a pause between them, until SIGTERM.  Then says, as one JSON line, how many there were, as whom the host saw
them, what failed, and on which of them TCP sent something again:

    {"src": ..., "port": ...,           as the host saw it
     "begin": ..., "end": ...,          the time
     "sent": N}                         SYNs and data segments, of which one each would have done

Usage: connections.py HOST MILLISECONDS"""

import json
import signal
import socket
import struct
import sys
import time

# Late is not lost: this is for what never comes.
TIMEOUT_S = 20

# Where tcpi_total_retrans is in struct tcp_info, see linux/tcp.h.
TOTAL_RETRANS = 100


def connect(host):
    """Opens a connection, for a line and its answer, and closes it.  Returns what is said of one on which
    something was sent again."""
    begin = time.time()
    with socket.create_connection((host, 8080), timeout=TIMEOUT_S) as sock:
        sock.sendall(b"hello\n")
        answer = json.loads(sock.makefile().readline())
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TOTAL_RETRANS + 4)
        n_again, = struct.unpack_from("=I", info, TOTAL_RETRANS)
        return {"src": answer["src"], "port": answer["port"], "begin": begin, "end": time.time(), "sent": 2 + n_again}


def main():
    stopping = []
    opened, sources, failed, resent = 0, set(), [], []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    print(json.dumps({"started": True}), flush=True)
    while not stopping:
        try:
            connection = connect(sys.argv[1])
            opened += 1
            sources.add(connection["src"])
            if connection["sent"] > 2:
                resent.append(connection)
        except (OSError, ValueError) as error:
            failed.append(str(error))
        time.sleep(float(sys.argv[2]) / 1000)
    print(json.dumps({"opened": opened, "sources": sorted(sources), "failed": failed, "resent": resent}), flush=True)


if __name__ == "__main__":
    main()
