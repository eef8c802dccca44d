"""Rules of entries: open rounds, enter them for a fee by event or over HTTP, and close them to players."""

from uuid import UUID, uuid4

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from prizewire_contracts import ids
from prizewire_rewards.entries.domain import CloseEntry, EnterRound, EntryCommand, EntryRound, OpenEntry
from prizewire_rewards.entries.handlers.entering import EntryResult, enter, enter_by_player, load_snapshot
from prizewire_rewards.storage import Ports
from services.rewards.tests.machine.base import ASSET, Walk
from services.rewards.tests.machine.fees import EntryRoundModel
from services.rewards.tests.machine.holdings import PEOPLE
from services.rewards.tests.rig import make_tools

people = st.sampled_from(PEOPLE)
late = st.sampled_from([False, False, False, True])


def entry_of(walk: Walk, key: tuple[UUID, str]) -> UUID:
    """The id of a person's entry into a round."""
    return ids.entry_id(round_id=key[0], player=walk.name(key[1]))


class EntryRules(Walk):
    """Events of settlement and requests of players about entries. The rules of rounds end them."""

    @rule(fee=st.integers(1, 40), entering=st.lists(people, max_size=4))
    def open_round(self, fee: int, entering: list[str]) -> None:
        """Open a round, with entries in the same batch."""
        round_id = uuid4()
        self.entry_fees.entry_rounds[round_id] = EntryRoundModel(fee, fee_known=True)
        opened = OpenEntry(round=self._round(round_id))
        self._take([opened, *self._entering(round_id, entering)])
        for person in entering:
            self.entry_fees.enter((round_id, person))

    @precondition(lambda self: self.entry_fees.entry_rounds)
    @rule(data=st.data(), late=late, entering=st.lists(people, min_size=1, max_size=3), closes=st.booleans())
    def enter(self, data: st.DataObject, late: bool, entering: list[str], closes: bool) -> None:
        """Enter people by event: once or twice, in time or late. Afterwards players may no longer enter over HTTP."""
        round_id = self._some_round(data, late=late)
        entry_round = self.entry_fees.entry_rounds[round_id]
        commands: list[EntryCommand] = [*self._entering(round_id, entering)]
        if closes:
            commands.append(CloseEntry(round_id=round_id))
        self._take(commands)
        for person in entering:
            self.entry_fees.enter((round_id, person))
        if closes and entry_round.fee_known:
            entry_round.open = False

    @precondition(lambda self: self.entry_fees.entry_rounds)
    @rule(data=st.data(), late=late)
    def enter_over_http(self, data: st.DataObject, late: bool) -> None:
        """Enter a player over HTTP: only where rewards knows the fee and the round is open, and only once."""
        now = self.tick()
        round_id = self._some_round(data, late=late)
        entry_round = self.entry_fees.entry_rounds[round_id]
        able = [person for person in PEOPLE if self.entry_fees.covers(person, entry_round.fee)]
        person = data.draw(st.sampled_from([*able, *able, *PEOPLE]))
        key = (round_id, person)
        known = self.entry_fees.entries.get(key)
        inside = known is not None and known.state == "paid"
        expected = None
        if entry_round.ended is None and not entry_round.fee_known:
            expected = "round_unknown"
        elif entry_round.ended is not None or not entry_round.open:
            expected = "entry_not_offered"
        elif not inside and not self.entry_fees.covers(person, entry_round.fee):
            expected = "insufficient_balance"

        async def call(ports: Ports) -> object:
            player = self.name(person)
            return await enter_by_player(
                round_id=round_id, player=player, ports=ports, tools=make_tools(), now=now
            )

        _, code = self.attempt(call)
        assert code == expected
        if code is None:
            self.entry_fees.enter(key)

    def _some_round(self, data: st.DataObject, *, late: bool) -> UUID:
        """A round that has not ended, if there is one. With ``late`` any round."""
        entry_rounds = self.entry_fees.entry_rounds
        running = [key for key, entry_round in entry_rounds.items() if late or entry_round.ended is None]
        return data.draw(st.sampled_from(running or list(entry_rounds)))

    def _take(self, commands: list[EntryCommand]) -> None:
        now = self.tick()

        async def take(ports: Ports) -> EntryResult:
            snapshot = await load_snapshot(commands, ending=[], ports=ports)
            return await enter(commands, snapshot=snapshot, ports=ports, now=now)

        assert self.run(take).refusals == {}

    def _round(self, round_id: UUID) -> EntryRound:
        return EntryRound(
            round_id=round_id, match_id="m", match_source="/g", competition="c", correlation_id="entries",
            asset=ASSET, fee=self.entry_fees.entry_rounds[round_id].fee,
        )  # fmt: skip

    def _entering(self, round_id: UUID, entering: list[str]) -> list[EnterRound]:
        return [
            EnterRound(
                entry_id=entry_of(self, (round_id, person)), round=self._round(round_id),
                player=self.name(person), asset=ASSET, amount=self.entry_fees.entry_rounds[round_id].fee, cause="e",
            )
            for person in entering
        ]  # fmt: skip
