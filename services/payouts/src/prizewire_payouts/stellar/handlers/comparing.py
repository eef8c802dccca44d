"""Compare transactions that ended without success with the ledger.

A forged answer of the signer, or a row that was changed in the database, can end a transaction that the network applied. Its
payments then are made again, or their money is given back.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from prizewire_payouts.stellar.domain.model import LookUp, LookUpStatus
from prizewire_payouts.stellar.ports import ChainRpc, EndedTransaction, Endings, RpcUnavailable

MEMORY_S = 7 * 24 * 3600
"""How far back transactions are compared, in seconds: a Stellar RPC node keeps the last 7 days by default (Stellar
documentation, RPC: "history retention window").
"""
OVERDUE = timedelta(minutes=15)
"""How long a transaction may stay without a comparison after it could be compared: some runs, and an outage of the nodes."""
AT_ONCE = 100
"""Transactions that one run looks up at most among the newest, and as many again among all in their order."""
PAGE = 1_000
COMPARED_MAX = 100_000
POSTPONED_MAX = 10_000
PAUSE_FIRST = timedelta(minutes=1)
PAUSE_MAX = timedelta(minutes=8)
NAMED_MAX = 100
_CALLS = 10


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A transaction that ended without success, and the ledger that applied it."""

    ended: EndedTransaction
    ledger: int


@dataclass(frozen=True, slots=True)
class Postponed:
    """A transaction about which not every node has answered: not asked again before ``until``."""

    ended: EndedTransaction
    failures: int
    first_at: datetime
    failed_at: datetime
    until: datetime


@dataclass(slots=True)
class Comparison:
    """Compares each transaction once, after its maxTime: from then on the ledger does not change about it.

    A run looks at the newest transactions, and at the next ones of a round over all of them, so that no number of rows keeps the
    others from being compared. A transaction about which a node does not answer is left out for ``PAUSE_FIRST``, then twice as
    long each time, up to ``PAUSE_MAX``.

    What was compared is known to this process alone, since a database login could write it. A new process compares again.
    """

    store: Endings
    rpcs: Sequence[ChainRpc]
    covered_at: datetime | None = None
    """When the last whole round began; at first the time of the first run. None in a process without the job."""
    compared: dict[str, int] = field(default_factory=dict)
    """maxTime by hash."""
    postponed: dict[str, Postponed] = field(default_factory=dict)
    more: bool = False
    """Whether the last run has left something to do."""
    _place: tuple[int, int] | None = None
    _began: datetime | None = None
    _complete: bool = True

    async def run(self, *, now: datetime) -> list[Contradiction]:
        """Compare what has ended since the last run; returns the contradictions that no process had found before."""
        self.more = False
        self.covered_at = self.covered_at or now
        moment = await self._moment()
        if moment is None:
            return []
        since, until = moment - MEMORY_S, moment - 1
        self.compared = {one: max_time for one, max_time in self.compared.items() if max_time >= since}
        self.postponed = {key: one for key, one in self.postponed.items() if one.ended.max_time >= since}
        if self._place is None:
            self._began, self._complete = now, True
        page = await self.store.ended(since=since, until=until, after=self._place, limit=PAGE)
        left, passed = self._left(page, now=now)
        newest, _ = self._left(await self.store.newest(since=since, until=until, limit=PAGE), now=now)
        chosen = list({one.tx_hash: one for one in (*left, *newest)}.values())
        calls = asyncio.Semaphore(_CALLS)

        async def compare(one: EndedTransaction) -> tuple[bool, Contradiction | None]:
            async with calls:
                return await self._compare(one, now=now)

        answers = await asyncio.gather(*(compare(one) for one in chosen))
        silent = [one for one, (answered, _) in zip(chosen, answers, strict=True) if not answered]
        found = [contradiction for _, contradiction in answers if contradiction is not None]
        if silent and len(silent) == len(chosen) and await self._moment() is None:
            return found  # the node went away: this says nothing about the transactions
        for one in silent:
            self._postpone(one, now=now)
        self._advance(page[passed - 1] if passed else None, end=passed == len(page) < PAGE)
        return found

    async def overdue(self, *, now: datetime) -> list[EndedTransaction]:
        """Transactions that could be compared for longer than ``OVERDUE``, and were not; at most ``NAMED_MAX``. None in a process
        without the job.
        """
        if self.covered_at is None:
            return []
        since = now - OVERDUE
        if self.covered_at > since:
            return [one.ended for one in self.postponed.values() if one.first_at < since][:NAMED_MAX]
        latest = int(since.timestamp())
        found: list[EndedTransaction] = []
        place: tuple[int, int] | None = None
        while len(found) < NAMED_MAX:
            page = await self.store.ended(since=latest - MEMORY_S, until=latest, after=place, limit=PAGE)
            found += [one for one in page if one.tx_hash not in self.compared]
            if len(page) < PAGE:
                break
            place = (page[-1].max_time, page[-1].attempt_id)
        return found[:NAMED_MAX]

    def resting(self, *, now: datetime) -> list[Postponed]:
        """The transactions that are left out at ``now``."""
        return [one for one in self.postponed.values() if now < one.until]

    def _left(self, rows: Sequence[EndedTransaction], *, now: datetime) -> tuple[list[EndedTransaction], int]:
        """The first rows to look up, and how many rows are passed with them."""
        left: list[EndedTransaction] = []
        for index, one in enumerate(rows):
            waits = self.postponed.get(one.tx_hash)
            if one.tx_hash in self.compared or (waits is not None and now < waits.until):
                continue
            if len(left) == AT_ONCE:
                return left, index
            left.append(one)
        return left, len(rows)

    def _postpone(self, one: EndedTransaction, *, now: datetime) -> None:
        known = self.postponed.get(one.tx_hash)
        if known is None and len(self.postponed) >= POSTPONED_MAX:
            self._complete = False
            return
        failures = 1 if known is None else known.failures + 1
        pause = min(PAUSE_MAX, PAUSE_FIRST * 2 ** min(failures - 1, 10))
        first = now if known is None else known.first_at
        self.postponed[one.tx_hash] = Postponed(one, failures, first, now, now + pause)

    def _advance(self, last: EndedTransaction | None, *, end: bool) -> None:
        self.more = not end
        if last is not None:
            self._place = (last.max_time, last.attempt_id)
        if end:
            self._place = None
            if self._complete and self._began is not None:
                self.covered_at = self._began

    async def _moment(self) -> int | None:
        """The close time of the node's last ledger; None where it does not answer."""
        try:
            return (await self.rpcs[0].latest_ledger()).close_time
        except RpcUnavailable:
            return None

    async def _compare(self, ended: EndedTransaction, *, now: datetime) -> tuple[bool, Contradiction | None]:
        """Whether every node answered, and the contradiction that no process had found before."""
        answers = [await _look_up(rpc, ended.tx_hash) for rpc in self.rpcs]
        answered = None not in answers
        if answered:
            self.postponed.pop(ended.tx_hash, None)
            if len(self.compared) >= COMPARED_MAX:
                del self.compared[next(iter(self.compared))]
            self.compared[ended.tx_hash] = ended.max_time
        for found in answers:
            if found is None or found.status is not LookUpStatus.SUCCESS or found.ledger is None:
                continue
            new = await self.store.contradict(ended, ledger=found.ledger, now=now)
            return answered, Contradiction(ended, found.ledger) if new else None
        return answered, None


async def _look_up(rpc: ChainRpc, tx_hash: str) -> LookUp | None:
    try:
        return await rpc.look_up(tx_hash)
    except RpcUnavailable:
        return None
