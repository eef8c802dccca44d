"""Entry fees: taken when a player enters a round, and held in escrow until the round ends.

An entry that the wallet does not cover is refused. It can be repeated, by event or by HTTP, while its round is open.
Entries after the end of the round are refused for good.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from prizewire_contracts import ids
from prizewire_rewards.entries.domain import (
    ENTRY_EDGES,
    CloseEntry,
    EnterRound,
    Entry,
    EntryChanged,
    EntryCommand,
    EntryRound,
    EntryState,
    OpenEntry,
    held_moves,
    split_fee,
)
from prizewire_rewards.entries.ports import EntryPorts
from prizewire_rewards.errors import InsufficientBalance, InvalidRequest, NotFound, Refused
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.ledger.domain.records import Transition, step
from prizewire_rewards.ledger.handlers import Booking, UnitOfWork
from prizewire_rewards.ledger.ports import Tools

INSUFFICIENT: Final = "insufficient_balance"
ROUND_ENDED: Final = "round_ended"

EntryCounts = Mapping[EntryState, int]
"""Numbers of entries by the state that they changed to."""


@dataclass(frozen=True, slots=True)
class EntryResult:
    """The result of a batch: refusals by index, the number of changed entries by state, and the rounds afterwards."""

    refusals: Mapping[int, Refused] = field(default_factory=dict)
    counts: EntryCounts = field(default_factory=dict)
    rounds: Mapping[UUID, EntryRound] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RoundSnapshot:
    """The rounds of a batch before it, locked. ``final`` are rounds that entries name, that have no row here, and whose
    settlement is final.
    """

    rounds: Mapping[UUID, EntryRound] = field(default_factory=dict)
    final: frozenset[UUID] = frozenset()


async def load_snapshot(
    commands: Sequence[EntryCommand], *, ending: Iterable[UUID], ports: EntryPorts
) -> RoundSnapshot:
    """Lock the rounds of the commands and the ``ending`` rounds. Call it before any other lock or booking of the batch."""
    named = {
        command.round_id if isinstance(command, CloseEntry) else command.round.round_id
        for command in commands
    }
    round_ids = named.union(ending)
    if not round_ids:
        return RoundSnapshot()
    rounds = await ports.entries.lock_rounds(round_ids)
    unknown = {
        command.round.round_id for command in commands if isinstance(command, EnterRound)
    } - rounds.keys()
    return RoundSnapshot(rounds, await ports.entries.final_rounds(unknown) if unknown else frozenset())


async def enter(
    commands: Sequence[EntryCommand], *, snapshot: RoundSnapshot, ports: EntryPorts, now: datetime
) -> EntryResult:
    """Store opened and closed rounds, and charge the players who entered.

    The number of statements does not grow with the batch.
    """
    entering = [command for command in commands if isinstance(command, EnterRound)]
    entries = await ports.entries.lock({command.entry_id for command in entering}) if entering else {}
    balances = await ports.ledger.lock_balances(_wallets_of(entering)) if entering else {}
    batch = _Batch(
        rounds=snapshot.rounds,
        final=snapshot.final,
        entries=entries,
        wallets=_Wallets(balances),
        uow=UnitOfWork(ports, now=now),
    )
    refusals: dict[int, Refused] = {}
    for index, command in enumerate(commands):
        try:
            batch.apply(command)
        except Refused as refused:
            refusals[index] = refused
    await batch.save(ports=ports)
    return EntryResult(refusals, counts_of(batch.changed.values()), batch.rounds)


async def enter_by_player(
    *, round_id: UUID, player: str, ports: EntryPorts, tools: Tools, now: datetime
) -> tuple[Entry, EntryCounts]:
    """Charge an entry that the player requests by HTTP. A player who has entered already pays nothing more.

    Raises:
        NotFound: ``round_unknown``.
        InvalidRequest: ``entry_not_offered``: the round has no fee, or players may no longer enter it.
        InsufficientBalance: the wallet does not cover the fee. Nothing is stored.
    """
    known = await ports.entries.lock_rounds([round_id])
    round_ = known.get(round_id)
    if round_ is None:
        if round_id in await ports.entries.final_rounds([round_id]):
            raise InvalidRequest("entry_not_offered", f"the round {round_id} has ended")
        raise NotFound("round_unknown", f"there is no round {round_id}")
    if round_.asset is None or round_.fee is None:
        raise InvalidRequest("entry_not_offered", f"the round {round_id} has no entry fee")
    if not round_.open or round_.end is not None:
        raise InvalidRequest("entry_not_offered", f"the round {round_id} takes no more entries")
    command = EnterRound(
        entry_id=ids.entry_id(round_id=round_id, player=player),
        round=round_,
        player=player,
        asset=round_.asset,
        amount=round_.fee,
        cause=f"http/{player}",
    )
    batch = _Batch(
        rounds=known,
        final=frozenset(),
        entries=await ports.entries.lock([command.entry_id]),
        wallets=_Wallets(await ports.ledger.lock_balances(_wallets_of([command]))),
        uow=UnitOfWork(ports, now=now),
    )
    try:
        batch.apply(command)
    except Refused as refused:
        raise InvalidRequest("entry_not_offered", refused.detail) from None
    entry = batch.entries[command.entry_id]
    if entry.state is not EntryState.PAID:
        balance = batch.wallets.balance(player, round_.asset)
        raise InsufficientBalance(
            asset=tools.assets[round_.asset], balance=balance, amount=round_.fee, of="top-ups and winnings"
        )
    await batch.save(ports=ports)
    return entry, counts_of(batch.changed.values())


def cause_of(entry: Entry) -> str:
    """The cause of the transfers of an entry's last change."""
    return f"entry/{entry.id}/{entry.version}"


