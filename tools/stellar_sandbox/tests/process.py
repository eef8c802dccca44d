"""The sandbox as a process of its own, and an unmodified client to talk to it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
from stellar_sdk import FeeBumpTransactionEnvelope, Keypair, TransactionBuilder, TransactionEnvelope
from stellar_sdk.client.aiohttp_client import AiohttpClient
from stellar_sdk.soroban_rpc import GetTransactionResponse, GetTransactionStatus
from stellar_sdk.soroban_server_async import SorobanServerAsync

from prizewire_stellar_sandbox.node import root_keypair
from prizewire_stellar_sandbox.settings import STANDALONE_PASSPHRASE as PASSPHRASE

ROOT = root_keypair(PASSPHRASE)
DEADLINE_S = 600
T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T | None]]) -> T:
    """What ``look`` finds, as soon as it finds something."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        found = await look()
        if found is not None:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen in time")


class Sandbox:
    """``python -m prizewire_stellar_sandbox serve`` on a free port."""

    def __init__(self, state: Path, *, interval_ms: int = 100) -> None:
        self.state = state
        self.interval_ms = interval_ms
        self.url = ""
        self.http = httpx.AsyncClient(timeout=DEADLINE_S)
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> Sandbox:
        """Start the process; it prints its port."""
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "prizewire_stellar_sandbox", "serve"),
                *("--port", "0", "--state", str(self.state)),
                *("--ledger-interval-ms", str(self.interval_ms)),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("stellar sandbox on http://127.0.0.1:"), line
        self.url = line.split()[-1]
        return self

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the process a signal and wait for its end."""
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.send_signal(number)
        status = self.process.wait(DEADLINE_S)
        self.process.stdout.close()
        self.process = None
        return status

    def client(self) -> SorobanServerAsync:
        """The client library's own RPC client."""
        return SorobanServerAsync(self.url, client=AiohttpClient())

    async def get(self, path: str, **params: str | int) -> Any:
        """One of the routes for people and tests."""
        answer = await self.http.get(self.url + path, params=params)
        answer.raise_for_status()
        return answer.json()

    async def arm(self, **counts: int) -> None:
        """Switch faults on."""
        (await self.http.post(f"{self.url}/sandbox/faults", json=counts)).raise_for_status()

    async def call(self, method: str, params: Any = None) -> Any:
        """A JSON-RPC call as raw JSON."""
        request = {"jsonrpc": "2.0", "id": 7, "method": method}
        if params is not None:
            request["params"] = params
        answer = (await self.http.post(self.url, json=request)).json()
        assert answer["jsonrpc"] == "2.0"
        assert answer["id"] == 7
        return answer


async def ready(sandbox: Sandbox) -> None:
    """Wait until the sandbox answers."""

    async def look() -> bool | None:
        try:
            await sandbox.call("getHealth")
        except httpx.TransportError:
            return None
        return True

    await eventually(look)


async def build(
    client: SorobanServerAsync,
    source: Keypair,
    fill: Callable[[TransactionBuilder], object],
    *,
    signers: list[Keypair] | None = None,
    seconds: int = 300,
) -> TransactionEnvelope:
    """A signed transaction made with the client library's builder."""
    builder = TransactionBuilder(await client.load_account(source.public_key), PASSPHRASE)
    builder.set_timeout(seconds)
    fill(builder)
    envelope = builder.build()
    for signer in signers or [source]:
        envelope.sign(signer)
    return envelope


async def settled(client: SorobanServerAsync, hash_: str) -> GetTransactionResponse:
    """The transaction once a ledger holds it."""

    async def look() -> GetTransactionResponse | None:
        found = await client.get_transaction(hash_)
        return None if found.status is GetTransactionStatus.NOT_FOUND else found

    return await eventually(look)


async def submit(
    client: SorobanServerAsync, envelope: TransactionEnvelope | FeeBumpTransactionEnvelope
) -> GetTransactionResponse:
    """Send a transaction and wait for its ledger."""
    await client.send_transaction(envelope)
    return await settled(client, envelope.hash_hex())
