"""What a person decides about a round: settle it, correct it, void it. It is never the game server's word."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prizewire_settlement.domain.errors import RoundMissing
from prizewire_settlement.domain.model import Cause, PlayerResult, Round
from prizewire_settlement.domain.rounds import RESOLVE, Step, correct, place_resolved, settle, void
from prizewire_settlement.ports import Changes, EventSink, RoundStore

__all__ = ["Resolved", "resolve_round"]


@dataclass(frozen=True, slots=True)
class Resolved:
    """The round as it was and as it is. ``changed`` is False where nobody is owed anything else than before."""

    before: Round
    after: Round
    changed: bool


async def resolve_round(
    *,
    round_id: UUID,
    results: Sequence[PlayerResult] | None,
    reason: str,
    actor: str,
    request_id: UUID,
    store: RoundStore,
    events: EventSink,
    now: datetime,
    lines_per_part: int,
) -> Resolved:
    """Let ``results`` stand from now on, also after finality; without results, void the round before it.

    A round without a result is settled, one with a result is corrected, each under the rule that it keeps.

    Raises:
        RoundMissing: there is no such round.
        ReportRefused: ``illegal_transition`` for a voided round, or to void a final one; or what the rule cannot rank
            or pay.
    """
    current = (await store.rounds([round_id])).get(round_id)
    if current is None:
        raise RoundMissing(str(round_id))
    cause = Cause(kind=RESOLVE, id=str(request_id), actor=actor, reason=reason)
    if results is None:
        step = void(current=current, cause=cause, now=now)
    else:
        step = await _let_stand(
            tuple(results), current, cause, store=store, now=now, lines_per_part=lines_per_part
        )
    if step.round is None:
        return Resolved(current, current, changed=False)
    changes = Changes()
    changes.take(step)
    await store.save(changes)
    await events.publish(step.events)
    return Resolved(current, step.round, changed=bool(step.transitions))


async def _let_stand(
    results: tuple[PlayerResult, ...],
    current: Round,
    cause: Cause,
    *,
    store: RoundStore,
    now: datetime,
    lines_per_part: int,
) -> Step:
    key = (current.competition, current.rule_version)
    rule = (await store.rules([key]))[key]
    placed = place_resolved(results=results, current=current, cause=cause, now=now)
    if current.settlement_version == 0:
        return settle(
            placed=placed,
            results=results,
            current=current,
            rule=rule,
            cause=cause,
            now=now,
            lines_per_part=lines_per_part,
        )
    return correct(
        placed=placed,
        results=results,
        before=await store.lines(current.id, current.settlement_version),
        current=current,
        rule=rule,
        cause=cause,
        now=now,
        lines_per_part=lines_per_part,
    )
