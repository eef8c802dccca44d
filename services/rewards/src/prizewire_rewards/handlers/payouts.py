"""Payout requests by players, and what payouts tells of them and of payout methods."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from prizewire_contracts.rails import SIGNER_RAILS
from prizewire_rewards.domain.booking import (
    credits_of,
    given_back_move,
    paid_moves,
    requested_move,
    returned_move,
)
from prizewire_rewards.domain.commands import (
    CancelPayout,
    ClosePayout,
    MarkPaid,
    MarkReturned,
    RecordMethod,
    RenewIntent,
    RequestPayout,
)
from prizewire_rewards.domain.errors import (
    IllegalTransition,
    InsufficientBalance,
    InvalidRequest,
    NotFound,
    Refused,
)
from prizewire_rewards.domain.events import IntentRenewed, PayoutAsked, PayoutCancelAsked
from prizewire_rewards.domain.ledger import Account, Kind, Move
from prizewire_rewards.domain.model import Method, Payout, Transition
from prizewire_rewards.domain.states import PAYOUT_EDGES, PAYOUT_FINAL, PayoutState, step
from prizewire_rewards.domain.withdrawals import day_of
from prizewire_rewards.handlers.crediting import (
    NO_PAYOUT_METHOD,
    Credited,
    follow_up,
    make_payout,
    renew_intent,
)
from prizewire_rewards.handlers.journal import Journal
from prizewire_rewards.ports import Tools, Work

AUTO_WITHDRAWAL = "rewards:auto_withdraw"
"""Who files a payout that a player's automatic withdrawal asks for."""

PayoutEvent = MarkPaid | ClosePayout | MarkReturned | RenewIntent | RecordMethod


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a batch: refusals by index, and how many payouts reached each state."""

    refusals: dict[int, Refused]
    reached: dict[PayoutState, int]


async def request_payout(command: RequestPayout, *, work: Work, tools: Tools, now: datetime) -> Payout:
    """Move winnings into a payout request and ask payouts for it. The request starts a correlation id of its own.
    Nothing is written before everything was found in order.

    Raises:
        InvalidRequest: ``asset_unknown``, ``asset_not_redeemable``, ``quote_required`` (another asset is to arrive),
            ``method_unknown``, ``no_payout_method``, or what the rule of the asset forbids: ``amount_not_positive``,
            ``amount_below_minimum``, ``amount_above_maximum``, ``daily_limit_exceeded``.
        InsufficientBalance: the winnings do not cover it.
    """
    asset = tools.assets.get(command.asset)
    if asset is None:
        raise InvalidRequest("asset_unknown", f"there is no asset {command.asset}")
    if not asset.redeemable:
        raise InvalidRequest("asset_not_redeemable", f"{asset.code} can never be paid out")
    if command.pay_asset is not None and command.pay_asset != asset.code:
        raise InvalidRequest("quote_required", "another asset is paid out only at a quoted rate")
    rule = tools.payout_rules.of_player(asset.code)
    rule.check(asset, amount=command.amount, asked_today=0)
    method = await _method_of(command, work=work)
    balance = await work.ledger.lock_balance(Account(Kind.WINNINGS, command.player, asset.code))
    if balance < command.amount:
        raise InsufficientBalance(asset=asset.code, balance=balance, amount=command.amount)
    if rule.daily_limit is not None:
        # The lock of the wallet keeps others of this player's requests from being counted past each other.
        asked = await work.payouts.asked_since(player=command.player, asset=asset.code, since=day_of(now))
        rule.check(asset, amount=command.amount, asked_today=asked)
    wallet = Account(Kind.WINNINGS, command.player, asset.code)
    behind = await work.parties.of_wallet(wallet)
    if balance == command.amount and behind.parties:
        # The payout takes them along, and brings them back if it ends without effect.
        await work.parties.forget(wallet)
    payout = make_payout(
        payout_id=command.id,
        method=method,
        asset=asset.code,
        amount=command.amount,
        correlation_id=str(command.id),
        filed_by=command.filed_by or command.player,
        campaign=None,
        round_id=None,
        fee=rule.fee(amount=command.amount),
        behind=behind,
        tools=tools,
        now=now,
    )
    await ask_for(payout, work=work, now=now)
    return payout


async def ask_for(payout: Payout, *, work: Work, now: datetime) -> None:
    """Move a new payout's money into its hands, store it, and ask payouts for it."""
    journal = Journal()
    cause = f"payout/{payout.id}"
    journal.add([requested_move(payout)], cause=cause, correlation_id=payout.correlation_id)
    await work.ledger.post(journal.transfers, now=now)
    await work.payouts.add([payout], now=now)
    asked_by = "http" if payout.filed_by != AUTO_WITHDRAWAL else "auto"
    born = Transition("payout", payout.id, "", payout.state, f"{asked_by}/{payout.id}", payout.correlation_id)
    await work.history.add([born], now=now)
    await work.messages.publish([PayoutAsked(payout=payout)])


