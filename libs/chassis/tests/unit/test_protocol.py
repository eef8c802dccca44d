"""The HTTP server on real sockets: slow, half-open, malformed and too many connections end."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import uvicorn
from litestar import Request, get, post

from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.http.protocol import limited_protocol

FAR_S = 3600.0
DEADLINE_S = 60.0


@get("/hello")
async def hello() -> dict[str, str]:
    return {"hello": "you"}


@post("/unread", status_code=200)
async def unread() -> dict[str, str]:
    return {"read": "nothing"}


@post("/read", status_code=200)
async def read(request: Request[Any, Any, Any]) -> dict[str, int]:
    return {"length": len(await request.body())}


class Quiet(uvicorn.Server):
    """A server that leaves the test run's signals alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(
    *, header_s: float = FAR_S, body_s: float = FAR_S, connections_max: int = 100
) -> AsyncIterator[Callable[[], Any]]:
    app = build_app(
        service="test",
        controllers=[hello, unread, read],
        health=Health(),
        tokens=None,
        body_s=body_s,
    )
    protocol = limited_protocol(
        header_s=header_s, body_s=body_s, connections_max=connections_max, answer_s=0.05
    )
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, http=protocol, lifespan="off", log_config=None, timeout_keep_alive=600
    )
    server = Quiet(config)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(DEADLINE_S):
        while not server.started:
            await asyncio.sleep(0)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield lambda: asyncio.open_connection("127.0.0.1", port)
    finally:
        server.should_exit = True
        await task


async def everything(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the server closes the connection."""
    async with asyncio.timeout(DEADLINE_S):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


def problem_of(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head.lower()
    return int(head.split()[1]), json.loads(body)["code"]


@pytest.mark.parametrize("sent", [b"", b"GET /hello HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_connection_that_sends_no_request_is_closed(sent):
    """A silent connection, or one whose headers never end, is answered and closed, and no longer counts."""
    async with serving(header_s=0.05) as connect:
        reader, writer = await connect()
        writer.write(sent)
        assert problem_of(await everything(reader)) == (408, "header_timeout")


async def test_each_request_of_a_connection_has_its_own_time():
    """The deadline of the first request does not end the second, and a slow second one is ended."""
    async with serving(header_s=0.5) as connect:
        reader, writer = await connect()
        for _ in range(3):
            writer.write(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(DEADLINE_S):
                assert b"200" in await reader.readline()
                await reader.readuntil(b'you"}')
        writer.write(b"GET /hello HT")
        assert problem_of(await everything(reader)) == (408, "header_timeout")


async def test_a_slow_body_that_is_waited_for_is_answered_by_the_service():
    """With problem details, and then the connection ends."""
    async with serving(body_s=0.05) as connect:
        reader, writer = await connect()
        writer.write(b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        answer = await everything(reader)
        assert problem_of(answer) == (408, "body_timeout")


async def test_a_slow_body_that_nobody_reads_is_ended_too():
    """The answer was given before the body came; the connection does not stay open for the rest of it."""
    async with serving(body_s=0.05) as connect:
        reader, writer = await connect()
        writer.write(b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        answer = await everything(reader)
        assert answer.startswith(b"HTTP/1.1 200")


async def test_a_request_that_is_no_http_is_refused_as_a_problem():
    """Malformed requests and headers that are too long get problem details like all others."""
    async with serving() as connect:
        for sent in (b"\x00\x01\x02 nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000):
            reader, writer = await connect()
            writer.write(sent)
            assert problem_of(await everything(reader)) == (400, "malformed_request")


async def test_beyond_the_limit_an_idle_connection_makes_room_and_else_the_new_one_is_refused():
    """A client with many open connections does not keep others out, unless all are busy."""
    async with serving(connections_max=1) as connect:
        idle_reader, idle_writer = await connect()
        idle_writer.write(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(DEADLINE_S):
            await idle_reader.readuntil(b'you"}')
        busy_reader, busy_writer = await connect()
        busy_writer.write(b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        assert await everything(idle_reader) == b""
        third_reader, _ = await connect()
        assert problem_of(await everything(third_reader)) == (503, "too_many_connections")
        busy_writer.write(b"defghij")
        async with asyncio.timeout(DEADLINE_S):
            assert b"200" in await busy_reader.readline()
