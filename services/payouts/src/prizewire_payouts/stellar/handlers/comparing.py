"""Compare transactions that ended without success with the ledger.

A forged answer of the signer, or a row that was changed in the database, can end a transaction that the network applied. Its
payments then are made again, or their money is given back.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from prizewire_payouts.stellar.domain.model import LookUp, LookUpStatus
from prizewire_payouts.stellar.ports import ChainRpc, EndedTransaction, Endings, RpcUnavailable

MEMORY_S = 7 * 24 * 3600
"""How far back transactions are compared, in seconds: a Stellar RPC node keeps the last 7 days by default (Stellar
documentation, RPC: "history retention window").
"""
AT_ONCE = 200
"""Transactions that one run looks up at most."""
_CALLS = 10


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A transaction that ended without success, and the ledger that applied it."""

    ended: EndedTransaction
    ledger: int


@dataclass(slots=True)
class Comparison:
    """Compares each transaction once, after its maxTime: from then on the ledger does not change about it.

    What was compared is known to this process alone, since a database login could write it. A new process compares again.
    """

    store: Endings
    rpcs: Sequence[ChainRpc]
    compared: dict[str, int] = field(default_factory=dict)
    """maxTime by hash."""
    more: bool = False
    """Whether the last run has left something to do."""

    async def run(self, *, now: datetime) -> list[Contradiction]:
        """Compare what has ended since the last run; returns the contradictions that no process had found before. What a node
        has not answered is asked again by the next run.
        """
        self.more = False
        try:
            moment = await self.rpcs[0].latest_ledger()
        except RpcUnavailable:
            return []
        since = moment.close_time - MEMORY_S
        self.compared = {one: max_time for one, max_time in self.compared.items() if max_time >= since}
        ended = await self.store.ended(since=since, until=moment.close_time - 1)
        left = [one for one in ended if one.tx_hash not in self.compared]
        calls = asyncio.Semaphore(_CALLS)

        async def compare(one: EndedTransaction) -> Contradiction | None:
            async with calls:
                return await self._compare(one, now=now)

        found = await asyncio.gather(*(compare(one) for one in left[:AT_ONCE]))
        self.more = len(left) > AT_ONCE and all(one.tx_hash in self.compared for one in left[:AT_ONCE])
        return [one for one in found if one is not None]

    async def _compare(self, ended: EndedTransaction, *, now: datetime) -> Contradiction | None:
        answers = [await _look_up(rpc, ended.tx_hash) for rpc in self.rpcs]
        if None not in answers:
            self.compared[ended.tx_hash] = ended.max_time
        for found in answers:
            if found is None or found.status is not LookUpStatus.SUCCESS or found.ledger is None:
                continue
            new = await self.store.contradict(ended, ledger=found.ledger, now=now)
            return Contradiction(ended, found.ledger) if new else None
        return None


async def _look_up(rpc: ChainRpc, tx_hash: str) -> LookUp | None:
    try:
        return await rpc.look_up(tx_hash)
    except RpcUnavailable:
        return None