def counts_of(entries: Iterable[Entry]) -> EntryCounts:
    """The number of entries by state."""
    counts: dict[EntryState, int] = {}
    for entry in entries:
        counts[entry.state] = counts.get(entry.state, 0) + 1
    return counts


def _wallets_of(commands: Iterable[EnterRound]) -> set[Account]:
    return {
        Account(bucket, command.player, command.asset)
        for command in commands
        for bucket in (Kind.TOPUP, Kind.WINNINGS)
    }


class _Wallets:
    """The balances of locked wallets, while entry fees are taken from them one after the other."""

    def __init__(self, balances: Mapping[Account, int]) -> None:
        self._balances = dict(balances)

    def balance(self, player: str, asset: str) -> int:
        """The balance of both buckets."""
        return sum(
            self._balances.get(Account(bucket, player, asset), 0) for bucket in (Kind.TOPUP, Kind.WINNINGS)
        )

    def take(self, player: str, asset: str, amount: int) -> tuple[int, int] | None:
        """Take ``amount``. Returns the parts of top-ups and winnings; None where they do not cover it, and nothing is taken."""
        topup, winnings = (Account(bucket, player, asset) for bucket in (Kind.TOPUP, Kind.WINNINGS))
        split = split_fee(
            amount=amount, topup=self._balances.get(topup, 0), winnings=self._balances.get(winnings, 0)
        )
        if split is not None:
            self._balances[topup] = self._balances.get(topup, 0) - split[0]
            self._balances[winnings] = self._balances.get(winnings, 0) - split[1]
        return split


