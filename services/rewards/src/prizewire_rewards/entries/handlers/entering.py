"""Entry fees: taken when a player enters a round, and held until it ends.

An entry that the wallet did not cover is refused, and may be tried again, by event or by the player, as long as its
round is open. Entries of a round that has ended are refused for good.
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
    EntryCommand,
    EntryMoved,
    EntryRound,
    EntryState,
    OpenEntry,
    held_moves,
    split_fee,
)
from prizewire_rewards.entries.ports import EntryPorts
from prizewire_rewards.errors import InsufficientBalance, InvalidRequest, NotFound, Refused
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.ledger.domain.transitions import step
from prizewire_rewards.ledger.handlers.unit_of_work import UnitOfWork

INSUFFICIENT: Final = "insufficient_balance"
ROUND_ENDED: Final = "round_ended"

Reached = Mapping[EntryState, int]


@dataclass(frozen=True, slots=True)
class Entered:
    """What became of a batch: refusals by index, how many entries reached each state, and the rounds as they are now."""

    refusals: Mapping[int, Refused] = field(default_factory=dict)
    reached: Reached = field(default_factory=dict)
    rounds: Mapping[UUID, EntryRound] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RoundSnapshot:
    """What was known of rounds before a batch: those that ask a fee or did not, locked, and, of those that entries name
    though nothing was heard of them, which had been settled for good.
    """

    rounds: Mapping[UUID, EntryRound] = field(default_factory=dict)
    final: frozenset[UUID] = frozenset()


async def load_snapshot(
    commands: Sequence[EntryCommand], *, ending: Iterable[UUID], ports: EntryPorts
) -> RoundSnapshot:
    """Lock the rounds that commands are about or that are ``ending``, before anything else of the batch is locked or
    booked.
    """
    named = {
        command.round_id if isinstance(command, CloseEntry) else command.round.round_id
        for command in commands
    }
    concerned = named.union(ending)
    if not concerned:
        return RoundSnapshot()
    rounds = await ports.entries.lock_rounds(concerned)
    unknown = {
        command.round.round_id for command in commands if isinstance(command, EnterRound)
    } - rounds.keys()
    return RoundSnapshot(rounds, await ports.entries.final_rounds(unknown) if unknown else frozenset())


async def enter(
    commands: Sequence[EntryCommand], *, snapshot: RoundSnapshot, ports: EntryPorts, now: datetime
) -> Entered:
    """Keep what is known of open rounds, and charge those who entered.

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
    return Entered(refusals, counted(batch.changed.values()), batch.rounds)


async def enter_by_player(
    *, round_id: UUID, player: str, ports: EntryPorts, now: datetime
) -> tuple[Entry, Reached]:
    """Charge the same entry at a player's own wish. Who is in already stays in, and pays nothing more.

    Raises:
        NotFound: ``round_unknown``.
        InvalidRequest: ``entry_not_offered``: the round asks no fee, or players no longer enter it.
        InsufficientBalance: the wallet does not cover the fee; nothing is remembered of it.
    """
    known = await ports.entries.lock_rounds([round_id])
    round_ = known.get(round_id)
    if round_ is None:
        if round_id in await ports.entries.final_rounds([round_id]):
            raise InvalidRequest("entry_not_offered", "the round has ended")
        raise NotFound("round_unknown", f"there is no round {round_id}")
    if round_.asset is None or round_.fee is None:
        raise InvalidRequest("entry_not_offered", "the round asks for no entry fee")
    if not round_.open or round_.end is not None:
        raise InvalidRequest("entry_not_offered", "the round takes no more entries")
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
        held = batch.wallets.held(player, round_.asset)
        raise InsufficientBalance(asset=round_.asset, balance=held, amount=round_.fee, of="wallet's contents")
    await batch.save(ports=ports)
    return entry, counted(batch.changed.values())


def cause_of(entry: Entry) -> str:
    """The cause of what an entry's step moves."""
    return f"entry/{entry.id}/{entry.version}"


