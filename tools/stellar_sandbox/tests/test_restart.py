"""The state file: what is closed survives everything, what was accepted survives the process."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
from stellar_sdk import Asset, Keypair, TransactionBuilder
from stellar_sdk.soroban_rpc import GetTransactionStatus, SendTransactionStatus

from prizewire_stellar_sandbox.__main__ import listen
from prizewire_stellar_sandbox.core.model import GENESIS_STROOPS
from tools.stellar_sandbox.tests.net import key
from tools.stellar_sandbox.tests.process import ROOT, Sandbox, build, ready, settled, submit

PLAYERS = [key(f"restart {n}") for n in range(40)]


def found_players(builder: TransactionBuilder) -> None:
    for player in PLAYERS:
        builder.append_create_account_op(player.public_key, "20")


async def total_stroops(sandbox: Sandbox) -> int:
    """All XLM: on every account of this test, and in the fee pool."""
    ids = [ROOT.public_key, *(player.public_key for player in PLAYERS)]
    shown = [await sandbox.get(f"/sandbox/accounts/{id_}") for id_ in ids]
    held = sum(int(account["balances"]["native"]) for account in shown)
    return held + int((await sandbox.get("/sandbox/ledger"))["feePool"])


async def test_kill_and_go_on(tmp_path: Path) -> None:
    """Killed again and again under load: nothing is lost, nothing is paid twice, the numbers go on."""
    sandbox = Sandbox(tmp_path / "state.db", interval_ms=50).start()
    await ready(sandbox)
    async with sandbox.client() as client:
        await submit(client, await build(client, ROOT, found_players))
    seen: dict[str, int | None] = {}
    accepted: dict[str, Keypair] = {}
    for round_ in range(3):
        async with sandbox.client() as client:
            before = (await client.get_health()).latest_ledger

            async def pay(player: Keypair, amount: str) -> None:
                envelope = await build(
                    client, player, lambda b: b.append_payment_op(ROOT.public_key, Asset.native(), amount)
                )
                sent = await client.send_transaction(envelope)
                if sent.status is SendTransactionStatus.PENDING:
                    accepted[sent.hash] = player

            await asyncio.gather(*(pay(player, f"1.{round_}") for player in PLAYERS))
            first, *_ = accepted
            seen[first] = (await settled(client, first)).ledger
        assert sandbox.end(signal.SIGKILL) == -signal.SIGKILL
        sandbox.start()
        await ready(sandbox)
        async with sandbox.client() as client:
            assert (await client.get_health()).latest_ledger >= before
            for hash_ in accepted:
                found = await settled(client, hash_)
                assert found.status is GetTransactionStatus.SUCCESS
                assert seen.setdefault(hash_, found.ledger) == found.ledger
    assert len(accepted) == 3 * len(PLAYERS)
    for player in PLAYERS:
        listed = (await sandbox.get("/sandbox/payments", account=player.public_key))["payments"]
        assert [one["amount"] for one in listed] == ["10000000", "11000000", "12000000"]
    assert await total_stroops(sandbox) == GENESIS_STROOPS
    await sandbox.http.aclose()
    assert sandbox.end() == 0


def refuse_to_start(*, state: Path, port: str = "0") -> str:
    """Start a process that must end by itself with a failure; what it said."""
    command = [sys.executable, "-m", "prizewire_stellar_sandbox", "serve"]
    ended = subprocess.run(
        [*command, "--port", port, "--state", str(state)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    return ended.stderr


async def test_second_process_on_the_same_state(sandbox: Sandbox) -> None:
    """Two processes never share a state file; the second says so and ends."""
    said = await asyncio.to_thread(refuse_to_start, state=sandbox.state)
    assert "in use by another sandbox" in said


async def test_busy_port(sandbox: Sandbox, tmp_path: Path) -> None:
    """A port that is taken gets a sentence."""
    port = str(httpx.URL(sandbox.url).port)
    said = await asyncio.to_thread(refuse_to_start, state=tmp_path / "s", port=port)
    assert "choose another --port" in said


def test_state_that_is_no_database(tmp_path: Path) -> None:
    """A file that is something else is left alone and named."""
    content = b"this is no database, only some text" * 40
    state = tmp_path / "state.db"
    state.write_bytes(content)
    assert "cannot be opened as a state file" in refuse_to_start(state=state)
    assert state.read_bytes() == content


def test_answers_do_not_wait_for_acknowledgements() -> None:
    """The listening socket names TCP: only then does asyncio switch Nagle's algorithm off."""
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
