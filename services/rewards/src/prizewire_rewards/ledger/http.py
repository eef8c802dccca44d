"""Receivables over HTTP."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from pydantic import BaseModel, ConfigDict, Field

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import BY_TIME_AND_ID, RequiredKey, page_limit
from prizewire_chassis.http.answers import AnswerModel, Id, Moment, PageOf
from prizewire_contracts.text import Reason
from prizewire_rewards.http.bodies import AssetCode, CorrelationId, Money, Player
from prizewire_rewards.http.codes import STATUSES
from prizewire_rewards.http.context import Amounts, Context, RewardsAction
from prizewire_rewards.ledger.domain.receivables import Receivable, ReceivableView, WriteOff
from prizewire_rewards.ledger.handlers import write_off
from prizewire_rewards.ledger.ports import LedgerPorts, Tools
from prizewire_rewards.ledger.storage.receivables import list_receivables


class ReceivableAnswer(AnswerModel):
    """A receivable: a debt of a player, open or not."""

    receivable_id: Id
    player: Player
    asset: AssetCode
    amount: Annotated[Money, Field(description="The amount at its opening.", examples=["40.00"])]
    open: Annotated[Money, Field(description="Still owed.", examples=["25.00"])]
    recovered: Annotated[Money, Field(description="Taken from the player's credits.", examples=["15.00"])]
    written_off: Annotated[Money, Field(description="Written off by an approver.", examples=["0.00"])]
    lifted: Annotated[
        Money, Field(description="No longer owed, because its reason no longer exists.", examples=["0.00"])
    ]
    restored: Annotated[
        Money,
        Field(
            description="Part of `written_off` that is no longer a loss, because the reason of the debt no longer exists.",
            examples=["0.00"],
        ),
    ]
    campaign: Annotated[
        Id | None,
        Field(
            description="The campaign whose pool gets recovered money. Null for the debt of a top-up.",
            examples=["6f9619ff-8b86-4011-b42d-00c04fc964ff"],
        ),
    ]
    reference: Annotated[
        str,
        Field(description="The round or top-up.", examples=["67d20d3b-65b1-575d-9ac8-55bf598fbc8d"]),
    ]
    correlation_id: CorrelationId
    opened_at: Moment


_Context = Context[LedgerPorts, Tools]


_Action = RewardsAction[LedgerPorts]


_READERS = (Role.OPERATOR, Role.APPROVER, Role.ADMIN)


class WriteOffBody(BaseModel):
    """The reason of a write-off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Reason = Field(description="For the audit.", examples=["the account was closed"])


class ReceivableController(Controller):
    """Receivables: operators, approvers and admins list them, approvers write them off."""

    path = "/api/receivables"
    tags = ["receivables"]  # noqa: RUF012 - Litestar reads a plain list

    @get(
        guards=[require(*_READERS)],
        summary="Receivables, newest first",
    )
    async def listing(
        self,
        *,
        context: NamedDependency[_Context],
        player: FromQuery[str | None] = None,
        still_open: Annotated[bool, QueryParameter(name="open")] = False,
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int | None] = None,
    ) -> PageOf[ReceivableAnswer]:
        """All debts with their recovered, written-off and lifted amounts; of one player, or only open ones."""
        size = page_limit(limit)
        before = BY_TIME_AND_ID.read(cursor)
        found = await context.read(
            lambda tx: list_receivables(tx, player=player, still_open=still_open, limit=size, before=before)
        )
        return BY_TIME_AND_ID.page(
            found,
            limit=size,
            key=lambda one: (one.opened_at, one.id),
            show=partial(_shown, context.amounts),
        )

    @post(
        "/{receivable_id:uuid}/write-off",
        guards=[require(Role.APPROVER)],
        status_code=200,
        summary="Write off the open amount of a debt",
        refusals=STATUSES.refusals("own_receivable", "receivable_unknown", "receivable_closed"),
    )
    async def give_up(
        self,
        *,
        context: NamedDependency[_Context],
        receivable_id: FromPath[UUID],
        data: JSONBody[WriteOffBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[ReceivableAnswer]:
        """The player's credits no longer pay it. No one writes off their own debt."""
        actor = request.user.subject

        async def give_up(action: _Action) -> tuple[int, ReceivableAnswer]:
            command = WriteOff(receivable_id=receivable_id, actor=actor, reason=data.reason)
            written_off = await write_off(command, ports=action.unit_of_work, now=action.now)
            shown = _shown(context.amounts, written_off)
            await action.record(
                "receivable.written_off",
                target=str(receivable_id),
                reason=data.reason,
                detail=shown.model_dump(mode="json"),
                correlation_id=written_off.correlation_id,
            )
            return 200, shown

        return await context.once(
            give_up,
            answers=ReceivableAnswer,
            actor=request.user,
            route=f"POST /api/receivables/{receivable_id}/write-off",
            key=key,
            body=data.model_dump(mode="json"),
        )


def _shown(amounts: Amounts, debt: ReceivableView | Receivable) -> ReceivableAnswer:
    return ReceivableAnswer(
        receivable_id=debt.id,
        player=debt.player,
        asset=debt.asset,
        amount=amounts.text(debt.asset, debt.amount),
        open=amounts.text(debt.asset, debt.open),
        recovered=amounts.text(debt.asset, debt.recovered),
        written_off=amounts.text(debt.asset, debt.written_off),
        lifted=amounts.text(debt.asset, debt.lifted),
        restored=amounts.text(debt.asset, debt.restored),
        campaign=debt.campaign,
        reference=debt.reference,
        correlation_id=debt.correlation_id,
        opened_at=debt.opened_at,
    )
