"""The node: the state file, the queue and the clock put together. Everything that HTTP serves asks it.

It belongs to one event loop. Reads always see the last closed ledger, also while the next one is being closed.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from stellar_sdk import Keypair

from prizewire_stellar_sandbox.core.apply import ClosedLedger, close_ledger
from prizewire_stellar_sandbox.core.clock import LedgerPoint, genesis
from prizewire_stellar_sandbox.core.frames import Frame, decode
from prizewire_stellar_sandbox.core.model import GENESIS_STROOPS, Account, LedgerHeader
from prizewire_stellar_sandbox.core.queue import Admission, Status, TransactionQueue
from prizewire_stellar_sandbox.core.validity import Moment
from prizewire_stellar_sandbox.core.view import View
from prizewire_stellar_sandbox.storage import (
    RETENTION_LEDGERS,
    StateUnusable,
    Storage,
    StoredTransaction,
)

_SLICE_MS: Final = 10
"""How long closing a ledger keeps the event loop before it lets others run."""

_SECOND_MS: Final = 1000

NowMs = Callable[[], int]


@dataclass(frozen=True, slots=True)
class LedgerRange:
    """The ledgers that can be asked about."""

    latest: LedgerPoint
    oldest: LedgerPoint


def root_keypair(passphrase: str) -> Keypair:
    """The key that holds all XLM of a new network: its seed is the network id, as on every standalone network."""
    return Keypair.from_raw_ed25519_seed(hashlib.sha256(passphrase.encode()).digest())


class Node:
    """A network of one."""

    def __init__(self, *, state: Path, passphrase: str, ledger_interval_ms: int, now_ms: NowMs) -> None:
        self.passphrase = passphrase
        self.network_id = hashlib.sha256(passphrase.encode()).digest()
        self.root = root_keypair(passphrase)
        self.storage = Storage(state)
        self.queue = TransactionQueue()
        self._now_ms = now_ms
        self._interval_ms = ledger_interval_ms
        self._point, self._fee_pool = self._open()
        for envelope in self.storage.queued():
            self.queue.restore(decode(envelope, network_id=self.network_id))
        self._work = asyncio.Event()
        self._closed = asyncio.Condition()
        if len(self.queue):
            self._work.set()

    def _open(self) -> tuple[LedgerPoint, int]:
        now_ms = self._now_ms()
        known = self.storage.passphrase()
        if known is None:
            point = genesis(now_ms=now_ms, interval_ms=self._interval_ms)
            root = Account(
                account_id=self.root.raw_public_key(),
                balance=GENESIS_STROOPS,
                sequence=0,
                modified_ledger=1,
            )
            self.storage.create(passphrase=self.passphrase, point=point, root=root)
            return point, 0
        if known != self.passphrase:
            self.storage.close()
            raise StateUnusable(
                f"the state file belongs to the network {known!r}, not {self.passphrase!r};"
                " choose another file or the other passphrase"
            )
        point, fee_pool = self.storage.latest()
        # While this process was stopped, ledgers count with the former interval.
        point = replace(point.at(now_ms=now_ms), interval_ms=self._interval_ms)
        self.storage.write_anchor(point, fee_pool=fee_pool)
        return point, fee_pool

    def close(self) -> None:
        """Close the state file."""
        self.storage.close()

    # What is closed

    def latest(self) -> LedgerPoint:
        """The last closed ledger."""
        if not len(self.queue):  # else the next ledger is not empty, and is closed by :meth:`run`
            self._point = self._point.at(now_ms=self._now_ms())
        return self._point

    def range(self) -> LedgerRange:
        """The latest ledger, and the oldest whose transactions are still known."""
        latest = self.latest()
        sequence = max(1, latest.sequence - RETENTION_LEDGERS + 1)
        return LedgerRange(latest, self.point_of(sequence))

    def point_of(self, sequence: int) -> LedgerPoint:
        """When a ledger in the range closed."""
        anchor = self.storage.anchor_of(sequence)
        assert anchor is not None
        return anchor.after(sequence - anchor.sequence)

    def header(self) -> LedgerHeader:
        """The header of the last closed ledger."""
        point = self.latest()
        return LedgerHeader(sequence=point.sequence, close_time=point.close_time, fee_pool=self._fee_pool)

    def transaction(self, hash_: bytes) -> StoredTransaction | None:
        """A transaction that a ledger in the range holds."""
        return self.storage.history.transaction(hash_, oldest=self.range().oldest.sequence)

    # What is sent

    def submit(self, envelope: bytes) -> tuple[Frame, Admission]:
        """Judge a transaction and queue it.

        Raises:
            MalformedEnvelope: the bytes are no transaction.
        """
        frame = decode(envelope, network_id=self.network_id)
        admission = self.queue.offer(frame, view=View(self.storage.entries), moment=self._next_moment())
        if admission.status is Status.PENDING:
            self.storage.enqueue(frame, replaced=admission.replaced)
            self._work.set()
        return frame, admission

    def _next_moment(self) -> Moment:
        """The ledger that a transaction sent now would be in.

        Upper time bounds are held against twice the interval from now, as stellar-core does: a transaction that
        is about to expire is refused at once instead of being lost.
        """
        header = self.header()
        drift = max(0, self._now_ms() // _SECOND_MS - header.close_time)
        ahead = -(-2 * self._interval_ms // _SECOND_MS)
        return Moment(
            header=replace(header, sequence=header.sequence + 1),
            earliest_close=header.close_time,
            latest_close=header.close_time + drift + ahead,
        )

    # Closing ledgers

    async def run(self) -> None:
        """Close a ledger whenever one is due that is not empty. Runs until it is cancelled."""
        while True:
            await self._work.wait()
            now_ms = self._now_ms()
            if now_ms < self._point.closed_at_ms:  # the wall clock was set back
                self._point = self._point.at(now_ms=now_ms)
            wait_ms = self._point.next_close_ms - now_ms
            if wait_ms > 0:
                await asyncio.sleep(wait_ms / _SECOND_MS)
            else:
                await self._close_one()

    async def _close_one(self) -> None:
        point = self._point.late(now_ms=self._now_ms())
        previous = self.header()
        closing = close_ledger(
            entries=self.storage.entries,
            previous=previous,
            header=replace(previous, sequence=point.sequence, close_time=point.close_time),
            order_seed=hashlib.sha256(self.network_id + point.sequence.to_bytes(4, "big")).digest(),
            candidates=self.queue.frames(),
        )
        closed = await _drive(closing)
        self.storage.write_ledger(closed, point)
        self._point, self._fee_pool = point, closed.header.fee_pool
        self.queue.settle(
            closed=point.sequence,
            applied=[item.frame for item in closed.transactions],
            dropped=list(closed.dropped),
        )
        if not len(self.queue):
            self._work.clear()
        async with self._closed:
            self._closed.notify_all()

    async def wait_for_close(self, *, since: int) -> None:
        """Wait until a ledger with transactions has closed after that one."""
        async with self._closed:
            await self._closed.wait_for(lambda: self._point.sequence > since)


async def _drive(closing: Generator[None, None, ClosedLedger]) -> ClosedLedger:
    """Close a ledger in slices, letting other work of the loop run in between."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _SLICE_MS / _SECOND_MS
    while True:
        try:
            next(closing)
        except StopIteration as done:
            closed: ClosedLedger = done.value
            return closed
        if loop.time() >= until:
            await asyncio.sleep(0)
            until = loop.time() + _SLICE_MS / _SECOND_MS
