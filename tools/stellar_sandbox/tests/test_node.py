"""The node with a clock in the test's hand: retention, pace, passphrase, the queue across restarts."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from litestar import Litestar

from prizewire_stellar_sandbox.app import Sandbox
from prizewire_stellar_sandbox.core.model import AccountKey, DataKey, Key, TrustlineKey
from prizewire_stellar_sandbox.core.queue import Status
from prizewire_stellar_sandbox.node import Node
from prizewire_stellar_sandbox.storage import RETENTION_LEDGERS, StateUnusable
from tools.stellar_sandbox.tests.net import PASSPHRASE, XLM, Net, Tx, key
from tools.stellar_sandbox.tests.ops import (
    change_trust,
    create,
    data,
    merge,
    options,
    pay,
    signer_of,
)

ALICE = key("node alice")
START_MS = 1_800_000_000_000


@dataclass
class Clock:
    now_ms: int = START_MS

    def __call__(self) -> int:
        return self.now_ms


def open_node(tmp_path: Path, clock: Clock, *, interval_ms: int = 5000, passphrase: str = PASSPHRASE) -> Node:
    return Node(
        state=tmp_path / "state.db", passphrase=passphrase, ledger_interval_ms=interval_ms, now_ms=clock
    )


@asynccontextmanager
async def running(node: Node) -> AsyncGenerator[None]:
    """Ledgers close while this lasts."""
    task = asyncio.create_task(node.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def creating(node: Node, sequence: int = 1) -> Tx:
    """The root creates Alice."""
    net = Net()
    return net.tx(node.root, create(ALICE, 100 * XLM), sequence=sequence, signers=[node.root])


async def closed(node: Node, tx: Tx, clock: Clock) -> None:
    """Send a transaction and close its ledger."""
    _, admission = node.submit(tx.envelope)
    assert admission.status is Status.PENDING
    since = node.latest().sequence
    clock.now_ms += 5000
    async with running(node):
        await asyncio.wait_for(node.wait_for_close(since=since), 600)


async def test_transactions_leave_after_retention(tmp_path: Path) -> None:
    """A transaction is known for 120,960 ledgers and not one more; its payment stays."""
    clock = Clock()
    node = open_node(tmp_path, clock)
    tx = creating(node)
    await closed(node, tx, clock)
    found = node.transaction(tx.hash)
    assert found is not None
    assert (found.ledger, found.close_time) == (2, START_MS // 1000 + 5)
    clock.now_ms += (RETENTION_LEDGERS - 1) * 5000
    assert node.range().oldest.sequence == 2
    assert node.range().oldest.close_time == found.close_time
    assert node.transaction(tx.hash) is not None
    clock.now_ms += 5000
    assert node.range().oldest.sequence == 3
    assert node.range().oldest.close_time == found.close_time + 5
    assert node.transaction(tx.hash) is None
    net = Net()
    await closed(node, net.tx(node.root, pay(ALICE, 1), sequence=2, signers=[node.root]), clock)
    assert node.storage.counts()["transactions"] == 1
    kinds = ("payment", "create_account")
    assert len(node.storage.history.payments(account_id=None, after=0, kinds=kinds, limit=10)) == 2
    node.close()


async def test_empty_ledgers_are_not_written(tmp_path: Path) -> None:
    """A year without transactions adds nothing to the state."""
    clock = Clock()
    node = open_node(tmp_path, clock)
    clock.now_ms += 365 * 86_400_000
    assert node.latest().sequence == 1 + 365 * 17_280
    rows = node.storage._db.execute("SELECT count(*) FROM ledgers").fetchone()
    assert rows == (1,)
    node.close()


async def test_pace_may_change_between_runs(tmp_path: Path) -> None:
    """After a restart with another interval the numbers go on from where they were."""
    clock = Clock()
    node = open_node(tmp_path, clock, interval_ms=1000)
    clock.now_ms += 100_000
    assert node.latest().sequence == 101
    node.close()
    clock.now_ms += 50_000
    node = open_node(tmp_path, clock, interval_ms=5000)
    assert node.latest().sequence == 151
    clock.now_ms += 5000
    assert (node.latest().sequence, node.latest().close_time) == (152, START_MS // 1000 + 155)
    assert node.point_of(101).close_time == START_MS // 1000 + 100
    node.close()


async def test_queue_survives_a_restart(tmp_path: Path) -> None:
    """What was accepted before the end is applied after it, and forgotten then."""
    clock = Clock()
    node = open_node(tmp_path, clock)
    tx = creating(node)
    _, admission = node.submit(tx.envelope)
    assert admission.status is Status.PENDING
    node.close()
    node = open_node(tmp_path, clock)
    assert len(node.queue) == 1
    assert node.submit(tx.envelope)[1].status is Status.DUPLICATE
    since = node.latest().sequence
    clock.now_ms += 5000
    async with running(node):
        await asyncio.wait_for(node.wait_for_close(since=since), 600)
    found = node.transaction(tx.hash)
    assert found is not None
    assert found.succeeded
    assert list(node.storage.queued()) == []
    node.close()


async def test_ledger_with_transactions_waits_for_its_turn(tmp_path: Path) -> None:
    """While a transaction waits, the number stands still until its ledger closes, however late."""
    clock = Clock()
    node = open_node(tmp_path, clock)
    tx = creating(node)
    node.submit(tx.envelope)
    clock.now_ms += 60_000
    since = node.latest().sequence
    assert since == 1
    async with running(node):
        await asyncio.wait_for(node.wait_for_close(since=since), 600)
    found = node.transaction(tx.hash)
    assert found is not None
    assert (found.ledger, found.close_time) == (2, START_MS // 1000 + 60)
    node.close()


async def test_clock_set_back_while_waiting(tmp_path: Path) -> None:
    """A wall clock that is set back does not hold a waiting transaction up."""
    clock = Clock()
    node = open_node(tmp_path, clock, interval_ms=20)
    tx = creating(node)
    node.submit(tx.envelope)
    since = node.latest().sequence
    clock.now_ms -= 3_600_000
    async with running(node):
        await asyncio.sleep(0)
        clock.now_ms += 20
        await asyncio.wait_for(node.wait_for_close(since=since), 600)
    assert node.transaction(tx.hash) is not None
    node.close()


def test_state_belongs_to_one_network(tmp_path: Path) -> None:
    """Another passphrase is refused, and the file can be opened with its own again."""
    clock = Clock()
    open_node(tmp_path, clock).close()
    with pytest.raises(StateUnusable, match="belongs to the network"):
        open_node(tmp_path, clock, passphrase="Another network")
    open_node(tmp_path, clock).close()


async def test_replaced_transaction_does_not_come_back(tmp_path: Path) -> None:
    """A fee bump that took a queued transaction's place is alone in the queue after a restart."""
    clock = Clock()
    node = open_node(tmp_path, clock)
    inner = creating(node)
    bumped = Net.bump(inner, node.root, fee=2000)
    for tx in (inner, bumped):
        assert node.submit(tx.envelope)[1].status is Status.PENDING
    node.close()
    node = open_node(tmp_path, clock)
    assert [frame.hash for frame in node.queue.frames()] == [bumped.hash]
    assert list(node.storage.queued()) == [bumped.envelope]
    node.close()


