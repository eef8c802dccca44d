"""Rounds are funded, settled, made final, voided and corrected."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from uuid import UUID, uuid4

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from prizewire_contracts import ids
from prizewire_rewards.prizes.domain.model import Line, Settlement
from prizewire_rewards.rounds.domain.commands import (
    CorrectRound,
    FinalizeRound,
    RoundCommand,
    SettleRound,
    VoidRound,
)
from services.rewards.tests.machine.base import ASSET, Walk
from services.rewards.tests.machine.fees import Gate
from services.rewards.tests.machine.prizes import Game
from services.rewards.tests.machine.purses import PEOPLE, Cup

shares = st.dictionaries(st.sampled_from(PEOPLE), st.integers(1, 80), max_size=4)
few = st.integers(0, 15)
rests = st.integers(0, 60)
parts_of = st.sampled_from([1, 1, 2])
Win = tuple[int, dict[str, int], int, int, bool, int, bool]
mostly = st.sampled_from([True, True, False])
wins_of = st.tuples(st.integers(0, 1), shares, few, rests, mostly, parts_of, mostly)
"""The campaign, prizes, fee, unclaimed rest, whether it is final, parts, and whether it was open to entries."""


class RoundRules(Walk):
    """What settlement tells of rounds."""

    @rule(which=st.integers(0, 1), amount=st.integers(1, 250))
    def fund(self, which: int, amount: int) -> None:
        """Money comes, and what waits is paid in order as far as it reaches."""
        self.tick()
        self.put_in(self.cups[which], amount)

    @rule(wins=st.lists(wins_of, min_size=1, max_size=2), at_once=st.booleans())
    def settle(self, wins: list[Win], at_once: bool) -> None:
        """Some rounds settle in one batch, of one part or two; pending ones may become final in the same."""
        now = self.tick()
        commands: list[RoundCommand] = []
        # What is given is not decided before all that is taken: debts bring money back to the pool too late for those
        # of the same run. Rounds of two parts end a run, and are worked on after all others.
        run: list[Callable[[], None]] = []
        late: list[Callable[[], None]] = []
        for which, won, fee, unclaimed, final, parts, entered in wins:
            cup = self.cups[which]
            head = self._head(cup, won, fee=fee, unclaimed=unclaimed, entered=entered)
            head = replace(head, final=final, parts=1 if len(won) < 2 else parts)
            head, settles = self._commands(head, won, SettleRound)
            commands += settles
            game = Game(head, dict(won), order=list(won))
            if head.parts > 1:
                for step in run:
                    step()
                run = []
            steps = late if head.parts > 1 else run
            if self.prizes.begin(game):
                steps.append(partial(self.prizes.book, game, now=now))
            if at_once and not final:
                commands.append(FinalizeRound(round_id=head.round_id, settlement_version=1, cause="f"))
                steps.append(partial(self.prizes.finalize, game, now=now))
            if at_once or final:
                steps.append(partial(self.fees.end, head.round_id, "earned"))
        for step in [*run, *late]:
            step()
        self.apply(commands)

    def _head(self, cup: Cup, won: dict[str, int], *, fee: int, unclaimed: int, entered: bool) -> Settlement:
        """The head of a new settlement, of a round that people could enter before if there is one."""
        waiting = [key for key, gate in self.fees.gates.items() if self._unsettled(key, gate)]
        round_id = waiting[0] if entered and waiting else uuid4()
        self.fees.gates.setdefault(round_id, Gate(fee=1 + fee))
        net = sum(won.values()) + unclaimed
        return Settlement(
            round_id=round_id, match_id="m", match_source="/g", competition="c", correlation_id=uuid4().hex,
            settlement_version=1, rule_version=1, campaign=cup.id, asset=ASSET, gross=net + fee,
            platform_fee=fee, organizer_fee=0, organizer_player=None, net=net, unclaimed=unclaimed, parts=1,
            lines_total=0, digest="", final=False, final_at=self.now,
        )  # fmt: skip

    def _unsettled(self, round_id: UUID, gate: Gate) -> bool:
        return round_id not in self.prizes.games and gate.over is None

    def _commands(
        self, head: Settlement, won: dict[str, int], kind: type[SettleRound]
    ) -> tuple[Settlement, list[SettleRound]]:
        """The commands of a settlement with these lines, one for each part, and its head with their digest."""
        lines = [
            Line(n, self.name(person), n, amount, 1 + (n - 1) * head.parts // max(1, len(won)))
            for n, (person, amount) in enumerate(won.items(), 1)
        ]
        head = replace(
            head,
            unclaimed=head.net - sum(won.values()),
            lines_total=len(lines),
            digest=self.tools.digest(lines, asset=ASSET),
        )
        return head, [
            kind(
                settlement=head,
                part=part,
                lines=tuple(line for line in lines if line.part == part),
                cause="s",
                **({"reason": "x"} if kind is CorrectRound else {}),
            )
            for part in range(1, head.parts + 1)
        ]

    def standing(self, *, final: bool | None = None) -> list[UUID]:
        """Rounds that count, those that are final or not if it matters."""
        return [
            key
            for key, game in self.prizes.games.items()
            if not game.voided and (final is None or game.head.final is final)
        ]

    @precondition(lambda self: self.standing(final=False))
    @rule(data=st.data())
    def finalize(self, data: st.DataObject) -> None:
        """A dispute window passes, of a round that is booked or one that waits."""
        now = self.tick()
        game = self.prizes.games[data.draw(st.sampled_from(self.standing(final=False)))]
        head = game.head
        self.prizes.finalize(game, now=now)
        self.fees.end(head.round_id, "earned")
        self.apply(
            [FinalizeRound(round_id=head.round_id, settlement_version=head.settlement_version, cause="f")]
        )

    def voidable(self) -> list[UUID]:
        """Rounds that may still be voided, settled or not."""
        open_ = [key for key, gate in self.fees.gates.items() if self._unsettled(key, gate)]
        return [*self.standing(final=False), *open_]

    @precondition(lambda self: self.voidable())
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        """A round does not count: everything is as if it had never been."""
        self.tick()
        key = data.draw(st.sampled_from(self.voidable()))
        if key in self.prizes.games:
            self.prizes.void(self.prizes.games[key])
        self.fees.end(key, "refunded")
        self.apply([VoidRound(round_id=key, cause="v")])

    def correctable(self) -> list[UUID]:
        """Rounds that count and have prizes to give."""
        return [key for key in self.standing() if self.prizes.games[key].head.net]

    @precondition(lambda self: self.correctable())
    @rule(data=st.data(), parts=parts_of)
    def correct(self, data: st.DataObject, parts: int) -> None:
        """Other players win, or more, or less; only the differences move."""
        now = self.tick()
        key = data.draw(st.sampled_from(self.correctable()))
        game = self.prizes.games[key]
        won = self._other_lines(data, game)
        version = game.head.settlement_version + 1
        head = replace(game.head, settlement_version=version, parts=1 if len(won) < 2 else parts)
        head, commands = self._commands(head, won, CorrectRound)
        cause = f"correction/{key}/{version}"
        self.prizes.correct(
            game,
            head,
            won,
            debt_of=lambda person: ids.receivable_id(cause=cause, player=self.name(person)),
            now=now,
        )
        self.apply(list(commands))

    def _other_lines(self, data: st.DataObject, game: Game) -> dict[str, int]:
        """Lines anew, or the same with the unclaimed rest on one of them, as far as there are any."""
        left = game.head.net - sum(game.lines.values())
        if left and game.lines and data.draw(st.booleans()):
            more = data.draw(st.sampled_from(list(game.lines)))
            return {**game.lines, more: game.lines[more] + left}
        left, won = game.head.net, {}
        for person in data.draw(st.permutations(PEOPLE)):
            amount = data.draw(st.integers(0, left))
            if amount:
                won[person] = amount
                left -= amount
        return won
