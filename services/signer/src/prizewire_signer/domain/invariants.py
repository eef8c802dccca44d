"""Invariants over the signer's own records. Each is checked continuously; a breach is an alarm."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prizewire_money import Asset

CHECK_NAMES = (
    "one_live_slot",
    "signatures_approved",
    "limits_kept",
    "closings_answered",
    "answers_counted",
    "requests_answered",
)
ANSWER_WITHIN_S = 900
"""A request whose answer takes longer is a breach, in seconds."""


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
    """One asset's reservation of one day and scope (``day``, ``again``) beside the sum of what was counted into it, minor
    units. ``allowed`` is the limit of the present policy; None for a day before yesterday.
    """

    scope: str
    asset: Asset
    day: str
    used: int
    counted: int
    ceiling: int
    allowed: int | None = None


@dataclass(frozen=True, slots=True)
class Closing:
    """A payout that was signed before and is tombstoned: the UTC day on which that is counted, and the day of the first
    ``signing.closed`` about it, None without one.
    """

    payout_id: UUID
    counted_on: str
    answered_on: str | None


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
    """A day's row equals what was counted that day, and is never above its ceiling, nor above the policy's limit."""
    return [
        f"{row.asset.code} on {row.day} ({row.scope}): {row.asset.describe(row.used)} reserved, "
        f"{row.asset.describe(row.counted)} counted, at most {row.asset.describe(_most(row))}"
        for row in rows
        if row.used != row.counted or row.used > _most(row)
    ]


def _most(row: DayUse) -> int:
    return row.ceiling if row.allowed is None else min(row.ceiling, row.allowed)


def closings_answered(rows: Iterable[Closing]) -> list[str]:
    """A tombstone is counted into the limit of the day on which it was answered. Another one was written into the database."""
    return [
        f"payout {row.payout_id} was closed after a signature, counted on {row.counted_on}, "
        + (f"answered on {row.answered_on}" if row.answered_on else "and never answered")
        for row in rows
        if row.counted_on != row.answered_on
    ]


def answers_counted(*, watermark: int, answers: int, highest: int, back: Iterable[int] = ()) -> list[str]:
    """The watermark is the number of counted answers, and the highest counter given. ``back`` are the counters of answers
    that are dated before the answer before them.
    """
    breaches = [f"answer {counter} is dated before answer {counter - 1}" for counter in back]
    if not watermark == answers == highest:
        breaches.append(f"the watermark is {watermark}, with {answers} answers up to counter {highest}")
    return breaches


def requests_answered(rows: Iterable[tuple[int, str, datetime]]) -> list[str]:
    """Every request gets its answer. ``rows`` are those that wait for longer than ``ANSWER_WITHIN_S``: number, slot and since
    when. A request that cannot be read or handled stays among them until a person ends it.
    """
    return [
        f"request {number} of slot {slot} waits since {since:%Y-%m-%dT%H:%M:%SZ}"
        for number, slot, since in rows
    ]
