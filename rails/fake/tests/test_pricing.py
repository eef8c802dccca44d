"""Quotes of the fake rail: fees, rates, limits and expiry come from its configuration."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.ids import provider_key
from prizewire_contracts.rails import Outcome, PayoutInstruction, Quote, QuoteRequest, QuoteUnavailable
from prizewire_money import Amount, AssetRegistry
from prizewire_rail_fake import FakeProvider, build
from prizewire_railkit import Options, RailContext, RailMisconfigured

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ASSETS = AssetRegistry.from_mapping(
    {
        "EURC": {"decimals": 2, "redeemable": True},
        "USDC": {"decimals": 6, "redeemable": True},
        "YEN": {"decimals": 0, "redeemable": True},
    }
)


class StillClock:
    def now(self) -> datetime:
        return NOW


def rail(**options: Any) -> FakeProvider:
    return build(
        RailContext(
            name="fake",
            options=Options(rail="fake", values=options),
            clock=StillClock(),
            assets=ASSETS,
            environment="development",
        )
    )


async def quoted(provider: FakeProvider, debit: str, asset: str, pay: str) -> Quote:
    amount = Amount.parse(ASSETS[asset], debit)
    request = QuoteRequest(
        debit=amount, pay_asset=ASSETS[pay], method_type="fake", details={"account": "ana"}
    )
    return await provider.quote(request, now=NOW)


@pytest.mark.parametrize(
    ("debit", "asset", "pay", "expected"),
    [
        ("10.000000", "USDC", "EURC", "9.25"),
        ("0.010000", "USDC", "EURC", None),
        ("1.000019", "USDC", "EURC", "0.92"),
        ("3.00", "EURC", "YEN", "487"),
    ],
)
async def test_a_rate_is_rounded_down(debit: str, asset: str, pay: str, expected: str | None) -> None:
    """What is paid is never more than the exact product; a quote of nothing is no quote."""
    provider = rail(rates={"USDC/EURC": "0.925", "EURC/YEN": "162.4999"})
    if expected is None:
        with pytest.raises(QuoteUnavailable) as refused:
            await quoted(provider, debit, asset, pay)
        assert refused.value.code == PayoutCode.LIMIT_EXCEEDED
        return
    quote = await quoted(provider, debit, asset, pay)
    assert quote.pay == Amount.parse(ASSETS[pay], expected)
    assert quote.debit == Amount.parse(ASSETS[asset], debit)
    assert quote.rate == provider._pricing.rates[(asset, pay)]


async def test_a_fee_is_quoted_and_charged() -> None:
    """The fee of the paid asset stands in the quote, with its bearer, and in the result of the payment."""
    provider = rail(fee={"EURC": "0.25"}, fee_borne_by="recipient", quote_valid_s=60)
    quote = await quoted(provider, "5.00", "EURC", "EURC")
    assert (quote.pay, quote.fee, quote.fee_borne_by) == (
        Amount(ASSETS["EURC"], 500),
        Amount(ASSETS["EURC"], 25),
        "recipient",
    )
    assert quote.expires_at == NOW + timedelta(seconds=60)
    payout = uuid4()
    result = await provider.create_payout(
        PayoutInstruction(
            payout_id=payout,
            attempt_no=1,
            provider_key=provider_key(payout_id=payout, attempt_no=1),
            correlation_id="test",
            amount=quote.pay,
            method_type="fake",
            details={"account": "ana"},
        ),
        now=NOW,
    )
    assert (result.outcome, result.fee, result.fee_borne_by) == (Outcome.PAID, quote.fee, "recipient")


@pytest.mark.parametrize(
    ("options", "debit", "asset", "pay", "code"),
    [
        ({}, "5.000000", "USDC", "EURC", PayoutCode.RAIL_UNSUPPORTED),
        ({"assets": ["USDC"], "rates": {"USDC/EURC": "1"}}, "5.000000", "USDC", "EURC", PayoutCode.RAIL_UNSUPPORTED),
        ({"minimum": {"EURC": "5"}}, "4.99", "EURC", "EURC", PayoutCode.LIMIT_EXCEEDED),
        ({"maximum": {"EURC": "5"}}, "5.01", "EURC", "EURC", PayoutCode.LIMIT_EXCEEDED),
        ({"fee": {"EURC": "5"}, "fee_borne_by": "recipient"}, "5.00", "EURC", "EURC", PayoutCode.LIMIT_EXCEEDED),
        ({"rates": {"USDC/YEN": "9" * 30}}, "5.000000", "USDC", "YEN", PayoutCode.LIMIT_EXCEEDED),
        ({"scenario": "outage"}, "5.00", "EURC", "EURC", PayoutCode.RAIL_UNAVAILABLE),
    ],
)  # fmt: skip
async def test_no_price_has_a_code(
    options: dict[str, Any], debit: str, asset: str, pay: str, code: PayoutCode
) -> None:
    """Without a rate, outside the limits, with a fee that takes all, or in an outage there is no quote."""
    with pytest.raises(QuoteUnavailable) as refused:
        await quoted(rail(**options), debit, asset, pay)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fee": {"GOLD": "1"}}, "GOLD"),
        ({"fee": {"EURC": 1}}, "must be a table of texts"),
        ({"fee": {"EURC": "0.255"}}, "fee of EURC"),
        ({"rates": {"USDC": "1"}}, "name two assets"),
        ({"rates": {"USDC/USDC": "1"}}, "name two assets"),
        ({"rates": {"USDC/EURC": "0"}}, "positive decimal number"),
        ({"rates": {"USDC/EURC": "-1"}}, "positive decimal number"),
        ({"rates": {"USDC/EURC": "1/3"}}, "positive decimal number"),
        ({"fee_borne_by": "player"}, "must be one of"),
        ({"quote_valid_s": 0}, "whole number"),
    ],
)
def test_wrong_prices_are_refused(options: dict[str, Any], said: str) -> None:
    """A fee, a rate or a limit that cannot be meant stops the service with a sentence."""
    with pytest.raises(RailMisconfigured, match=said):
        rail(**options)
