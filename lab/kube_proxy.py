"""An API server that misbehaves on demand: a proxy in front of the real one.

    with kube_proxy.Proxy(cluster.control) as proxy:
        agent.start(f"--source=kube:{proxy.kubeconfig('agent-' + node.name)}")
        rule = proxy.misbehave(kube_proxy.Answer(429), "^GET /agent-", times=5)
        proxy.cut_all()

It ends TLS with a certificate of the lab's CA, speaks HTTP/1.1 only, and hands requests on as they
are, so that the server sees who asks by his token.  A request is known by its text, which is
"METHOD /WHO/PATH?QUERY", with the kubeconfig's name as WHO.  All runs in a thread of the caller."""

import asyncio
import contextlib
import dataclasses
import json
import re
import ssl
import threading

from . import kube, kube_credentials, netns

PORT = 6444

_END_OF_HEAD = b"\r\n\r\n"


# What to do instead of handing a request on.

@dataclasses.dataclass(frozen=True)
class Answer:
    """A refusal of the proxy's own."""
    code: int
    retry_after: int = None

    async def do(self, connection, _request):
        text = json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure",
                           "message": f"the proxy says {self.code}", "code": self.code})
        retry_after = f"Retry-After: {self.retry_after}\r\n" if self.retry_after is not None else ""
        await connection.send(f"HTTP/1.1 {self.code} No\r\nContent-Type: application/json\r\n"
                              f"{retry_after}Content-Length: {len(text)}\r\n\r\n{text}".encode())


@dataclasses.dataclass(frozen=True)
class Cut:
    """The server's answer, but only a half of the first piece of its body; then the connection
    ends.  A watch lives until its first event."""

    async def do(self, connection, request):
        connection.cutting = True
        await connection.hand_on(request)


@dataclasses.dataclass(frozen=True)
class Delay:
    """What the server answers, who hears of the request 'seconds' later."""
    seconds: float

    async def do(self, connection, request):
        await asyncio.sleep(self.seconds)
        await connection.hand_on(request)


@dataclasses.dataclass(frozen=True)
class Call:
    """What the server answers after 'function' was called."""
    function: callable

    async def do(self, connection, request):
        await asyncio.get_running_loop().run_in_executor(None, self.function)
        await connection.hand_on(request)


class Rule:
    """Requests whose text the regular expression 'pattern' finds are for 'action', the next 'times'
    of them, or all if that is None."""

    def __init__(self, action, pattern, times):
        self.hits = []                  # The texts of the requests that it took.
        self.action = action
        self._pattern = re.compile(pattern)
        self._times = times

    def takes(self, text):
        taken = (self._times is None or len(self.hits) < self._times) and self._pattern.search(text)
        if taken:
            self.hits.append(text)
        return taken


