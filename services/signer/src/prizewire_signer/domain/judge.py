"""Compare requests with the records: slots, bindings, tombstones, limits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from prizewire_money import Amount
from prizewire_signer.domain.commands import SigningRequest
from prizewire_signer.domain.examine import Findings
from prizewire_signer.domain.model import PAYING, AssetLimits, Policy, Slot
from prizewire_signer.domain.states import PayoutState, SlotState
from prizewire_signer.errors import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotFacts:
    """A known slot: its state, and the number of its digests; digests that void it are counted apart."""

    state: SlotState
    digests: int
    voids: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutFacts:
    """A known payout. ``terms`` is None where it was tombstoned before any signing request. ``free_at`` is set where its
    slot is closed without paying it, and a digest that pays it may still be applied until then. ``counted``: the present
    day's limit includes it already for the slot that it is bound to. ``asset`` and ``minor`` are what was recorded for it.
    ``slots_elsewhere`` is the number of other slots with a digest that pays it.
    """

    state: PayoutState
    slot_id: UUID | None
    slots_used: int
    terms: bytes | None
    free_at: datetime | None = None
    counted: bool = False
    slots_elsewhere: int = 0
    asset: str | None = None
    minor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestFacts:
    """A digest that is recorded already: its slot, its kind, its maxTime (Unix seconds) and its payouts in the order of
    operations.
    """

    slot_id: UUID
    kind: str
    max_time: int
    payout_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The records about a request, read under locks in the transaction that will record it.

    ``day_used`` are the minor units reserved so far on the present UTC day, by asset code; ``again_used`` the part of
    them that was signed before on another slot.
    """

    slot: SlotFacts | None
    payouts: Mapping[UUID, PayoutFacts]
    day_used: Mapping[str, int]
    again_used: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingFacts:
    """A payout that is to be closed, locked. ``fresh``: it was unknown, and its tombstone was stored just now. ``freed``: its
    slot was over, and it was freed just now. ``asset`` and ``minor`` are what was signed for it, None and 0 where nothing
    was; ``slot`` is the last slot on which that was done. ``free_at`` is as in ``PayoutFacts``.
    """

    state: PayoutState
    fresh: bool
    freed: bool
    asset: str | None
    minor: int
    slot: Slot | None
    free_at: datetime | None


def is_repeat(*, request: SigningRequest, tx_hash: bytes, digest: DigestFacts | None) -> bool:
    """Whether the same bytes were recorded before, for this slot and these payouts.

    They are then signed again whatever has changed since: the signature may be published already, so a refusal would be
    false, and the same digest gives the same signature.
    """
    return (
        digest is not None
        and tx_hash.hex() == request.tx_hash
        and digest.slot_id == request.slot.slot_id
        and digest.kind == request.kind
        and digest.max_time == request.max_time
        and digest.payout_ids == request.payout_ids
    )


def judge(
    *,
    request: SigningRequest,
    amounts: Mapping[UUID, Amount],
    facts: Facts,
    policy: Policy,
    recorded: bool = False,
) -> Findings:
    """Compare a request that ``examine`` found clean with what was signed before. Where its digest is ``recorded`` already,
    its slot may be full or closed since.
    """
    findings = Findings(amounts=dict(amounts))
    if not recorded:
        findings.general.extend(_slot_faults(request, facts.slot, policy))
    day, again = dict(facts.day_used), dict(facts.again_used)
    for item in request.items:
        known = facts.payouts.get(item.payout_id)
        amount = amounts[item.payout_id]
        fault = None if known is None else _binding_fault(known, item.intent.terms, amount, request, policy)
        if fault is None:
            fault = _reserve(amount, known, day, again, policy)
        if fault is not None:
            findings.items.append((item.payout_id, fault))
        if fault is Code.PAYOUT_WAITS and known is not None and known.free_at is not None:
            findings.free_at[item.payout_id] = known.free_at
    return findings


def _slot_faults(request: SigningRequest, slot: SlotFacts | None, policy: Policy) -> Iterable[Code]:
    if slot is None:
        # A slot without a digest binds no payout: there is nothing to void.
        if request.kind not in PAYING:
            yield Code.SLOT_UNKNOWN
        return
    if slot.state is not SlotState.OPEN:
        yield Code.SLOT_CLOSED
    if request.kind in PAYING and slot.digests >= policy.digests_per_slot_max:
        yield Code.DIGESTS_OVER_CAP
    if request.kind not in PAYING and slot.voids >= policy.voids_per_slot_max:
        yield Code.VOIDS_OVER_CAP


