"""Ends: of slots, by payouts' proof, and of payouts, by their tombstone (protocol: signing, tombstone before
give-back). Nothing here touches a key, so both are done in the batch that brings them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from prizewire_signer.domain.commands import CloseRequest, SlotClosing
from prizewire_signer.domain.errors import MismatchedClosing
from prizewire_signer.domain.events import Answer, Closed, CloseRefused
from prizewire_signer.domain.states import PayoutState, SlotState
from prizewire_signer.ports import ClosingBook, SlotDigest

__all__ = ["close_payouts", "close_slot"]


async def close_slot(*, book: ClosingBook, closing: SlotClosing, now: datetime) -> None:
    """Close a slot: success keeps that digest's payouts bound for ever and frees the others, all else frees all.

    A digest that voids the slot pays nobody, so its success frees all as well. ``expired`` says that no digest of
    ours consumed the slot: it is believed only where none is named and none could be applied any more, so that a
    false word frees nothing that may still be paid. Told again in the same words, nothing happens.

    Raises:
        MismatchedClosing: it is closed otherwise already, a digest is said to have consumed it that was never
            recorded here, or none is said to have while one is named or may still be applied. Nothing was changed.
    """
    known = await book.slot_state(closing.slot.slot_id)
    told = (closing.state, closing.consumed_by, closing.ledger)
    if known is not None and known[0] is not SlotState.OPEN:
        if known == told:
            return
        raise MismatchedClosing(f"slot {closing.slot.slot_id} is closed as {known[0]} already")
    digests = await book.slot_digests(closing.slot.slot_id) if known is not None else {}
    fault = _fault(closing, digests, now_s=int(now.timestamp()))
    if fault is not None:
        raise MismatchedClosing(f"slot {closing.slot.slot_id} {fault}")
    paid: frozenset[UUID] = frozenset()
    if closing.state is SlotState.SUCCEEDED and closing.consumed_by is not None:
        paid = digests[closing.consumed_by].payouts
    await book.close_slot(closing=closing, paid=paid, known=known is not None, now=now)


def _fault(closing: SlotClosing, digests: Mapping[bytes, SlotDigest], *, now_s: int) -> str | None:
    """Why this closing is not believed."""
    known = closing.consumed_by in digests
    if closing.state is not SlotState.EXPIRED:
        return None if known else "was consumed by a digest that is not recorded"
    if known:
        return "was consumed by a digest of ours, which is an outcome of its own"
    if any(digest.max_time >= now_s for digest in digests.values()):
        return "holds a digest that may still be applied"
    return None


async def close_payouts(
    *, book: ClosingBook, requests: Sequence[CloseRequest], now: datetime
) -> list[Answer]:
    """Tombstone the payouts that have nothing out; the answers, one for each new request, in their order."""
    answered = await book.answered([request.event_id for request in requests])
    requests = [request for request in requests if request.event_id not in answered]
    if not requests:
        return []
    found = await book.tombstone(requests, now=now)
    answers: list[Answer] = []
    for request in requests:
        state, slot = found[request.payout_id]
        if state is PayoutState.TOMBSTONED:
            answers.append(
                Closed(
                    payout_id=request.payout_id,
                    correlation_id=request.correlation_id,
                    cause=request.event_id,
                )
            )
            continue
        if slot is None:
            raise AssertionError(f"payout {request.payout_id} is {state} without a slot")
        answers.append(
            CloseRefused(
                payout_id=request.payout_id,
                slot=slot,
                correlation_id=request.correlation_id,
                cause=request.event_id,
            )
        )
    return answers
