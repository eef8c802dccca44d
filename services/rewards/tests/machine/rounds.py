"""Rules of rounds: fund, settle, finalize, void and correct."""

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
from services.rewards.tests.machine.fees import EntryRoundModel
from services.rewards.tests.machine.holdings import PEOPLE, CampaignModel
from services.rewards.tests.machine.prizes import RoundModel

shares = st.dictionaries(st.sampled_from(PEOPLE), st.integers(1, 80), max_size=4)
few = st.integers(0, 15)
rests = st.integers(0, 60)
parts_of = st.sampled_from([1, 1, 2])
Win = tuple[int, dict[str, int], int, int, bool, int, bool]
mostly = st.sampled_from([True, True, False])
wins_of = st.tuples(st.integers(0, 1), shares, few, rests, mostly, parts_of, mostly)
"""The campaign, prizes, fee, unclaimed rest, whether it is final, parts, and whether people could enter it."""


def finalized(head: Settlement) -> FinalizeRound:
    """The command that finalizes the round's present settlement."""
    return FinalizeRound(
        round_id=head.round_id,
        settlement_version=head.settlement_version,
        correlation_id=head.correlation_id,
        cause="f",
    )


class RoundRules(Walk):
    """Events of settlement about rounds."""

    @rule(which=st.integers(0, 1), amount=st.integers(1, 250))
    def fund(self, which: int, amount: int) -> None:
        """Fund a pool. Waiting rounds are booked in order as far as it covers them."""
        self.tick()
        self.fund_pool(self.campaigns[which], amount)

    @rule(wins=st.lists(wins_of, min_size=1, max_size=2), at_once=st.booleans())
    def settle(self, wins: list[Win], at_once: bool) -> None:
        """Settle rounds of one or two parts in one batch. The same batch may finalize pending ones."""
        now = self.tick()
        commands: list[RoundCommand] = []
        # The handlers take the money of all rounds of a run before they pay any of them, so recovered debts
        # reach the pool too late for rounds of the same run. A round of two parts ends a run, and its lines
        # are paid after all others.
        run: list[Callable[[], None]] = []
        late: list[Callable[[], None]] = []
        for which, won, fee, unclaimed, final, parts, entered in wins:
            campaign = self.campaigns[which]
            head = self._head(campaign, won, fee=fee, unclaimed=unclaimed, entered=entered)
            head = replace(head, final=final, parts=1 if len(won) < 2 else parts)
            head, settles = self._commands(head, won, SettleRound)
            commands += settles
            round_ = RoundModel(head, dict(won), order=list(won))
            if head.parts > 1:
                for step in run:
                    step()
                run = []
            steps = late if head.parts > 1 else run
            if self.prizes.begin(round_):
                steps.append(partial(self.prizes.book, round_, now=now))
            if at_once and not final:
                commands.append(finalized(head))
                steps.append(partial(self.prizes.finalize, round_, now=now))
            if at_once or final:
                steps.append(partial(self.entry_fees.end, head.round_id, "earned"))
        for step in [*run, *late]:
            step()
        self.apply(commands)

    def _head(
        self, campaign: CampaignModel, won: dict[str, int], *, fee: int, unclaimed: int, entered: bool
    ) -> Settlement:
        """The head of a new settlement; with ``entered`` of a round that people could enter, if there is one."""
        waiting = [
            key
            for key, entry_round in self.entry_fees.entry_rounds.items()
            if self._unsettled(key, entry_round)
        ]
        round_id = waiting[0] if entered and waiting else uuid4()
        self.entry_fees.entry_rounds.setdefault(round_id, EntryRoundModel(fee=1 + fee))
        net = sum(won.values()) + unclaimed
        return Settlement(
            round_id=round_id, match_id="m", match_source="/g", competition="c", correlation_id=uuid4().hex,
            settlement_version=1, rule_version=1, campaign=campaign.id, asset=ASSET, gross=net + fee,
            platform_fee=fee, organizer_fee=0, organizer_player=None, net=net, unclaimed=unclaimed, parts=1,
            lines_total=0, digest="", final=False, final_at=self.now,
        )  # fmt: skip

    def _unsettled(self, round_id: UUID, entry_round: EntryRoundModel) -> bool:
        return round_id not in self.prizes.rounds and entry_round.ended is None

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

    def not_voided(self, *, final: bool | None = None) -> list[UUID]:
        """Rounds that are not voided; with ``final`` only those that are or are not final."""
        return [
            key
            for key, round_ in self.prizes.rounds.items()
            if not round_.voided and (final is None or round_.head.final is final)
        ]

    @precondition(lambda self: self.not_voided(final=False))
    @rule(data=st.data())
    def finalize(self, data: st.DataObject) -> None:
        """Finalize a round, booked or waiting."""
        now = self.tick()
        round_ = self.prizes.rounds[data.draw(st.sampled_from(self.not_voided(final=False)))]
        head = round_.head
        self.prizes.finalize(round_, now=now)
        self.entry_fees.end(head.round_id, "earned")
        self.apply([finalized(head)])

    def voidable(self) -> list[UUID]:
        """Rounds that may still be voided, settled or not."""
        open_ = [
            key
            for key, entry_round in self.entry_fees.entry_rounds.items()
            if self._unsettled(key, entry_round)
        ]
        return [*self.not_voided(final=False), *open_]

    @precondition(lambda self: self.voidable())
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        """Void a round."""
        self.tick()
        key = data.draw(st.sampled_from(self.voidable()))
        if key in self.prizes.rounds:
            self.prizes.void(self.prizes.rounds[key])
        self.entry_fees.end(key, "refunded")
        self.apply([VoidRound(round_id=key, cause="v")])

    def correctable(self) -> list[UUID]:
        """Rounds that are not voided and have prizes."""
        return [key for key in self.not_voided() if self.prizes.rounds[key].head.net]

    @precondition(lambda self: self.correctable())
    @rule(data=st.data(), parts=parts_of)
    def correct(self, data: st.DataObject, parts: int) -> None:
        """Correct a round: other players win, or other amounts. Only the differences move."""
        now = self.tick()
        key = data.draw(st.sampled_from(self.correctable()))
        round_ = self.prizes.rounds[key]
        won = self._other_lines(data, round_)
        version = round_.head.settlement_version + 1
        head = replace(round_.head, settlement_version=version, parts=1 if len(won) < 2 else parts)
        head, commands = self._commands(head, won, CorrectRound)
        cause = f"correction/{key}/{version}"
        self.prizes.correct(
            round_,
            head,
            won,
            debt_of=lambda person: ids.receivable_id(cause=cause, player=self.name(person)),
            now=now,
        )
        self.apply(list(commands))

    def _other_lines(self, data: st.DataObject, round_: RoundModel) -> dict[str, int]:
        """New lines, or the same lines with the unclaimed rest added to one of them."""
        left = round_.head.net - sum(round_.lines.values())
        if left and round_.lines and data.draw(st.booleans()):
            more = data.draw(st.sampled_from(list(round_.lines)))
            return {**round_.lines, more: round_.lines[more] + left}
        left, won = round_.head.net, {}
        for person in data.draw(st.permutations(PEOPLE)):
            amount = data.draw(st.integers(0, left))
            if amount:
                won[person] = amount
                left -= amount
        return won
