"""Requests of rewards: new payouts, cancels, renewed intents. Applied in batches, in their order."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prizewire_contracts.codes import PayoutCode, RefusalCode
from prizewire_payouts.methods.domain import Method, method_type_for_rail
from prizewire_payouts.methods.ports import Methods
from prizewire_payouts.payouts.domain.change import Change, close, hold_expired, request_cancel
from prizewire_payouts.payouts.domain.model import (
    REGISTRANT,
    Command,
    Party,
    Payout,
    Rejection,
    RenewIntent,
    RequestCancel,
    RequestPayout,
    allows,
)
from prizewire_payouts.payouts.domain.states import CLOSING, FINAL, CancelRefused, PayoutState
from prizewire_payouts.payouts.ports import Admission, Payouts
from prizewire_payouts.rails.handlers import choose
from prizewire_payouts.rails.ports import Rail

_RENEWABLE = frozenset({PayoutState.REQUESTED, PayoutState.HELD, PayoutState.APPROVED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What requests are checked against: the network that intents must name, and the configured rails."""

    network: str
    rails: Sequence[Rail]


async def apply_commands(
    payouts: Payouts,
    methods: Methods,
    admission: Admission,
    commands: Sequence[Command],
    *,
    rules: Rules,
    now: datetime,
) -> dict[int, Rejection]:
    """Apply commands in their order; returns the rejected ones by their index. Several may concern one payout."""
    changes = await payouts.lock({command.payout_id for command in commands})
    requests = [command for command in commands if isinstance(command, RequestPayout)]
    found = await methods.find({one.method_id for one in requests if one.method_id is not None})
    await admission.prepare([one.terms.amount for one in requests if one.payout_id not in changes], now=now)
    rejections: dict[int, Rejection] = {}
    for index, command in enumerate(commands):
        change = changes.get(command.payout_id)
        if change is None and isinstance(command, RequestPayout):
            payout = _new_payout(command, found, rules=rules, now=now)
            if isinstance(payout, Rejection):
                rejections[index] = payout
                continue
            change = changes[command.payout_id] = payouts.add(payout)
            admission.decide(change=change, cause=command.cause, now=now)
            route(change=change, rails=rules.rails, cause=command.cause, now=now)
            continue
        rejection = _apply(command, change, rules=rules, now=now)
        if rejection is not None:
            rejections[index] = rejection
    await admission.save()
    await payouts.save()
    return rejections


def _apply(command: Command, change: Change | None, *, rules: Rules, now: datetime) -> Rejection | None:
    """Apply a command to the payout that it names."""
    if change is None:
        detail = f"there is no payout {command.payout_id}"
        return Rejection(code=RefusalCode.ILLEGAL_TRANSITION, detail=detail, park=True)
    if isinstance(command, RequestPayout):
        return _repeated(command, change.payout)
    if isinstance(command, RequestCancel):
        # a payout that ended before the request arrived has its own event
        with suppress(CancelRefused):
            request_cancel(
                change=change,
                by=command.by,
                code=command.code,
                reason=command.reason,
                cause=command.cause,
                now=now,
            )
        return None
    return _renew(command, change, rules=rules)


def _repeated(command: RequestPayout, payout: Payout) -> Rejection | None:
    if command.terms.same_terms(payout.intent):
        return None
    detail = "a payout with this id was requested before on other terms"
    return Rejection(code=RefusalCode.EVENT_MISMATCH, detail=detail, park=True)


