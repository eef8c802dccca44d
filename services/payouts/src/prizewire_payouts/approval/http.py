"""`/api/admin/payouts`: decisions of approvers, and `/pauses`. Every decision is audited."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.params import FromPath, JSONBody
from pydantic import BaseModel, ConfigDict, Field

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Action, OptionalKey, RequiredKey
from prizewire_chassis.http.answers import AnswerModel, Id, Items, Moment
from prizewire_chassis.http.refusals import Refusals
from prizewire_contracts import text
from prizewire_contracts.parties import PartyRole
from prizewire_money import AssetRegistry
from prizewire_payouts.approval.domain import ApprovalPolicy, Pause, PauseScope
from prizewire_payouts.approval.handlers import approve_payout, pause, reject_payout, resume
from prizewire_payouts.approval.storage import ApprovalStorage, PauseStorage
from prizewire_payouts.http import Context, PersonName, Reason
from prizewire_payouts.payouts.http.admin import record_decision
from prizewire_payouts.payouts.http.answers import DecisionAnswer, decision_answer
from prizewire_payouts.payouts.storage.payouts import PayoutStorage
from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.unit_of_work import UnitOfWork

_NO_PAYOUT: Refusals = {404: ("payout_not_found",)}
_PARTIES = tuple(f"approver_is_{role}" for role in PartyRole)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalContext(Context):
    """The context of approval's controllers: the policy in force, and what can be paused."""

    policy: ApprovalPolicy
    rails: Sequence[Rail]
    assets: AssetRegistry


class Approval(BaseModel):
    """An approval; its note is kept in the audit record."""

    model_config = ConfigDict(extra="forbid")

    note: text.Reason | None = Field(None, examples=["checked with the organizer"])


class NewPause(BaseModel):
    """A pause of new payments of a rail, an asset or a campaign, by name or id."""

    model_config = ConfigDict(extra="forbid")

    scope: PauseScope = Field(examples=["campaign"])
    value: text.Name = Field(
        description="The rail's name, the asset's code, or the campaign's id, which is a UUID. An unknown rail or asset "
        "is refused. Only rewards knows the campaigns, so any UUID is accepted: look it up with "
        "`GET /api/campaigns/{id}` first.",
        examples=["6f9619ff-8b86-4011-b42d-00c04fc964ff"],
    )
    reason: text.Reason = Field(examples=["the organizer asks to wait"])


class PauseAnswer(AnswerModel):
    """A switch that keeps new payments of a rail, an asset or a campaign from starting."""

    id: Id
    scope: Annotated[PauseScope, Field(examples=["rail"])]
    value: Annotated[str, Field(description="Which rail, asset or campaign.", examples=["stellar"])]
    reason: Annotated[str, Field(examples=["the provider reports an outage"])]
    paused_by: PersonName
    paused_at: Moment
    resumed_by: Annotated[str | None, Field(description="Null while it is in force.", examples=[None])]
    resumed_at: Annotated[Moment | None, Field(examples=[None])]


def pause_answer(pause: Pause) -> PauseAnswer:
    """A pause as operators see it."""
    return PauseAnswer(
        id=pause.pause_id,
        scope=pause.scope,
        value=pause.value,
        reason=pause.reason,
        paused_by=pause.paused_by,
        paused_at=pause.paused_at,
        resumed_by=pause.resumed_by,
        resumed_at=pause.resumed_at,
    )


