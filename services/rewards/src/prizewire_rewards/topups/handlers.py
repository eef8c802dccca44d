"""Top-ups, by events of payouts: credited once, reversed at most up to the credit, restored when a dispute is won."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from prizewire_rewards.errors import InvalidRequest, Refused
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.ledger.domain.records import check_intake
from prizewire_rewards.ledger.handlers import Booking, Debt, UnitOfWork, open_receivables, undo_receivable
from prizewire_rewards.payouts.ports import PayoutTools
from prizewire_rewards.topups.domain import (
    TOPUP_INTAKE_MAX,
    CreditTopup,
    Reversal,
    ReversalKind,
    ReverseTopup,
    Topup,
    TopupChanged,
    TopupCommand,
    WinDispute,
    credited_move,
    reversed_move,
)
from prizewire_rewards.topups.ports import TopupPorts


@dataclass(frozen=True, slots=True)
class TopupResult:
    """The result of a batch: refusals by index, and the number of bookings of each kind."""

    refusals: dict[int, Refused] = field(default_factory=dict)
    booked: dict[str, int] = field(default_factory=dict)


async def lock_intakes(commands: Sequence[TopupCommand], *, ports: TopupPorts) -> dict[str, int]:
    """Lock the intake of each asset that the commands bring money into. Returns the intakes (minor units) by asset.

    As with fundings and imports, intakes are locked before wallets.
    """
    assets = {command.asset for command in commands if not isinstance(command, ReverseTopup)}
    return {asset: await ports.ledger.lock_intake(asset) for asset in sorted(assets)}


async def apply_topup_events(
    commands: Sequence[TopupCommand],
    *,
    intake: Mapping[str, int],
    ports: TopupPorts,
    tools: PayoutTools,
    now: datetime,
) -> TopupResult:
    """Book top-ups, refunds and disputes, each once. Each must fit the session that it names. ``intake`` is the result of
    ``lock_intakes`` in this transaction.

    Credits of a batch take a fixed number of statements; refunds and disputes are booked one by one.
    """
    keys = {(command.rail, command.reference) for command in commands if not isinstance(command, CreditTopup)}
    topups = await ports.topups.lock({command.topup_id for command in commands})
    if keys:
        # Both buckets are locked, so that every later credit sees a debt that is opened here.
        wallets = {
            Account(bucket, command.player, command.asset)
            for command in commands
            for bucket in (Kind.TOPUP, Kind.WINNINGS)
        }
        await ports.ledger.lock_balances(wallets)
    reversals = await ports.topups.reversals(keys) if keys else {}
    batch = _Batch(topups, reversals, intake=intake, ports=ports, tools=tools, now=now)
    refusals: dict[int, Refused] = {}
    for index, command in enumerate(commands):
        try:
            await batch.apply(command)
        except Refused as refused:
            refusals[index] = refused
    await batch.save()
    return TopupResult(refusals, batch.booked)


class _Batch:
    """Decides one event after the other over locked top-ups. An event is refused before it moves anything."""

    def __init__(
        self,
        topups: dict[UUID, Topup],
        reversals: dict[tuple[str, str], Reversal],
        *,
        intake: Mapping[str, int],
        ports: TopupPorts,
        tools: PayoutTools,
        now: datetime,
    ) -> None:
        self.booked: dict[str, int] = {}
        self._topups = topups
        self._reversals = reversals
        self._intakes = dict(intake)
        self._ports = ports
        self._tools = tools
        self._now = now
        self._uow = UnitOfWork(ports, now=now)
        self._changed: set[UUID] = set()
        self._new_reversals: list[Reversal] = []

    async def apply(self, command: TopupCommand) -> None:
        """Book one event.

        Raises:
            Refused: ``event_mismatch``: the event does not fit the known session, refund or dispute;
                ``amount_too_large``: the intake would pass its limit.
        """
        if command.amount <= 0:
            raise Refused(
                "event_mismatch",
                f"the amount of top-up {command.topup_id} is {command.amount}: it must be above zero",
            )
        if isinstance(command, CreditTopup):
            self._credit(command)
            return
        topup = self._topups.get(command.topup_id)
        if topup is None:
            raise Refused("event_mismatch", f"top-up {command.topup_id} was never credited")
        if (command.player, command.asset, command.rail) != (topup.player, topup.asset, topup.rail):
            raise Refused("event_mismatch", f"player, asset or rail differ from those of top-up {topup.id}")
        await self._flush()
        if isinstance(command, ReverseTopup):
            await self._reverse(topup, command)
        else:
            await self._restore(topup, command)

    async def save(self) -> None:
        """Store the decisions, and add their events."""
        await self._flush()
        await self._uow.save()

    async def _flush(self) -> None:
        await self._uow.recover_debts()
        if self._changed:
            await self._ports.topups.save([self._topups[key] for key in sorted(self._changed)], now=self._now)
            self._changed.clear()
        if self._new_reversals:
            await self._ports.topups.save_reversals(self._new_reversals, now=self._now)
            self._new_reversals = []

    def _credit(self, command: CreditTopup) -> None:
        known = self._topups.get(command.topup_id)
        if known is not None:
            terms = (command.player, command.asset, command.amount)
            if terms != (known.player, known.asset, known.credited):
                raise Refused(
                    "event_mismatch", f"top-up {known.id} was credited before, with another amount or player"
                )
            return
        if not self._tools.assets[command.asset].redeemable:
            raise Refused("event_mismatch", f"{command.asset} is not redeemable, so it cannot be paid in")
        self._check_intake(command.asset, amount=command.amount)
        topup = Topup(
            id=command.topup_id,
            player=command.player,
            asset=command.asset,
            credited=command.amount,
            rail=command.rail,
            reference=command.reference,
            correlation_id=command.correlation_id,
        )
        self._keep(topup)
        self._pay_in(topup, amount=topup.credited, cause=f"topup/{topup.id}")
        self._emit(
            topup,
            amount=topup.credited,
            owed=0,
            reference=topup.reference,
            reversed_=False,
            cause=command.cause,
        )
        self._count("credited")

    async def _reverse(self, topup: Topup, command: ReverseTopup) -> None:
        key = (command.rail, command.reference)
        known = self._reversals.get(key)
        if known is not None:
            terms = (command.topup_id, command.kind, command.amount)
            if terms != (known.topup_id, known.kind, known.asked):
                raise Refused(
                    "event_mismatch",
                    f"{known.kind} {known.reference} was booked before, with another top-up, kind or amount",
                )
            return
        amount = min(command.amount, topup.reversible)
        wallet = Account(Kind.TOPUP, topup.player, topup.asset)
        taken = min(amount, await self._ports.ledger.lock_balance(wallet))
        owed = amount - taken
        cause = f"topup/{topup.id}/{command.rail}/{command.reference}"
        receivable_id = None
        if taken:
            self._uow.bookings.append(
                Booking(
                    [reversed_move(topup, amount=taken)], cause=cause, correlation_id=topup.correlation_id
                )
            )
        if owed:
            debt = Debt(
                player=topup.player,
                asset=topup.asset,
                amount=owed,
                campaign=None,
                cause=cause,
                reference=command.reference,
                correlation_id=topup.correlation_id,
            )
            [receivable] = await open_receivables([debt], uow=self._uow, ports=self._ports)
            receivable_id = receivable.id
        self._book(
            Reversal(
                topup_id=topup.id,
                rail=command.rail,
                reference=command.reference,
                kind=command.kind,
                asked=command.amount,
                taken=taken,
                owed=owed,
                receivable_id=receivable_id,
            )
        )
        self._count(command.kind)
        if not amount:
            return  # all of the top-up was reversed before: the reversal is stored, and nothing moves
        moved = replace(topup, reversed=topup.reversed + amount, version=topup.version + 1)
        self._keep(moved)
        self._emit(
            moved, amount=amount, owed=owed, reference=command.reference, reversed_=True, cause=command.cause
        )
        await self._flush()

    async def _restore(self, topup: Topup, command: WinDispute) -> None:
        known = self._reversals.get((command.rail, command.reference))
        if known is None or known.topup_id != topup.id or known.kind is not ReversalKind.DISPUTE:
            raise Refused("event_mismatch", f"there is no dispute {command.reference} of this top-up")
        if known.won:
            return
        restored = min(command.amount, known.booked)
        self._check_intake(topup.asset, amount=restored)
        cause = f"topup/{topup.id}/{command.rail}/{command.reference}/won"
        lifted = 0
        if known.receivable_id is not None:
            lifted = await undo_receivable(
                known.receivable_id, amount=restored, uow=self._uow, ports=self._ports
            )
        if restored > lifted:
            self._pay_in(topup, amount=restored - lifted, cause=cause)
        self._book(replace(known, restored=restored, lifted=lifted, won=True))
        self._count("dispute_won")
        if not restored:
            return
        moved = replace(topup, reversed=topup.reversed - restored, version=topup.version + 1)
        self._keep(moved)
        self._emit(
            moved, amount=restored, owed=0, reference=command.reference, reversed_=False, cause=command.cause
        )
        await self._flush()

    def _check_intake(self, asset: str, *, amount: int) -> None:
        try:
            check_intake(
                self._tools.assets[asset], intake=self._intakes[asset], amount=amount, most=TOPUP_INTAKE_MAX
            )
        except InvalidRequest as error:
            raise Refused(error.code, error.detail) from None

    def _pay_in(self, topup: Topup, *, amount: int, cause: str) -> None:
        """Credit a wallet. Debts of top-ups are recovered from it when it is posted."""
        self._intakes[topup.asset] += amount
        moves = [credited_move(topup, amount=amount)]
        self._uow.bookings.append(Booking(moves, cause=cause, correlation_id=topup.correlation_id))

    def _keep(self, topup: Topup) -> None:
        self._topups[topup.id] = topup
        self._changed.add(topup.id)

    def _book(self, reversal: Reversal) -> None:
        self._reversals[reversal.rail, reversal.reference] = reversal
        self._new_reversals.append(reversal)

    def _count(self, kind: str) -> None:
        self.booked[kind] = self.booked.get(kind, 0) + 1

    def _emit(
        self, topup: Topup, *, amount: int, owed: int, reference: str, reversed_: bool, cause: str
    ) -> None:
        self._uow.events.append(
            TopupChanged(
                topup=topup, amount=amount, owed=owed, reference=reference, reversed=reversed_, cause=cause
            )
        )
