"""The HTTP server on real sockets: slow, half-open, malformed and too many connections end."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import uvicorn
from litestar import Request, get, post

from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app, protocol
from prizewire_chassis.http.protocol import HEAD_BYTES_MAX, TARGET_BYTES_MAX, limited_protocol

FAR_S = 3600.0
DEADLINE_S = 600.0


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
    limited = limited_protocol(
        header_s=header_s,
        body_s=body_s,
        connections_max=connections_max,
        draining=lambda: False,
        answer_s=0.05,
    )
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, http=limited, lifespan="off", log_config=None, timeout_keep_alive=600
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
    async with serving(header_s=2.0) as connect:
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
    """Malformed requests get problem details like all others."""
    async with serving() as connect:
        reader, writer = await connect()
        writer.write(b"\x00\x01\x02 nonsense\r\n\r\n")
        assert problem_of(await everything(reader)) == (400, "malformed_request")


def of_target(length: int) -> bytes:
    """A request whose target has this length."""
    path = b"/hello?q="
    return b"GET " + path + b"a" * (length - len(path)) + b" HTTP/1.1\r\nHost: x\r\n\r\n"


def of_header(length: int, path: bytes = b"/hello") -> bytes:
    """A request with a header of this length."""
    return b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * length + b"\r\n\r\n"


@pytest.mark.parametrize("pieces", [1, 2, 7])
@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (of_target(TARGET_BYTES_MAX + 1), (414, "uri_too_long")),
        (of_target(20_000), (414, "uri_too_long")),
        (of_target(20_000).replace(b"/hello", b"/nowhere"), (414, "uri_too_long")),
        (of_target(300_000), (414, "uri_too_long")),
        (of_header(HEAD_BYTES_MAX), (431, "headers_too_large")),
        (of_header(20_000, b"/nowhere"), (431, "headers_too_large")),
        (of_header(300_000), (431, "headers_too_large")),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else f"{value[4:12].decode()} {len(value)}",
)
async def test_a_request_that_is_too_long_is_refused_with_its_code(sent, answer, pieces):
    """The same answer in however many pieces the request comes, and also where no route has its path."""
    size = -(-len(sent) // pieces)
    async with serving() as connect:
        reader, writer = await connect()
        for start in range(0, len(sent), size):
            writer.write(sent[start : start + size])
            async with asyncio.timeout(DEADLINE_S):
                await writer.drain()
            await asyncio.sleep(0)
        assert problem_of(await everything(reader)) == answer


async def test_a_request_within_the_limits_is_answered_by_its_route():
    """A target and headers of the largest size, and another request behind it on the same connection."""
    async with serving() as connect:
        reader, writer = await connect()
        for sent, status in ((of_target(TARGET_BYTES_MAX), b"400"), (of_header(16_000), b"200")):
            writer.write(sent)
            async with asyncio.timeout(DEADLINE_S):
                assert status in await reader.readline()
                await reader.readuntil(b"}")


async def test_a_client_that_sends_a_lot_more_sees_the_refusal():
    """The connection stays open until the client has sent all: it is not reset, and the answer arrives."""

    def send_then_read(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as client:
            client.sendall(of_target(32_000_000))
            answer = b""
            while part := client.recv(65_536):
                answer += part
            return answer

    async with serving() as connect:
        _, writer = await connect()
        port = writer.get_extra_info("peername")[1]
        answer = await asyncio.to_thread(send_then_read, port)
    assert problem_of(answer) == (414, "uri_too_long")


async def test_a_refused_connection_that_its_client_keeps_open_is_closed(monkeypatch):
    """After a while, and at once where a new connection needs its place."""
    monkeypatch.setattr(protocol, "_LINGER_S", 0.05)
    async with serving() as connect:
        reader, writer = await connect()
        writer.write(of_target(20_000))
        assert problem_of(await everything(reader)) == (414, "uri_too_long")
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    writer.write(b"more")
                    await writer.drain()
                    await asyncio.sleep(0)
    monkeypatch.setattr(protocol, "_LINGER_S", FAR_S)
    async with serving(connections_max=1) as connect:
        reader, writer = await connect()
        writer.write(of_target(20_000))
        assert problem_of(await everything(reader)) == (414, "uri_too_long")
        reader, writer = await connect()
        writer.write(of_header(1))
        async with asyncio.timeout(DEADLINE_S):
            assert b"200" in await reader.readline()


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
