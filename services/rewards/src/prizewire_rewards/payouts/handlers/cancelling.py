"""Requests of players to cancel their payouts, and of operators to cancel payouts out of funding accounts."""

from dataclasses import replace
from datetime import datetime

from prizewire_rewards.errors import InvalidRequest, NotFound
from prizewire_rewards.ledger.domain.records import Transition, step
from prizewire_rewards.ledger.handlers import UnitOfWork
from prizewire_rewards.payouts.domain.commands import CancelPayout
from prizewire_rewards.payouts.domain.model import (
    PAYOUT_EDGES,
    PAYOUT_FINAL,
    Payout,
    PayoutCancelRequested,
    PayoutState,
)
from prizewire_rewards.payouts.ports import PayoutPorts


async def cancel_payout(command: CancelPayout, *, ports: PayoutPorts, now: datetime) -> Payout:
    """Request the cancellation of a payout; payouts decides. A second request has no effect, also where rewards made the
    first one: the reason of the first request stays.

    Raises:
        NotFound: ``payout_unknown``; also for the payout of another player, or of any player where an operator's is wanted.
        InvalidRequest: ``payout_final``: the payout has ended.
    """
    payout = (await ports.payouts.lock([command.payout_id])).get(command.payout_id)
    if payout is None or payout.player != command.player:
        raise NotFound("payout_unknown", f"there is no payout {command.payout_id}")
    if payout.state in PAYOUT_FINAL:
        raise InvalidRequest("payout_final", f"payout {payout.id} is {payout.state} and cannot be cancelled")
    if payout.state is PayoutState.CANCEL_REQUESTED:
        return payout
    requested = replace(
        payout,
        state=step(edges=PAYOUT_EDGES, was=payout.state, to=PayoutState.CANCEL_REQUESTED),
        version=payout.version + 1,
    )
    uow = UnitOfWork(ports, now=now)
    await ports.payouts.save([requested], now=now)
    uow.transitions.append(
        Transition(
            "payout",
            payout.id,
            was=payout.state,
            to=requested.state,
            cause=f"cancel/{command.by}",
            correlation_id=payout.correlation_id,
        )
    )
    uow.events.append(
        PayoutCancelRequested(
            payout=requested,
            by=command.by,
            code="cancelled_by_operator" if command.player is None else "cancelled_by_player",
            reason=command.reason,
        )
    )
    await uow.save()
    return requested
