"""A small client of the Kubernetes API for what the lab itself writes: kubectl takes too long."""

import http.client
import json
import socket
import ssl
import threading
import urllib.parse

from . import netns, process

MERGE_PATCH = "application/merge-patch+json"


class ApiError(process.LabError):
    """The API server's refusal: 'code' as in HTTP, 'reason' as in its Status."""

    def __init__(self, request, code, status):
        self.code = code
        self.reason = status.get("reason", "")
        super().__init__(f"{request}: {code} {self.reason}: {status.get('message', '')}")


class _Connection(http.client.HTTPSConnection):
    """A connection out of a network namespace, which the caller need not be in."""

    def __init__(self, namespace, host, port, context):
        super().__init__(host, port, timeout=30, context=context)
        self._namespace = namespace

    def connect(self):
        with netns.inside(self._namespace):
            plain = socket.create_connection((self.host, self.port), self.timeout)
        # Head and body of a request are two segments: none shall wait for the other's answer.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)


class Client:
    """Requests over one connection; threads take turns."""

    def __init__(self, namespace, host, port, *, ca, certificate=None, token=None):
        """'certificate' is a pair of files: the client's certificate and its key."""
        self._namespace, self._host, self._port = namespace, host, port
        self._ca, self._certificate = ca, certificate
        self._headers = {"Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._connection = None
        self._lock = threading.Lock()

    def _connect(self):
        context = ssl.create_default_context(cafile=self._ca)
        if self._certificate:
            context.load_cert_chain(*self._certificate)
        self._connection = _Connection(self._namespace, self._host, self._port, context)

    def close(self):
        with self._lock:
            self._close()

    def _close(self):
        if self._connection:
            self._connection.close()
            self._connection = None

    def _exchange(self, method, path, body, headers):
        reused = self._connection is not None
        if not reused:
            self._connect()
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            self._close()
            if reused:                  # The server may have ended it meanwhile.
                return self._exchange(method, path, body, headers)
            raise process.LabError(f"{method} {path}: {error!r}") from None

    def raw(self, method, path, body=None, content_type="application/json"):
        """Sends one request; returns the status code and the answer's bytes."""
        headers = dict(self._headers)
        if body is not None:
            body = json.dumps(body).encode()
            headers["Content-Type"] = content_type
        with self._lock:
            return self._exchange(method, path, body, headers)

    def request(self, method, path, body=None, content_type="application/json"):
        """Sends one request and returns the answer as a value; ApiError if it is a refusal."""
        code, answer = self.raw(method, path, body, content_type)
        try:
            value = json.loads(answer)
        except ValueError:
            value = {"message": answer.decode(errors="replace").strip()}
        if not 200 <= code < 300:
            raise ApiError(f"{method} {path}", code, value if isinstance(value, dict) else {})
        return value

    def get(self, path, **query):
        return self.request("GET", path + _query(query))

    def post(self, path, body):
        return self.request("POST", path, body)

    def put(self, path, body):
        return self.request("PUT", path, body)

    def patch(self, path, body, content_type=MERGE_PATCH):
        return self.request("PATCH", path, body, content_type)

    def delete(self, path, **query):
        return self.request("DELETE", path + _query(query))


def _query(query):
    return f"?{urllib.parse.urlencode(query)}" if query else ""
