"""Handlers of events of the payouts service about payouts and payout methods."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from prizewire_contracts.rails import SIGNER_RAILS
from prizewire_rewards.errors import IllegalTransition, Refused
from prizewire_rewards.ledger.domain.accounts import Move
from prizewire_rewards.ledger.domain.records import Transition, step
from prizewire_rewards.ledger.handlers import Booking, UnitOfWork
from prizewire_rewards.payouts.domain.commands import (
    ClosePayout,
    MarkPaid,
    MarkReturned,
    RecordMethod,
    RenewIntent,
    RetryPayout,
)
from prizewire_rewards.payouts.domain.model import PAYOUT_EDGES, IntentRenewed, Method, Payout, PayoutState
from prizewire_rewards.payouts.domain.rules import given_back_moves, paid_moves, returned_moves
from prizewire_rewards.payouts.handlers.requests import intent_of
from prizewire_rewards.payouts.handlers.retries import check_retryable, retry_payouts
from prizewire_rewards.payouts.ports import PayoutPorts, PayoutTools

PayoutEvent = MarkPaid | ClosePayout | MarkReturned | RenewIntent | RetryPayout | RecordMethod


@dataclass(frozen=True, slots=True)
class PayoutResults:
    """The result of a batch: refusals by index, the number of payouts by new state, and the outcomes of retries."""

    refusals: dict[int, Refused]
    reached: dict[PayoutState, int]
    retries: list[str]


async def apply_payout_events(
    commands: Sequence[PayoutEvent], *, ports: PayoutPorts, tools: PayoutTools, now: datetime
) -> PayoutResults:
    """Book payouts' final events, each checked against the request, and update the projection of methods."""
    payouts = await ports.payouts.lock(
        {command.payout_id for command in commands if not isinstance(command, RecordMethod)}
    )
    uow = UnitOfWork(ports, now=now)
    done = PayoutResults({}, {}, [])
    methods: dict[UUID, Method] = {}
    changed: dict[UUID, Payout] = {}
    retries: list[RetryPayout] = []
    for index, command in enumerate(commands):
        if isinstance(command, RecordMethod):
            known = methods.get(command.method.id)
            if known is None or known.version < command.method.version:
                methods[command.method.id] = command.method
            continue
        try:
            if isinstance(command, RetryPayout):
                check_retryable(payouts.get(command.payout_id), command)
                retries.append(command)
                continue
            outcome = _decide(payouts.get(command.payout_id), command, tools=tools, now=now)
        except Refused as refused:
            done.refusals[index] = refused
        except IllegalTransition as illegal:
            done.refusals[index] = Refused("event_mismatch", illegal.detail)
        else:
            if outcome is not None:
                payouts[command.payout_id] = changed[command.payout_id] = outcome.payout
                _add(outcome, uow=uow, cause=command.cause, reached=done.reached)
    if methods:
        await ports.methods.record(list(methods.values()), now=now)
    if changed:
        await ports.payouts.save([changed[key] for key in sorted(changed)], now=now)
    await uow.save()
    # the money of an end in the same batch is back in its wallet now
    asked = [(command, payouts[command.payout_id]) for command in retries]
    done.retries.extend(await retry_payouts(asked, ports=ports, tools=tools, now=now))
    return done


class _Outcome(NamedTuple):
    """The effect of one event on a payout: the payout before and after the event, and the moves."""

    was: Payout
    payout: Payout
    moves: list[Move]


def _add(outcome: _Outcome, *, uow: UnitOfWork, cause: str, reached: dict[PayoutState, int]) -> None:
    was, payout, moves = outcome
    if was.state is payout.state:
        uow.events.append(IntentRenewed(payout=payout, cause=cause))
        return
    uow.bookings.append(
        Booking(
            moves,
            cause=f"payout/{payout.id}",
            correlation_id=payout.correlation_id,
            credited_by=payout.credited_by,
        )
    )
    uow.transitions.append(
        Transition(
            "payout",
            payout.id,
            was=was.state,
            to=payout.state,
            cause=cause,
            correlation_id=payout.correlation_id,
        )
    )
    reached[payout.state] = reached.get(payout.state, 0) + 1


def _decide(
    payout: Payout | None,
    command: MarkPaid | ClosePayout | MarkReturned | RenewIntent,
    *,
    tools: PayoutTools,
    now: datetime,
) -> _Outcome | None:
    """Decide the effect of an event on a payout; None where the event changes nothing.

    Raises:
        Refused: the event does not match the request, or gives money back on a rail that the signer serves without an
            authentic closure.
        IllegalTransition: the payout is in a state that does not allow the event.
    """
    if payout is None:
        raise Refused("event_mismatch", f"payout {command.payout_id} was never requested")
    if isinstance(command, MarkPaid):
        return _paid(payout, command, tools=tools)
    if isinstance(command, ClosePayout):
        return _closed(payout, command, tools=tools)
    if isinstance(command, MarkReturned):
        return _returned(payout, command)
    # Expiry alone moves no money: the payout continues to wait for a person. A cancellation needs no intent.
    if payout.state is not PayoutState.REQUESTED:
        return None
    return _Outcome(payout, _renew_intent(payout, tools=tools, now=now), [])


