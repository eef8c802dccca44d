"""``python -m prizewire_stellar_sandbox serve``."""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import sys
import time
from pathlib import Path

import uvicorn

from prizewire_stellar_sandbox.app import create_app
from prizewire_stellar_sandbox.node import Node
from prizewire_stellar_sandbox.settings import STANDALONE_PASSPHRASE, Settings
from prizewire_stellar_sandbox.storage import StateUnusable


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status."""
    options = _parser().parse_args(arguments)
    settings = Settings(
        state=options.state,
        host=options.host,
        port=options.port,
        passphrase=options.passphrase,
        ledger_interval_ms=options.ledger_interval_ms,
    )
    try:
        listener = listen(settings.host, settings.port)
    except OSError as error:
        return _fail(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; choose another --port"
        )
    with listener:
        try:
            node = Node(
                state=settings.state,
                passphrase=settings.passphrase,
                ledger_interval_ms=settings.ledger_interval_ms,
                now_ms=lambda: time.time_ns() // 1_000_000,
            )
        except StateUnusable as error:
            return _fail(str(error))
        try:
            return asyncio.run(_serve(settings, node, listener))
        finally:
            node.close()


async def _serve(settings: Settings, node: Node, listener: socket.socket) -> int:
    base_url = f"http://{settings.host}:{listener.getsockname()[1]}"
    failures: list[str] = []

    def stop(error: BaseException | None) -> None:
        failures.append(f"no more ledgers can be closed: {error!r}")
        server.should_exit = True

    app = create_app(node=node, base_url=base_url, on_failure=stop)
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="on", ws="none")
    server = uvicorn.Server(config)
    for number in (signal.SIGINT, signal.SIGTERM):
        # The server handles both while it runs, and raises them again at its end: that is a clean stop here.
        signal.signal(number, lambda *_: None)
    print(f"stellar sandbox on {base_url}", flush=True)
    await server.serve(sockets=[listener])
    return _fail(failures[0]) if failures else 0


def listen(host: str, port: int) -> socket.socket:
    """A listening socket that names its protocol.

    asyncio switches Nagle's algorithm off only where the protocol says TCP: without it every answer of two
    writes waits 40 ms for the client's delayed acknowledgement.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m prizewire_stellar_sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the network")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8000, help="0 takes a free one and says which")
    serve.add_argument("--state", type=Path, required=True, help="SQLite file, made if missing")
    serve.add_argument("--passphrase", default=STANDALONE_PASSPHRASE)
    serve.add_argument("--ledger-interval-ms", type=_positive, default=1000)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise argparse.ArgumentTypeError("must be above zero")
    return number


if __name__ == "__main__":
    sys.exit(main())