async def _method_of(command: RequestPayout, *, work: Work) -> Method:
    if command.method_id is None:
        found = await work.methods.defaults([command.player])
        if command.player not in found:
            raise InvalidRequest(NO_PAYOUT_METHOD, "no default payout method is registered")
        return found[command.player]
    method = await work.methods.get(command.method_id)
    if method is None or method.player != command.player or not method.active:
        raise InvalidRequest("method_unknown", f"there is no payout method {command.method_id}")
    return method


async def cancel_payout(command: CancelPayout, *, work: Work, now: datetime) -> Payout:
    """Ask payouts to cancel; only payouts decides. Asking twice has no further effect, and neither has asking for a payout
    that rewards asked to cancel already: who asked first stands as the reason.

    Raises:
        NotFound: ``payout_unknown``; also for another player's.
        InvalidRequest: ``payout_final``: there is nothing left to cancel.
    """
    payout = (await work.payouts.lock([command.payout_id])).get(command.payout_id)
    if payout is None or payout.player != command.player:
        raise NotFound("payout_unknown", f"there is no payout {command.payout_id}")
    if payout.state in PAYOUT_FINAL:
        raise InvalidRequest("payout_final", f"the payout is {payout.state}")
    if payout.state is PayoutState.CANCEL_REQUESTED:
        return payout
    asked = replace(
        payout,
        state=step(edges=PAYOUT_EDGES, was=payout.state, to=PayoutState.CANCEL_REQUESTED),
        version=payout.version + 1,
    )
    await work.payouts.save([asked], now=now)
    moved = Transition(
        "payout", payout.id, payout.state, asked.state, f"cancel/{command.player}", payout.correlation_id
    )
    await work.history.add([moved], now=now)
    await work.messages.publish(
        [
            PayoutCancelAsked(
                payout=asked,
                by=command.player,
                code="cancelled_by_player",
                reason=command.reason,
            )
        ]
    )
    return asked


async def apply_payout_events(
    commands: Sequence[PayoutEvent], *, work: Work, tools: Tools, now: datetime
) -> Ended:
    """Book payouts' final events, each held to what was requested, and keep the projection of methods."""
    payouts = await work.payouts.lock(
        {command.payout_id for command in commands if not isinstance(command, RecordMethod)}
    )
    clerk = _Clerk(payouts, tools=tools, now=now)
    methods: dict[UUID, Method] = {}
    refusals: dict[int, Refused] = {}
    for index, command in enumerate(commands):
        if isinstance(command, RecordMethod):
            known = methods.get(command.method.id)
            if known is None or known.version < command.method.version:
                methods[command.method.id] = command.method
            continue
        try:
            clerk.apply(command)
        except Refused as refused:
            refusals[index] = refused
        except IllegalTransition as illegal:
            refusals[index] = Refused("event_mismatch", illegal.detail)
    if methods:
        await work.methods.record(list(methods.values()), now=now)
    if clerk.journal.transfers:
        await work.ledger.post(clerk.journal.transfers, now=now)
        await follow_up(clerk.credited, work=work, tools=tools, now=now)
        await work.history.add(clerk.transitions, now=now)
    if clerk.changed:
        await work.payouts.save([clerk.payouts[key] for key in sorted(clerk.changed)], now=now)
    if clerk.renewed:
        await work.messages.publish(clerk.renewed)
    reached: dict[PayoutState, int] = {}
    for transition in clerk.transitions:
        state = PayoutState(transition.to)
        reached[state] = reached.get(state, 0) + 1
    return Ended(refusals, reached)