def _renew_intent(payout: Payout, *, tools: PayoutTools, now: datetime) -> Payout:
    """Create the next version of a payout, with an intent on the same terms that is valid from now on.

    Raises:
        Refused: ``intent_invalid``: rewards never signed the stored intent, or its terms are not those of the payout.
    """
    problem = tools.intents.problem_of(payout)
    if problem is not None:
        raise Refused("intent_invalid", f"the stored intent of payout {payout.id} is not renewed: {problem}")
    issued_at = int(now.timestamp())
    intent = replace(
        intent_of(payout),
        issued_at=issued_at,
        expires_at=issued_at + int(tools.intent_lifetime.total_seconds()),
        key_id=tools.signer.key_id,
    )
    return replace(
        payout,
        intent=asdict(intent),
        intent_signature=tools.signer.sign(intent),
        version=payout.version + 1,
    )


def _paid(payout: Payout, command: MarkPaid, *, tools: PayoutTools) -> _Outcome | None:
    if _is_known(payout, command):
        return None
    state = step(edges=PAYOUT_EDGES, was=payout.state, to=PayoutState.PAID)
    if (command.asset, command.amount) != (payout.paid_asset, payout.pay_amount):
        paid, intended = f"{command.amount} {command.asset}", f"{payout.pay_amount} {payout.paid_asset}"
        raise Refused("event_mismatch", f"paid were {paid}, but the intent is for {intended} (minor units)")
    if command.rail_type not in payout.rail_types:
        raise Refused("event_mismatch", f"the intent does not allow the rail {command.rail_type}")
    if command.player != payout.player:
        raise Refused("event_mismatch", f"{command.player} was paid, but the intent is for {payout.player}")
    if command.fee and command.fee_asset not in tools.assets:
        raise Refused("asset_unknown", f"there is no asset {command.fee_asset} to book the rail's fee in")
    if command.fee:
        asset = tools.assets[command.fee_asset]
        most = tools.payout_rules.rail_fee_max(asset, paid_in=payout.paid_asset, paid=payout.pay_amount)
        if command.fee > most:
            detail = f"{asset.describe(command.fee)} is more than {asset.describe(most)}, the most that a rail may charge"
            raise Refused("fee_too_large", detail)
    moves = paid_moves(payout, rail=command.rail, fee=command.fee, fee_asset=command.fee_asset)
    return _Outcome(payout, replace(payout, state=state, rail=command.rail, outcome=command.outcome), moves)


def _closed(payout: Payout, command: ClosePayout, *, tools: PayoutTools) -> _Outcome | None:
    if payout.state is command.to:
        return None
    state = step(edges=PAYOUT_EDGES, was=payout.state, to=command.to)
    if _needs_closure(payout) and (
        command.closure is None or not tools.closures.verifies(command.closure, payout_id=payout.id)
    ):
        raise Refused(
            "closure_invalid", f"the signer's closure for payout {payout.id} is missing or not authentic"
        )
    outcome = {"code": command.code, "reason": command.reason}
    return _Outcome(payout, replace(payout, state=state, outcome=outcome), given_back_moves(payout))


def _returned(payout: Payout, command: MarkReturned) -> _Outcome | None:
    repeated = (payout.paid_asset, payout.returned, (payout.outcome or {}).get("return_ref"))
    if payout.state is PayoutState.RETURNED and repeated == (
        command.asset,
        command.amount,
        command.return_ref,
    ):
        return None
    if _needs_closure(payout):
        raise Refused(
            "closure_invalid",
            f"the signer serves the rail of payout {payout.id}: a payment on it is final, and the return has no closure",
        )
    state = step(edges=PAYOUT_EDGES, was=payout.state, to=PayoutState.RETURNED)
    if command.asset != payout.paid_asset or not 0 < command.amount <= payout.pay_amount:
        amounts = f"{command.amount} {command.asset} of {payout.pay_amount} {payout.paid_asset} (minor units)"
        raise Refused("event_mismatch", f"the return exceeds the payment, or has another asset: {amounts}")
    outcome = {**(payout.outcome or {}), "return_ref": command.return_ref}
    returned = replace(payout, state=state, returned=command.amount, outcome=outcome)
    return _Outcome(payout, returned, returned_moves(payout, amount=command.amount))


def _needs_closure(payout: Payout) -> bool:
    """Whether the payout may be paid on a rail that the signer serves: only the signer's closure gives its money back."""
    return not SIGNER_RAILS.isdisjoint(payout.rail_types)


def _is_known(payout: Payout, paid: MarkPaid) -> bool:
    """Whether the same payment with the same fields was booked before."""
    booked = (payout.paid_asset, payout.pay_amount, payout.rail, payout.player)
    reported = (paid.asset, paid.amount, paid.rail, paid.player)
    outcome = {key: value for key, value in (payout.outcome or {}).items() if key != "return_ref"}
    return payout.state in _PAID and (reported, paid.outcome) == (booked, outcome)


_PAID = frozenset({PayoutState.PAID, PayoutState.RETURNED})
