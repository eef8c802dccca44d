"""The states of a round as a table of transitions. The database holds a copy of it and refuses every other transition.

NEW is the state before there is a row; no row is ever stored in it.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Final

from prizewire_settlement.errors import Reason, ReportRefused


class RoundState(StrEnum):
    """The state of a round."""

    NEW = "NEW"
    OPEN = "OPEN"
    CLOSED = "CLOSED"
    RESOLVED = "RESOLVED"
    SETTLED = "SETTLED"
    FINALIZED = "FINALIZED"
    VOIDED = "VOIDED"


@dataclass(frozen=True, slots=True)
class Edge:
    """One allowed transition and its reason."""

    before: RoundState
    after: RoundState
    reason: str


EDGES: Final[tuple[Edge, ...]] = (
    Edge(RoundState.NEW, RoundState.OPEN, "the match takes players, or a later report implies that it did"),
    Edge(
        RoundState.OPEN, RoundState.CLOSED, "the match takes no more players, or its result has begun to come"
    ),
    Edge(RoundState.CLOSED, RoundState.RESOLVED, "every part of the result is here"),
    Edge(RoundState.RESOLVED, RoundState.SETTLED, "the prizes were worked out under the round's rule"),
    Edge(RoundState.SETTLED, RoundState.FINALIZED, "the dispute window has passed, or there is none"),
    Edge(RoundState.OPEN, RoundState.VOIDED, "the match does not count"),
    Edge(RoundState.CLOSED, RoundState.VOIDED, "the match does not count"),
    Edge(RoundState.RESOLVED, RoundState.VOIDED, "the result does not count"),
    Edge(RoundState.SETTLED, RoundState.VOIDED, "the match was voided inside the dispute window"),
    Edge(RoundState.NEW, RoundState.VOIDED, "the match was voided before anything else was heard of it"),
    Edge(RoundState.SETTLED, RoundState.RESOLVED, "a corrected result superseded the one before"),
    Edge(RoundState.FINALIZED, RoundState.RESOLVED, "an admin corrected the result after it was final"),
    Edge(
        RoundState.FINALIZED, RoundState.VOIDED, "an admin voided a final round that rewards can never book"
    ),
)
"""Every transition of a round. VOIDED is final; only an admin's decision, with a reason, leads out of FINALIZED."""
_ALLOWED: Final = frozenset((edge.before, edge.after) for edge in EDGES)
_MAIN: Final = (
    RoundState.NEW,
    RoundState.OPEN,
    RoundState.CLOSED,
    RoundState.RESOLVED,
    RoundState.SETTLED,
    RoundState.FINALIZED,
)


@lru_cache(maxsize=64)
def path(*, before: RoundState, after: RoundState) -> tuple[tuple[RoundState, RoundState], ...]:
    """The transitions from ``before`` to ``after``: a direct one, or those along the main line, where a report implies them.

    Empty where both are equal.

    Raises:
        ReportRefused: ``illegal_transition``; it parks nothing, since no later event makes it possible.
    """
    if before is after:
        return ()
    if (before, after) in _ALLOWED:
        return ((before, after),)
    if before in _MAIN and after in _MAIN and _MAIN.index(before) < _MAIN.index(after):
        return tuple(pairwise(_MAIN[_MAIN.index(before) : _MAIN.index(after) + 1]))
    raise ReportRefused(Reason.ILLEGAL_TRANSITION, f"a round in state {before} cannot become {after}")


HAS_RESULT: Final = frozenset({RoundState.SETTLED, RoundState.FINALIZED})
