"""A daemon's control socket, kept open, so that asking costs neither a process nor a connection."""

import json
import socket


class Control:
    def __init__(self, path, timeout=60):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        self._socket.connect(path)
        self._decoder = json.JSONDecoder()
        self._rest = ""
        self._id = 0

    def send(self, command, *arguments):
        self._id += 1
        request = {"id": self._id, "method": command, "params": list(arguments)}
        self._socket.sendall(json.dumps(request).encode())

    def receive(self):
        """The answer to what was sent last."""
        while True:
            try:
                answer, end = self._decoder.raw_decode(self._rest)
                break
            except ValueError:
                chunk = self._socket.recv(1 << 16)
                if not chunk:
                    raise ConnectionError("the agent closed its control socket") from None
                self._rest += chunk.decode()
        self._rest = self._rest[end:].lstrip()
        if answer["error"]:
            raise RuntimeError(answer["error"].strip())
        return answer["result"]

    def ask(self, command, *arguments):
        self.send(command, *arguments)
        return self.receive()

    def close(self):
        self._socket.close()
