"""Ask every rail that could make a payout what it would cost, and sign the best answers."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.intents import Intent
from prizewire_contracts.quotes import QUOTE_VERSION, PayoutQuote, QuoteReference
from prizewire_contracts.rails import Capabilities, Quote, QuoteRequest, QuoteUnavailable
from prizewire_money import Amount, Asset
from prizewire_payouts.errors import CodedError
from prizewire_payouts.quotes.domain import (
    FAILED,
    LIMIT,
    OFFERED,
    UNAVAILABLE,
    UNSUPPORTED,
    WRONG,
    Offer,
    best_of_types,
    is_within,
    problem_of,
)
from prizewire_payouts.quotes.ports import QuoteMetrics, QuoteSigner
from prizewire_payouts.rails.ports import Rail


class QuoteRefused(CodedError):
    """No rail makes this payout, or none names a price. ``code`` is ``rail_unsupported``, ``limit_exceeded`` or
    ``quote_unavailable``; the text never holds a detail of the payout method.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be quoted: ``debit`` leaves the player's wallet, ``pay_asset`` is to arrive at the payout method."""

    player: str
    method_id: str
    method_type: str
    details: Mapping[str, Any] = field(repr=False)
    memo: str | None
    debit: Amount
    pay_asset: Asset


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOffer:
    """A signed quote. ``arrives`` is what reaches the recipient."""

    quote: PayoutQuote
    signature: str
    arrives: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoting:
    """What quotes are made with: the configured rails, the network that quotes name, the signer, and how long a rail may take."""

    rails: Sequence[Rail]
    network: str
    signer: QuoteSigner
    limit: timedelta
    count: QuoteMetrics


async def quote_payout(wanted: Wanted, *, quoting: Quoting, now: datetime) -> list[SignedOffer]:
    """The best quote of each type of rail, the best first. Nothing is stored: a quote is known again by its signature.

    Raises:
        QuoteRefused: ``rail_unsupported``: no configured rail pays this asset to this type of method, or none that does exchanges the
            debited asset for it; ``limit_exceeded``: the
            rails that name a price pay less or more at once; ``quote_unavailable``: no rail names a price now.
    """
    rails = [
        (place, rail)
        for place, rail in enumerate(quoting.rails)
        if carries(rail.capabilities, method_type=wanted.method_type, asset=wanted.pay_asset)
    ]
    if not rails:
        raise QuoteRefused(
            PayoutCode.RAIL_UNSUPPORTED,
            f"no rail pays {wanted.pay_asset.code} to a payout method of type {wanted.method_type}: choose another asset or method",
        )
    answers = await asyncio.gather(
        *(_ask(rail, place, wanted=wanted, quoting=quoting, now=now) for place, rail in rails)
    )
    for (_, rail), answer in zip(rails, answers, strict=True):
        quoting.count(rail=rail.name, outcome=answer if isinstance(answer, str) else OFFERED)
    offers = [answer for answer in answers if isinstance(answer, Offer)]
    if not offers:
        if LIMIT in answers:
            raise QuoteRefused(
                PayoutCode.LIMIT_EXCEEDED,
                f"{wanted.debit.asset.describe(wanted.debit.minor)} is below the least or above the most that a rail pays at once: "
                "ask for another amount",
            )
        if all(answer == UNSUPPORTED for answer in answers):
            raise QuoteRefused(
                PayoutCode.RAIL_UNSUPPORTED,
                f"no rail that pays {wanted.pay_asset.code} to a payout method of type {wanted.method_type} takes "
                f"{wanted.debit.asset.code} for it: choose another asset or method",
            )
        raise QuoteRefused(
            PayoutCode.QUOTE_UNAVAILABLE,
            f"no rail names a price for a payout in {wanted.pay_asset.code} now: try again later, or choose another asset or method",
        )
    return [_signed(offer, wanted=wanted, quoting=quoting, now=now) for offer in best_of_types(offers)]


def carries(capabilities: Capabilities, *, method_type: str, asset: Asset) -> bool:
    """Whether a rail pays an asset to a type of payout method."""
    return method_type in capabilities.method_types and asset.code in capabilities.assets


