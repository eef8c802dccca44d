"""Rounds open, people enter them for a fee, by event or by themselves, and the doors close."""

from uuid import UUID, uuid4

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from prizewire_contracts import ids
from prizewire_rewards.entries.domain import CloseEntry, EnterRound, EntryCommand, EntryRound, OpenEntry
from prizewire_rewards.entries.handlers.entering import Entered, enter, enter_by_player, load_snapshot
from prizewire_rewards.storage import Ports
from services.rewards.tests.machine.base import ASSET, Walk
from services.rewards.tests.machine.fees import Gate
from services.rewards.tests.machine.purses import PEOPLE

people = st.sampled_from(PEOPLE)
late = st.sampled_from([False, False, False, True])


def entry_of(walk: Walk, key: tuple[UUID, str]) -> UUID:
    """The id of somebody's entry into a round."""
    return ids.entry_id(round_id=key[0], player=walk.name(key[1]))


class EntryRules(Walk):
    """What settlement and players say of entries. How rounds end is told with their prizes."""

    @rule(fee=st.integers(1, 40), entering=st.lists(people, max_size=4))
    def open_round(self, fee: int, entering: list[str]) -> None:
        """A round opens, and some enter in the same batch."""
        round_id = uuid4()
        self.fees.gates[round_id] = Gate(fee, heard=True)
        opened = OpenEntry(round=self._round(round_id))
        self._take([opened, *self._entering(round_id, entering)])
        for person in entering:
            self.fees.enter((round_id, person))

    @precondition(lambda self: self.fees.gates)
    @rule(data=st.data(), late=late, entering=st.lists(people, min_size=1, max_size=3), shuts=st.booleans())
    def enter(self, data: st.DataObject, late: bool, entering: list[str], shuts: bool) -> None:
        """People enter a round, once or again, in time or not; players may not enter it by themselves afterwards."""
        round_id = self._some_round(data, late=late)
        gate = self.fees.gates[round_id]
        commands: list[EntryCommand] = [*self._entering(round_id, entering)]
        if shuts:
            commands.append(CloseEntry(round_id=round_id))
        self._take(commands)
        for person in entering:
            self.fees.enter((round_id, person))
        if shuts and gate.heard:
            gate.open = False

    @precondition(lambda self: self.fees.gates)
    @rule(data=st.data(), late=late)
    def enter_alone(self, data: st.DataObject, late: bool) -> None:
        """A player enters by themselves: only where rewards knows the fee and the doors are open, and never twice."""
        now = self.tick()
        round_id = self._some_round(data, late=late)
        gate = self.fees.gates[round_id]
        able = [person for person in PEOPLE if self.fees.covers(person, gate.fee)]
        person = data.draw(st.sampled_from([*able, *able, *PEOPLE]))
        key = (round_id, person)
        known = self.fees.entries.get(key)
        inside = known is not None and known.state == "paid"
        expected = None
        if gate.over is None and not gate.heard:
            expected = "round_unknown"
        elif gate.over is not None or not gate.open:
            expected = "entry_not_offered"
        elif not inside and not self.fees.covers(person, gate.fee):
            expected = "insufficient_balance"

        async def want(ports: Ports) -> object:
            player = self.name(person)
            return await enter_by_player(round_id=round_id, player=player, ports=ports, now=now)

        _, code = self.ask(want)
        assert code == expected
        if code is None:
            self.fees.enter(key)

    def _some_round(self, data: st.DataObject, *, late: bool) -> UUID:
        """A round that is not over, if there is one; or any, where somebody may come ``late``."""
        gates = self.fees.gates
        running = [key for key, gate in gates.items() if late or gate.over is None]
        return data.draw(st.sampled_from(running or list(gates)))

    def _take(self, commands: list[EntryCommand]) -> None:
        now = self.tick()

        async def take(ports: Ports) -> Entered:
            snapshot = await load_snapshot(commands, ending=[], ports=ports)
            return await enter(commands, snapshot=snapshot, ports=ports, now=now)

        assert self.run(take).refusals == {}

    def _round(self, round_id: UUID) -> EntryRound:
        return EntryRound(
            round_id=round_id, match_id="m", match_source="/g", competition="c", correlation_id="entries",
            asset=ASSET, fee=self.fees.gates[round_id].fee,
        )  # fmt: skip

    def _entering(self, round_id: UUID, entering: list[str]) -> list[EnterRound]:
        return [
            EnterRound(
                entry_id=entry_of(self, (round_id, person)), round=self._round(round_id),
                player=self.name(person), asset=ASSET, amount=self.fees.gates[round_id].fee, cause="e",
            )
            for person in entering
        ]  # fmt: skip
