"""Rules of top-ups: credit, refund, dispute, and win disputes."""

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum, auto
from uuid import UUID, uuid4

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from prizewire_contracts import ids
from prizewire_rewards.storage import Ports
from prizewire_rewards.topups.domain import CreditTopup, ReversalKind, ReverseTopup, TopupCommand, WinDispute
from prizewire_rewards.topups.handlers import TopupResult, apply_topup_events, lock_intakes
from services.rewards.tests.machine.base import ASSET, Walk
from services.rewards.tests.machine.holdings import PEOPLE

RAIL = "stripe"
sums = st.integers(1, 25)
again = st.sampled_from([None, None, 0, 1])
"""Whether the last command comes a second time, and by how much its amount then differs."""


class DisputeEnd(Enum):
    """The end of a dispute in the same step."""

    OPEN = auto()
    WON = auto()
    WON_LATE = auto()
    """Won after an approver wrote off its debt."""


class TopupRules(Walk):
    """Events of payouts about top-ups. A repeated event has no effect; one with other figures is refused."""

    @rule(paid=st.dictionaries(st.sampled_from(PEOPLE), sums, min_size=1), again=again)
    def top_up(self, paid: dict[str, int], again: int | None) -> None:
        """Credit top-ups."""
        completed = [self._credit(uuid4(), person, amount) for person, amount in paid.items()]
        more = [] if again is None else [replace(completed[-1], amount=completed[-1].amount + again)]
        self._apply([*completed, *more], refused=bool(again))
        for person, command in zip(paid, completed, strict=True):
            self.topups.credit(command.topup_id, person, command.amount)

    def _credit(self, topup: UUID, person: str, amount: int) -> CreditTopup:
        return CreditTopup(
            topup_id=topup, player=self.name(person), asset=ASSET, amount=amount, rail=RAIL,
            reference="pay", correlation_id=str(topup), cause="t",
        )  # fmt: skip

    @precondition(lambda self: self.topups.sessions)
    @rule(data=st.data(), kind=st.sampled_from(ReversalKind), again=again, end=st.sampled_from(DisputeEnd))
    def reverse(self, data: st.DataObject, kind: ReversalKind, again: int | None, end: DisputeEnd) -> None:
        """Refund or dispute a top-up, in part, completely, or for more than is left of it. A dispute may be won in the
        same batch, or after its debt was written off.
        """
        sessions = self.topups.sessions
        left = [key for key, one in sessions.items() if one.left] or list(sessions)
        spent = [key for key in left if self.holdings.topup[sessions[key].person] < sessions[key].left]
        topup = data.draw(st.sampled_from(spent or left))
        person, reference = sessions[topup].person, uuid4().hex
        amount = data.draw(st.integers(1, sessions[topup].left + 10))
        reversal = ReverseTopup(
            topup_id=topup, player=self.name(person), asset=ASSET, amount=amount, rail=RAIL,
            reference=reference, kind=kind, cause="t",
        )  # fmt: skip
        batch: list[TopupCommand] = [reversal]
        dispute = kind is ReversalKind.DISPUTE
        if dispute and end is DisputeEnd.WON:
            batch.append(self._won(topup, reference, amount))
        if again is not None:
            batch.append(replace(reversal, amount=amount + again))
        self._apply(batch, refused=bool(again))
        cause = f"topup/{topup}/{RAIL}/{reference}"
        debt = ids.receivable_id(cause=cause, player=self.name(person))
        self.topups.reverse(topup, reference, dispute=dispute, named=amount, debt=debt)
        if dispute and end is DisputeEnd.WON:
            self.topups.win(topup, reference, amount)
        elif dispute and end is DisputeEnd.WON_LATE and debt in self.holdings.debts:
            self.write_off_debt(debt)
            self._apply([self._won(topup, reference, amount)], refused=False)
            self.topups.win(topup, reference, amount)

    def _won(self, topup: UUID, reference: str, amount: int) -> WinDispute:
        return WinDispute(
            topup_id=topup, player=self.name(self.topups.sessions[topup].person), asset=ASSET,
            amount=amount, rail=RAIL, reference=reference, cause="t",
        )  # fmt: skip

    def reversed_payments(self) -> list[tuple[UUID, str]]:
        """Refunds and disputes, by top-up and reference."""
        return [(key, name) for key, session in self.topups.sessions.items() for name in session.reversals]

    def disputes_with_debts(self) -> list[tuple[UUID, str]]:
        """Disputes that opened a debt and are not won yet."""
        sessions = self.topups.sessions
        reversals = {key: sessions[key[0]].reversals[key[1]] for key in self.reversed_payments()}
        return [key for key, back in reversals.items() if back.dispute and back.owed and not back.won]

    @precondition(lambda self: self.reversed_payments())
    @rule(data=st.data(), amount=sums, whole=st.booleans(), again=st.booleans())
    def win(self, data: st.DataObject, amount: int, whole: bool, again: bool) -> None:
        """Win a dispute of its whole amount or of another one. A refund cannot be won."""
        topup, reference = data.draw(st.sampled_from(self.disputes_with_debts() or self.reversed_payments()))
        back = self.topups.sessions[topup].reversals[reference]
        command = self._won(topup, reference, back.named if whole else amount)
        if not back.dispute:
            self._apply([command], refused=True)
            return
        self._apply([command, command] if again else [command], refused=False)
        self.topups.win(topup, reference, command.amount)

    def _apply(self, commands: Sequence[TopupCommand], *, refused: bool) -> None:
        """Apply commands in one batch. With ``refused`` the last one is refused, otherwise none."""
        now = self.tick()

        async def take(ports: Ports) -> TopupResult:
            intake = await lock_intakes(commands, ports=ports)
            return await apply_topup_events(commands, intake=intake, ports=ports, tools=self.tools, now=now)

        codes = {at: problem.code for at, problem in self.run(take).refusals.items()}
        assert codes == ({len(commands) - 1: "event_mismatch"} if refused else {})
