"""What rewards asks: pay this, stop that, here is a renewed intent. Applied batch-wise, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prizewire_contracts.codes import RefusalCode
from prizewire_payouts.approval.domain import ApprovalPolicy, DayAllowance, day_of
from prizewire_payouts.errors import CancelRefused
from prizewire_payouts.methods.domain import allows, method_type_for_rail
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.commands import (
    AskCancel,
    Command,
    Rejection,
    RenewIntent,
    RequestPayout,
)
from prizewire_payouts.payouts.domain.model import Method, Payout
from prizewire_payouts.payouts.domain.parties import REGISTRANT, Party
from prizewire_payouts.payouts.domain.states import CLOSING, FINAL, PayoutState
from prizewire_payouts.payouts.domain.steps import ask_cancel, first_decision
from prizewire_payouts.payouts.ports import Rail, Store
from prizewire_payouts.rails.handlers import route

_RENEWABLE = frozenset({PayoutState.REQUESTED, PayoutState.HELD, PayoutState.APPROVED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What requests are judged by: the network that intents must name, the approval policy, the rails."""

    network: str
    policy: ApprovalPolicy
    rails: Sequence[Rail]


async def take_commands(
    store: Store, commands: Sequence[Command], *, rules: Rules, now: datetime
) -> dict[int, Rejection]:
    """Apply what can be applied; answers the others by their index. Several may concern one payout."""
    ids = {command.payout_id for command in commands}
    changes = {key: Change(payout) for key, payout in (await store.lock_payouts(ids)).items()}
    methods = await store.methods(
        {c.method_id for c in commands if isinstance(c, RequestPayout) and c.method_id is not None}
    )
    allowance = await _allowance(store, commands, changes, policy=rules.policy, now=now)
    rejections: dict[int, Rejection] = {}
    for index, command in enumerate(commands):
        rejection = _take(command, changes, methods, rules=rules, allowance=allowance, now=now)
        if rejection is not None:
            rejections[index] = rejection
    await store.add_automatic_use(day=day_of(now), taken=allowance.taken)
    await store.save([change for change in changes.values() if change.touched])
    return rejections


async def _allowance(
    store: Store,
    commands: Sequence[Command],
    changes: Mapping[UUID, Change],
    *,
    policy: ApprovalPolicy,
    now: datetime,
) -> DayAllowance:
    """What is left of the day for the assets of which one of these commands might be approved without a person."""
    amounts = [
        command.terms.amount
        for command in commands
        if isinstance(command, RequestPayout) and command.payout_id not in changes
    ]
    assets = {amount.asset.code: amount.asset for amount in amounts if policy.decide(amount=amount) is None}
    used = await store.lock_automatic_use(day=day_of(now), assets=assets.values())
    return DayAllowance(most=policy.automatic_in_day, used=used)


def _take(
    command: Command,
    changes: dict[UUID, Change],
    methods: Mapping[UUID, Method],
    *,
    rules: Rules,
    allowance: DayAllowance,
    now: datetime,
) -> Rejection | None:
    change = changes.get(command.payout_id)
    if isinstance(command, RequestPayout):
        if change is not None:
            return _repeated(command, change.payout)
        found = _new_payout(command, methods, rules=rules, now=now)
        if isinstance(found, Rejection):
            return found
        change = changes[command.payout_id] = Change(found, is_new=True, touched=True)
        first_decision(change=change, policy=rules.policy, allowance=allowance, cause=command.cause, now=now)
        route(change=change, rails=rules.rails, cause=command.cause, now=now)
        return None
    if change is None:
        detail = f"there is no payout {command.payout_id}"
        return Rejection(code=RefusalCode.ILLEGAL_TRANSITION, detail=detail, park=True)
    if isinstance(command, AskCancel):
        try:
            ask_cancel(
                change=change,
                by=command.by,
                code=command.code,
                reason=command.reason,
                cause=command.cause,
                now=now,
            )
        except CancelRefused:
            # it ended while the wish was on its way: that is an answer, not a fault
            return None
        return None
    return _renew(command, change, rules=rules)


