"""The rails whose outcomes persons may prove: those that people pay over, and vendors whose outcome stays unknown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import SIGNER_RAILS, Outcome, ProviderResult
from prizewire_payouts.payouts.domain.model import Attempt, Payout
from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.rails.storage import altered, rail_rows
from prizewire_payouts.reviews.domain import Finding
from prizewire_payouts.reviews.ports import ReviewSource
from prizewire_payouts.unit_of_work import UnitOfWork
from prizewire_railkit.by_hand import LineState, PaidByHand


def reviewed(rails: Sequence[Rail]) -> list[Rail]:
    """The rails whose outcomes persons may prove. The ledger proves those of rails that the signer serves."""
    return [rail for rail in rails if rail.capabilities.type not in SIGNER_RAILS]


@dataclass(frozen=True, slots=True)
class RailSources:
    """`prizewire_payouts.reviews.ports.ReviewSources` over the configured rails, within one transaction."""

    rails: Sequence[Rail]
    unit_of_work: UnitOfWork = field(kw_only=True)

    def of(self, rail: str) -> ReviewSource | None:
        """See the port."""
        for one in reviewed(self.rails):
            if one.name == rail:
                return _source(one, self.unit_of_work)
        return None


def _source(rail: Rail, unit_of_work: UnitOfWork) -> ReviewSource:
    if isinstance(rail.provider, PaidByHand):
        return HandSource(rail, provider=rail.provider, unit_of_work=unit_of_work)
    return VendorSource(rail)


@dataclass(frozen=True, slots=True)
class HandSource:
    """A rail over which people pay: it stores the outcome in its own rows, in the same transaction.

    Where somebody changed a row of the payment in the database, the rows prove nothing, and a person may have claimed it: evidence may be
    filed, and is itself the proof.
    """

    rail: Rail
    provider: PaidByHand = field(kw_only=True)
    unit_of_work: UnitOfWork = field(kw_only=True)
    by_hand: bool = True

    async def claimed(self, payout_id: UUID) -> bool:
        """See the port."""
        if await altered(self.unit_of_work, self.rail.name, [payout_id]):
            return True
        line = await self.provider.line(rail_rows(self.unit_of_work, self.rail.name), payout_id=payout_id)
        return line is not None and line.state is LineState.CLAIMED

    async def settle(
        self,
        *,
        payout: Payout,
        attempt: Attempt,
        finding: Finding,
        reference: str,
        persons: tuple[str, str],
        now: datetime,
    ) -> ProviderResult:
        """See the port."""
        if await altered(self.unit_of_work, self.rail.name, [payout.payout_id]):
            return _proved_by_persons(payout, attempt, finding=finding, reference=reference)
        return await self.provider.settle(
            rail_rows(self.unit_of_work, self.rail.name),
            payout_id=payout.payout_id,
            paid=finding is Finding.PAID,
            evidence=reference,
            persons=persons,
            now=now,
        )


@dataclass(frozen=True, slots=True)
class VendorSource:
    """A rail of a vendor whose look-up proves nothing: the persons' evidence is the proof."""

    rail: Rail
    by_hand: bool = False

    async def claimed(self, payout_id: UUID) -> bool:  # noqa: ARG002 - nobody claims a vendor's payment
        """See the port."""
        return False

    async def settle(
        self,
        *,
        payout: Payout,
        attempt: Attempt,
        finding: Finding,
        reference: str,
        persons: tuple[str, str],  # noqa: ARG002 - the audit record names them
        now: datetime,  # noqa: ARG002 - the outcome has no time of its own
    ) -> ProviderResult:
        """See the port."""
        return _proved_by_persons(payout, attempt, finding=finding, reference=reference)


def _proved_by_persons(
    payout: Payout, attempt: Attempt, *, finding: Finding, reference: str
) -> ProviderResult:
    proof = {"reference": reference}
    if finding is Finding.PAID:
        return ProviderResult(
            outcome=Outcome.PAID,
            provider_ref=attempt.provider_ref or reference,
            amount=payout.amount,
            proof=proof,
        )
    return ProviderResult(
        outcome=Outcome.NO_EFFECT,
        provider_ref=attempt.provider_ref,
        code=PayoutCode.PROVIDER_REJECTED,
        proof=proof,
    )