class _Clerk:
    """Decides one payout event after the other over locked payouts."""

    def __init__(self, payouts: dict[UUID, Payout], *, tools: Tools, now: datetime) -> None:
        self.payouts = payouts
        self.changed: set[UUID] = set()
        self.journal = Journal()
        self.credited: list[Credited] = []
        self.transitions: list[Transition] = []
        self.renewed: list[IntentRenewed] = []
        self._tools = tools
        self._now = now

    def apply(self, command: MarkPaid | ClosePayout | MarkReturned | RenewIntent) -> None:
        """Book one event.

        Raises:
            Refused: it does not fit what was requested, or its closure proves nothing.
            IllegalTransition: the payout is not in a state that this can follow.
        """
        payout = self.payouts.get(command.payout_id)
        if payout is None:
            raise Refused("event_mismatch", f"payout {command.payout_id} was never requested")
        if isinstance(command, MarkPaid):
            self._paid(payout, command)
        elif isinstance(command, ClosePayout):
            self._closed(payout, command)
        elif isinstance(command, RenewIntent):
            self._renew(payout, command)
        else:
            self._returned(payout, command)

    def _paid(self, payout: Payout, command: MarkPaid) -> None:
        if _is_known(payout, command):
            return
        state = step(edges=PAYOUT_EDGES, was=payout.state, to=PayoutState.PAID)
        if (command.asset, command.amount) != (payout.asset, payout.pay_amount):
            raise Refused("event_mismatch", "asset or amount is not that of the intent")
        if command.rail_type not in payout.rail_types:
            raise Refused("event_mismatch", f"the intent does not allow the rail {command.rail_type}")
        if command.player != payout.player:
            raise Refused("event_mismatch", "the player is not that of the intent")
        if command.fee and command.fee_asset not in self._tools.assets:
            raise Refused("asset_unknown", f"there is no asset {command.fee_asset} to book the rail's fee in")
        if command.fee:
            asset = self._tools.assets[command.fee_asset]
            most = self._tools.payout_rules.rail_fee_max(asset, paid_in=payout.asset, paid=payout.pay_amount)
            if command.fee > most:
                detail = f"{asset.tell(command.fee)} is more than {asset.tell(most)}, the most that a rail may charge"
                raise Refused("fee_too_large", detail)
        moves = paid_moves(payout, rail=command.rail, fee=command.fee, fee_asset=command.fee_asset)
        paid = replace(payout, state=state, rail=command.rail, outcome=command.outcome)
        self._book(payout, paid, moves, cause=command.cause)

    def _closed(self, payout: Payout, command: ClosePayout) -> None:
        if payout.state is command.to:
            return  # told again
        state = step(edges=PAYOUT_EDGES, was=payout.state, to=command.to)
        if SIGNER_RAILS.intersection(payout.rail_types) and (
            command.closure is None or not self._tools.closures.verifies(command.closure, payout_id=payout.id)
        ):
            raise Refused(
                "closure_invalid", "the signer's closure is missing or does not vouch for this payout"
            )
        outcome = {"code": command.code, "reason": command.reason}
        closed = replace(payout, state=state, outcome=outcome)
        self._book(payout, closed, [given_back_move(payout)], cause=command.cause)

    def _renew(self, payout: Payout, command: RenewIntent) -> None:
        """Expiry alone moves no money: what waits for a person may go on waiting. A cancel needs no intent."""
        if payout.state is not PayoutState.REQUESTED:
            return
        renewed = renew_intent(payout, tools=self._tools, now=self._now)
        self.payouts[payout.id] = renewed
        self.changed.add(payout.id)
        self.renewed.append(IntentRenewed(payout=renewed, cause=command.cause))

    def _returned(self, payout: Payout, command: MarkReturned) -> None:
        told = (command.asset, command.amount, command.return_ref)
        if payout.state is PayoutState.RETURNED and told == (
            payout.asset,
            payout.returned,
            (payout.outcome or {}).get("return_ref"),
        ):
            return  # told again
        state = step(edges=PAYOUT_EDGES, was=payout.state, to=PayoutState.RETURNED)
        if command.asset != payout.asset or not 0 < command.amount <= payout.pay_amount:
            raise Refused("event_mismatch", "what came back is not at most what was paid")
        outcome = {**(payout.outcome or {}), "return_ref": command.return_ref}
        returned = replace(payout, state=state, returned=command.amount, outcome=outcome)
        self._book(payout, returned, [returned_move(payout, amount=command.amount)], cause=command.cause)

    def _book(self, was: Payout, payout: Payout, moves: list[Move], *, cause: str) -> None:
        self.payouts[payout.id] = payout
        self.changed.add(payout.id)
        source = f"payout/{payout.id}"
        self.journal.add(moves, cause=source, correlation_id=payout.correlation_id)
        self.credited.extend(
            Credited(credit, f"{source}/{payout.state}", payout.correlation_id, behind=payout.behind)
            for credit in credits_of(moves)
        )
        self.transitions.append(
            Transition("payout", payout.id, was.state, payout.state, cause, payout.correlation_id)
        )


def _is_known(payout: Payout, paid: MarkPaid) -> bool:
    """Whether a payment is told again that is booked already, in the same words."""
    booked = (payout.asset, payout.pay_amount, payout.rail, payout.player)
    told = (paid.asset, paid.amount, paid.rail, paid.player)
    outcome = {key: value for key, value in (payout.outcome or {}).items() if key != "return_ref"}
    return payout.state in _PAID and (told, paid.outcome) == (booked, outcome)


_PAID = frozenset({PayoutState.PAID, PayoutState.RETURNED})