async def test_every_kind_of_entry_survives(tmp_path: Path) -> None:
    """Signers, trustlines and data are read back as they were written, and gone when they are removed."""
    clock = Clock()
    node = open_node(tmp_path, clock)
    usdc = Net().asset(node.root)
    signer = (signer_of(key("node signer")), 3)
    everything = (
        create(ALICE, 100 * XLM),
        change_trust(usdc, 50, source=ALICE),
        data(b"name", b"value", source=ALICE),
        options(signer=signer, domain=b"a.example", inflation=node.root, source=ALICE),
    )
    both = [node.root, ALICE]
    await closed(node, Net().tx(node.root, *everything, signers=both), clock)
    keys: list[Key] = [
        AccountKey(ALICE.raw_public_key()),
        TrustlineKey(ALICE.raw_public_key(), usdc),
        DataKey(ALICE.raw_public_key(), b"name"),
    ]
    before = [node.storage.entries.get(one) for one in keys]
    assert None not in before
    node.close()
    node = open_node(tmp_path, clock)
    assert [node.storage.entries.get(one) for one in keys] == before
    nothing = (
        change_trust(usdc, 0, source=ALICE),
        data(b"name", None, source=ALICE),
        options(signer=(signer[0], 0), source=ALICE),
        merge(node.root, source=ALICE),
    )
    await closed(node, Net().tx(node.root, *nothing, sequence=2, signers=both), clock)
    for _ in range(2):
        assert [node.storage.entries.get(one) for one in keys] == [None, None, None]
        node.close()
        node = open_node(tmp_path, clock)
    node.close()


def test_closed_ledgers_are_flushed(tmp_path: Path) -> None:
    """Ledgers are flushed to the disk at every commit, the queue only now and then; both are logged ahead."""
    node = open_node(tmp_path, Clock())
    file = node.storage._file
    full, normal = 2, 1  # as SQLite numbers them
    assert file.db.execute("PRAGMA synchronous").fetchone() == (full,)
    assert file.unflushed.execute("PRAGMA synchronous").fetchone() == (normal,)
    assert file.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    node.close()


async def test_disk_failure_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that cannot be written is not visible, and `on_failure` is called with the error."""
    clock = Clock()
    node = open_node(tmp_path, clock)
    tx = creating(node)
    node.submit(tx.envelope)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(node.storage, "write_ledger", full)
    failure: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    sandbox = Sandbox(node=node, base_url="http://127.0.0.1:1", on_failure=failure.set_result)
    clock.now_ms += 5000
    async with sandbox.lifespan(Litestar()):
        assert "disk is full" in str(await asyncio.wait_for(failure, 600))
    assert node.latest().sequence == 1
    assert node.transaction(tx.hash) is None
    node.close()
