"""``/api/funding-accounts`` and ``/api/payouts/create``: funding accounts, and operators' payouts out of them."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import Problem, RequiredKey
from prizewire_chassis.http.answers import Items
from prizewire_contracts.rails import RailType
from prizewire_rewards import metrics
from prizewire_rewards.http.codes import AMOUNT_CODES, STATUSES
from prizewire_rewards.http.context import Amounts, Context, RewardsAction
from prizewire_rewards.payouts.domain.commands import CancelPayout, CreateFunding, MoveFunding, OperatorPayout
from prizewire_rewards.payouts.domain.funding import Destination, FundingAccount
from prizewire_rewards.payouts.domain.inline import InlineDestination
from prizewire_rewards.payouts.domain.model import FundingView
from prizewire_rewards.payouts.handlers.cancelling import cancel_payout
from prizewire_rewards.payouts.handlers.funding import (
    add_funding,
    create_funding,
    request_operator_payout,
    withdraw_funding,
)
from prizewire_rewards.payouts.http.answers import FundingAnswer, OperatorPayoutAnswer, PayoutCancelAnswer
from prizewire_rewards.payouts.http.bodies import (
    FundingAmountBody,
    FundingBody,
    FundingWithdrawalBody,
    OperatorCancelBody,
    OperatorPayoutBody,
)
from prizewire_rewards.payouts.http.inline import INLINE_CODES, marked, read_inline
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
    "reference_used",
    "funding_not_configured",
    "idempotency_key_differs",
    "sealing_key_missing",
    *AMOUNT_CODES,
)
_PAYOUT_REFUSALS = {
    **_PAYOUT_RULES,
    422: tuple(dict.fromkeys(("funding_unknown", *_PAYOUT_RULES[422], *INLINE_CODES))),
}
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
        """Move the money into a payout request to an address, or to the details in `method`. The filer may not approve it. The key is in the header
        `Idempotency-Key`, or in `idempotencyKey` of the body; where both are sent, they are the same.
        """
        if key is not None and data.idempotency_key not in (None, key):
            raise STATUSES.refuse(
                "idempotency_key_differs", "idempotencyKey and the header Idempotency-Key are not the same"
            )
        account = data.funding_account or _account_of(context, data.asset or "")
        view = await _view(context, account, status=422)
        if data.asset not in (None, view.asset):
            raise STATUSES.refuse(
                "funding_not_configured",
                f"PAYOUT_FUNDING_ACCOUNTS names {account} for {data.asset}, but the account is in {view.asset}",
            )
        amount = context.amounts.parse(view.asset, data.amount).minor
        reason = data.reason or f"payout {data.reference or 'without a reference'} of an earlier system"
        # the key may be in the header at one request, and in the body at the next
        destination = _destination(data, tools=context.tools)
        body = data.model_dump(mode="json", exclude={"idempotency_key", "method"}, exclude_none=True)
        shown = dict(body)
        if isinstance(destination, InlineDestination):
            body["method"] = marked(destination)
            shown["method"] = {"type": destination.terms.type, "destination": destination.terms.masked}

        async def create(action: _Action) -> tuple[int, OperatorPayoutAnswer]:
            command = OperatorPayout(
                id=action.id,
                funding_account=account,
                amount=amount,
                destination=destination,
                operator=request.user.subject,
                reason=reason,
                reference=data.reference,
            )
            payout = await request_operator_payout(
                command, ports=action.unit_of_work, tools=context.tools, now=action.now
            )
            await action.record(
                "payout.created",
                target=str(payout.id),
                reason=reason,
                detail=shown,
                correlation_id=payout.correlation_id,
            )
            after_commit(action.tx, metrics.PAYOUTS_REQUESTED.labels("operator").inc)
            return 202, OperatorPayoutAnswer(
                payout_id=payout.id,
                state=payout.state,
                funding_account=account,
                asset=payout.asset,
                amount=context.amounts.text(payout.asset, payout.amount),
                reference=payout.reference,
            )

        return await context.once(
            create,
            answers=OperatorPayoutAnswer,
            actor=request.user,
            route="POST /api/payouts/create",
            key=key or data.idempotency_key,
            body=body,
        )

    @post(
        "/{payout_id:uuid}/cancel",
        guards=[require(Role.OPERATOR, Role.ADMIN)],
        summary="Request the cancel of a payout out of a funding account that is not final",
        status_code=202,
        refusals=STATUSES.refusals("payout_unknown", "payout_final"),
    )
    async def cancel(
        self,
        *,
        context: NamedDependency[_Context],
        payout_id: FromPath[UUID],
        data: JSONBody[OperatorCancelBody],
        request: Request[Principal, Any, Any],
    ) -> PayoutCancelAnswer:
        """It is possible from the moment the payout is requested: payouts gets the request first, and the cancel after it. The money comes
        back once payouts has proved that nothing was paid.
        """
        command = CancelPayout(payout_id=payout_id, player=None, by=request.user.subject, reason=data.reason)

        async def ask(action: _Action) -> PayoutCancelAnswer:
            payout = await cancel_payout(command, ports=action.unit_of_work, now=action.now)
            await action.record(
                "payout.cancel_asked",
                target=str(payout.id),
                reason=data.reason,
                correlation_id=payout.correlation_id,
            )
            return PayoutCancelAnswer(payout_id=payout.id, state=payout.state)

        return await context.change(ask, actor=request.user)


def _account_of(context: _Context, asset: str) -> str:
    """The funding account that is configured for an asset."""
    account = context.tools.funding_by_asset.get(asset)
    if account is None:
        raise STATUSES.refuse(
            "funding_not_configured",
            f"no funding account is configured for {asset}: name one in funding_account, or add it to PAYOUT_FUNDING_ACCOUNTS",
        )
    return account


def _destination(data: OperatorPayoutBody, *, tools: PayoutTools) -> Destination | InlineDestination:
    """Where the payout goes: earlier systems name a Stellar address.

    Raises:
        Problem: the details in ``method`` are refused.
    """
    if data.method is not None:
        return read_inline(data.method, tools=tools)
    given = data.destination
    if given is None:
        return Destination(rail_type=RailType.STELLAR, address=data.destination_account or "", memo=None)
    return Destination(rail_type=given.type, address=given.address, memo=given.memo)


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