_REFUSALS: Final[Mapping[str, str]] = {
    PayoutCode.LIMIT_EXCEEDED: LIMIT,
    PayoutCode.RAIL_UNSUPPORTED: UNSUPPORTED,
}
"""What the codes of a rail that names no price say. With any other code it may name one later."""


async def _ask(rail: Rail, place: int, *, wanted: Wanted, quoting: Quoting, now: datetime) -> Offer | str:
    """The offer of a rail, or why there is none."""
    request = QuoteRequest(
        debit=wanted.debit,
        pay_asset=wanted.pay_asset,
        method_type=wanted.method_type,
        details=wanted.details,
        memo=wanted.memo,
    )
    try:
        quote = await ask_rail(rail, request, limit=quoting.limit, now=now)
    except QuoteUnavailable as refused:
        return _REFUSALS.get(refused.code, UNAVAILABLE)
    except Exception:  # noqa: BLE001 - whatever a provider raises, this rail names no price; its text may hold personal details
        return FAILED
    offer = Offer(
        rail=rail.name,
        rail_type=rail.capabilities.type,
        place=place,
        preference=rail.preference,
        cost=None if (cost := rail.costs.get(quote.pay.asset.code)) is None else cost.of(amount=quote.pay),
        debit=quote.debit,
        pay=quote.pay,
        fee=quote.fee,
        fee_borne_by=quote.fee_borne_by,
        expires_at=quote.expires_at,
        rate=quote.rate,
    )
    if problem_of(offer, debit=wanted.debit, pay_asset=wanted.pay_asset, now=now) is not None:
        return WRONG
    code = wanted.pay_asset.code
    low, high = rail.capabilities.minimum.get(code), rail.capabilities.maximum.get(code)
    return offer if is_within(quote.pay, minimum=low, maximum=high) else LIMIT


async def ask_rail(rail: Rail, request: QuoteRequest, *, limit: timedelta, now: datetime) -> Quote:
    """The quote of one rail, within a time limit.

    Raises:
        QuoteUnavailable: the rail names no price.
        TimeoutError: it took longer than ``limit``.
        Exception: whatever the provider raises.
    """
    async with asyncio.timeout(limit.total_seconds()):
        return await rail.provider.quote(request, now=now)


def _signed(offer: Offer, *, wanted: Wanted, quoting: Quoting, now: datetime) -> SignedOffer:
    quote = PayoutQuote(
        v=QUOTE_VERSION,
        network=quoting.network,
        quote_id=str(uuid4()),
        player=wanted.player,
        method_id=wanted.method_id,
        rail=offer.rail,
        rail_type=offer.rail_type,
        debit_asset=offer.debit.asset.code,
        debit_amount=offer.debit.to_wire(),
        pay_asset=offer.pay.asset.code,
        pay_amount=offer.pay.to_wire(),
        rate=offer.rate,
        fee_asset=offer.fee.asset.code,
        fee_amount=offer.fee.to_wire(),
        fee_borne_by=offer.fee_borne_by,
        issued_at=int(now.timestamp()),
        expires_at=int(offer.expires_at.timestamp()),
        key_id=quoting.signer.key_id,
    )
    return SignedOffer(quote=quote, signature=quoting.signer.sign(quote), arrives=offer.arrives)


def mismatch(quote: PayoutQuote, *, intent: Intent, method_id: UUID | None) -> str | None:
    """How a quote differs from the intent of its payout; None if it does not."""
    if intent.quote != QuoteReference(id=quote.quote_id, digest=quote.digest()):
        return "the intent names another quote"
    differs = {
        "network": quote.network == intent.network,
        "player": quote.player == (intent.player if intent.payee is None else intent.payee),
        "method_id": quote.method_id == str(method_id),
        "debit_asset": quote.debit_asset == intent.debit_asset,
        "pay_asset": quote.pay_asset == intent.pay_asset,
        "pay_amount": quote.pay_amount == intent.pay_amount,
        "rail_type": [quote.rail_type] == [way.rail for way in intent.allowed],
    }
    for name, same in differs.items():
        if not same:
            return f"the quote has another {name} than the intent"
    return None
