"""The consumer of ``prizewire.matches.v1``: reports of game servers."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import after_commit
from prizewire_chassis.inbox import ConsumerSpec, Incoming, Refusal, never
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.ids import match_correlation_id
from prizewire_contracts.topics import MATCHES
from prizewire_settlement.competitions.domain.model import Competition
from prizewire_settlement.errors import Reason, ReportRefused
from prizewire_settlement.metrics import LINES, REFUSED, ROUNDS_CORRECTED, ROUNDS_SETTLED, ROUNDS_VOIDED
from prizewire_settlement.rounds.handlers.matches import Applied, admit_reports, apply_reports
from prizewire_settlement.rounds.handlers.unit_of_work import UnitOfWork
from prizewire_settlement.rounds.messages.matches import CORRECTED, claim_of, report_of

CONSUMER: Final = "settlement.matches"
"""The consumer's name, which is also its Kafka group."""


def _overtakes(head: str, event_type: str) -> bool:
    """Behind a correction that waits for its result, only further corrections of its match wait."""
    return head == Reason.RESULT_MISSING and event_type != CORRECTED


def matches_spec(
    *,
    unit_of_work: Callable[[AsyncConnection], UnitOfWork],
    ready: Callable[[AsyncConnection], Awaitable[Sequence[int]]],
    clock: Clock,
    lines_per_part: int,
) -> ConsumerSpec:
    """The consumer of match events. Game servers need not number their events, so versions are not read. ``ready``
    says which parked corrections have their result.
    """
    admitted: WeakKeyDictionary[AsyncConnection, dict[str, Competition]] = WeakKeyDictionary()

    async def admit(tx: AsyncConnection, batch: Sequence[Incoming]) -> Mapping[int, Refusal]:
        found = await admit_reports([claim_of(incoming) for incoming in batch], store=unit_of_work(tx).rounds)
        # the handler that follows in this transaction decides on what admission saw
        admitted[tx] = found.competitions
        return _refusals(tx, found.refused)

    async def handle(tx: AsyncConnection, batch: Sequence[Incoming]) -> Mapping[int, Refusal]:
        applied = await apply_reports(
            [report_of(incoming) for incoming in batch],
            competitions=admitted[tx],
            unit_of_work=unit_of_work(tx),
            now=clock.now(),
            lines_per_part=lines_per_part,
        )
        after_commit(tx, partial(_count, applied))
        return _refusals(tx, applied.refused)

    return ConsumerSpec(
        name=CONSUMER,
        topic=MATCHES,
        handler=handle,
        version_rule=never,
        admit=admit,
        correlation_of=lambda source, subject: str(match_correlation_id(source=source, match_id=subject)),
        overtakes=_overtakes,
        passing=frozenset({Reason.RESULT_MISSING}),
        ready=ready,
    )


def _count(applied: Applied) -> None:
    ROUNDS_SETTLED.inc(applied.rounds_settled)
    ROUNDS_CORRECTED.inc(applied.rounds_corrected)
    ROUNDS_VOIDED.inc(applied.rounds_voided)
    LINES.inc(applied.lines)


def _refusals(tx: AsyncConnection, refused: Mapping[int, ReportRefused]) -> dict[int, Refusal]:
    for problem in refused.values():
        after_commit(tx, REFUSED.labels(problem.reason).inc)
    return {
        index: Refusal(RefusalCode(problem.reason), problem.detail, park=problem.park)
        for index, problem in refused.items()
    }
