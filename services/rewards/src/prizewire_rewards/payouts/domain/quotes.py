"""Quotes of payouts: what one says about a payout, and when it is refused. Payouts signs them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from prizewire_money import Amount, Asset, AssetRegistry, InvalidAmount
from prizewire_rewards.errors import InvalidRequest
from prizewire_rewards.payouts.domain.model import Method


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedQuote:
    """A quote as a request names it: its fields (``PayoutQuote`` of contracts) and payouts' signature of them."""

    fields: Mapping[str, Any]
    signature: str

    @property
    def document(self) -> dict[str, Any]:
        """The fields with the signature among them, as JSON."""
        return {**self.fields, "signature": self.signature}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedPayout:
    """What a quote makes of a payout, in minor units. ``debit`` leaves the wallet, ``fee`` of it is kept. ``pay_asset`` and
    ``pay`` are what the rail is to pay where that is another asset, else None.
    """

    debit: int
    fee: int
    pay_asset: str | None
    pay: int | None


def apply_quote(
    signed: SignedQuote,
    *,
    player: str,
    method: Method,
    asset: Asset,
    amount: int,
    fee: int,
    pay_asset: str | None,
    network: str,
    assets: AssetRegistry,
    rates_max: Mapping[tuple[str, str], Fraction],
    now: datetime,
) -> QuotedPayout:
    """What a verified quote makes of a request of ``amount``, of which ``fee`` is kept: the quote is for the rest. ``pay_asset`` is
    the asset that the request wants to arrive, if it names one. ``player`` is the person who is paid. ``rates_max`` are the most that may be paid of the second
    asset for one unit of the first; without an entry, the two are not exchanged.

    Raises:
        InvalidRequest: ``quote_expired``; ``quote_mismatch``: the quote is for something else than the request;
            ``exchange_not_allowed``: the payout rules do not allow this exchange, or not at this rate.
    """
    quote = signed.fields
    if quote["expires_at"] <= now.timestamp():
        raise InvalidRequest(
            "quote_expired",
            f"the quote {quote['quote_id']} has expired: ask for a new one with POST /api/payout-quotes",
        )
    _same("network", quote, network)
    _same("player", quote, player)
    _same("method_id", quote, str(method.id))
    _same("debit_asset", quote, asset.code)
    if quote["rail_type"] not in method.rail_types:
        _mismatch(
            f"its rail type is {quote['rail_type']}, which does not pay to the payout method {method.id}"
        )
    if pay_asset is not None:
        _same("pay_asset", quote, pay_asset)
    debit, pay = _minor(quote["debit_amount"], asset), _paid(quote, assets)
    if debit != amount - fee:
        kept = f", of which {asset.describe(fee)} is kept as a fee" if fee else ""
        _mismatch(
            f"it is for a debit of {asset.describe(debit)}, and the request is over {asset.describe(amount)}{kept}: ask for a "
            f"quote of {asset.describe(amount - fee)}"
        )
    if pay.asset.code == asset.code:
        if not 0 < pay.minor <= debit:
            _mismatch(f"it pays {asset.describe(pay.minor)} for {asset.describe(debit)} of the same asset")
        return QuotedPayout(debit=amount, fee=fee + debit - pay.minor, pay_asset=None, pay=None)
    _check_rate(debit=Amount(asset, debit), pay=pay, rates_max=rates_max)
    return QuotedPayout(debit=amount, fee=fee, pay_asset=pay.asset.code, pay=pay.minor)


def _check_rate(*, debit: Amount, pay: Amount, rates_max: Mapping[tuple[str, str], Fraction]) -> None:
    pair = f"{debit.asset.code} for {pay.asset.code}"
    rate_max = rates_max.get((debit.asset.code, pay.asset.code))
    if rate_max is None:
        raise InvalidRequest(
            "exchange_not_allowed",
            f"the payout rules do not exchange {pair}: choose a payout in {debit.asset.code}, or ask an operator to add the "
            "exchange to the payout rules",
        )
    if Fraction(pay.minor, 10**pay.asset.decimals) > rate_max * Fraction(
        debit.minor, 10**debit.asset.decimals
    ):
        raise InvalidRequest(
            "exchange_not_allowed",
            f"the quote pays {pay.asset.describe(pay.minor)} for {debit.asset.describe(debit.minor)}, which is more than the "
            f"payout rules allow for {pair}: ask for a new quote, or ask an operator to look at the rate",
        )


def _paid(quote: Mapping[str, Any], assets: AssetRegistry) -> Amount:
    asset = assets.get(quote["pay_asset"])
    if asset is None:
        raise InvalidRequest(
            "quote_mismatch", f"the quote pays an unknown asset: {assets.refusal_of(quote['pay_asset'])}"
        )
    if not asset.redeemable:
        raise InvalidRequest("asset_not_redeemable", f"{asset.code} can never be paid out")
    minor = _minor(quote["pay_amount"], asset)
    if minor <= 0:
        _mismatch("it pays nothing")
    return Amount(asset, minor)


def _minor(text: str, asset: Asset) -> int:
    try:
        return Amount.parse(asset, text).minor
    except InvalidAmount as error:
        raise InvalidRequest("quote_mismatch", f"the quote has an invalid amount: {error}") from None


def _same(name: str, quote: Mapping[str, Any], wanted: str) -> None:
    if quote[name] != wanted:
        _mismatch(f"its {name} is {quote[name]}, and the request is for {wanted}")


def _mismatch(why: str) -> None:
    raise InvalidRequest("quote_mismatch", f"the quote does not fit the request: {why}")
