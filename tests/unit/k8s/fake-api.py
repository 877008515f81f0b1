#!/usr/bin/env python3
"""A Kubernetes API server that misbehaves as it is told.

Prints its port and the directory with its certificates, then one line per request.  What comes on
its standard input is Python, a line at a time, in terms of the functions below; each is
acknowledged with a line "#".  Ends, and removes its directory, with its standard input.
"""

import http.server
import json
import re
import shutil
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading

# What to answer with, in order: (request, [step...]).
plan = []
# path -> object, served if there is no plan for a request.
objects = {}
version = 100
changed = threading.Condition()
gate_open = threading.Event()
output = threading.Lock()


def say(text):
    with output:
        print(text, flush=True)


# Steps: each is a function of the handler.  A false value ends the connection.

def answer(status, body, **headers):
    """A whole response."""
    def step(handler):
        text = (body if isinstance(body, str) else json.dumps(body)).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(text)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), str(value))
        handler.end_headers()
        handler.wfile.write(text)
        return True
    return step


def status(code, message="no", **headers):
    return answer(code, {"kind": "Status", "code": code, "message": message}, **headers)


def begin(handler):
    """The head of a response whose body comes in pieces."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    return True


def chunk(handler, data):
    handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
    handler.wfile.flush()


def send(text, cut=None):
    """The next of the body, in pieces of 'cut' bytes."""
    data = text.encode()

    def step(handler):
        for i in range(0, len(data), cut or len(data)):
            chunk(handler, data[i:i + (cut or len(data))])
        return True
    return step


def end(handler):
    handler.wfile.write(b"0\r\n\r\n")
    return True


def drop(handler):
    return False


def hang(handler):
    """Says no more, until the client goes away."""
    handler.wfile.flush()
    handler.connection.settimeout(60)
    try:
        handler.connection.recv(1)
    except OSError:
        pass
    return False


def endless(handler):
    """An object that never ends."""
    chunk(handler, b'{"type":"ADDED","object":{"x":"')
    while True:
        chunk(handler, b"x" * 65536)


def gate(handler):
    """Waits for open_gate()."""
    gate_open.wait(60)
    return True


def open_gate():
    gate_open.set()


# What Kubernetes would say.

def thing(name, rv, **more):
    return {"kind": "Thing", "apiVersion": "x/v1",
            "metadata": {"namespace": "ns", "name": name, "resourceVersion": rv}, **more}


def page(names, rv, token=None):
    """A page of a list, of objects like 'a:7', name and version.  As for built-in kinds, they do
    not tell what they are."""
    metadata = {"resourceVersion": rv}
    if token:
        metadata["continue"] = token
    items = [{"metadata": thing(*name.split(":"))["metadata"]} for name in names.split()]
    return answer(200, {"kind": "ThingList", "apiVersion": "x/v1", "metadata": metadata,
                        "items": items})


def line(kind, obj):
    return json.dumps({"type": kind, "object": obj}) + "\n"


def added(name, rv, **more):
    return line("ADDED", thing(name, rv, **more))


def deleted(name, rv):
    return line("DELETED", thing(name, rv))


def bookmark(rv):
    return line("BOOKMARK", {"metadata": {"resourceVersion": rv}})


def failed(code):
    return line("ERROR", {"kind": "Status", "code": code, "message": "no"})


def on(request, *steps):
    """Answers the next 'request', a method and path or "LIST" or "WATCH", with 'steps'."""
    plan.append((request, steps))


# Without a plan: objects, kept as a real server does.

def store(method, path, body):
    global version
    if method == "POST":
        path += "/" + body["metadata"]["name"]
        if path in objects:
            return status(409, "already exists")
    elif path not in objects:
        return status(404)
    if method == "DELETE":
        return answer(200, objects.pop(path))
    if method in ("PUT", "POST"):
        known = objects.get(path, {}).get("metadata", {}).get("resourceVersion")
        if body["metadata"].get("resourceVersion", known) != known:
            return status(409, "changed meanwhile")
        version += 1
        body["metadata"]["resourceVersion"] = str(version)
        objects[path] = body
    return answer(200, objects[path])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *args):
        pass

    def steps(self, body):
        path = self.path.split("?")[0]
        watch = "watch=true" in self.path
        kind = "WATCH" if watch else "LIST" if "limit=" in self.path else ""
        names = (f"{self.command} {path}", kind)
        for i, (request, steps) in enumerate(plan):
            if request in names:
                del plan[i]
                return steps
        if watch:
            return (begin, hang)
        return (store(self.command, path, json.loads(body) if body else None),)

    def handle_request(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        path = re.sub("timeoutSeconds=[0-9]+", "timeoutSeconds=N", self.path)
        token = self.headers.get("Authorization", "")[len("Bearer "):]
        with changed:
            say(" ".join(filter(None, [token, self.command, path, body])))
            steps = self.steps(body)
        for step in steps:
            if not step(self):
                self.close_connection = True
                break
        self.wfile.flush()

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = handle_request


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def get_request(self):
        sock, address = super().get_request()
        # The handshake is for the connection's own thread.
        return context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request, client_address):
        pass


def start_server(port):
    server = Server(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def stop():
    server.shutdown()
    server.server_close()


def restart():
    start_server(server.server_address[1])


def make_certificate(directory, name):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:fake.test",
         "-keyout", f"{directory}/{name}.key", "-out", f"{directory}/{name}.crt"],
        check=True, stderr=subprocess.DEVNULL)


directory = tempfile.mkdtemp(prefix="fake-api-")
try:
    make_certificate(directory, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{directory}/server.crt", f"{directory}/server.key")
    server = start_server(0)
    say(f"{server.server_address[1]} {directory}")
    for command in sys.stdin:
        with changed:
            exec(command)
        say("#")
finally:
    shutil.rmtree(directory)
