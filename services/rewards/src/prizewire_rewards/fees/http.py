"""Fees and their withdrawals over HTTP."""

from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from pydantic import Field

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import BY_TIME_AND_ID, RequiredKey, page_limit
from prizewire_chassis.http.answers import AnswerModel, Id, Items, Moment, PageOf
from prizewire_contracts.text import Line
from prizewire_rewards import metrics
from prizewire_rewards.fees.domain import FeeBalance, FeeSource, FeeWithdrawal, WithdrawalState
from prizewire_rewards.fees.handlers import DecideFees, decide_withdrawal, file_withdrawal
from prizewire_rewards.fees.ports import FeePorts
from prizewire_rewards.fees.storage import fee_balances, fee_withdrawal, fee_withdrawals
from prizewire_rewards.http.bodies import (
    AssetCode,
    Body,
    Code,
    CorrelationId,
    Decimal,
    DecisionBody,
    Money,
    Person,
    RepeatedReference,
)
from prizewire_rewards.http.codes import AMOUNT_CODES, STATUSES
from prizewire_rewards.http.context import Amounts, Context, RewardsAction
from prizewire_rewards.ledger.ports import Tools

_Context = Context[FeePorts, Tools]
_Action = RewardsAction[FeePorts]

_Source = Annotated[FeeSource, Field(description="The owner of the fees.", examples=["platform"])]


class FeeBalanceAnswer(AnswerModel):
    """Fees of one source in one asset."""

    source: _Source
    asset: AssetCode
    balance: Annotated[Money, Field(description="Fees that have not left.", examples=["380.00"])]
    withdrawn: Annotated[Money, Field(description="Fees that have left.", examples=["120.00"])]
    filed: Annotated[
        Money, Field(description="Fees in withdrawals that wait for a decision.", examples=["0.00"])
    ]


class FeeWithdrawalAnswer(AnswerModel):
    """A withdrawal of fees: filed by one person, approved or rejected by another."""

    withdrawal_id: Id
    source: _Source
    asset: AssetCode
    amount: Annotated[Money, Field(examples=["120.00"])]
    reference: Annotated[
        str, Field(description="The bank transfer that it leaves by.", examples=["wire 2026-04-02"])
    ]
    state: Annotated[WithdrawalState, Field(examples=["approved"])]
    filed_by: Person
    filed_at: Moment
    decided_by: Annotated[Person | None, Field(description="Null until it is decided.", examples=["boris"])]
    decided_at: Annotated[Moment | None, Field(examples=["2026-05-02T12:00:00Z"])]
    reason: Annotated[str | None, Field(description="Why it was rejected.", examples=[None])]
    repeats: Annotated[
        Id | None,
        Field(
            description="The earlier withdrawal of the same fees under this reference. Null where there is none.",
            examples=[None],
        ),
    ]
    correlation_id: CorrelationId


_READERS = (Role.OPERATOR, Role.APPROVER, Role.ADMIN)


class FeeWithdrawalBody(Body):
    """A withdrawal of fees to file."""

    source: Literal["platform", "organizer", "entry_fees"] = Field(
        description="The platform's fees, organizers' fees of rounds without an organizer, or earned entry fees.",
        examples=["platform"],
    )
    asset: Code = Field(examples=["USDC"])
    amount: Decimal = Field(description="The amount in the asset.", examples=["120.00"])
    reference: Line = Field(
        description="The bank transfer that it leaves by. Fees of a source leave once under a reference, in any case.",
        examples=["wire 2026-04-02"],
    )
    repeated_reference: RepeatedReference = False


class FeeController(Controller):
    """Balances of fees."""

    path = "/api/fees"
    tags = ["fees"]  # noqa: RUF012 - Litestar reads a plain list

    @get(guards=[require(*_READERS)], summary="Fees by asset and source")
    async def balances(self, *, context: NamedDependency[_Context]) -> Items[FeeBalanceAnswer]:
        """Of each source and asset: the balance, the sum withdrawn, and the sum of filed withdrawals."""
        found = await context.read(lambda tx: fee_balances(tx, assets=list(context.amounts.assets)))
        return Items(items=[_balance(context.amounts, one) for one in found])