def counted(entries: Iterable[Entry]) -> Reached:
    """How many entries are in each state."""
    found: dict[EntryState, int] = {}
    for entry in entries:
        found[entry.state] = found.get(entry.state, 0) + 1
    return found


def _wallets_of(commands: Iterable[EnterRound]) -> set[Account]:
    return {
        Account(bucket, command.player, command.asset)
        for command in commands
        for bucket in (Kind.TOPUP, Kind.WINNINGS)
    }


class _Wallets:
    """What locked wallets hold, while entries are taken out of them one after the other."""

    def __init__(self, balances: Mapping[Account, int]) -> None:
        self._balances = dict(balances)

    def held(self, player: str, asset: str) -> int:
        """Both buckets together."""
        return sum(
            self._balances.get(Account(bucket, player, asset), 0) for bucket in (Kind.TOPUP, Kind.WINNINGS)
        )

    def take(self, player: str, asset: str, amount: int) -> tuple[int, int] | None:
        """What topup and winnings pay of ``amount``; None, and nothing is taken, when they do not cover it."""
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
        """Take in one fact.

        Raises:
            Refused: an entry that is not what its id says, or is not what it was before.
        """
        if isinstance(command, OpenEntry):
            self._open(command.round)
        elif isinstance(command, CloseEntry):
            round_ = self.rounds.get(command.round_id)
            if round_ is not None and round_.open:
                self._keep(replace(round_, open=False))
        else:
            self._enter(command)

    async def save(self, *, ports: EntryPorts) -> None:
        """Post, store and publish what was decided."""
        now = self._uow.now
        if self._changed_rounds:
            await ports.entries.save_rounds(
                [self.rounds[key] for key in sorted(self._changed_rounds)], now=now
            )
        await self._uow.post()
        if self.changed:
            await ports.entries.save(list(self.changed.values()), now=now)
        await self._uow.save()

    def _keep(self, round_: EntryRound) -> None:
        self.rounds[round_.round_id] = round_
        self._changed_rounds.add(round_.round_id)

    def _open(self, opened: EntryRound) -> None:
        known = self.rounds.get(opened.round_id)
        if known is None:
            self._keep(opened)
        elif known.asset is None and opened.asset is not None and known.end is None:
            self._keep(replace(opened, open=known.open))

    def _enter(self, command: EnterRound) -> None:
        round_id = command.round.round_id
        if command.amount <= 0:
            raise Refused("invalid_amount", "an entry has a fee above zero", park=False)
        if command.entry_id != ids.entry_id(round_id=round_id, player=command.player):
            raise Refused("event_mismatch", "the entry's id is not that of round and player", park=False)
        known = self.entries.get(command.entry_id)
        terms = (command.asset, command.amount)
        if known is not None and (known.asset, known.amount) != terms:
            raise Refused("event_mismatch", "the entry was asked for before, at another fee", park=False)
        if known is not None and known.state is not EntryState.REFUSED:
            return
        round_ = self.rounds.get(round_id)
        if command.late or round_id in self._final or (round_ is not None and round_.end is not None):
            self._change(command, known, state=EntryState.REFUSED, code=ROUND_ENDED)
            return
        if round_ is None or round_.asset is None:
            self._keep(replace(command.round, open=round_ is None or round_.open))
        split = self.wallets.take(command.player, command.asset, command.amount)
        if split is None:
            self._change(command, known, state=EntryState.REFUSED, code=INSUFFICIENT)
            return
        entry = self._change(command, known, state=EntryState.PAID, split=split)
        self._uow.book(held_moves(entry), cause=cause_of(entry), correlation_id=entry.correlation_id)

    def _change(
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
            self._uow.transition(
                "entry",
                entry.id,
                was=was,
                to=state,
                cause=command.cause,
                correlation_id=entry.correlation_id,
            )
        self.entries[entry.id] = self.changed[entry.id] = entry
        cause = None if command.cause.startswith("http/") else command.cause
        self._uow.emit(EntryMoved(entry=entry, cause=cause))
        return entry
