"""`POST /api/payout-quotes`: what a payout would cost, signed."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, post
from litestar.params import JSONBody
from pydantic import BaseModel, ConfigDict, Field

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Problem
from prizewire_chassis.http.answers import AnswerModel
from prizewire_chassis.http.limits import Window
from prizewire_contracts.text import Name, Word
from prizewire_money import Amount, Asset, AssetRegistry, MoneyError
from prizewire_payouts.http import STAFF, STATUSES, AssetCode, Context, DecimalAmount, RailName, player_of
from prizewire_payouts.methods.domain import Method, MethodState, MethodUnreadable
from prizewire_payouts.methods.ports import Vault
from prizewire_payouts.methods.storage import MethodStorage
from prizewire_payouts.quotes.handlers import QuoteRefused, Quoting, SignedOffer, Wanted, quote_payout
from prizewire_payouts.unit_of_work import UnitOfWork


class NewQuote(BaseModel):
    """The payout that is to be quoted."""

    model_config = ConfigDict(extra="forbid")

    method_id: UUID = Field(
        description="The player's payout method.", examples=["0f7c1c54-2b8e-4a70-8f0c-6a1f7f4bb0de"]
    )
    asset: Word = Field(description="The asset that is debited from the wallet.", examples=["USDC"])
    amount: DecimalAmount = Field(description="What is debited for it, without the fee of a payout rule.")
    pay_asset: Word | None = Field(
        None, description="The asset that is to arrive. Null: the debited one.", examples=["EURC"]
    )
    player: Name | None = Field(
        None,
        description="Whose payout it is. Null: your own; staff who are no players must name it.",
        examples=[None],
    )


class QuoteDocument(AnswerModel):
    """A quote. Send it unchanged, with its signature, as `quote` of `POST /api/wallet/payout-request`."""

    v: Annotated[int, Field(description="The version of this document.", examples=[1])]
    network: Annotated[str, Field(examples=["Standalone Network ; February 2017"])]
    quote_id: Annotated[str, Field(examples=["5d0f9d8e-0b1f-4c55-9d0e-3f6a1f0a7c11"])]
    player: Annotated[str, Field(examples=["ana"])]
    method_id: Annotated[str, Field(examples=["0f7c1c54-2b8e-4a70-8f0c-6a1f7f4bb0de"])]
    rail: RailName
    rail_type: Annotated[str, Field(description="The type of the rail.", examples=["fiat_provider"])]
    debit_asset: AssetCode
    debit_amount: Annotated[str, Field(description="What leaves the wallet.", examples=["40.00"])]
    pay_asset: AssetCode
    pay_amount: Annotated[str, Field(description="What the rail is to pay.", examples=["36.80"])]
    rate: Annotated[
        str | None,
        Field(
            description="Units of the paid asset for one unit of the debited one. Null within one asset.",
            examples=["0.92"],
        ),
    ]
    fee_asset: AssetCode
    fee_amount: Annotated[str, Field(description="What the rail charges.", examples=["0.25"])]
    fee_borne_by: Annotated[
        str,
        Field(
            description="`platform`: all of `pay_amount` arrives. `recipient`: the rail takes the fee from it.",
            examples=["recipient"],
        ),
    ]
    issued_at: Annotated[int, Field(description="Unix seconds.", examples=[1772366400])]
    expires_at: Annotated[int, Field(description="Unix seconds.", examples=[1772366700])]
    key_id: Annotated[str, Field(description="The key of payouts that signed it.", examples=["payouts-1"])]
    signature: Annotated[
        str,
        Field(description="Ed25519, as 128 hex digits.", examples=["ab" * 64], pattern=r"^[0-9a-f]{128}$"),
    ]


class OfferAnswer(AnswerModel):
    """A quote, and what arrives by it."""

    quote: QuoteDocument
    arrives: Annotated[
        str,
        Field(description="What reaches the recipient, in `pay_asset`.", examples=["36.55"]),
    ]


class QuotesAnswer(OfferAnswer):
    """The best quote, and the best one of each other type of rail."""

    alternatives: Annotated[
        list[OfferAnswer], Field(description="The best quote of each other type of rail, the best first.")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteContext(Context):
    """The context of the controller of quotes: details are opened with the vault, for the rails only."""

    vault: Vault
    quoting: Quoting
    assets: AssetRegistry
    asked: Window


def quotes_controller(context: QuoteContext) -> type[Controller]:
    """The controller over this context."""

    class QuotesController(Controller):
        path = "/api/payout-quotes"
        guards = [require(Role.PLAYER, *STAFF)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payout quotes"]  # noqa: RUF012 - Litestar reads a plain list

        @post(
            "/",
            status_code=200,
            summary="What a payout would cost: fee, rate and what arrives",
            description="Moves no money and stores nothing, so no `Idempotency-Key` is needed. The rails that could make the "
            "payout are asked at each call.",
            refusals={
                403: ("forbidden",),
                404: ("method_not_found",),
                409: ("method_removed", "method_unreadable"),
                422: (
                    "asset_unknown",
                    "asset_not_redeemable",
                    "invalid_amount",
                    "rail_unsupported",
                    "limit_exceeded",
                    "player_required",
                ),
                503: ("quote_unavailable",),
            },
        )
        async def quote(
            self, data: JSONBody[NewQuote], request: Request[Principal, Any, Any]
        ) -> QuotesAnswer:
            player = player_of(request.user, data.player, what="quotes")
            _take(context.asked, request.user.subject)
            debit = _amount(context.assets, data.asset, data.amount)
            pay_asset = debit.asset if data.pay_asset is None else _asset(context.assets, data.pay_asset)
            method = await context.read(_method_of(data.method_id, player))
            try:
                details = context.vault.open(method=method).details
            except MethodUnreadable as error:
                raise STATUSES.problem(error) from None
            wanted = Wanted(
                player=player,
                method_id=str(method.method_id),
                method_type=method.type,
                details=details,
                memo=method.memo,
                debit=debit,
                pay_asset=pay_asset,
            )
            try:
                offers = await quote_payout(wanted, quoting=context.quoting, now=context.clock.now())
            except QuoteRefused as refused:
                raise STATUSES.problem(refused) from None
            best, *others = [_shown(offer) for offer in offers]
            return QuotesAnswer(quote=best.quote, arrives=best.arrives, alternatives=others)

    return QuotesController


def _shown(offer: SignedOffer) -> OfferAnswer:
    document = QuoteDocument(**asdict(offer.quote), signature=offer.signature)
    return OfferAnswer(quote=document, arrives=offer.arrives.to_wire())


def _method_of(method_id: UUID, player: str) -> Callable[[UnitOfWork], Any]:
    async def read(unit_of_work: UnitOfWork) -> Method:
        method = (await MethodStorage(unit_of_work).find([method_id])).get(method_id)
        if method is None or method.player != player or method.inline:
            raise Problem(
                status=404, code="method_not_found", detail=f"the player has no payout method {method_id}"
            )
        if method.state is MethodState.REMOVED:
            raise Problem(
                status=409, code="method_removed", detail=f"the payout method {method_id} is removed"
            )
        return method

    return read


def _amount(assets: AssetRegistry, code: str, text: str) -> Amount:
    asset = _asset(assets, code)
    try:
        amount = Amount.parse(asset, text)
    except MoneyError as error:
        raise Problem(status=422, code="invalid_amount", detail=f"amount: {error}") from None
    if amount.minor <= 0:
        raise Problem(status=422, code="invalid_amount", detail="amount: an amount above zero is needed")
    return amount


def _asset(assets: AssetRegistry, code: str) -> Asset:
    asset = assets.get(code)
    if asset is None:
        raise Problem(status=422, code="asset_unknown", detail=assets.refusal_of(code))
    if not asset.redeemable:
        raise Problem(status=422, code="asset_not_redeemable", detail=f"{code} can never be paid out")
    return asset


def _take(asked: Window, who: str) -> None:
    if asked.hit(who) > asked.most:
        raise Problem(
            status=429,
            code="rate_limited",
            detail=f"more than {asked.most} quotes in a minute: wait {asked.left_s()} seconds",
            headers={**asked.headers(who), "retry-after": str(asked.left_s())},
        )