class FeeWithdrawalController(Controller):
    """Two persons withdraw fees: an admin files, another admin or an approver approves."""

    path = "/api/fee-withdrawals"
    tags = ["fees"]  # noqa: RUF012 - Litestar reads a plain list

    @get(
        guards=[require(*_READERS)],
        summary="Withdrawals of fees, newest first",
    )
    async def listing(
        self,
        *,
        context: NamedDependency[_Context],
        withdrawal_state: Annotated[WithdrawalState | None, QueryParameter(name="state")] = None,
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int | None] = None,
    ) -> PageOf[FeeWithdrawalAnswer]:
        """All, or those that are filed, approved or rejected."""
        size, before = page_limit(limit), BY_TIME_AND_ID.read(cursor)
        found = await context.read(
            lambda tx: fee_withdrawals(tx, state=withdrawal_state, limit=size, before=before)
        )
        return BY_TIME_AND_ID.page(
            found,
            limit=size,
            key=lambda one: (one.filed_at, one.id),
            show=partial(_shown, context.amounts),
        )

    @get(
        "/{withdrawal_id:uuid}",
        guards=[require(*_READERS)],
        summary="One withdrawal of fees",
        refusals=STATUSES.refusals("fee_withdrawal_unknown"),
    )
    async def one(
        self, *, context: NamedDependency[_Context], withdrawal_id: FromPath[UUID]
    ) -> FeeWithdrawalAnswer:
        """A withdrawal with its filer, its state and its decision."""
        found = await context.read(lambda tx: fee_withdrawal(tx, withdrawal_id))
        if found is None:
            raise STATUSES.refuse("fee_withdrawal_unknown", f"there is no withdrawal of fees {withdrawal_id}")
        return _shown(context.amounts, found)

    @post(
        guards=[require(Role.ADMIN)],
        summary="File a withdrawal of fees, for another person to approve",
        refusals=STATUSES.refusals(
            "asset_unknown",
            "asset_not_redeemable",
            "amount_not_positive",
            "insufficient_balance",
            "reference_used",
            *AMOUNT_CODES,
        ),
    )
    async def file(
        self,
        *,
        context: NamedDependency[_Context],
        data: JSONBody[FeeWithdrawalBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[FeeWithdrawalAnswer]:
        """Nothing moves yet. An amount above the balance is refused. A second withdrawal of the same fees under the same
        reference is refused as well, unless the first was rejected or `repeated_reference` confirms another transfer.
        """
        amount = context.amounts.parse(data.asset, data.amount).minor

        async def file(action: _Action) -> tuple[int, FeeWithdrawalAnswer]:
            withdrawal = FeeWithdrawal(
                id=action.id,
                source=FeeSource(data.source),
                asset=data.asset,
                amount=amount,
                reference=data.reference,
                filed_by=request.user.subject,
                filed_at=action.now,
            )
            filed = await file_withdrawal(
                withdrawal,
                repeated=data.repeated_reference,
                ports=action.unit_of_work,
                tools=context.tools,
            )
            shown = _shown(context.amounts, filed)
            await _record(action, filed, what="filed", shown=shown)
            return 201, shown

        return await context.once(
            file,
            answers=FeeWithdrawalAnswer,
            actor=request.user,
            route="POST /api/fee-withdrawals",
            key=key,
            body=data.model_dump(mode="json"),
        )

    @post(
        "/{withdrawal_id:uuid}/approve",
        guards=[require(Role.APPROVER, Role.ADMIN)],
        status_code=200,
        summary="Approve a withdrawal of fees: the money leaves",
        description="The filer may not approve it. "
        "The method is `POST`, and an `Idempotency-Key` is required. A held payout is approved and rejected in payouts by `PUT`: "
        "`/api/admin/payouts/{id}/approve` and `/reject`.",
        refusals=STATUSES.refusals(
            "own_fee_withdrawal", "fee_withdrawal_unknown", "fee_withdrawal_final", "insufficient_balance"
        ),
    )
    async def approve(
        self,
        *,
        context: NamedDependency[_Context],
        withdrawal_id: FromPath[UUID],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[FeeWithdrawalAnswer]:
        """The filer may not approve it."""
        return await _decide(context, withdrawal_id, request.user, key, reason=None)

    @post(
        "/{withdrawal_id:uuid}/reject",
        guards=[require(Role.APPROVER, Role.ADMIN)],
        status_code=200,
        summary="Reject a withdrawal of fees; the filer may cancel it so",
        refusals=STATUSES.refusals("fee_withdrawal_unknown", "fee_withdrawal_final"),
    )
    async def reject(
        self,
        *,
        context: NamedDependency[_Context],
        withdrawal_id: FromPath[UUID],
        data: JSONBody[DecisionBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[FeeWithdrawalAnswer]:
        """The withdrawal ends, and nothing moves."""
        return await _decide(context, withdrawal_id, request.user, key, reason=data.reason)


async def _decide(
    context: _Context, withdrawal_id: UUID, principal: Principal, key: str | None, *, reason: str | None
) -> Response[FeeWithdrawalAnswer]:
    """Approve, or reject for a ``reason``."""
    what = "approved" if reason is None else "rejected"
    command = DecideFees(id=withdrawal_id, approved=reason is None, actor=principal.subject, reason=reason)

    async def decide(action: _Action) -> tuple[int, FeeWithdrawalAnswer]:
        after = await decide_withdrawal(
            command, ports=action.unit_of_work, tools=context.tools, now=action.now
        )
        shown = _shown(context.amounts, after)
        await _record(action, after, what=what, shown=shown)
        after_commit(action.tx, metrics.FEE_WITHDRAWALS.labels(what).inc)
        return 200, shown

    return await context.once(
        decide,
        answers=FeeWithdrawalAnswer,
        actor=principal,
        route=f"POST /api/fee-withdrawals/{{withdrawal_id}}/{what}",
        key=key,
        body={"withdrawal_id": str(withdrawal_id), "reason": reason},
    )


async def _record(
    action: _Action, withdrawal: FeeWithdrawal, *, what: str, shown: FeeWithdrawalAnswer
) -> None:
    await action.record(
        f"fee_withdrawal.{what}",
        target=str(withdrawal.id),
        reason=withdrawal.reason,
        detail=shown.model_dump(mode="json"),
        correlation_id=str(withdrawal.id),
    )


def _shown(amounts: Amounts, withdrawal: FeeWithdrawal) -> FeeWithdrawalAnswer:
    return FeeWithdrawalAnswer(
        withdrawal_id=withdrawal.id,
        source=withdrawal.source,
        asset=withdrawal.asset,
        amount=amounts.text(withdrawal.asset, withdrawal.amount),
        reference=withdrawal.reference,
        state=withdrawal.state,
        filed_by=withdrawal.filed_by,
        filed_at=withdrawal.filed_at,
        decided_by=withdrawal.decided_by,
        decided_at=withdrawal.decided_at,
        reason=withdrawal.reason,
        repeats=withdrawal.repeats,
        correlation_id=str(withdrawal.id),
    )


def _balance(amounts: Amounts, found: FeeBalance) -> FeeBalanceAnswer:
    return FeeBalanceAnswer(
        source=found.source,
        asset=found.asset,
        balance=amounts.text(found.asset, found.balance),
        withdrawn=amounts.text(found.asset, found.withdrawn),
        filed=amounts.text(found.asset, found.filed),
    )