class _Batch:
    """Decides one command after the other over locked rounds, entries and wallets."""

    def __init__(
        self,
        *,
        rounds: Mapping[UUID, EntryRound],
        final: frozenset[UUID],
        entries: Mapping[UUID, Entry],
        wallets: _Wallets,
        uow: UnitOfWork,
    ) -> None:
        self.entries = dict(entries)
        self.wallets = wallets
        self.rounds = dict(rounds)
        self.changed: dict[UUID, Entry] = {}
        self._final = final
        self._uow = uow
        self._changed_rounds: set[UUID] = set()

    def apply(self, command: EntryCommand) -> None:
        """Apply one command.

        Raises:
            Refused: the entry does not fit its id, or its fee differs from the stored one.
        """
        if isinstance(command, OpenEntry):
            self._open(command.round)
        elif isinstance(command, CloseEntry):
            round_ = self.rounds.get(command.round_id)
            if round_ is not None and round_.open:
                self._put_round(replace(round_, open=False))
        else:
            self._enter(command)

    async def save(self, *, ports: EntryPorts) -> None:
        """Post, store and emit the decisions."""
        now = self._uow.now
        if self._changed_rounds:
            await ports.entries.save_rounds(
                [self.rounds[key] for key in sorted(self._changed_rounds)], now=now
            )
        await self._uow.post()
        if self.changed:
            await ports.entries.save(list(self.changed.values()), now=now)
        await self._uow.save()

    def _put_round(self, round_: EntryRound) -> None:
        self.rounds[round_.round_id] = round_
        self._changed_rounds.add(round_.round_id)

    def _open(self, opened: EntryRound) -> None:
        known = self.rounds.get(opened.round_id)
        if known is None:
            self._put_round(opened)
        elif known.asset is None and opened.asset is not None and known.end is None:
            self._put_round(replace(opened, open=known.open))

    def _enter(self, command: EnterRound) -> None:
        round_id = command.round.round_id
        if command.amount <= 0:
            raise Refused(
                "invalid_amount",
                f"the fee of an entry is {command.amount}: it must be above zero",
                park=False,
            )
        if command.entry_id != ids.entry_id(round_id=round_id, player=command.player):
            raise Refused(
                "event_mismatch",
                f"the entry id {command.entry_id} does not fit round {round_id} and player {command.player}",
                park=False,
            )
        known = self.entries.get(command.entry_id)
        terms = (command.asset, command.amount)
        if known is not None and (known.asset, known.amount) != terms:
            raise Refused(
                "event_mismatch", f"entry {command.entry_id} has another fee than its first event", park=False
            )
        if known is not None and known.state is not EntryState.REFUSED:
            return
        round_ = self.rounds.get(round_id)
        if command.late or round_id in self._final or (round_ is not None and round_.end is not None):
            self._put_entry(command, known, state=EntryState.REFUSED, code=ROUND_ENDED)
            return
        if round_ is None or round_.asset is None:
            self._put_round(replace(command.round, open=round_ is None or round_.open))
        split = self.wallets.take(command.player, command.asset, command.amount)
        if split is None:
            self._put_entry(command, known, state=EntryState.REFUSED, code=INSUFFICIENT)
            return
        entry = self._put_entry(command, known, state=EntryState.PAID, split=split)
        self._uow.bookings.append(
            Booking(held_moves(entry), cause=cause_of(entry), correlation_id=entry.correlation_id)
        )

    def _put_entry(
        self,
        command: EnterRound,
        known: Entry | None,
        *,
        state: EntryState,
        code: str | None = None,
        split: tuple[int, int] = (0, 0),
    ) -> Entry:
        entry = Entry(
            id=command.entry_id,
            round_id=command.round.round_id,
            match_id=command.round.match_id,
            match_source=command.round.match_source,
            player=command.player,
            asset=command.asset,
            amount=command.amount,
            state=state,
            correlation_id=command.round.correlation_id,
            entered_at=self._uow.now if known is None else known.entered_at,
            from_topup=split[0],
            from_winnings=split[1],
            code=code,
            version=1 if known is None else known.version + 1,
        )
        if known is None or known.state is not state:
            was = "" if known is None else known.state
            if known is not None:
                step(edges=ENTRY_EDGES, was=known.state, to=state)
            self._uow.transitions.append(
                Transition(
                    "entry",
                    entry.id,
                    was=was,
                    to=state,
                    cause=command.cause,
                    correlation_id=entry.correlation_id,
                )
            )
        self.entries[entry.id] = self.changed[entry.id] = entry
        cause = None if command.cause.startswith("http/") else command.cause
        self._uow.events.append(EntryChanged(entry=entry, cause=cause))
        return entry
