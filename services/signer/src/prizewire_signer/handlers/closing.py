"""Ends: of slots, by payouts' proof, and of payouts, by their tombstone (protocol: signing, tombstone before
give-back). Nothing here touches a key, so both are done in the batch that brings them.
"""

from collections.abc import Sequence
from datetime import datetime

from prizewire_signer.domain.commands import CloseRequest, SlotClosing
from prizewire_signer.domain.errors import MismatchedClosing
from prizewire_signer.domain.events import Answer, Closed, CloseRefused
from prizewire_signer.domain.states import PayoutState, SlotState
from prizewire_signer.ports import ClosingBook

__all__ = ["close_payouts", "close_slot"]


async def close_slot(*, book: ClosingBook, closing: SlotClosing, now: datetime) -> None:
    """Close a slot: success keeps that digest's payouts bound for ever and frees the others, all else frees all.

    Told again in the same words, nothing happens.

    Raises:
        MismatchedClosing: it is closed otherwise already, or a digest consumed it that was never recorded here,
            which would mean that somebody else signs with these keys. Nothing was changed.
    """
    known = await book.slot_state(closing.slot.slot_id)
    told = (closing.state, closing.consumed_by, closing.ledger)
    if known is not None and known[0] is not SlotState.OPEN:
        if known == told:
            return
        raise MismatchedClosing(f"slot {closing.slot.slot_id} is closed as {known[0]} already")
    digests = await book.slot_digests(closing.slot.slot_id) if known is not None else {}
    if closing.state is SlotState.EXPIRED:
        if closing.consumed_by is not None:
            raise MismatchedClosing("an expired slot was consumed by no transaction that is known")
    elif closing.consumed_by not in digests:
        raise MismatchedClosing(f"slot {closing.slot.slot_id} was consumed by a digest that is not recorded")
    succeeded = closing.state is SlotState.SUCCEEDED and closing.consumed_by is not None
    paid = digests[closing.consumed_by] if succeeded and closing.consumed_by is not None else frozenset()
    await book.close_slot(closing=closing, paid=paid, known=known is not None, now=now)


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
