"""`/api/admin/payouts`: decisions of approvers, about one payout and about many. Every decision is audited."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self
from uuid import UUID

from litestar import Controller, Request, Response, post, put
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_500_INTERNAL_SERVER_ERROR
from pydantic import BaseModel, ConfigDict, Field, model_validator

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Action, OptionalKey, Problem, RequiredKey
from prizewire_chassis.http.answers import AnswerModel, Id, Items
from prizewire_chassis.http.refusals import Refusals
from prizewire_chassis.idempotency import check_key
from prizewire_contracts import text
from prizewire_contracts.parties import PartyRole
from prizewire_money import AssetRegistry
from prizewire_payouts.approval.domain import ApprovalPolicy
from prizewire_payouts.approval.handlers import approve_payout, reject_payout
from prizewire_payouts.approval.storage import ApprovalStorage
from prizewire_payouts.http import Context, Reason
from prizewire_payouts.payouts.domain.states import PayoutState
from prizewire_payouts.payouts.http.admin import record_decision
from prizewire_payouts.payouts.http.answers import decision_answer
from prizewire_payouts.payouts.http.models import DecisionAnswer
from prizewire_payouts.payouts.storage.payouts import PayoutStorage
from prizewire_payouts.payouts.storage.queries import PayoutQueries
from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.unit_of_work import UnitOfWork

_NO_PAYOUT: Refusals = {404: ("payout_not_found",)}
LINES_MAX: Final = 200
"""The most payouts that one request decides about."""
_PARTIES = tuple(f"approver_is_{role}" for role in PartyRole)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalContext(Context):
    """The context of approval's controllers: the policy in force, what can be paused, and whether a pause is lifted only by
    another person than set it.
    """

    policy: ApprovalPolicy
    rails: Sequence[Rail]
    assets: AssetRegistry
    resume_by_another: bool = False


class Approval(BaseModel):
    """An approval; its note is kept in the audit record."""

    model_config = ConfigDict(extra="forbid")

    note: text.Reason | None = Field(None, examples=["checked with the organizer"])


class _Several(BaseModel):
    """The payouts of one request that decides about several."""

    model_config = ConfigDict(extra="forbid")

    ids: list[UUID] = Field(
        min_length=1,
        max_length=LINES_MAX,
        description=f"Payout ids, each once; at most {LINES_MAX}.",
        json_schema_extra={"uniqueItems": True},
        examples=[["6f9619ff-8b86-4011-b42d-00c04fc964ff"]],
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.ids)) < len(self.ids):
            msg = "ids names a payout twice: name each once"
            raise ValueError(msg)
        return self


class SeveralApprovals(_Several):
    """Approvals of several payouts with one note."""

    note: text.Reason | None = Field(None, examples=["checked with the organizer"])


class SeveralRejections(_Several):
    """Rejections of several payouts for one reason."""

    reason: text.Reason = Field(examples=["the organizer takes the result back"])


class LineAnswer(AnswerModel):
    """What was decided about one payout of the request, or why nothing was."""

    payout_id: Id
    code: Annotated[
        str | None,
        Field(
            description="Why nothing was decided, as the route for one payout answers it. Null where the decision is stored.",
            examples=["approver_is_payee"],
        ),
    ]
    detail: Annotated[
        str | None,
        Field(
            description="The same as a sentence.",
            examples=["the payout is paid: only a held payout is approved"],
        ),
    ]
    state: Annotated[
        PayoutState | None,
        Field(
            description="The payout's state after it. Null where nothing was decided.", examples=["approved"]
        ),
    ]
    approvers: Annotated[
        list[str],
        Field(
            description="Who has approved it under its present hold. Empty where nothing was decided.",
            examples=[["pat"]],
        ),
    ]
    approvers_needed: Annotated[
        int | None,
        Field(description="How many persons must approve it. Null where nothing was decided.", examples=[1]),
    ]


_METHOD: Final = (
    "The method is `PUT`, and an `Idempotency-Key` is optional. Decisions in rewards are `POST` and need the key: "
    "`/api/fee-withdrawals/{id}/approve`, `/api/round-disownments/{id}/approve`, and `reject` of both."
)


_SEVERAL: Final = (
    "Each payout is decided by itself, in the order of `ids`, as by the route for one payout: a payout that cannot be decided "
    "undoes none of the others. The answer has one line for each, in the same order; look at the `code` of each. A repeated "
    "request with the same key gives the stored answer for the payouts that were decided, and tries the others again."
)


def approvals_controller(context: ApprovalContext) -> type[Controller]:
    """The controller over this context."""

    class ApprovalsController(Controller):
        path = "/api/admin/payouts"
        guards = [require(Role.APPROVER, Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @put(
            "/{payout_id:uuid}/approve",
            status_code=202,
            summary="Approve a payout that is held",
            description=_METHOD,
            refusals={
                **_NO_PAYOUT,
                403: _PARTIES,
                409: ("not_held", "already_approved", "intent_expired", "quote_expired"),
            },
        )
        async def approve(
            self,
            payout_id: FromPath[UUID],
            data: JSONBody[Approval],
            request: Request[Principal, Any, Any],
            key: OptionalKey = None,
        ) -> Response[DecisionAnswer]:
            decision = _approval(context, payout_id, note=data.note)
            return await _one(context, decision, data, request=request, route=f"{payout_id}/approve", key=key)

        @put(
            "/{payout_id:uuid}/reject",
            status_code=202,
            summary="Reject a payout that is held",
            description=_METHOD,
            refusals={**_NO_PAYOUT, 403: _PARTIES, 409: ("not_held",)},
        )
        async def reject(
            self,
            payout_id: FromPath[UUID],
            data: JSONBody[Reason],
            request: Request[Principal, Any, Any],
            key: OptionalKey = None,
        ) -> Response[DecisionAnswer]:
            decision = _rejection(payout_id, reason=data.reason)
            return await _one(context, decision, data, request=request, route=f"{payout_id}/reject", key=key)

        @post(
            "/approve",
            status_code=200,
            summary="Approve several payouts that are held",
            description=_SEVERAL,
        )
        async def approve_several(
            self,
            data: JSONBody[SeveralApprovals],
            request: Request[Principal, Any, Any],
            key: RequiredKey = None,
        ) -> Items[LineAnswer]:
            def decide(payout_id: UUID) -> _Decide:
                return _approval(context, payout_id, note=data.note)

            return await _lines(context, data, decide, request=request, route="approve", key=key)

        @post(
            "/reject",
            status_code=200,
            summary="Reject several payouts that are held",
            description=_SEVERAL,
        )
        async def reject_several(
            self,
            data: JSONBody[SeveralRejections],
            request: Request[Principal, Any, Any],
            key: RequiredKey = None,
        ) -> Items[LineAnswer]:
            def decide(payout_id: UUID) -> _Decide:
                return _rejection(payout_id, reason=data.reason)

            return await _lines(context, data, decide, request=request, route="reject", key=key)

    return ApprovalsController


_Decide = Callable[[Action[UnitOfWork, UnitOfWork]], Awaitable[tuple[int, DecisionAnswer]]]


def _approval(context: ApprovalContext, payout_id: UUID, *, note: str | None) -> _Decide:
    async def approve(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, DecisionAnswer]:
        decision = await approve_payout(
            PayoutStorage(action.unit_of_work),
            ApprovalStorage(action.unit_of_work),
            payout_id=payout_id,
            approver=action.actor.subject,
            note=note,
            policy=context.policy,
            rails=context.rails,
            now=action.now,
        )
        await record_decision(action, "payout.approved", decision.payout, reason=note)
        notes = await PayoutQueries(action.unit_of_work).notes([decision.payout])
        return 202, decision_answer(decision.payout, approvers=decision.approvers, notes=notes[payout_id])

    return approve


def _rejection(payout_id: UUID, *, reason: str) -> _Decide:
    async def reject(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, DecisionAnswer]:
        decision = await reject_payout(
            PayoutStorage(action.unit_of_work),
            payout_id=payout_id,
            approver=action.actor.subject,
            reason=reason,
            now=action.now,
        )
        await record_decision(action, "payout.rejected", decision.payout, reason=reason)
        return 202, decision_answer(decision.payout, approvers=decision.approvers)

    return reject


async def _one(
    context: ApprovalContext,
    decide: _Decide,
    data: BaseModel,
    *,
    request: Request[Principal, Any, Any],
    route: str,
    key: str | None,
) -> Response[DecisionAnswer]:
    """Decide about one payout."""
    return await context.once(
        decide,
        answers=DecisionAnswer,
        actor=request.user,
        route=f"PUT /api/admin/payouts/{route}",
        key=key,
        body=data.model_dump(),
        key_required=False,
    )


async def _lines(
    context: ApprovalContext,
    data: _Several,
    decide: Callable[[UUID], _Decide],
    *,
    request: Request[Principal, Any, Any],
    route: str,
    key: str | None,
) -> Items[LineAnswer]:
    """Decide about each payout in a transaction of its own. A failure of the service ends the request: what was decided until
    then is stored, and the same request with the same key goes on behind it.

    Raises:
        Problem: 400 for a missing or malformed key, before anything is decided; 5xx.
    """
    check_key(key)
    lines, body = list[LineAnswer](), data.model_dump(mode="json")
    for payout_id in data.ids:
        try:
            answer = await context.once(
                decide(payout_id),
                answers=DecisionAnswer,
                actor=request.user,
                route=f"POST /api/admin/payouts/{route} {payout_id}",
                key=key,
                body=body,
            )
        except Problem as problem:
            if problem.status >= HTTP_500_INTERNAL_SERVER_ERROR:
                raise
            lines.append(_refused(payout_id, problem))
        else:
            lines.append(_decided(answer.content))
    return Items(items=lines)


def _decided(decision: DecisionAnswer) -> LineAnswer:
    return LineAnswer(
        payout_id=decision.payout_id,
        code=None,
        detail=None,
        state=decision.state,
        approvers=decision.approvers,
        approvers_needed=decision.approvers_needed,
    )


def _refused(payout_id: UUID, problem: Problem) -> LineAnswer:
    return LineAnswer(
        payout_id=payout_id,
        code=problem.code,
        detail=problem.detail,
        state=None,
        approvers=[],
        approvers_needed=None,
    )
