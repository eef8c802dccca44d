"""A rail whose answers a test writes, one after another."""

from collections import deque
from datetime import datetime, timedelta

from prizewire_contracts.rails import (
    CancelOutcome,
    Capabilities,
    PayoutInstruction,
    PayoutReference,
    ProviderResult,
    Quote,
    RailType,
)
from prizewire_money import Amount

Said = ProviderResult | Exception


class ScriptedProvider:
    """Answers what was put into ``answers`` (create) and ``looks`` (look-ups); remembers what it was asked."""

    def __init__(self, *, rail: str = "stellar", rail_type: RailType = RailType.STELLAR) -> None:
        self.answers: deque[Said] = deque()
        self.looks: deque[Said] = deque()
        self.cancels: deque[CancelOutcome] = deque()
        self.created: list[PayoutInstruction] = []
        self.looked: list[PayoutReference] = []
        self._capabilities = Capabilities(
            rail=rail,
            type=rail_type,
            assets=frozenset({"EURC", "XLM"}),
            method_types=frozenset({str(rail_type)}),
            can_cancel=True,
            concurrency=4,
        )

    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def quote(self, instruction: PayoutInstruction, *, now: datetime) -> Quote:
        zero = Amount.zero(instruction.amount.asset)
        return Quote(
            amount=instruction.amount,
            fee=zero,
            fee_borne_by="platform",
            expires_at=now + timedelta(minutes=1),
        )

    async def create_payout(self, instruction: PayoutInstruction, *, now: datetime) -> ProviderResult:
        self.created.append(instruction)
        return _said(self.answers)

    async def sync_status(self, reference: PayoutReference, *, now: datetime) -> ProviderResult:
        self.looked.append(reference)
        return _said(self.looks)

    async def cancel(self, reference: PayoutReference, *, now: datetime) -> CancelOutcome:
        return self.cancels.popleft()


def _said(queue: deque[Said]) -> ProviderResult:
    said = queue.popleft()
    if isinstance(said, Exception):
        raise said
    return said