class _Connection:
    """A client's connection, and the one to the server that belongs to it."""

    def __init__(self, proxy, reader, writer):
        self.mute = False               # Whatever comes, from either side, is thrown away.
        self.cutting = False            # The next answer is to be cut in its body.
        self._proxy = proxy
        self._reader, self._writer = reader, writer
        self._server = None             # What is written to the server.
        self._relay = None              # The task that brings its answers.
        self._head = b""                # Of the answer that is to be cut, as far as it came.

    async def send(self, data):
        self._writer.write(data)
        await self._writer.drain()

    def abort(self):
        self._writer.transport.abort()

    async def run(self):
        try:
            while True:
                await self._take_request(await self._reader.readuntil(_END_OF_HEAD))
        except (OSError, asyncio.IncompleteReadError):
            pass                        # Either side ended it.
        finally:
            if self._relay:
                self._relay.cancel()
                self._server.transport.abort()
            self.abort()

    async def _take_request(self, head):
        line, _, rest = head.partition(b"\r\n")
        method, target, version = line.split(b" ")
        body = await self._reader.readexactly(_content_length(rest))
        if self.mute:
            return
        action = self._proxy.choose(f"{method.decode()} {target.decode()}")
        target = b"/" + target.split(b"/", 2)[2]        # Without the one who asks.
        request = b" ".join((method, target, version)) + b"\r\n" + rest + body
        await (action.do(self, request) if action else self.hand_on(request))

    async def hand_on(self, request):
        """Sends a request to the server.  Its answer is relayed when it comes."""
        if not self._server:
            reader, self._server = await self._proxy.connect()
            self._relay = asyncio.ensure_future(self._relay_answers(reader))
        self._server.write(request)
        await self._server.drain()

    async def _relay_answers(self, reader):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self.mute:
                    continue
                await (self._cut(data) if self.cutting else self.send(data))
        self.abort()

    async def _cut(self, data):
        """Takes 'data' of an answer whose body is to be cut."""
        if not self._head.endswith(_END_OF_HEAD):
            head, end, data = (self._head + data).partition(_END_OF_HEAD)
            self._head = head + end
            if end:
                await self.send(self._head)
        if data:
            await self.send(data[:len(data) // 2])
            self._proxy.n_cut += 1
            self.abort()


def _content_length(headers):
    found = re.search(rb"^content-length:\s*(\d+)", headers, re.IGNORECASE | re.MULTILINE)
    return int(found[1]) if found else 0


class Proxy:
    def __init__(self, control, port=PORT):
        self.requests = []              # The texts of all that there were.
        self.n_cut = 0                  # Answers that were cut in their bodies.
        self._control = control
        self._port = port
        self._rules = []
        self._connections = {}          # _Connection: its task.
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = threading.Event()
        self._failure = None

    def __enter__(self):
        credentials = self._control.credentials
        names = [f"IP:{self._control.ipv4}", f"IP:{self._control.ipv6}"]
        credentials.issue("proxy", "/CN=proxy", "serverAuth",
                          ["-addext", f"subjectAltName={','.join(names)}"])
        self._thread.start()
        self._started.wait()
        if self._failure:
            raise self._failure
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self):
        # Sockets belong to the namespace in which the thread is when it makes them.
        with netns.inside(self._control.netns), contextlib.closing(self._loop):
            try:
                listener = self._loop.run_until_complete(self._listen())
            except OSError as error:
                self._failure = error
                return
            finally:
                self._started.set()
            self._loop.run_forever()
            listener.close()
            self._loop.run_until_complete(self._end_connections())

    async def _listen(self):
        path = self._control.credentials.path
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path("proxy.crt"), path("proxy.key"))
        return await asyncio.start_server(
            self._serve, [self._control.ipv4, self._control.ipv6], self._port, ssl=context)

    async def _end_connections(self):
        tasks = list(self._connections.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        connection = _Connection(self, reader, writer)
        self._connections[connection] = asyncio.current_task()
        try:
            # Cancelled, it is done: the stream's own callback would complain.
            with contextlib.suppress(asyncio.CancelledError):
                await connection.run()
        finally:
            del self._connections[connection]

    async def connect(self):
        """A connection to the server: a reader and a writer."""
        context = ssl.create_default_context(
            cafile=self._control.credentials.path(kube_credentials.CA_CERTIFICATE))
        return await asyncio.open_connection(self._control.ipv4, kube.PORT, ssl=context)

    def choose(self, text):
        """What to do about a request; None to hand it on."""
        self.requests.append(text)
        return next((rule.action for rule in self._rules if rule.takes(text)), None)

    # For tests.

    def kubeconfig(self, name):
        """A kubeconfig file with the token of 'name' that leads here."""
        credentials = self._control.credentials
        return credentials.write_kubeconfig(
            f"{name}-by-proxy", {"tokenFile": credentials.path(f"{name}.token")},
            server=f"https://{self._control.ipv4}:{self._port}/{name}")

    def misbehave(self, action, pattern="", times=None):
        """Does 'action' to requests, see Rule, which it returns.  Of several rules for a request,
        the first one counts."""
        self._rules.append(Rule(action, pattern, times))
        return self._rules[-1]

    def behave(self):
        """Hands every request on again."""
        self._rules.clear()

    def cut_all(self):
        """Ends the connections that there are; returns their number."""
        return self._each_connection(_Connection.abort)

    def mute_all(self):
        """Makes the connections that there are silent for good; returns their number."""
        return self._each_connection(lambda connection: setattr(connection, "mute", True))

    def _each_connection(self, action):
        async def do():
            connections = list(self._connections)
            for connection in connections:
                action(connection)
            return len(connections)

        return asyncio.run_coroutine_threadsafe(do(), self._loop).result(10)

    def mark(self):
        """A point in 'requests'."""
        return len(self.requests)

    def seen(self, pattern, since=0):
        """The texts of the requests since a mark() that the regular expression finds."""
        return [each for each in self.requests[since:] if re.search(pattern, each)]
