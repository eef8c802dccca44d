"""The ways that the payouts of a run took: over which rails, through an unknown outcome, and past approvers."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from prizewire_devstack.tracing import Step

PAYOUTS: Final = "payouts"
TWO: Final = 2


@dataclass(frozen=True, kw_only=True)
class Way:
    """The way of one payout. ``held_for`` are the codes with which it was held, ``approvers`` who approved it."""

    payout_id: str
    player: str
    rail: str | None = None
    was_unknown: bool = False
    held_for: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()

    @property
    def by_proof(self) -> bool:
        """Whether its outcome was unknown, until a look-up proved that it was paid."""
        return self.was_unknown and self.rail is not None

    @property
    def by_two(self) -> bool:
        """Whether it was held, approved by two persons, and paid."""
        return bool(self.held_for) and len(set(self.approvers)) >= TWO and self.rail is not None


@dataclass(frozen=True, kw_only=True)
class Ways:
    """The ways of all payouts of a run. ``wanted`` are the rails that its players are paid over."""

    wanted: frozenset[str] = frozenset()
    ways: tuple[Way, ...] = field(default=())

    @property
    def by_rail(self) -> Mapping[str, int]:
        """How many payouts were paid over each rail."""
        return Counter(sorted(one.rail for one in self.ways if one.rail is not None))

    @property
    def by_proof(self) -> tuple[Way, ...]:
        """Those that came back from an unknown outcome by proof."""
        return tuple(one for one in self.ways if one.by_proof)

    @property
    def by_two(self) -> tuple[Way, ...]:
        """Those that two persons approved."""
        return tuple(one for one in self.ways if one.by_two)

    @property
    def complete(self) -> bool:
        """Whether every rail paid, one payout was unknown and proved, and one was approved by two persons."""
        return self.wanted <= set(self.by_rail) and bool(self.by_proof) and bool(self.by_two)


def ways_of(steps: Iterable[Step], *, wanted: Iterable[str]) -> Ways:
    """The ways of the payouts in these steps of traces."""
    of_payouts: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        if step.service == PAYOUTS and step.kind.startswith("payout."):
            of_payouts[step.id].append(step)
    return Ways(
        wanted=frozenset(wanted),
        ways=tuple(_way(payout_id, found) for payout_id, found in of_payouts.items()),
    )


def _way(payout_id: str, steps: Iterable[Step]) -> Way:
    by_kind: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        by_kind[step.kind].append(step)
    players = [step.detail["player"] for step in by_kind["payout.requested"] if step.detail.get("player")]
    rails = [step.detail["rail"] for step in by_kind["payout.paid"] if step.detail.get("rail")]
    return Way(
        payout_id=payout_id,
        player=players[0] if players else "",
        rail=rails[-1] if rails else None,
        was_unknown=bool(by_kind["payout.unknown"]),
        held_for=tuple(str(step.detail.get("code", "")) for step in by_kind["payout.held"]),
        approvers=tuple(str(step.detail["approver"]) for step in by_kind["payout.approval"]),
    )
