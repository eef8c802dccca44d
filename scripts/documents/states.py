"""docs/round-states.md and docs/payout-states.md with their pictures, from the state tables in the code."""

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import Final

from prizewire_payouts.payouts.domain import states as payouts
from prizewire_payouts.stellar.domain import states as stellar
from prizewire_settlement.rounds.domain import model as rounds
from scripts.documents.drawing import Arrow, Box, graph
from scripts.documents.markdown import NOTICE, cell, page, quoted, table

Edges = Collection[tuple[tuple[StrEnum, StrEnum], str]]
"""The steps of a state machine, each with its reason."""

_R = rounds.RoundState
_P = payouts.PayoutState
_A = payouts.AttemptState
_X: Final = 150
_Y: Final = 80

ROUNDS: Final[Edges] = [((one.before, one.after), one.reason) for one in rounds.EDGES]
_ROUND_PLACES: Final[Mapping[StrEnum, tuple[float, float]]] = {
    _R.NEW: (0, 0),
    _R.OPEN: (1, 0),
    _R.CLOSED: (2, 0),
    _R.RESOLVED: (3, 0),
    _R.SETTLED: (4, 0),
    _R.FINALIZED: (5, 0),
    _R.VOIDED: (2.5, 2.2),
}
_PAYOUT_PLACES: Final[Mapping[StrEnum, tuple[float, float]]] = {
    _P.REQUESTED: (0, 1.5),
    _P.HELD: (0, 3.5),
    _P.APPROVED: (1.6, 1.5),
    _P.SUBMITTING: (3.2, 0.3),
    _P.PENDING: (3.2, 1.9),
    _P.UNKNOWN: (3.2, 3.5),
    _P.PAID: (5, 0.3),
    _P.RETURNED: (6.6, 0.3),
    _P.CLOSING_FAILED: (5, 2.2),
    _P.CLOSING_CANCELLED: (5, 3.6),
    _P.CLOSING_REJECTED: (5, 5),
    _P.FAILED: (6.6, 2.2),
    _P.CANCELLED: (6.6, 3.6),
    _P.REJECTED: (6.6, 5),
}
_ATTEMPT_PLACES: Final[Mapping[StrEnum, tuple[float, float]]] = {
    _A.OPENED: (0, 1),
    _A.SENT: (1.5, 1),
    _A.ACCEPTED: (3, 0),
    _A.AMBIGUOUS: (3, 2),
    _A.EFFECTED: (4.7, 0),
    _A.NO_EFFECT: (4.7, 2),
    _A.REVERSED: (6.2, 0),
}


def pages() -> dict[str, str]:
    """File name below docs → text of the pages and pictures."""
    return {
        "round-states.md": _rounds(),
        "payout-states.md": _payouts(),
        "pictures/round-states.svg": _drawn("States of a round", ROUNDS, _ROUND_PLACES, final={_R.VOIDED}),
        "pictures/payout-states.svg": _drawn(
            "States of a payout",
            payouts.PAYOUT_EDGES.items(),
            _PAYOUT_PLACES,
            final={*payouts.FINAL, _P.PAID},
        ),
        "pictures/attempt-states.svg": _drawn(
            "States of an attempt",
            payouts.ATTEMPT_EDGES.items(),
            _ATTEMPT_PLACES,
            final={_A.EFFECTED, _A.NO_EFFECT, _A.REVERSED},
        ),
    }


def _rounds() -> str:
    return page(
        [
            "# The states of a round",
            "",
            NOTICE.format(source="the state table of settlement (`rounds/domain/model.py`)"),
            "",
            (
                "Settlement has one round for each match. The table lists every allowed step with its reason. PostgreSQL refuses all "
                "others. [Quick start for rounds](quick-start-rounds.md) leads through the steps, and "
                "[settlement](../services/settlement/src/prizewire_settlement/rounds/README.md) describes them in detail."
            ),
            "",
            "![The states of a round, and the steps between them](pictures/round-states.svg)",
            "",
            *_steps(ROUNDS),
            (
                "NEW is the state before the first report. Only a decision of an admin, with a reason, leads out of FINALIZED. Nothing "
                "leads out of VOIDED."
            ),
            "",
        ]
    )


