"""People pay in; their money goes back; disputes are won."""

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum, auto
from uuid import UUID, uuid4

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from prizewire_contracts import ids
from prizewire_rewards.storage import Ports
from prizewire_rewards.topups.domain import CreditTopup, ReversalKind, ReverseTopup, TopupCommand, WinDispute
from prizewire_rewards.topups.handlers import Booked, apply_topup_events, lock_intakes
from services.rewards.tests.machine.base import ASSET, Walk
from services.rewards.tests.machine.purses import PEOPLE

RAIL = "stripe"
sums = st.integers(1, 25)
again = st.sampled_from([None, None, 0, 1])
"""Whether the same is told a second time, and by how much it differs then."""


class DisputeEnd(Enum):
    """What becomes of a dispute in the same step."""

    OPEN = auto()
    WON = auto()
    WON_LATE = auto()
    """Won after an approver gave up what was owed for it."""


class TopupRules(Walk):
    """What payouts tells of top-ups. Whatever comes twice counts once, and is refused where it says something else."""

    @rule(paid=st.dictionaries(st.sampled_from(PEOPLE), sums, min_size=1), again=again)
    def top_up(self, paid: dict[str, int], again: int | None) -> None:
        """Some pay in."""
        told = [self._credit(uuid4(), person, amount) for person, amount in paid.items()]
        more = [] if again is None else [replace(told[-1], amount=told[-1].amount + again)]
        self._tell([*told, *more], refused=bool(again))
        for person, command in zip(paid, told, strict=True):
            self.topups.credit(command.topup_id, person, command.amount)

    def _credit(self, topup: UUID, person: str, amount: int) -> CreditTopup:
        return CreditTopup(
            topup_id=topup, player=self.name(person), asset=ASSET, amount=amount, rail=RAIL,
            reference="pay", correlation_id=str(topup), cause="t",
        )  # fmt: skip

    @precondition(lambda self: self.topups.sessions)
    @rule(data=st.data(), kind=st.sampled_from(ReversalKind), again=again, end=st.sampled_from(DisputeEnd))
    def reverse(self, data: st.DataObject, kind: ReversalKind, again: int | None, end: DisputeEnd) -> None:
        """A payment is refunded or disputed, in part, whole, or for more than is left of it. A dispute may be told of
        together with its end, or be won after its debt was given up.
        """
        sessions = self.topups.sessions
        left = [key for key, one in sessions.items() if one.left] or list(sessions)
        spent = [key for key in left if self.purses.topup[sessions[key].person] < sessions[key].left]
        topup = data.draw(st.sampled_from(spent or left))
        person, reference = sessions[topup].person, uuid4().hex
        amount = data.draw(st.integers(1, sessions[topup].left + 10))
        told = ReverseTopup(
            topup_id=topup, player=self.name(person), asset=ASSET, amount=amount, rail=RAIL,
            reference=reference, kind=kind, cause="t",
        )  # fmt: skip
        batch: list[TopupCommand] = [told]
        dispute = kind is ReversalKind.DISPUTE
        if dispute and end is DisputeEnd.WON:
            batch.append(self._won(topup, reference, amount))
        if again is not None:
            batch.append(replace(told, amount=amount + again))
        self._tell(batch, refused=bool(again))
        cause = f"topup/{topup}/{RAIL}/{reference}"
        debt = ids.receivable_id(cause=cause, player=self.name(person))
        self.topups.reverse(topup, reference, dispute=dispute, asked=amount, debt=debt)
        if dispute and end is DisputeEnd.WON:
            self.topups.win(topup, reference, amount)
        elif dispute and end is DisputeEnd.WON_LATE and debt in self.purses.debts:
            self.give_up(debt)
            self._tell([self._won(topup, reference, amount)], refused=False)
            self.topups.win(topup, reference, amount)

    def _won(self, topup: UUID, reference: str, amount: int) -> WinDispute:
        return WinDispute(
            topup_id=topup, player=self.name(self.topups.sessions[topup].person), asset=ASSET,
            amount=amount, rail=RAIL, reference=reference, cause="t",
        )  # fmt: skip

    def gone_back(self) -> list[tuple[UUID, str]]:
        """What was refunded or disputed."""
        return [(key, name) for key, session in self.topups.sessions.items() for name in session.backs]

    def owing(self) -> list[tuple[UUID, str]]:
        """Disputes that took more than there was, and are not won yet."""
        sessions = self.topups.sessions
        backs = {key: sessions[key[0]].backs[key[1]] for key in self.gone_back()}
        return [key for key, back in backs.items() if back.dispute and back.owed and not back.won]

    @precondition(lambda self: self.gone_back())
    @rule(data=st.data(), amount=sums, whole=st.booleans(), again=st.booleans())
    def win(self, data: st.DataObject, amount: int, whole: bool, again: bool) -> None:
        """A dispute is won, of all that it took or of another sum; a refund never is."""
        topup, reference = data.draw(st.sampled_from(self.owing() or self.gone_back()))
        back = self.topups.sessions[topup].backs[reference]
        command = self._won(topup, reference, back.asked if whole else amount)
        if not back.dispute:
            self._tell([command], refused=True)
            return
        self._tell([command, command] if again else [command], refused=False)
        self.topups.win(topup, reference, command.amount)

    def _tell(self, commands: Sequence[TopupCommand], *, refused: bool) -> None:
        """Tell of top-ups in one batch, of which the last is refused or none."""
        now = self.tick()

        async def take(ports: Ports) -> Booked:
            came_in = await lock_intakes(commands, ports=ports)
            return await apply_topup_events(commands, came_in=came_in, ports=ports, tools=self.tools, now=now)

        codes = {at: problem.code for at, problem in self.run(take).refusals.items()}
        assert codes == ({len(commands) - 1: "event_mismatch"} if refused else {})
