"""``/api/funding-accounts`` and ``/api/payouts/create``: money that operators pay out."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import Problem
from prizewire_chassis.http.answers import Items
from prizewire_rewards import metrics
from prizewire_rewards.http.codes import AMOUNT_CODES, refusing
from prizewire_rewards.http.context import Front, IdempotencyKey
from prizewire_rewards.payouts.domain.commands import CreateFunding, MoveFunding, OperatorPayout
from prizewire_rewards.payouts.domain.funding import Destination, FundingAccount
from prizewire_rewards.payouts.domain.views import FundingView
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
from prizewire_rewards.payouts.storage.views import list_fundings

_READERS = (Role.OPERATOR, Role.APPROVER, Role.ADMIN)
_NO_ACCOUNT = refusing("funding_unknown")
_PAYOUT_RULES = refusing(
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
"""The funding account is named by the body."""


class FundingController(Controller):
    """Named accounts: made, funded and emptied by admins."""

    path = "/api/funding-accounts"
    tags = ["funding"]  # noqa: RUF012 - Litestar reads a plain list

    @get(
        guards=[require(*_READERS)],
        summary="Funding accounts with their balances, newest first",
    )
    async def listing(self, *, front: NamedDependency[Front]) -> Items[FundingAnswer]:
        """What each holds, and what its open payouts hold."""
        found = await front.read(list_fundings)
        return Items(items=[_funding(front, view) for view in found])

    @get("/{name:str}", guards=[require(*_READERS)], summary="One funding account", refusals=_NO_ACCOUNT)
    async def one(self, *, front: NamedDependency[Front], name: FromPath[str]) -> FundingAnswer:
        """What it holds, and what its open payouts hold."""
        return _funding(front, await _view(front, name))

    @post(
        guards=[require(Role.ADMIN)],
        summary="Make a funding account",
        refusals=refusing("funding_exists", "asset_unknown", "asset_not_redeemable"),
    )
    async def create(
        self,
        *,
        front: NamedDependency[Front],
        data: JSONBody[FundingBody],
        request: Request[Principal, Any, Any],
        key: IdempotencyKey = None,
    ) -> Response[FundingAnswer]:
        """It holds one redeemable asset, and begins empty."""
        command = CreateFunding(name=data.name, asset=data.asset, actor=request.user.subject)

        async def work(tx: AsyncConnection, identifier: UUID) -> tuple[int, FundingAnswer]:
            del identifier  # its name is its id
            await create_funding(command, ports=front.ports_of(tx), tools=front.tools, now=front.clock.now())
            await front.audit.record(
                tx,
                actor=request.user.subject,
                action="funding_account.created",
                target=data.name,
                detail=data.model_dump(mode="json"),
            )
            [view] = await list_fundings(tx, name=data.name)
            return 201, _funding(front, view)

        return await front.once(
            principal=request.user,
            route="POST /api/funding-accounts",
            key=key,
            body=data.model_dump(mode="json"),
            work=work,
            answers=FundingAnswer,
        )

    @post(
        "/{name:str}/fund",
        guards=[require(Role.ADMIN)],
        summary="Put money into a funding account",
        refusals=refusing(
            "funding_unknown", "amount_not_positive", "amount_too_large", "reference_used", *AMOUNT_CODES
        ),
    )
    async def fund(
        self,
        *,
        front: NamedDependency[Front],
        name: FromPath[str],
        data: JSONBody[FundingAmountBody],
        request: Request[Principal, Any, Any],
        key: IdempotencyKey = None,
    ) -> Response[FundingAnswer]:
        """Book money that came in from outside. A second payment under the same reference is refused unless
        `repeated_reference` says that it is one.
        """
        return await _move(
            front, name, data, action="funded", move=add_funding, principal=request.user, key=key
        )

    @post(
        "/{name:str}/withdraw",
        guards=[require(Role.ADMIN)],
        summary="Take money out of a funding account",
        refusals=refusing("funding_unknown", "amount_not_positive", "insufficient_balance", *AMOUNT_CODES),
    )
    async def withdraw(
        self,
        *,
        front: NamedDependency[Front],
        name: FromPath[str],
        data: JSONBody[FundingWithdrawalBody],
        request: Request[Principal, Any, Any],
        key: IdempotencyKey = None,
    ) -> Response[FundingAnswer]:
        """Book money that left without a payout; never more than the account holds."""
        return await _move(
            front, name, data, action="withdrawn", move=withdraw_funding, principal=request.user, key=key
        )


class OperatorPayoutController(Controller):
    """Payouts that an operator asks for."""

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
        front: NamedDependency[Front],
        data: JSONBody[OperatorPayoutBody],
        request: Request[Principal, Any, Any],
        key: IdempotencyKey = None,
    ) -> Response[OperatorPayoutAnswer]:
        """Move the money into a payout request to an address in clear. Who files it does not approve it."""
        view = await _view(front, data.funding_account, status=422)
        amount = front.minor(front.asset(view.asset), data.amount)

        async def work(tx: AsyncConnection, identifier: UUID) -> tuple[int, OperatorPayoutAnswer]:
            command = OperatorPayout(
                id=identifier,
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
                command, ports=front.ports_of(tx), tools=front.tools, now=front.clock.now()
            )
            await front.audit.record(
                tx,
                actor=request.user.subject,
                action="payout.created",
                target=str(payout.id),
                reason=data.reason,
                detail=data.model_dump(mode="json"),
            )
            after_commit(tx, metrics.PAYOUTS_REQUESTED.labels("operator").inc)
            return 202, OperatorPayoutAnswer(
                payout_id=payout.id,
                state=payout.state,
                funding_account=data.funding_account,
                asset=payout.asset,
                amount=front.wire(payout.asset, payout.amount),
            )

        return await front.once(
            principal=request.user,
            route="POST /api/payouts/create",
            key=key,
            body=data.model_dump(mode="json"),
            work=work,
            answers=OperatorPayoutAnswer,
        )


async def _move(
    front: Front,
    name: str,
    data: FundingAmountBody | FundingWithdrawalBody,
    *,
    action: str,
    move: Callable[..., Awaitable[FundingAccount]],
    principal: Principal,
    key: str | None,
) -> Response[FundingAnswer]:
    view = await _view(front, name)
    amount = front.minor(front.asset(view.asset), data.amount)

    async def work(tx: AsyncConnection, identifier: UUID) -> tuple[int, FundingAnswer]:
        command = MoveFunding(
            id=identifier,
            name=name,
            amount=amount,
            actor=principal.subject,
            reference=data.reason if isinstance(data, FundingWithdrawalBody) else data.reference,
            repeated=isinstance(data, FundingAmountBody) and data.repeated_reference,
        )
        await move(command, ports=front.ports_of(tx), tools=front.tools, now=front.clock.now())
        await front.audit.record(
            tx,
            actor=principal.subject,
            action=f"funding_account.{action}",
            target=name,
            reason=data.reason if isinstance(data, FundingWithdrawalBody) else None,
            detail=data.model_dump(mode="json"),
        )
        [after] = await list_fundings(tx, name=name)
        return 201, _funding(front, after)

    return await front.once(
        principal=principal,
        route=f"POST /api/funding-accounts/{{name}}/{action}",
        key=key,
        body={"name": name, **data.model_dump(mode="json")},
        work=work,
        answers=FundingAnswer,
    )


async def _view(front: Front, name: str, *, status: int = 404) -> FundingView:
    found = await front.read(lambda tx: list_fundings(tx, name=name))
    if not found:
        raise Problem(status=status, code="funding_unknown", detail=f"there is no funding account {name}")
    return found[0]


def _funding(front: Front, view: FundingView) -> FundingAnswer:
    return FundingAnswer(
        name=view.name,
        asset=view.asset,
        balance=front.wire(view.asset, view.balance),
        payout_pending=front.wire(view.asset, view.payout_pending),
        created_by=view.created_by,
        created_at=view.created_at,
    )