def _binding_fault(
    known: PayoutFacts, terms: bytes, amount: Amount, request: SigningRequest, policy: Policy
) -> Code | None:
    if known.state is PayoutState.TOMBSTONED:
        return Code.PAYOUT_TOMBSTONED
    # the amount follows from the terms; another one was written into the database, to be counted into the limits
    if known.terms != terms or (known.asset, known.minor) != (amount.asset.code, amount.minor):
        return Code.INTENT_TERMS_CHANGED
    if known.state is PayoutState.PAID:
        return Code.PAYOUT_PAID
    if known.state is PayoutState.BOUND and known.slot_id != request.slot.slot_id:
        return Code.PAYOUT_BOUND_ELSEWHERE if known.free_at is None else Code.PAYOUT_WAITS
    used = known.slots_used if known.state is PayoutState.FREE else 0
    if max(used, known.slots_elsewhere) >= policy.slots_per_payout_max:
        return Code.SLOTS_OVER_CAP
    return None


def _reserve(
    amount: Amount, known: PayoutFacts | None, day: dict[str, int], again: dict[str, int], policy: Policy
) -> Code | None:
    """Count a payout into the limits: once for each slot and day, since of one slot's digests at most one is applied. One
    that is counted already must be within the limits too: the database may have been made to count more than they allow.
    """
    code, limits = amount.asset.code, policy.limits[amount.asset.code]
    minor = 0 if known is not None and known.counted else amount.minor
    total, repeated = day.get(code, 0) + minor, again.get(code, 0)
    if total > limits.day_minor_max:
        return Code.DAY_OVER_LIMIT
    if is_again(known):
        repeated += minor
        if repeated > limits.again_minor_max:
            return Code.AGAIN_OVER_LIMIT
    day[code], again[code] = total, repeated
    return None


def is_again(known: PayoutFacts | None) -> bool:
    """Whether this payout was signed before on another slot, which payouts reported closed without paying it."""
    return known is not None and (known.state is PayoutState.FREE or known.slots_elsewhere > 0)


def closable(
    payouts: Mapping[UUID, ClosingFacts], *, again_used: Mapping[str, int], limits: Mapping[str, AssetLimits]
) -> list[UUID]:
    """The free payouts that may be closed today, by their ids; the others do not fit into ``again_minor_max``.

    A free payout was signed on a slot that payouts reported closed without paying it. If that report is false, the payout is
    paid, and its tombstone gives its money back: so it counts like a second signature.
    """
    used = dict(again_used)
    found = []
    for payout_id, known in sorted(payouts.items()):
        if known.state is not PayoutState.FREE or known.asset is None:
            continue
        total = used.get(known.asset, 0) + known.minor
        if known.asset in limits and total <= limits[known.asset].again_minor_max:
            used[known.asset] = total
            found.append(payout_id)
    return found


def close_refusal(known: ClosingFacts, *, now: datetime) -> tuple[Code, datetime | None]:
    """The reason why a payout stays open, and when time lifts it: a limit is one of a UTC day."""
    if known.state is PayoutState.FREE:
        tomorrow = now.astimezone(UTC).date() + timedelta(days=1)
        return Code.AGAIN_OVER_LIMIT, datetime.combine(tomorrow, time(), UTC)
    if known.state is PayoutState.PAID:
        return Code.PAYOUT_PAID, None
    return (Code.PAYOUT_BOUND if known.free_at is None else Code.PAYOUT_WAITS), known.free_at


def unseen(request: SigningRequest, facts: Facts) -> Sequence[UUID]:
    """The payouts of a request that are new to the signer."""
    return [payout_id for payout_id in request.payout_ids if payout_id not in facts.payouts]


def uncounted(request: SigningRequest, facts: Facts) -> Sequence[tuple[UUID, bool]]:
    """The payouts to count into limits now, each with whether it was signed before on another slot."""
    return [
        (payout_id, is_again(known))
        for payout_id in request.payout_ids
        if (known := facts.payouts.get(payout_id)) is None or not known.counted
    ]
