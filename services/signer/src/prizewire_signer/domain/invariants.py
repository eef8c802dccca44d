"""Invariants over the signer's own records. Each is checked continuously; a breach is an alarm."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from prizewire_money import Asset

CHECK_NAMES = ("one_live_slot", "signatures_approved", "limits_kept", "answers_counted")


@dataclass(frozen=True, slots=True)
class LiveDigest:
    """A digest that the network might still apply, or has applied with effect, and one payout in it."""

    payout_id: UUID
    slot_id: UUID


@dataclass(frozen=True, slots=True)
class SignedDigest:
    """How many approvals, bindings and distinct signing keys a signed digest has."""

    tx_hash: str
    approvals: int
    payouts: int
    approved_payouts: int


@dataclass(frozen=True, slots=True)
class DayUse:
    """One asset's reservation row of one day and scope (``day``, ``again``) beside the sum of what was counted into it,
    minor units.
    """

    scope: str
    asset: Asset
    day: str
    used: int
    counted: int
    ceiling: int


def one_live_slot(rows: Iterable[LiveDigest]) -> list[str]:
    """All live digests of a payout sit on one slot."""
    slots: dict[UUID, set[UUID]] = {}
    for row in rows:
        slots.setdefault(row.payout_id, set()).add(row.slot_id)
    return [
        f"payout {payout_id} has live digests on {len(found)} slots"
        for payout_id, found in slots.items()
        if len(found) > 1
    ]


def signatures_approved(rows: Iterable[SignedDigest]) -> list[str]:
    """Nothing is signed without exactly one approval that names the payouts it pays."""
    return [
        f"digest {row.tx_hash} is signed with {row.approvals} approvals for {row.approved_payouts} "
        f"of {row.payouts} payouts"
        for row in rows
        if row.approvals != 1 or row.payouts != row.approved_payouts
    ]


def limits_kept(rows: Iterable[DayUse]) -> list[str]:
    """A day's row equals what was counted that day, and is never above its ceiling."""
    return [
        f"{row.asset.code} on {row.day} ({row.scope}): {row.asset.describe(row.used)} reserved, "
        f"{row.asset.describe(row.counted)} counted, at most {row.asset.describe(row.ceiling)}"
        for row in rows
        if row.used != row.counted or row.used > row.ceiling
    ]


def answers_counted(*, watermark: int, answers: int, highest: int) -> list[str]:
    """The watermark is the number of counted answers, and the highest counter given."""
    if watermark == answers == highest:
        return []
    return [f"the watermark is {watermark}, with {answers} answers up to counter {highest}"]