def _repeated(command: RequestPayout, payout: Payout) -> Rejection | None:
    if command.terms.same_terms(payout.intent):
        return None
    detail = "this payout id was requested before, on other terms"
    return Rejection(code=RefusalCode.EVENT_MISMATCH, detail=detail, park=True)


def _new_payout(
    command: RequestPayout, methods: Mapping[UUID, Method], *, rules: Rules, now: datetime
) -> Payout | Rejection:
    terms = command.terms
    if (wrong := _terms_wrong(command, rules)) is not None:
        return Rejection(code=RefusalCode.INTENT_INVALID, detail=wrong)
    way = _way(command, methods)
    if isinstance(way, str):
        return Rejection(code=RefusalCode.INTENT_INVALID, detail=way)
    return Payout(
        payout_id=command.payout_id,
        correlation_id=command.correlation_id,
        causation_id=command.cause,
        player=command.player,
        campaign=terms.campaign,
        amount=terms.amount,
        method_id=command.method_id,
        method_version=command.method_version,
        method_type=way.method_type,
        rail_type=way.rail_type,
        address=way.address,
        memo=way.memo,
        filed_by=command.filed_by,
        reward_ids=command.reward_ids,
        intent=terms.json,
        intent_signature=terms.signature,
        intent_expires_at=terms.expires_at,
        needs_closure=terms.needs_closure,
        sources=(*way.registrant, *command.parties),
        one_person=command.one_person,
        requested_at=now,
        changed_at=now,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How a payout is to go, as both its intent and its method say."""

    method_type: str
    rail_type: str
    address: str | None
    memo: str | None
    registrant: tuple[Party, ...] = ()


def _way(command: RequestPayout, methods: Mapping[UUID, Method]) -> _Way | str:
    """The way to pay, or what is wrong with it."""
    if command.method_id is None:
        first = command.terms.allowed[0]
        method_type = method_type_for_rail(rail_type=first.rail)
        if method_type is None or first.destination is None:
            return "a payout without a method names an on-chain address"
        return _Way(method_type=method_type, rail_type=first.rail, address=first.destination, memo=first.memo)
    method = methods.get(command.method_id)
    if method is None or method.player != command.player:
        return "the player has no such method"
    if command.method_version is None or command.method_version > method.version:
        return "the method never had this version"
    if not allows(allowed=command.terms.allowed, method=method):
        return "the intent does not allow the method"
    return _Way(
        method_type=method.type,
        rail_type=method.rail_type,
        address=method.address,
        memo=method.memo,
        registrant=((REGISTRANT, method.registered_by),) if method.by_staff else (),
    )


def _terms_wrong(command: RequestPayout | RenewIntent, rules: Rules) -> str | None:
    """Where the intent does not say what the event around it says, or what no intent may say."""
    terms = command.terms
    if terms.network != rules.network:
        return "the intent is for another network"
    if terms.payout_id != str(command.payout_id):
        return "the intent is for another payout"
    if not terms.allowed:
        return "the intent allows no way to pay"
    if terms.amount.minor <= 0 or not terms.amount.asset.redeemable:
        return "the intent's amount cannot be paid out"
    if terms.debit.asset != terms.amount.asset:
        return "the intent debits another asset than it pays"
    if terms.debit < terms.amount or (terms.player is None and terms.debit != terms.amount):
        return "the intent pays more than it debits, or less where nobody bears a fee"
    if isinstance(command, RequestPayout):
        if terms.correlation_id != command.correlation_id:
            return "the intent has another correlation id"
        if terms.player != command.player:
            return "the intent is for another player"
        if (command.method_id is None) != (command.player is None):
            return "a player's payout goes to a method of theirs, an operator's to none"
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
