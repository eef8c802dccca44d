"""Look up transactions that the signer signed and payouts did not ask for: the ledger says whether their payouts are paid."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from prizewire_payouts.stellar.domain.model import LookUp
from prizewire_payouts.stellar.domain.proof import Verdict, judge_unasked
from prizewire_payouts.stellar.ports import ChainRpc, RpcUnavailable, Unasked, UnaskedTransaction

AT_ONCE = 100
"""Transactions that one run looks up at most; the next run takes those behind them."""


@dataclass(slots=True)
class UnaskedLookUps:
    """Looks each transaction up until its outcome is known."""

    store: Unasked
    rpcs: Sequence[ChainRpc]
    more: bool = False
    """Whether the last run has left transactions to look up."""
    _place: str = ""

    async def run(self, *, now: datetime) -> list[tuple[UnaskedTransaction, int]]:
        """Store the outcomes that are known now; returns the transactions that were applied, each with its ledger."""
        rows = await self.store.open(after=self._place, limit=AT_ONCE)
        self.more = len(rows) == AT_ONCE
        self._place = rows[-1].tx_hash if self.more else ""
        found: list[tuple[UnaskedTransaction, int]] = []
        for one in rows:
            ledger = await self._one(one, now=now)
            if ledger is not None:
                found.append((one, ledger))
        return found

    async def _one(self, one: UnaskedTransaction, *, now: datetime) -> int | None:
        """The ledger that applied it, where one did."""
        answers = await asyncio.gather(*(_look_up(rpc, one.tx_hash) for rpc in self.rpcs))
        look_ups = [answer for answer in answers if answer is not None]
        finding = judge_unasked(max_time=one.max_time, signed_at=one.signed_at, look_ups=look_ups)
        if finding.verdict is Verdict.SUCCEEDED:
            assert finding.digest is not None
            ledger = look_ups[finding.digest].ledger
            if ledger is not None:
                await self.store.end(one, ledger=ledger, now=now)
            return ledger
        proved = finding.verdict is Verdict.FAILED or len(look_ups) == len(self.rpcs)
        if finding.verdict is not Verdict.WAIT and proved:
            await self.store.end(one, ledger=None, now=now)
        return None


async def _look_up(rpc: ChainRpc, tx_hash: str) -> LookUp | None:
    try:
        return await rpc.look_up(tx_hash)
    except RpcUnavailable:
        return None
