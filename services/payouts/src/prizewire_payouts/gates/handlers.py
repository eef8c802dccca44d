"""Judging gates: of new payouts, and again before each attempt."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from prizewire_payouts.gates.domain import (
    Facts,
    Finding,
    GateLimits,
    counted,
    counted_to,
    judge,
    lacks_screening,
)
from prizewire_payouts.gates.ports import GateRows, Passed, Sent
from prizewire_payouts.payouts.domain.model import Payout


class Gates:
    """The gates over the payouts of one transaction. Call ``prepare`` before ``judge``, and ``save`` after payouts are saved."""

    def __init__(self, rows: GateRows, *, limits: GateLimits) -> None:
        self.limits = limits
        self._rows = rows
        self._facts: Mapping[UUID, Facts] = {}
        self._passed: Mapping[UUID, Passed] = {}
        self._admitted: dict[str, list[Payout]] = defaultdict(list)
        self._admitted_to: dict[bytes, list[Payout]] = defaultdict(list)
        self._held: list[tuple[Payout, Sequence[Finding]]] = []
        self._sent: list[Sent] = []

    async def prepare(self, payouts: Sequence[Payout]) -> None:
        """Load what the gates ask about these payouts, and which findings persons have approved."""
        self._facts = await self._rows.facts(payouts, limits=self.limits)
        self._passed = await self._rows.passed([payout for payout in payouts if payout.hold_no])

    def judge_new(self, *, payout: Payout, now: datetime) -> tuple[Finding, ...]:
        """The gates that a new payout does not pass. New payouts that were judged before it, in this transaction, count as
        earlier ones.
        """
        facts = self._facts[payout.payout_id]
        persons = {one for one in (payout.player, payout.payee) if one is not None}
        earlier = {one.payout_id: one for person in persons for one in self._admitted[person]}
        for one in earlier.values():
            facts = counted(facts=facts, payout=payout, earlier=one)
        for person in persons:
            self._admitted[person].append(payout)
        if facts.destination is not None:
            paid_there = self._admitted_to[facts.destination]
            for one in paid_there:
                facts = counted_to(facts=facts, payout=payout, earlier=one)
            paid_there.append(payout)
        return judge(payout=payout, facts=facts, limits=self.limits, now=now)

    def judge_again(self, *, payout: Payout, now: datetime) -> tuple[Finding, ...]:
        """The gates that a payout does not pass now, without those that persons let it pass for the same fact."""
        found = judge(payout=payout, facts=self._facts[payout.payout_id], limits=self.limits, now=now)
        passed = self._passed.get(payout.payout_id, ())
        return tuple(finding for finding in found if (finding.gate, finding.fact) not in passed)

    def lacks_screening(self, *, payout: Payout, now: datetime) -> bool:
        """Whether the payout must wait for an answer of the screening service."""
        return lacks_screening(facts=self._facts[payout.payout_id], limits=self.limits, now=now)

    def held(self, *, payout: Payout, findings: Sequence[Finding]) -> None:
        """The payout is held with these findings; to be saved."""
        if findings:
            self._held.append((payout, findings))

    def sent(self, *, payout: Payout, now: datetime) -> None:
        """The payout's next attempt begins, after ``judge_again`` found nothing; to be saved."""
        within = self.limits.screened_within
        self._sent.append(
            Sent(
                payout=payout,
                passed=self._passed.get(payout.payout_id, ()),
                screening=None if within is None else self._facts[payout.payout_id].screening,
                screened_after=None if within is None else now - within,
            )
        )

    async def save(self, *, now: datetime) -> None:
        """Store what was found and judged."""
        if self._held:
            await self._rows.add_findings(self._held, now=now)
        if self._sent:
            await self._rows.add_judgements(self._sent, now=now)
        self._held, self._sent = [], []