_METHOD: Final = (
    "The method is `PUT`, and an `Idempotency-Key` is optional. Decisions in rewards are `POST` and need the key: "
    "`/api/fee-withdrawals/{id}/approve`, `/api/round-disownments/{id}/approve`, and `reject` of both."
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
                409: ("not_held", "already_approved", "intent_expired"),
            },
        )
        async def approve(
            self,
            payout_id: FromPath[UUID],
            data: JSONBody[Approval],
            request: Request[Principal, Any, Any],
            key: OptionalKey = None,
        ) -> Response[DecisionAnswer]:
            async def approve(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, DecisionAnswer]:
                decision = await approve_payout(
                    PayoutStorage(action.unit_of_work),
                    ApprovalStorage(action.unit_of_work),
                    payout_id=payout_id,
                    approver=action.actor.subject,
                    note=data.note,
                    policy=context.policy,
                    rails=context.rails,
                    now=action.now,
                )
                await record_decision(action, "payout.approved", decision.payout, reason=data.note)
                return 202, decision_answer(decision.payout, approvers=decision.approvers)

            return await context.once(
                approve,
                answers=DecisionAnswer,
                actor=request.user,
                route=f"PUT /api/admin/payouts/{payout_id}/approve",
                key=key,
                body=data.model_dump(),
                key_required=False,
            )

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
            async def reject(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, DecisionAnswer]:
                decision = await reject_payout(
                    PayoutStorage(action.unit_of_work),
                    payout_id=payout_id,
                    approver=action.actor.subject,
                    reason=data.reason,
                    now=action.now,
                )
                await record_decision(action, "payout.rejected", decision.payout, reason=data.reason)
                return 202, decision_answer(decision.payout, approvers=decision.approvers)

            return await context.once(
                reject,
                answers=DecisionAnswer,
                actor=request.user,
                route=f"PUT /api/admin/payouts/{payout_id}/reject",
                key=key,
                body=data.model_dump(),
                key_required=False,
            )

    return ApprovalsController


def pauses_controller(context: ApprovalContext) -> type[Controller]:
    """Switches that keep new payments from starting."""

    class PausesController(Controller):
        path = "/api/admin/payouts/pauses"
        guards = [require(Role.OPERATOR, Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @get("/", summary="Pauses in force, newest first")
        async def list_pauses(self) -> Items[PauseAnswer]:
            found = await context.read(lambda unit_of_work: PauseStorage(unit_of_work).in_force())
            return Items(items=[pause_answer(one) for one in found])

        @post(
            "/",
            summary="Pause new payments of a rail, an asset or a campaign",
            refusals={422: ("pause_value_unknown",)},
        )
        async def create(
            self, data: JSONBody[NewPause], request: Request[Principal, Any, Any], key: RequiredKey = None
        ) -> Response[PauseAnswer]:
            async def create(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, PauseAnswer]:
                made = await pause(
                    PauseStorage(action.unit_of_work),
                    pause_id=action.id,
                    scope=data.scope,
                    value=data.value,
                    reason=data.reason,
                    by=action.actor.subject,
                    known={
                        PauseScope.RAIL: {rail.name for rail in context.rails},
                        PauseScope.ASSET: set(context.assets),
                    },
                    now=action.now,
                )
                await _record_pause(action, "payouts.paused", made, reason=data.reason)
                return 201, pause_answer(made)

            return await context.once(
                create,
                answers=PauseAnswer,
                actor=request.user,
                route="POST /api/admin/payouts/pauses",
                key=key,
                body=data.model_dump(mode="json"),
            )

        @delete("/{pause_id:uuid}", status_code=200, summary="Resume", refusals={404: ("pause_not_found",)})
        async def lift(self, pause_id: FromPath[UUID], request: Request[Principal, Any, Any]) -> PauseAnswer:
            async def lift(action: Action[UnitOfWork, UnitOfWork]) -> PauseAnswer:
                lifted = await resume(
                    PauseStorage(action.unit_of_work),
                    pause_id=pause_id,
                    by=action.actor.subject,
                    now=action.now,
                )
                await _record_pause(action, "payouts.resumed", lifted, reason=None)
                return pause_answer(lifted)

            return await context.change(lift, actor=request.user)

    return PausesController


async def _record_pause(
    action: Action[UnitOfWork, UnitOfWork], name: str, made: Pause, *, reason: str | None
) -> None:
    await action.record(
        name,
        target=str(made.pause_id),
        reason=reason,
        detail={"scope": made.scope, "value": made.value},
    )
