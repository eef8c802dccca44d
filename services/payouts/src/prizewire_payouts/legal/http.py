"""`/api/admin/legal-approvals`: recorded legal approvals of rails."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post
from litestar.params import FromPath, JSONBody
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Action, OptionalKey
from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_contracts import text
from prizewire_contracts.text import Word
from prizewire_payouts.http import Context, PersonName
from prizewire_payouts.legal.domain import LegalApproval, LegalScope, LegalState
from prizewire_payouts.legal.handlers import (
    confirm_legal_approval,
    end_legal_approval,
    file_legal_approval,
)
from prizewire_payouts.legal.storage import LegalPermission, LegalStorage
from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.unit_of_work import UnitOfWork

_EXAMPLE = "RailLegal-2026-11"


class NewLegalApproval(BaseModel):
    """A legal approval to record."""

    model_config = ConfigDict(extra="forbid")

    scope: LegalScope = Field(description="Of one rail, or of a rail type.", examples=["rail_type"])
    value: Word = Field(description="The rail's configured name, or the rail type.", examples=["stellar"])
    reference: text.Reason = Field(description="What names the document.", examples=[_EXAMPLE])
    jurisdictions: list[Word] = Field(
        min_length=1, max_length=100, description="Where it holds.", examples=[["DE", "FR"]]
    )
    ends_at: AwareDatetime = Field(
        description="When it ends. Then the rail is off until another one is in force.",
        examples=["2027-11-24T00:00:00Z"],
    )


class LegalApprovalAnswer(AnswerModel):
    """A recorded legal approval."""

    id: Id
    scope: Annotated[LegalScope, Field(examples=["rail_type"])]
    value: Annotated[str, Field(examples=["stellar"])]
    reference: Annotated[str, Field(examples=[_EXAMPLE])]
    jurisdictions: Annotated[list[str], Field(examples=[["DE", "FR"]])]
    ends_at: Moment
    state: Annotated[LegalState, Field(examples=["confirmed"])]
    in_force: Annotated[
        bool, Field(description="Whether payments may be made under it now.", examples=[True])
    ]
    filed_by: PersonName
    filed_at: Moment
    confirmed_by: PersonName | None
    confirmed_at: Moment | None
    ended_by: PersonName | None
    ended_at: Moment | None


class LegalApprovals(AnswerModel):
    """All legal approvals, newest first, and the rails that pay nothing without another one."""

    items: list[LegalApprovalAnswer]
    rails_off: Annotated[
        list[str],
        Field(
            description="Configured rails that need a legal approval, and have none in force.", examples=[[]]
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalContext(Context):
    """The context of the controller of legal approvals. ``waived`` says that rails pay without one (development only)."""

    rails: list[Rail]
    waived: bool = False


def legal_controller(context: LegalContext) -> type[Controller]:
    """The controller over this context."""

    class LegalController(Controller):
        path = "/api/admin/legal-approvals"
        guards = [require(Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @get("/", summary="Legal approvals, and the rails that are off without one")
        async def list_legal_approvals(self) -> LegalApprovals:
            now = context.clock.now()

            async def read(unit_of_work: UnitOfWork) -> LegalApprovals:
                permission = LegalPermission(unit_of_work, waived=context.waived)
                return LegalApprovals(
                    items=[_answer(one, now) for one in await LegalStorage(unit_of_work).all()],
                    rails_off=[
                        rail.name for rail in context.rails if not await permission.may_pay(rail, now=now)
                    ],
                )

            return await context.read(read)

        @post(
            "/",
            summary="File a legal approval; another person confirms it",
            refusals={422: ("rail_unknown", "ends_at_past")},
        )
        async def file_approval(
            self,
            data: JSONBody[NewLegalApproval],
            request: Request[Principal, Any, Any],
            key: OptionalKey = None,
        ) -> Response[LegalApprovalAnswer]:
            async def create(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, LegalApprovalAnswer]:
                made = await file_legal_approval(
                    LegalStorage(action.unit_of_work),
                    approval_id=action.id,
                    scope=data.scope,
                    value=data.value,
                    known={
                        LegalScope.RAIL: [rail.name for rail in context.rails],
                        LegalScope.RAIL_TYPE: [rail.capabilities.type for rail in context.rails],
                    },
                    reference=data.reference,
                    jurisdictions=data.jurisdictions,
                    ends_at=data.ends_at,
                    by=action.actor.subject,
                    now=action.now,
                )
                await _record(action, "filed", made)
                return 201, _answer(made, action.now)

            return await context.once(
                create,
                answers=LegalApprovalAnswer,
                actor=request.user,
                route="POST /api/admin/legal-approvals",
                key=key,
                body=data.model_dump(mode="json"),
                key_required=False,
            )

        @post(
            "/{approval_id:uuid}/confirm",
            status_code=200,
            summary="Bring a legal approval into force, as another person than its filer",
            refusals={
                403: ("same_person",),
                404: ("legal_approval_not_found",),
                409: ("legal_approval_confirmed", "legal_approval_ended"),
            },
        )
        async def confirm_approval(
            self, approval_id: FromPath[UUID], request: Request[Principal, Any, Any]
        ) -> LegalApprovalAnswer:
            async def change(action: Action[UnitOfWork, UnitOfWork]) -> LegalApprovalAnswer:
                made = await confirm_legal_approval(
                    LegalStorage(action.unit_of_work),
                    approval_id=approval_id,
                    by=action.actor.subject,
                    now=action.now,
                )
                await _record(action, "confirmed", made)
                return _answer(made, action.now)

            return await context.change(change, actor=request.user)

        @delete(
            "/{approval_id:uuid}",
            status_code=200,
            summary="End a legal approval at once",
            refusals={404: ("legal_approval_not_found",), 409: ("legal_approval_ended",)},
        )
        async def end_approval(
            self, approval_id: FromPath[UUID], request: Request[Principal, Any, Any]
        ) -> LegalApprovalAnswer:
            async def change(action: Action[UnitOfWork, UnitOfWork]) -> LegalApprovalAnswer:
                made = await end_legal_approval(
                    LegalStorage(action.unit_of_work),
                    approval_id=approval_id,
                    by=action.actor.subject,
                    now=action.now,
                )
                await _record(action, "ended", made)
                return _answer(made, action.now)

            return await context.change(change, actor=request.user)

    return LegalController


async def _record(action: Action[UnitOfWork, UnitOfWork], name: str, made: LegalApproval) -> None:
    await action.record(
        f"legal_approval.{name}",
        target=str(made.approval_id),
        detail={"scope": made.scope, "value": made.value, "reference": made.reference},
    )


def _answer(one: LegalApproval, now: datetime) -> LegalApprovalAnswer:
    return LegalApprovalAnswer(
        id=one.approval_id,
        scope=one.scope,
        value=one.value,
        reference=one.reference,
        jurisdictions=list(one.jurisdictions),
        ends_at=one.ends_at,
        state=one.state,
        in_force=one.in_force(now=now),
        filed_by=one.filed_by,
        filed_at=one.filed_at,
        confirmed_by=one.confirmed_by,
        confirmed_at=one.confirmed_at,
        ended_by=one.ended_by,
        ended_at=one.ended_at,
    )
