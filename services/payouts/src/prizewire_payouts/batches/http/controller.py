"""`/api/admin/payouts/batches`: what arrived of each batch, and decisions about all its lines. Every decision is audited."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from litestar import Controller, Request, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import BY_TIME_AND_ID, Action, RequiredKey, cursor_key, page_limit
from prizewire_chassis.http.answers import Items, PageOf
from prizewire_chassis.http.cursors import ID, number
from prizewire_chassis.http.refusals import Refusals
from prizewire_chassis.idempotency import check_key
from prizewire_money import Amount, AssetRegistry, MoneyError
from prizewire_payouts.approval.http.decisions import ApprovalContext
from prizewire_payouts.approval.storage import ApprovalStorage
from prizewire_payouts.batches.domain import BatchRefused, LineDecision, check_seen
from prizewire_payouts.batches.handlers import approve_lines, reject_lines
from prizewire_payouts.batches.http.models import (
    BatchAnswer,
    BatchApproval,
    BatchDecisionAnswer,
    BatchLineAnswer,
    BatchRejection,
    BatchSeen,
    DecidedLineAnswer,
    batch_answer,
    count_answers,
    decided_answer,
    line_answer,
    line_number,
)
from prizewire_payouts.batches.storage import BatchStorage
from prizewire_payouts.metrics import BATCH_LINES
from prizewire_payouts.payouts.http.admin import record_decision
from prizewire_payouts.payouts.storage.payouts import PayoutStorage
from prizewire_payouts.unit_of_work import UnitOfWork

AT_ONCE: Final = 100
"""Lines that one transaction decides about."""
_BY_LINE: Final = cursor_key(number(0, 2**31 - 1), ID)
_UNKNOWN: Refusals = {404: ("batch_unknown",)}
_DECISION: Refusals = {**_UNKNOWN, 409: ("batch_incomplete", "batch_inconsistent", "batch_differs")}
_SAME: Final = (
    "Refused while lines are missing (`batch_incomplete`) or where number and sums are not those that you saw (`batch_differs`). Each "
    "payout keeps its own rules: no party decides, and where two approvers are needed a second person decides about the batch. "
    f"{AT_ONCE} lines are decided in one transaction. A repeated request changes nothing that was decided and goes on behind it, also "
    "under another key."
)


def batches_controller(context: ApprovalContext) -> type[Controller]:
    """The controller of what arrived, over this context."""

    class BatchesController(Controller):
        path = "/api/admin/payouts/batches"
        guards = [require(Role.OPERATOR, Role.APPROVER, Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @get("/", summary="Batches of payouts, the newest first")
        async def list_batches(
            self, cursor: FromQuery[str | None] = None, limit: FromQuery[int | None] = None
        ) -> PageOf[BatchAnswer]:
            size, before = page_limit(limit), BY_TIME_AND_ID.read(cursor)
            found = await context.read(
                lambda unit_of_work: BatchStorage(unit_of_work).page(before=before, limit=size)
            )
            return BY_TIME_AND_ID.page(
                found,
                limit=size,
                key=lambda one: (one.batch.requested_at, one.batch.batch_id),
                show=batch_answer,
            )

        @get("/{batch_id:uuid}", summary="What arrived of one batch", refusals=_UNKNOWN)
        async def one(self, batch_id: FromPath[UUID]) -> BatchAnswer:
            return batch_answer(
                await context.read(lambda unit_of_work: BatchStorage(unit_of_work).one(batch_id))
            )

        @get("/{batch_id:uuid}/lines", summary="The payouts of one batch, by line", refusals=_UNKNOWN)
        async def lines(
            self,
            batch_id: FromPath[UUID],
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
        ) -> PageOf[BatchLineAnswer]:
            size, after = page_limit(limit), _BY_LINE.read(cursor)

            async def read(unit_of_work: UnitOfWork) -> PageOf[BatchLineAnswer]:
                batches = BatchStorage(unit_of_work)
                await batches.one(batch_id)
                found = await batches.lines(batch_id, after=after, limit=size)
                notes = await batches.notes(found)
                return _BY_LINE.page(
                    found,
                    limit=size,
                    key=lambda payout: (line_number(payout), payout.payout_id),
                    show=lambda payout: line_answer(payout, notes[payout.payout_id]),
                )

            return await context.read(read)

    return BatchesController


def batch_decisions_controller(context: ApprovalContext) -> type[Controller]:
    """The controller of decisions, over this context."""

    class BatchDecisionsController(Controller):
        path = "/api/admin/payouts/batches"
        guards = [require(Role.APPROVER, Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @post(
            "/{batch_id:uuid}/approve",
            status_code=200,
            summary="Approve a batch",
            description=f"{_SAME} A line that a gate holds is approved only if `also` names it (`held_by_gate`).",
            refusals={**_DECISION, 422: ("payout_not_in_batch",)},
        )
        async def approve(
            self,
            batch_id: FromPath[UUID],
            data: JSONBody[BatchApproval],
            request: Request[Principal, Any, Any],
            key: RequiredKey = None,
        ) -> BatchDecisionAnswer:
            also = frozenset(data.also)

            async def approve(
                action: Action[UnitOfWork, UnitOfWork], ids: Sequence[UUID]
            ) -> list[LineDecision]:
                return await approve_lines(
                    PayoutStorage(action.unit_of_work),
                    ApprovalStorage(action.unit_of_work),
                    BatchStorage(action.unit_of_work),
                    ids=ids,
                    also=also,
                    approver=action.actor.subject,
                    note=data.note,
                    policy=context.policy,
                    rails=context.rails,
                    now=action.now,
                )

            return await _decide(
                context,
                batch_id,
                data,
                _Decision(
                    verb="approve", action="payout.approved", reason=data.note, run=approve, also=data.also
                ),
                actor=request.user,
                key=key,
            )

        @post(
            "/{batch_id:uuid}/reject",
            status_code=200,
            summary="Reject a batch",
            description=_SAME,
            refusals=_DECISION,
        )
        async def reject(
            self,
            batch_id: FromPath[UUID],
            data: JSONBody[BatchRejection],
            request: Request[Principal, Any, Any],
            key: RequiredKey = None,
        ) -> BatchDecisionAnswer:
            async def reject(
                action: Action[UnitOfWork, UnitOfWork], ids: Sequence[UUID]
            ) -> list[LineDecision]:
                return await reject_lines(
                    PayoutStorage(action.unit_of_work),
                    BatchStorage(action.unit_of_work),
                    ids=ids,
                    approver=action.actor.subject,
                    reason=data.reason,
                    now=action.now,
                )

            return await _decide(
                context,
                batch_id,
                data,
                _Decision(verb="reject", action="payout.rejected", reason=data.reason, run=reject),
                actor=request.user,
                key=key,
            )

    return BatchDecisionsController


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
    """One kind of decision: its route, the action of its audit records, and what it does with some payouts of a transaction."""

    verb: str
    action: str
    reason: str | None
    run: Callable[[Action[UnitOfWork, UnitOfWork], Sequence[UUID]], Awaitable[list[LineDecision]]]
    also: Sequence[UUID] = ()


async def _decide(
    context: ApprovalContext,
    batch_id: UUID,
    seen: BatchSeen,
    decision: _Decision,
    *,
    actor: Principal,
    key: str | None,
) -> BatchDecisionAnswer:
    """Decide about the lines of a batch, some in each transaction. A failure of the service ends the request: what was decided until
    then is stored, and a repeated request goes on behind it.

    Raises:
        Problem: 400 for a missing or malformed key, 404 and 409 before anything is decided; 5xx.
    """
    check_key(key)
    ids = await context.read(
        lambda unit_of_work: _seen(unit_of_work, batch_id, seen, decision, context.assets)
    )
    body, items = seen.model_dump(mode="json"), list[DecidedLineAnswer]()
    for start in range(0, len(ids), AT_ONCE):
        answer = await context.once(
            _chunk(decision, ids[start : start + AT_ONCE]),
            answers=Items[DecidedLineAnswer],
            actor=actor,
            route=f"POST /api/admin/payouts/batches/{batch_id}/{decision.verb} {start}",
            key=key,
            body=body,
        )
        items += answer.content.items
    counts = Counter(str(one.outcome or one.code) for one in items)
    return BatchDecisionAnswer(batch_id=batch_id, counts=count_answers(counts), items=items)


async def _seen(
    unit_of_work: UnitOfWork, batch_id: UUID, seen: BatchSeen, decision: _Decision, assets: AssetRegistry
) -> list[UUID]:
    """The payouts of a batch that is whole and as the person saw it.

    Raises:
        BatchRefused: it is not.
    """
    batches = BatchStorage(unit_of_work)
    summary, members = await batches.one(batch_id), await batches.members(batch_id)
    check_seen(
        summary=summary,
        lines=seen.lines,
        totals=_totals(seen.totals, assets),
        named=decision.also,
        members=set(members),
    )
    return members


def _totals(totals: Mapping[str, str], assets: AssetRegistry) -> dict[str, Amount]:
    try:
        return {code: Amount.parse(assets[code], amount) for code, amount in totals.items()}
    except MoneyError as error:
        raise BatchRefused(
            "batch_differs", f"the sums that you name are none of the batch: {error}"
        ) from None


def _chunk(
    decision: _Decision, ids: Sequence[UUID]
) -> Callable[[Action[UnitOfWork, UnitOfWork]], Awaitable[tuple[int, Items[DecidedLineAnswer]]]]:
    async def run(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, Items[DecidedLineAnswer]]:
        decided = await decision.run(action, ids)
        for one in decided:
            if one.decided_now:
                await record_decision(action, decision.action, one.payout, reason=decision.reason)
        after_commit(action.tx, lambda: _count(decided))
        return 200, Items(items=[decided_answer(one) for one in decided])

    return run


def _count(decided: Sequence[LineDecision]) -> None:
    for one in decided:
        BATCH_LINES.labels("refused" if one.outcome is None else str(one.outcome)).inc()
