"""Settlement versions that can never be booked. Each is stored, and one event reports it to settlement.

Of a refused version only the refusal is stored. Its finality has no effect, and the next version is the first of the
round.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from prizewire_rewards.errors import NeverBookable
from prizewire_rewards.prizes.domain.model import RefusedRound, Round
from prizewire_rewards.rounds.domain.commands import FinalizeRound, SettleRound, VoidRound
from prizewire_rewards.rounds.domain.events import RoundRefused
from prizewire_rewards.rounds.ports import RoundPorts

FIRST_VERSION = 1
NONE_DISOWNED: frozenset[UUID] = frozenset()


class RefusalBook:
    """The refused versions of rounds that were never booked, and those of this transaction. ``disowned`` rounds are never
    booked.
    """

    def __init__(
        self, known: Mapping[UUID, Sequence[int]], *, disowned: frozenset[UUID] = NONE_DISOWNED
    ) -> None:
        self._disowned = disowned
        self._known = {key: list(versions) for key, versions in known.items()}
        self._fresh: list[RefusedRound] = []

    @classmethod
    async def open(
        cls,
        commands: Iterable[SettleRound | FinalizeRound | VoidRound],
        *,
        rounds: Mapping[UUID, Round],
        ports: RoundPorts,
        disowned: frozenset[UUID] = NONE_DISOWNED,
    ) -> "RefusalBook":
        """Load the earlier refusals of the rounds of ``commands`` that are not among the booked ``rounds``.

        Rounds whose first version has one part cannot have an earlier refusal and are not read.
        """
        settled: set[UUID] = set()
        wanted: set[UUID] = set()
        for command in commands:
            if not isinstance(command, SettleRound):
                wanted.add(command.round_id)
                continue
            head = command.settlement
            if head.settlement_version == FIRST_VERSION and head.parts == 1:
                settled.add(head.round_id)
            else:
                wanted.add(head.round_id)
        unknown = wanted - settled - rounds.keys()
        return cls(await ports.rounds.refused(unknown) if unknown else {}, disowned=disowned)

    @property
    def rounds(self) -> Iterable[UUID]:
        """The rounds that have a refused version."""
        return self._known.keys()

    def count(self, round_id: UUID) -> int:
        """The number of refused versions of a round; each had one event."""
        return len(self._known.get(round_id, ()))

    def next_version(self, round_id: UUID) -> int:
        """The settlement version that can be booked first."""
        return max(self._known.get(round_id, (0,))) + 1

    def refuses(self, round_id: UUID, *, version: int) -> bool:
        """Whether this version of the round was refused."""
        return version in self._known.get(round_id, ())

    def disowns(self, round_id: UUID) -> bool:
        """Whether two admins disowned the round."""
        return round_id in self._disowned

    def refuse(self, command: SettleRound, problem: NeverBookable) -> None:
        """Refuse the version of ``command`` permanently."""
        head = command.settlement
        self._known.setdefault(head.round_id, []).append(head.settlement_version)
        refused = RefusedRound(
            settlement=head,
            part=command.part,
            code=problem.code,
            detail=problem.detail,
            version=self.count(head.round_id),
            cause=command.cause,
        )
        self._fresh.append(refused)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of this transaction's refusals."""
        return tuple(refused.code for refused in self._fresh)

    async def save(self, *, ports: RoundPorts, now: datetime) -> None:
        """Store the refusals of this transaction and publish their events."""
        if self._fresh:
            await ports.rounds.refuse(self._fresh, now=now)
            await ports.messages.publish([RoundRefused(refused=refused) for refused in self._fresh])
