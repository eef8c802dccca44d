"""``python -m prizewire_stellar_sandbox serve``."""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from prizewire_stellar_sandbox.app import create_app
from prizewire_stellar_sandbox.settings import STANDALONE_PASSPHRASE, Settings
from prizewire_stellar_sandbox.storage import StateUnusable


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        listener = socket.create_server((options.host, options.port))
    except OSError as error:
        print(
            f"cannot listen on {options.host}:{options.port}: {error.strerror}; choose another --port",
            file=sys.stderr,
        )
        return 1
    base_url = f"http://{options.host}:{listener.getsockname()[1]}"
    settings = Settings(
        state=options.state,
        base_url=base_url,
        passphrase=options.passphrase,
        ledger_interval_ms=options.ledger_interval_ms,
    )
    try:
        return asyncio.run(_serve(settings, listener))
    except StateUnusable as error:
        print(str(error), file=sys.stderr)
        return 1


async def _serve(settings: Settings, listener: socket.socket) -> int:
    config = uvicorn.Config(
        create_app(settings), log_level="warning", access_log=False, lifespan="on", ws="none"
    )
    server = uvicorn.Server(config)
    for number in (signal.SIGINT, signal.SIGTERM):
        # The server handles both while it runs, and raises them again at its end: that is a clean stop here.
        signal.signal(number, lambda *_: None)
    print(f"stellar sandbox on {settings.base_url}", flush=True)
    await server.serve(sockets=[listener])
    return 0 if server.started else 1


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