def _new_payout(
    command: RequestPayout, methods: Mapping[UUID, Method], *, rules: Rules, now: datetime
) -> Payout | Rejection:
    terms = command.terms
    if (wrong := _terms_wrong(command, rules)) is not None:
        return Rejection(code=RefusalCode.INTENT_INVALID, detail=wrong)
    destination = _destination(command, methods)
    if isinstance(destination, str):
        return Rejection(code=RefusalCode.INTENT_INVALID, detail=destination)
    return Payout(
        payout_id=command.payout_id,
        correlation_id=command.correlation_id,
        causation_id=command.cause,
        player=command.player,
        campaign=terms.campaign,
        amount=terms.amount,
        method_id=command.method_id,
        method_version=command.method_version,
        method_type=destination.method_type,
        rail_type=destination.rail_type,
        address=destination.address,
        memo=destination.memo,
        filed_by=command.filed_by,
        reward_ids=command.reward_ids,
        intent=terms.json,
        intent_signature=terms.signature,
        intent_expires_at=terms.expires_at,
        needs_closure=terms.needs_closure,
        sources=(*destination.registrant, *command.parties),
        one_person=command.one_person,
        requested_at=now,
        changed_at=now,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Destination:
    """Where a payout is paid, by its intent and by its method."""

    method_type: str
    rail_type: str
    address: str | None
    memo: str | None
    registrant: tuple[Party, ...] = ()


def _destination(command: RequestPayout, methods: Mapping[UUID, Method]) -> _Destination | str:
    """The destination, or what is wrong with it."""
    if command.method_id is None:
        first = command.terms.allowed[0]
        method_type = method_type_for_rail(rail_type=first.rail)
        if method_type is None or first.destination is None:
            return "a payout without a method does not name an on-chain address"
        return _Destination(
            method_type=method_type, rail_type=first.rail, address=first.destination, memo=first.memo
        )
    method = methods.get(command.method_id)
    if method is None or method.player != command.player:
        return "the player has no such method"
    if command.method_version is None or command.method_version > method.version:
        return "the method has no such version yet"
    if not allows(allowed=command.terms.allowed, method=method):
        return "the intent does not allow the method"
    return _Destination(
        method_type=method.type,
        rail_type=method.rail_type,
        address=method.address,
        memo=method.memo,
        registrant=((REGISTRANT, method.registered_by),) if method.by_staff else (),
    )


def _terms_wrong(command: RequestPayout | RenewIntent, rules: Rules) -> str | None:
    """How the intent differs from the event around it, or why no such intent is accepted."""
    terms = command.terms
    if terms.network != rules.network:
        return "the intent is for another network"
    if terms.payout_id != str(command.payout_id):
        return "the intent is for another payout"
    if not terms.allowed:
        return "the intent allows no destination"
    if terms.amount.minor <= 0 or not terms.amount.asset.redeemable:
        return "the intent's amount cannot be paid out"
    if terms.debit.asset != terms.amount.asset:
        return "the intent debits another asset than it pays"
    if terms.debit < terms.amount or (terms.player is None and terms.debit != terms.amount):
        return "the intent pays more than it debits, or less although no player bears a fee"
    if isinstance(command, RequestPayout):
        if terms.correlation_id != command.correlation_id:
            return "the intent has another correlation id"
        if terms.player != command.player:
            return "the intent is for another player"
        if (command.method_id is None) != (command.player is None):
            return "a player's payout names a payout method, and an operator's payout names none"
    return None


def _renew(command: RenewIntent, change: Change, *, rules: Rules) -> Rejection | None:
    payout = change.payout
    if (wrong := _terms_wrong(command, rules)) is not None:
        return Rejection(code=RefusalCode.INTENT_INVALID, detail=wrong)
    if not command.terms.same_terms(payout.intent):
        return Rejection(code=RefusalCode.INTENT_INVALID, detail="a renewal may change nothing but its times")
    ending = payout.state in CLOSING or payout.ends_as is not None
    if ending or payout.state in FINAL or payout.state is PayoutState.PAID:
        return None
    if payout.state not in _RENEWABLE:
        detail = f"the payout is {payout.state}: an intent is renewed only where no attempt is open"
        return Rejection(code=RefusalCode.ILLEGAL_TRANSITION, detail=detail, park=True)
    if command.terms.expires_at <= payout.intent_expires_at:
        return None
    change.set(
        intent=command.terms.json,
        intent_signature=command.terms.signature,
        intent_expires_at=command.terms.expires_at,
        expiry_told=False,
    )
    return None


_BATCH = 200


def route(*, change: Change, rails: Sequence[Rail], cause: str, now: datetime) -> None:
    """Give an approved payout its rail, or fail it where no rail can carry it."""
    if change.payout.state is not PayoutState.APPROVED:
        return
    chosen = choose(payout=change.payout, rails=rails)
    if isinstance(chosen, PayoutCode):
        close(change=change, to=PayoutState.CLOSING_FAILED, code=chosen, cause=cause, actor="router", now=now)
    else:
        change.set(rail=chosen)


async def route_again(payouts: Payouts, *, rails: Sequence[Rail], now: datetime) -> bool:
    """Route approved payouts whose rail is no longer configured; True if there may be more."""
    changes = await payouts.lock_unrouted(rails=[rail.name for rail in rails], limit=_BATCH)
    for change in changes:
        route(change=change, rails=rails, cause="reroute", now=now)
    await payouts.save()
    return len(changes) == _BATCH


async def hold_all_expired(payouts: Payouts, *, now: datetime) -> bool:
    """Hold payouts whose intent has expired before anything was sent, and request renewals from rewards; True if there
    may be more.
    """
    changes = await payouts.lock_expired(now=now, limit=_BATCH)
    for change in changes:
        hold_expired(change=change, cause="expiry", now=now)
    await payouts.save()
    return len(changes) == _BATCH
