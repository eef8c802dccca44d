"""The HTTP server of a service while it stops, on real sockets: requests are answered, and connections are closed by answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from litestar import Request, get, post

from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app, protocol
from prizewire_chassis.lifecycle import process
from prizewire_chassis.lifecycle.process import _Process, _Server, http_config
from prizewire_chassis.settings import ServiceSettings
from prizewire_devstack.waiting import eventually

DEADLINE_S = 600.0
FAR_S = 60.0
GET = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
UNREAD = b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self) -> tuple[int, bool]:
        """The status of the next answer, and whether it closes the connection."""
        async with asyncio.timeout(DEADLINE_S):
            head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
            length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
            await self._reader.readexactly(int(length.split(b":")[1]))
        return int(head.split()[1]), b"\r\nconnection: close\r\n" in head

    async def ended(self) -> bool:
        """Wait until the server closes the connection. Returns whether it sent nothing more."""
        async with asyncio.timeout(DEADLINE_S):
            return await self._reader.read() == b""


class Rig:
    """A service's process that has only HTTP. ``held`` lets the answers of ``/held`` out, ``arrived`` says that one is asked."""

    def __init__(self, *, drain_s: float) -> None:
        self.arrived, self.held = asyncio.Event(), asyncio.Event()
        self.closed = False
        self.port = 0
        self.health = Health()
        self.health.started = True
        settings = ServiceSettings.model_construct(http_host="127.0.0.1", http_port=0, http_drain_s=drain_s)
        runtime: Any = SimpleNamespace(
            settings=settings, health=self.health, processor=SimpleNamespace(stop=lambda: None)
        )

        async def close() -> None:
            self.closed = True

        built: Any = SimpleNamespace(close=close)
        app = build_app(
            service="test",
            controllers=[*self._routes()],
            health=self.health,
            tokens=None,
            body_s=FAR_S,
        )
        self.server = _Server(http_config(app, settings, self.health))
        self.process = _Process(runtime, built, frozenset({"http"}), server=self.server)

    def _routes(self) -> list[Any]:
        @get("/hello")
        async def hello() -> dict[str, str]:
            return {"hello": "you"}

        @get("/held")
        async def held() -> dict[str, str]:
            self.arrived.set()
            await self.held.wait()
            return {"held": "no more"}

        @post("/read", status_code=200)
        async def read(request: Request[Any, Any, Any]) -> dict[str, int]:
            return {"length": len(await request.body())}

        @post("/unread", status_code=200)
        async def unread() -> dict[str, str]:
            return {"read": "nothing"}

        return [hello, held, read, unread]

    async def connect(self) -> Client:
        return Client(*await asyncio.open_connection("127.0.0.1", self.port))

    async def refuses(self) -> bool:
        """Whether a new connection is refused."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except ConnectionError:  # reset where the listener closed before it took the connection
            return True
        writer.close()
        return False

    def stop(self) -> "asyncio.Task[None]":
        """Stop as after SIGTERM."""
        return asyncio.create_task(self.process.stop())


@asynccontextmanager
async def serving(*, drain_s: float = FAR_S) -> AsyncIterator[Rig]:
    rig = Rig(drain_s=drain_s)
    rig.process.serving = asyncio.create_task(rig.server.serve())
    await eventually(lambda: rig.server.started, deadline_s=DEADLINE_S)
    rig.port = rig.server.servers[0].sockets[0].getsockname()[1]
    try:
        yield rig
    finally:
        rig.held.set()
        rig.server.should_exit = True
        await rig.process.serving


async def test_a_kept_connection_is_closed_by_its_next_answer():
    """A client that kept its connection and sends a POST in the moment of the stop gets the answer, and then another connection."""
    async with serving() as rig:
        client = await rig.connect()
        client.send(POST)
        assert await client.answer() == (200, False)
        stopping = rig.stop()
        client.send(POST)
        await eventually(lambda: rig.health.stopping, deadline_s=DEADLINE_S)
        assert await client.answer() == (200, True)
        assert await client.ended()
        rig.server.should_exit = True
        await stopping


async def test_new_connections_are_served_until_the_drain_ends():
    """A load balancer sends requests until it sees that readiness ended. Liveness goes on, else the process would be killed."""
    async with serving() as rig:
        stopping = rig.stop()
        await eventually(lambda: rig.health.stopping, deadline_s=DEADLINE_S)
        for path, status in ((b"/hello", 200), (b"/health/ready", 503), (b"/health/live", 200)):
            client = await rig.connect()
            client.send(GET.replace(b"/hello", path))
            assert await client.answer() == (status, True)
        assert not rig.closed
        rig.server.should_exit = True
        await stopping
        assert rig.closed
        assert await rig.refuses()


async def test_the_drain_ends_by_itself():
    """After HTTP_DRAIN_S the listener is closed."""
    async with serving(drain_s=0.05) as rig:
        async with asyncio.timeout(DEADLINE_S):
            await rig.stop()
        assert await rig.refuses()


async def test_a_process_that_was_never_ready_does_not_drain():
    """No load balancer sends it requests."""
    async with serving() as rig:
        rig.health.started = False
        async with asyncio.timeout(FAR_S / 2):
            await rig.stop()


async def test_a_running_request_is_finished_after_the_listener_closed():
    """A request that takes longer than the drain gets its answer, while new connections are refused. Only then other parts close."""
    async with serving(drain_s=0) as rig:
        client = await rig.connect()
        client.send(GET.replace(b"/hello", b"/held"))
        await rig.arrived.wait()
        stopping = rig.stop()
        await eventually(rig.refuses, deadline_s=DEADLINE_S)
        assert not rig.closed
        rig.held.set()
        assert await client.answer() == (200, True)
        await stopping
        assert rig.closed


@pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])
async def test_a_request_that_arrives_in_parts_is_answered(kept: bool, monkeypatch: pytest.MonkeyPatch):
    """The line and some headers arrived before the listener closed, the others after it. It has the time of every request."""
    monkeypatch.setattr(protocol, "_FIRST_REQUEST_S", 0.0)
    async with serving(drain_s=0) as rig:
        client = await rig.connect()
        if kept:
            client.send(GET)
            assert await client.answer() == (200, False)
        client.send(POST[:20])
        await eventually(lambda: _read_by(rig, POST[:20]), deadline_s=DEADLINE_S)
        stopping = rig.stop()
        await eventually(rig.refuses, deadline_s=DEADLINE_S)
        await eventually(lambda: all(one._ending for one in _connections(rig)), deadline_s=DEADLINE_S)
        client.send(POST[20:])
        assert await client.answer() == (200, True)
        await stopping


async def test_a_request_that_had_arrived_is_answered():
    """It lay unread in the socket of an idle connection when the listener closed."""
    async with serving() as rig:
        client = await rig.connect()
        client.send(GET)
        assert await client.answer() == (200, False)
        rig.health.stopping = True
        client.send(POST)
        await rig.server.shutdown()
        assert await client.answer() == (200, True)


async def test_a_new_connection_may_still_send_its_request(monkeypatch: pytest.MonkeyPatch):
    """It was accepted before the listener closed."""
    monkeypatch.setattr(protocol, "_FIRST_REQUEST_S", FAR_S)
    async with serving(drain_s=0) as rig:
        client = await rig.connect()
        await eventually(lambda: len(_connections(rig)) == 1, deadline_s=DEADLINE_S)
        (connection,) = _connections(rig)
        stopping = rig.stop()
        await eventually(lambda: connection._ending, deadline_s=DEADLINE_S)
        for _ in range(3):
            # a connection that is closed at once would be closed now
            assert await rig.refuses()
        assert _connections(rig) == [connection]
        client.send(POST)
        assert await client.answer() == (200, True)
        await stopping


async def test_a_new_connection_that_stays_silent_is_closed(monkeypatch: pytest.MonkeyPatch):
    """Its client has a second for the begin of a request once the listener is closed."""
    monkeypatch.setattr(protocol, "_FIRST_REQUEST_S", 0.05)
    async with serving(drain_s=0) as rig:
        silent = await rig.connect()
        await eventually(lambda: len(_connections(rig)) == 1, deadline_s=DEADLINE_S)
        stopping = rig.stop()
        assert await silent.ended()
        await stopping


async def test_an_answer_before_its_body_does_not_close_the_connection():
    """A client that still sends would get a reset, and might not see the answer. Its connection is closed after the body."""
    async with serving() as rig:
        client = await rig.connect()
        rig.health.stopping = True
        client.send(UNREAD)
        assert await client.answer() == (200, False)
        ending = asyncio.create_task(rig.server.shutdown())
        await eventually(lambda: all(one._ending for one in _connections(rig)), deadline_s=DEADLINE_S)
        assert len(_connections(rig)) == 1
        client.send(b"abc")
        assert await client.ended()
        await ending


async def test_a_request_that_never_ends_is_answered_too(monkeypatch: pytest.MonkeyPatch):
    """After HTTP_FINISH_S it is cancelled, and its client gets an answer."""
    monkeypatch.setattr(process, "HTTP_FINISH_S", 0.2)
    async with serving(drain_s=0) as rig:
        client = await rig.connect()
        client.send(GET.replace(b"/hello", b"/held"))
        await rig.arrived.wait()
        await rig.stop()
        assert await client.answer() == (503, True)


def _connections(rig: Rig) -> list[Any]:
    return list(rig.server.server_state.connections)


def _read_by(rig: Rig, data: bytes) -> bool:
    """Whether the server has read this part of a request."""
    return any(one.conn.trailing_data[0] == data for one in _connections(rig))
