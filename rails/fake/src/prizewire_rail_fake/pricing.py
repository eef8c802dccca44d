"""What the rail charges and takes: fees, rates and limits by asset, all from its configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final, Literal, cast

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import Quote, QuoteRequest, QuoteUnavailable
from prizewire_money import Amount, AssetRegistry, InvalidAmount
from prizewire_railkit import Options, RailMisconfigured

VALID_S: Final = 300
_RATE_CHARACTERS_MAX: Final = 40
FeeBearer = Literal["platform", "recipient"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """``fees`` by the code of the paid asset; no fee where there is none. ``rates`` are by debited and paid asset: decimal
    strings, units of the paid asset for one unit of the debited one. ``minimum`` and ``maximum`` bound one payment.
    """

    fees: Mapping[str, Amount] = field(default_factory=dict)
    fee_borne_by: FeeBearer = "platform"
    rates: Mapping[tuple[str, str], str] = field(default_factory=dict)
    valid: timedelta = timedelta(seconds=VALID_S)
    minimum: Mapping[str, Amount] = field(default_factory=dict)
    maximum: Mapping[str, Amount] = field(default_factory=dict)

    def fee(self, paid: Amount) -> Amount | None:
        """The fee of a payment; None where the rail charges none."""
        return self.fees.get(paid.asset.code)

    def beyond_limits(self, paid: Amount) -> bool:
        """Whether a payment is too small or too large for the rail."""
        low, high = self.minimum.get(paid.asset.code), self.maximum.get(paid.asset.code)
        return (low is not None and paid < low) or (high is not None and paid > high)

    def quote(self, request: QuoteRequest, *, now: datetime) -> Quote:
        """Fee, rate and expiry of a payout. What is paid is rounded down to the paid asset's minor unit.

        Raises:
            QuoteUnavailable: no rate is configured for these assets, a limit is passed, or nothing would arrive.
        """
        rate = self._rate(request)
        pay = request.debit if rate is None else _exchanged(request, rate)
        if self.beyond_limits(pay) or not pay:
            raise QuoteUnavailable(
                PayoutCode.LIMIT_EXCEEDED, f"the rail pays no {pay} {pay.asset.code} at once"
            )
        fee = self.fee(pay) or Amount.zero(pay.asset)
        if self.fee_borne_by == "recipient" and fee >= pay:
            detail = f"the fee of {fee} {fee.asset.code} leaves nothing of {pay} {pay.asset.code}"
            raise QuoteUnavailable(PayoutCode.LIMIT_EXCEEDED, detail)
        return Quote(
            debit=request.debit,
            pay=pay,
            fee=fee,
            fee_borne_by=self.fee_borne_by,
            expires_at=now + self.valid,
            rate=rate,
        )

    def _rate(self, request: QuoteRequest) -> str | None:
        debit, pay = request.debit.asset.code, request.pay_asset.code
        if debit == pay:
            return None
        rate = self.rates.get((debit, pay))
        if rate is None:
            raise QuoteUnavailable(
                PayoutCode.RAIL_UNSUPPORTED, f"the rail does not exchange {debit} for {pay}"
            )
        return rate


def read_pricing(options: Options, *, assets: AssetRegistry) -> Pricing:
    """The options ``fee``, ``fee_borne_by``, ``rates``, ``quote_valid_s``, ``minimum`` and ``maximum``.

    Raises:
        RailMisconfigured: one names an unknown asset, or holds something else than a positive amount or rate.
    """
    bearer = cast(FeeBearer, options.text("fee_borne_by", "platform", choices=["platform", "recipient"]))
    return Pricing(
        fees=_amounts(options, "fee", assets),
        fee_borne_by=bearer,
        rates={_pair(name, assets): _checked(name, rate) for name, rate in options.table("rates").items()},
        valid=timedelta(seconds=options.integer("quote_valid_s", VALID_S, least=1, most=86_400)),
        minimum=_amounts(options, "minimum", assets),
        maximum=_amounts(options, "maximum", assets),
    )


def _amounts(options: Options, name: str, assets: AssetRegistry) -> dict[str, Amount]:
    known = dict(assets.items())
    found = {}
    for code, value in options.table(name).items():
        if code not in known:
            msg = f"{name} names the asset {code!r}, which assets.yaml does not hold"
            raise RailMisconfigured(msg)
        try:
            found[code] = Amount.parse(known[code], value)
        except InvalidAmount as error:
            msg = f"{name} of {code}: {error}"
            raise RailMisconfigured(msg) from None
    return found


def _pair(name: str, assets: AssetRegistry) -> tuple[str, str]:
    debit, slash, pay = name.partition("/")
    known = dict(assets.items())
    if not slash or debit not in known or pay not in known or debit == pay:
        msg = f"rates names {name!r}: name two assets of assets.yaml, the debited one first, as in USDC/EURC"
        raise RailMisconfigured(msg)
    return debit, pay


def _checked(name: str, rate: str) -> str:
    whole, point, decimals = rate.partition(".")
    digits = (
        whole.isascii() and whole.isdigit() and (not point or (decimals.isascii() and decimals.isdigit()))
    )
    if not digits or len(rate) > _RATE_CHARACTERS_MAX or not Fraction(rate):
        msg = f'rates of {name} is {rate[:_RATE_CHARACTERS_MAX]!r}: give a positive decimal number in quotes, such as "0.92"'
        raise RailMisconfigured(msg)
    return rate


def _exchanged(request: QuoteRequest, rate: str) -> Amount:
    debit, asset = request.debit, request.pay_asset
    units = Fraction(debit.minor, 10**debit.asset.decimals) * Fraction(rate)
    minor = units * 10**asset.decimals
    try:
        return Amount(asset, minor.numerator // minor.denominator)
    except InvalidAmount as error:
        raise QuoteUnavailable(PayoutCode.LIMIT_EXCEEDED, str(error)) from None