def _payouts() -> str:
    return page(
        [
            "# The states of a payout",
            "",
            NOTICE.format(
                source="the state tables of payouts (`payouts/domain/states.py`, `stellar/domain/states.py`)"
            ),
            "",
            "[Payout execution](payout-execution.md) explains these states. PostgreSQL refuses every step that is not in the tables.",
            "",
            "## Payouts",
            "",
            "![The states of a payout, and the steps between them](pictures/payout-states.svg)",
            "",
            (
                "The picture leaves out the steps to closing states that begin before a payout is unknown, and rare steps to unknown. The "
                "table has all."
            ),
            "",
            *_steps(payouts.PAYOUT_EDGES.items()),
            f"Nothing leads out of {_names(payouts.FINAL)}. A closing state waits for the signer's tombstone.",
            "",
            "## Attempts",
            "",
            "One attempt is one try on one rail. At most one attempt of a payout is open.",
            "",
            "![The states of an attempt, and the steps between them](pictures/attempt-states.svg)",
            "",
            *_steps(payouts.ATTEMPT_EDGES.items()),
            f"Open are {_names(payouts.ATTEMPT_OPEN)}.",
            "",
            "## Transactions on Stellar",
            "",
            "One transaction pays several payouts. It has one revision of a slot.",
            "",
            *_steps(stellar.ATTEMPT_EDGES.items()),
            "## Payments on Stellar",
            "",
            "A payment is the place of one attempt in the transactions.",
            "",
            *_steps(stellar.PAYMENT_EDGES.items()),
        ]
    )


def _usual_steps() -> Edges:
    """The steps in the picture of a payout: with all 40 nobody could follow an arrow."""
    early = {*payouts.NO_ATTEMPT_OPEN, _P.SUBMITTING, _P.PENDING}
    rare = {(old, new) for old in early for new in payouts.CLOSING}
    rare |= {(old, _P.UNKNOWN) for old in (*payouts.NO_ATTEMPT_OPEN, *payouts.CLOSING)}
    return [(step, reason) for step, reason in payouts.PAYOUT_EDGES.items() if step not in rare]


def _names(states: Iterable[StrEnum]) -> str:
    return ", ".join(f"`{one}`" for one in sorted(states))


def _steps(edges: Edges) -> list[str]:
    return table(
        ("From", "To", "Why"),
        [(quoted(old), quoted(new), cell(reason)) for (old, new), reason in edges],
    )


def _drawn(
    title: str, edges: Edges, places: Mapping[StrEnum, tuple[float, float]], *, final: AbstractSet[StrEnum]
) -> str:
    """The picture. A state without a place fails: a new state needs one."""
    steps = [step for step, _ in edges]
    states = {state for step in steps for state in step}
    boxes = {
        str(state): Box(
            lines=(str(state),),
            x=round(90 + places[state][0] * _X),
            y=round(45 + places[state][1] * _Y),
            look="final" if state in final else "box",
        )
        for state in sorted(states, key=list(places).index)
    }
    arrows = [
        Arrow(
            start=str(old), end=str(new), bend=18 if (new, old) in steps else _bend(places[old], places[new])
        )
        for old, new in steps
    ]
    size = (max(box.x for box in boxes.values()) + 100, max(box.y for box in boxes.values()) + 45)
    return graph(title=title, boxes=boxes, arrows=arrows, size=size)


def _bend(start: tuple[float, float], end: tuple[float, float]) -> int:
    """An arrow along a row or a column that passes other places goes around them."""
    return 45 if start[1] == end[1] and abs(start[0] - end[0]) > 2 else 0
