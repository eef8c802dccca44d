"""What an admin decides about a round over HTTP: results, a void, or a settlement under another rule."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from uuid import UUID

from litestar import Response

from prizewire_chassis.auth import Principal
from prizewire_chassis.db import after_commit
from prizewire_settlement.metrics import LINES, ROUNDS_CORRECTED, ROUNDS_SETTLED, ROUNDS_VOIDED
from prizewire_settlement.rounds.domain.acceptance import document_of, hash_of
from prizewire_settlement.rounds.domain.model import RoundState, Settlement
from prizewire_settlement.rounds.handlers.resolution import Resolved, resettle_round, resolve_round
from prizewire_settlement.rounds.http.answers import (
    DecisionAnswer,
    SettlementAnswer,
    round_answer,
    settlement_answer,
)
from prizewire_settlement.rounds.http.bodies import ResettleBody, ResolveBody
from prizewire_settlement.rounds.http.context import RoundAction, RoundContext
from prizewire_settlement.rounds.messages import players_of
from prizewire_settlement.rounds.ports import RoundRecord


async def run_resolve(
    context: RoundContext, round_id: UUID, body: ResolveBody, *, caller: Principal, key: str | None
) -> Response[DecisionAnswer]:
    """Settle or correct a round by a result, or void it, once for the idempotency key."""
    results = None if body.results is None else players_of(body.results)

    async def decide(action: RoundAction) -> Resolved:
        resolved = await resolve_round(
            round_id=round_id,
            results=results,
            reason=body.reason,
            actor=caller.subject,
            request_id=action.id,
            unit_of_work=action.unit_of_work,
            now=action.now,
            lines_per_part=context.lines_per_part,
        )
        if resolved.changed:
            # a repeat decides nothing: a record of it would name another person for what somebody else decided
            detail = _audited(resolved, None if results is None else hash_of(document_of(results)).hex())
            kind = "round.voided" if results is None else "round.resolved"
            await action.record(
                kind,
                target=str(round_id),
                reason=body.reason,
                detail=detail,
                correlation_id=resolved.after.correlation_id,
            )
        return resolved

    sent = body.model_dump(mode="json", exclude_none=True)
    return await _decide(context, round_id, "resolve", decide, sent=sent, caller=caller, key=key)


async def run_resettle(
    context: RoundContext, round_id: UUID, body: ResettleBody, *, caller: Principal, key: str | None
) -> Response[DecisionAnswer]:
    """Resettle a refused round, once for the idempotency key."""

    async def decide(action: RoundAction) -> Resolved:
        resolved = await resettle_round(
            round_id=round_id,
            reason=body.reason,
            actor=caller.subject,
            request_id=action.id,
            unit_of_work=action.unit_of_work,
            now=action.now,
            lines_per_part=context.lines_per_part,
        )
        if resolved.changed:
            await action.record(
                "round.resettled",
                target=str(round_id),
                reason=body.reason,
                detail=_audited(resolved, None),
                correlation_id=resolved.after.correlation_id,
            )
        return resolved

    sent = body.model_dump(mode="json")
    return await _decide(context, round_id, "resettle", decide, sent=sent, caller=caller, key=key)


async def _decide(
    context: RoundContext,
    round_id: UUID,
    route: str,
    decide: Callable[[RoundAction], Awaitable[Resolved]],
    *,
    sent: dict[str, Any],
    caller: Principal,
    key: str | None,
) -> Response[DecisionAnswer]:
    """Carry out an admin's decision once for its key, and answer with the changed round."""

    async def do(action: RoundAction) -> tuple[int, DecisionAnswer]:
        resolved = await decide(action)
        record = await action.queries.round(round_id)
        assert record is not None
        newest = record.settlements[-1] if record.settlements else None
        lines = 0 if newest is None else record.lines_total[newest.version]
        after_commit(action.tx, partial(_count, resolved, lines))
        answer = DecisionAnswer(
            **dict(round_answer(record.round)),
            changed=resolved.changed,
            settlement=newest_answer(record, newest),
        )
        return 200, answer

    return await context.once(
        do,
        answers=DecisionAnswer,
        actor=caller,
        route=f"POST /api/rounds/{round_id}/{route}",
        key=key,
        body=sent,
    )


def _audited(resolved: Resolved, result_sha256: str | None) -> dict[str, Any]:
    after = resolved.after
    return {
        "from": str(resolved.before.state),
        "to": str(after.state),
        "changed": resolved.changed,
        "rule_version": after.rule_version,
        "settlement_version": after.settlement_version,
        "result_version": after.result_version,
        "result_sha256": result_sha256,
    }


def _count(resolved: Resolved, lines: int) -> None:
    if not resolved.changed:
        return
    if resolved.after.state is RoundState.VOIDED:
        ROUNDS_VOIDED.inc()
    else:
        (ROUNDS_SETTLED if resolved.after.settlement_version == 1 else ROUNDS_CORRECTED).inc()
        LINES.inc(lines)


def newest_answer(record: RoundRecord, newest: Settlement | None) -> SettlementAnswer | None:
    """The newest settlement of a round; None where it was never settled."""
    if newest is None:
        return None
    return settlement_answer(
        newest, lines_total=record.lines_total[newest.version], never_final=record.round.never_final
    )
