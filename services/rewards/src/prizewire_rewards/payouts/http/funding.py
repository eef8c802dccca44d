"""``/api/funding-accounts`` and ``/api/payouts/create``: funding accounts, and operators' payouts out of them."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import Problem, RequiredKey
from prizewire_chassis.http.answers import Items
from prizewire_rewards import metrics
from prizewire_rewards.http.codes import AMOUNT_CODES, STATUSES
from prizewire_rewards.http.context import Amounts, Context, RewardsAction
from prizewire_rewards.payouts.domain.commands import CreateFunding, MoveFunding, OperatorPayout
from prizewire_rewards.payouts.domain.funding import Destination, FundingAccount
from prizewire_rewards.payouts.domain.model import FundingView
from prizewire_rewards.payouts.handlers.funding import (
    add_funding,
    create_funding,
    request_operator_payout,
    withdraw_funding,
)
from prizewire_rewards.payouts.http.answers import FundingAnswer, OperatorPayoutAnswer
from prizewire_rewards.payouts.http.bodies import (
    FundingAmountBody,
    FundingBody,
    FundingWithdrawalBody,
    OperatorPayoutBody,
)
from prizewire_rewards.payouts.ports import PayoutPorts, PayoutTools
from prizewire_rewards.payouts.storage.views import list_fundings

_Context = Context[PayoutPorts, PayoutTools]
_Action = RewardsAction[PayoutPorts]

_READERS = (Role.OPERATOR, Role.APPROVER, Role.ADMIN)
_NO_ACCOUNT = STATUSES.refusals("funding_unknown")
_PAYOUT_RULES = STATUSES.refusals(
    "amount_not_positive",
    "amount_below_minimum",
    "amount_above_maximum",
    "insufficient_balance",
    "address_invalid",
    "memo_too_long",
    "memo_not_possible",
    *AMOUNT_CODES,
)
_PAYOUT_REFUSALS = {**_PAYOUT_RULES, 422: ("funding_unknown", *_PAYOUT_RULES[422])}
"""The body names the funding account, so an unknown one is 422."""


class FundingController(Controller):
    """Funding accounts: admins create, fund and empty them."""

    path = "/api/funding-accounts"
    tags = ["funding"]  # noqa: RUF012 - Litestar reads a plain list

    @get(
        guards=[require(*_READERS)],
        summary="Funding accounts with their balances, newest first",
    )
    async def listing(self, *, context: NamedDependency[_Context]) -> Items[FundingAnswer]:
        """Each account with its balance and the money in its open payouts."""
        found = await context.read(list_fundings)
        return Items(items=[_funding(context.amounts, view) for view in found])

    @get("/{name:str}", guards=[require(*_READERS)], summary="One funding account", refusals=_NO_ACCOUNT)
    async def one(self, *, context: NamedDependency[_Context], name: FromPath[str]) -> FundingAnswer:
        """The account with its balance and the money in its open payouts."""
        return _funding(context.amounts, await _view(context, name))

    @post(
        guards=[require(Role.ADMIN)],
        summary="Create a funding account",
        refusals=STATUSES.refusals("funding_exists", "asset_unknown", "asset_not_redeemable"),
    )
    async def create(
        self,
        *,
        context: NamedDependency[_Context],
        data: JSONBody[FundingBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[FundingAnswer]:
        """The account has one redeemable asset and is empty."""
        command = CreateFunding(name=data.name, asset=data.asset, actor=request.user.subject)

        async def create(action: _Action) -> tuple[int, FundingAnswer]:
            await create_funding(command, ports=action.unit_of_work, tools=context.tools, now=action.now)
            await action.record(
                "funding_account.created",
                target=data.name,
                detail=data.model_dump(mode="json"),
            )
            [view] = await list_fundings(action.tx, name=data.name)
            return 201, _funding(context.amounts, view)

        return await context.once(
            create,
            answers=FundingAnswer,
            actor=request.user,
            route="POST /api/funding-accounts",
            key=key,
            body=data.model_dump(mode="json"),
        )

    @post(
        "/{name:str}/fund",
        guards=[require(Role.ADMIN)],
        summary="Put money into a funding account",
        refusals=STATUSES.refusals(
            "funding_unknown", "amount_not_positive", "amount_too_large", "reference_used", *AMOUNT_CODES
        ),
    )
    async def fund(
        self,
        *,
        context: NamedDependency[_Context],
        name: FromPath[str],
        data: JSONBody[FundingAmountBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[FundingAnswer]:
        """Book money that came in from outside. A second payment under the same reference is refused unless
        `repeated_reference` says that it is one.
        """
        return await _move(
            context, name, data, event="funded", move=add_funding, principal=request.user, key=key
        )

    @post(
        "/{name:str}/withdraw",
        guards=[require(Role.ADMIN)],
        summary="Take money out of a funding account",
        refusals=STATUSES.refusals(
            "funding_unknown", "amount_not_positive", "insufficient_balance", *AMOUNT_CODES
        ),
    )
    async def withdraw(
        self,
        *,
        context: NamedDependency[_Context],
        name: FromPath[str],
        data: JSONBody[FundingWithdrawalBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[FundingAnswer]:
        """Book money that left without a payout, at most the account's balance."""
        return await _move(
            context, name, data, event="withdrawn", move=withdraw_funding, principal=request.user, key=key
        )


