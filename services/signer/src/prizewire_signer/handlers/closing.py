"""Close slots as payouts reports it, and payouts by their tombstone (protocol: signing, tombstone before give-back).
No key is used here, so both are done in the consumer's batch.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from prizewire_signer.domain.commands import CloseRequest, SlotClosing
from prizewire_signer.domain.events import Answer, Closed, CloseRefused
from prizewire_signer.domain.judge import closable, close_refusal
from prizewire_signer.domain.model import AssetLimits
from prizewire_signer.domain.states import PayoutState, SlotState
from prizewire_signer.errors import MismatchedClosing
from prizewire_signer.ports import SlotDigest, UnitOfWork


async def close_slot(*, unit_of_work: UnitOfWork, closing: SlotClosing, margin_s: int, now: datetime) -> None:
    """Close a slot as payouts reports it. The signer does not read the ledger, so the report alone frees no payout.

    The payouts of a successful digest stay bound for ever. Every other payout of the slot stays bound until ``margin_s``
    after the latest maxTime of the digests that pay it: if the report is false, one of them may still be applied. The
    same closing again changes nothing.

    Raises:
        MismatchedClosing: the digest that is reported to have consumed the slot was never recorded here, or it was
            recorded and the report says expired: nothing was changed. Or the slot was closed with another outcome
            before: one of the two reports is false, so payouts that are still bound to the slot are never freed.
    """
    store = unit_of_work.closing
    known = await store.slot_state(closing.slot.slot_id)
    asked = (closing.state, closing.consumed_by, closing.ledger)
    if known is not None and known[0] is not SlotState.OPEN:
        if known == asked:
            return
        await store.hold_slot(closing.slot.slot_id)
        raise MismatchedClosing(f"slot {closing.slot.slot_id} is closed as {known[0]} already")
    digests = await store.slot_digests(closing.slot.slot_id) if known is not None else {}
    fault = _fault(closing, digests)
    if fault is not None:
        raise MismatchedClosing(f"slot {closing.slot.slot_id} {fault}")
    paid: frozenset[UUID] = frozenset()
    if closing.state is SlotState.SUCCEEDED and closing.consumed_by is not None:
        paid = digests[closing.consumed_by].payouts
    await store.close_slot(closing=closing, paid=paid, known=known is not None, margin_s=margin_s, now=now)


async def hold_contradicted(*, unit_of_work: UnitOfWork) -> int:
    """Keep payouts bound for ever whose slot has two reports, of which the second was refused before it was read: it had
    the id or the version of the first. One of the two is false. Returns the number of these slots.
    """
    slots = await unit_of_work.closing.contradicted_slots()
    for slot_id in slots:
        await unit_of_work.closing.hold_slot(slot_id)
    return len(slots)


def _fault(closing: SlotClosing, digests: Mapping[bytes, SlotDigest]) -> str | None:
    """The reason why this closing contradicts what was signed."""
    known = closing.consumed_by in digests
    if closing.state is not SlotState.EXPIRED:
        return None if known else "was consumed by a digest that is not recorded"
    return "is reported expired, and was consumed by a digest that is recorded here" if known else None


async def close_payouts(
    *,
    unit_of_work: UnitOfWork,
    requests: Sequence[CloseRequest],
    limits: Mapping[str, AssetLimits],
    now: datetime,
) -> list[Answer]:
    """Tombstone the payouts without a usable signature; returns the answers, one for each new request, in their order.

    A payout that was signed before counts into the day's ``again_minor_max`` of its asset, and stays open where that is
    used up: without it, false reports of failures would have the money of any number of paid payouts given back.
    """
    store = unit_of_work.closing
    answered = await store.answered([request.event_id for request in requests])
    requests = [request for request in requests if request.event_id not in answered]
    if not requests:
        return []
    found = await store.closing_facts({request.payout_id for request in requests}, now=now)
    assets = sorted({known.asset for known in found.values() if known.asset is not None})
    ceilings = {code: limits[code].again_minor_max for code in assets if code in limits}
    used = await store.again_used(ceilings, now=now)
    closing = closable(found, again_used=used, limits=limits)
    await store.tombstone(requests, facts=found, closing=closing, now=now)
    answers: list[Answer] = []
    for request in requests:
        known = found[request.payout_id]
        if known.state is PayoutState.TOMBSTONED or request.payout_id in closing:
            answers.append(
                Closed(
                    payout_id=request.payout_id,
                    correlation_id=request.correlation_id,
                    cause=request.event_id,
                )
            )
            continue
        if known.slot is None:
            raise AssertionError(f"payout {request.payout_id} is {known.state} without a slot")
        code, free_at = close_refusal(known, now=now)
        answers.append(
            CloseRefused(
                payout_id=request.payout_id,
                slot=known.slot,
                code=code,
                free_at=free_at,
                correlation_id=request.correlation_id,
                cause=request.event_id,
            )
        )
    await unit_of_work.answers.give(answers, now=now)
    return answers
