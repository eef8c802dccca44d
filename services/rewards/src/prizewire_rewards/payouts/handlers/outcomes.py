"""What the payouts service says of payouts and payout methods."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from prizewire_contracts.rails import SIGNER_RAILS
from prizewire_rewards.errors import IllegalTransition, Refused
from prizewire_rewards.ledger.domain.accounts import Move
from prizewire_rewards.ledger.domain.moves import credits_of
from prizewire_rewards.ledger.domain.transitions import Transition, step
from prizewire_rewards.ledger.handlers.journal import Journal
from prizewire_rewards.payouts.domain.commands import (
    ClosePayout,
    MarkPaid,
    MarkReturned,
    RecordMethod,
    RenewIntent,
)
from prizewire_rewards.payouts.domain.events import IntentRenewed
from prizewire_rewards.payouts.domain.model import PAYOUT_EDGES, Method, Payout, PayoutState
from prizewire_rewards.payouts.domain.moves import given_back_move, paid_moves, returned_move
from prizewire_rewards.payouts.handlers.crediting import Credited, follow_up
from prizewire_rewards.payouts.handlers.intents import renew_intent
from prizewire_rewards.payouts.ports import PayoutPorts, PayoutTools

PayoutEvent = MarkPaid | ClosePayout | MarkReturned | RenewIntent | RecordMethod


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a batch: refusals by index, and how many payouts reached each state."""

    refusals: dict[int, Refused]
    reached: dict[PayoutState, int]


async def apply_payout_events(
    commands: Sequence[PayoutEvent], *, ports: PayoutPorts, tools: PayoutTools, now: datetime
) -> Ended:
    """Book payouts' final events, each held to what was requested, and keep the projection of methods."""
    payouts = await ports.payouts.lock(
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
        await ports.methods.record(list(methods.values()), now=now)
    if clerk.journal.transfers:
        await ports.ledger.post(clerk.journal.transfers, now=now)
        await follow_up(clerk.credited, ports=ports, tools=tools, now=now)
        await ports.history.add(clerk.transitions, now=now)
    if clerk.changed:
        await ports.payouts.save([clerk.payouts[key] for key in sorted(clerk.changed)], now=now)
    if clerk.renewed:
        await ports.messages.publish(clerk.renewed)
    reached: dict[PayoutState, int] = {}
    for transition in clerk.transitions:
        state = PayoutState(transition.to)
        reached[state] = reached.get(state, 0) + 1
    return Ended(refusals, reached)


class _Clerk:
    """Decides one payout event after the other over locked payouts."""

    def __init__(self, payouts: dict[UUID, Payout], *, tools: PayoutTools, now: datetime) -> None:
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