class OperatorPayoutController(Controller):
    """Payouts that operators request."""

    path = "/api/payouts/create"
    tags = ["funding"]  # noqa: RUF012 - Litestar reads a plain list

    @post(
        guards=[require(Role.OPERATOR, Role.ADMIN)],
        summary="Pay out of a funding account, once another person has approved",
        status_code=202,
        refusals=_PAYOUT_REFUSALS,
    )
    async def create(
        self,
        *,
        context: NamedDependency[_Context],
        data: JSONBody[OperatorPayoutBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[OperatorPayoutAnswer]:
        """Move the money into a payout request to an address in clear text. The filer may not approve it."""
        view = await _view(context, data.funding_account, status=422)
        amount = context.amounts.parse(view.asset, data.amount).minor

        async def create(action: _Action) -> tuple[int, OperatorPayoutAnswer]:
            command = OperatorPayout(
                id=action.id,
                funding_account=data.funding_account,
                amount=amount,
                destination=Destination(
                    rail_type=data.destination.type,
                    address=data.destination.address,
                    memo=data.destination.memo,
                ),
                operator=request.user.subject,
                reason=data.reason,
            )
            payout = await request_operator_payout(
                command, ports=action.unit_of_work, tools=context.tools, now=action.now
            )
            await action.record(
                "payout.created",
                target=str(payout.id),
                reason=data.reason,
                detail=data.model_dump(mode="json"),
            )
            after_commit(action.tx, metrics.PAYOUTS_REQUESTED.labels("operator").inc)
            return 202, OperatorPayoutAnswer(
                payout_id=payout.id,
                state=payout.state,
                funding_account=data.funding_account,
                asset=payout.asset,
                amount=context.amounts.text(payout.asset, payout.amount),
            )

        return await context.once(
            create,
            answers=OperatorPayoutAnswer,
            actor=request.user,
            route="POST /api/payouts/create",
            key=key,
            body=data.model_dump(mode="json"),
        )


async def _move(
    context: _Context,
    name: str,
    data: FundingAmountBody | FundingWithdrawalBody,
    *,
    event: str,
    move: Callable[..., Awaitable[FundingAccount]],
    principal: Principal,
    key: str | None,
) -> Response[FundingAnswer]:
    view = await _view(context, name)
    amount = context.amounts.parse(view.asset, data.amount).minor

    async def book(action: _Action) -> tuple[int, FundingAnswer]:
        command = MoveFunding(
            id=action.id,
            name=name,
            amount=amount,
            actor=principal.subject,
            reference=data.reason if isinstance(data, FundingWithdrawalBody) else data.reference,
            repeated=isinstance(data, FundingAmountBody) and data.repeated_reference,
        )
        await move(command, ports=action.unit_of_work, tools=context.tools, now=action.now)
        await action.record(
            f"funding_account.{event}",
            target=name,
            reason=data.reason if isinstance(data, FundingWithdrawalBody) else None,
            detail=data.model_dump(mode="json"),
        )
        [after] = await list_fundings(action.tx, name=name)
        return 201, _funding(context.amounts, after)

    return await context.once(
        book,
        answers=FundingAnswer,
        actor=principal,
        route=f"POST /api/funding-accounts/{{name}}/{event}",
        key=key,
        body={"name": name, **data.model_dump(mode="json")},
    )


async def _view(context: _Context, name: str, *, status: int = 404) -> FundingView:
    found = await context.read(lambda tx: list_fundings(tx, name=name))
    if not found:
        raise Problem(status=status, code="funding_unknown", detail=f"there is no funding account {name}")
    return found[0]


def _funding(amounts: Amounts, view: FundingView) -> FundingAnswer:
    return FundingAnswer(
        name=view.name,
        asset=view.asset,
        balance=amounts.text(view.asset, view.balance),
        payout_pending=amounts.text(view.asset, view.payout_pending),
        created_by=view.created_by,
        created_at=view.created_at,
    )
