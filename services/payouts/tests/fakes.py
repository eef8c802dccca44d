"""A rail with prepared answers, and a payout method."""

from collections import deque
from datetime import UTC, datetime, timedelta
from uuid import UUID

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
from prizewire_payouts.methods.domain import Method, MethodState

Said = ProviderResult | Exception
NOW = datetime(2026, 11, 20, tzinfo=UTC)
METHOD = UUID("33333333-3333-4333-8333-333333333333")


class ScriptedProvider:
    """Returns the prepared ``answers`` (create) and ``looks`` (look-ups), and stores its calls."""

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


def make_method(
    *,
    method_id: UUID = METHOD,
    sealed: bytes = b"",
    address: str | None = None,
    memo: str | None = None,
    commitment: str | None = None,
) -> Method:
    """An active method of ana: a Stellar address, or details behind a commitment."""
    return Method(
        method_id=method_id,
        player="ana",
        type="stellar" if address else "fake",
        rail_type="stellar" if address else "fake",
        version=1,
        state=MethodState.ACTIVE,
        verified=False,
        is_default=True,
        address=address,
        memo=memo,
        commitment=commitment,
        sealed=sealed,
        sealed_by="k",
        destination_mac=b"",
        registered_by="ana",
        registered_at=NOW,
        changed_at=NOW,
    )
