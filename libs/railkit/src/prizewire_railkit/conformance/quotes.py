"""Cases of quotes: they pay nothing, they are kept, and no price has a code."""

from dataclasses import replace
from datetime import timedelta

from prizewire_contracts.codes import PAYOUT_DECISIONS, PayoutCode, RetryDecision
from prizewire_contracts.rails import Outcome, Quote, QuoteRequest, QuoteUnavailable
from prizewire_money import Amount, Asset
from prizewire_railkit.conformance.cases import Cases, case, made, quote_of
from prizewire_railkit.conformance.stage import Behaviour, Feature, Stage

_UNSERVED = Asset("UNSERVED", 2, redeemable=True)
_VALID_MAX = timedelta(days=7)


class QuoteCases(Cases):
    """What a payout would cost."""

    @case()
    async def test_a_quote_pays_nothing(self) -> None:
        """A quote names the amount asked for, a fee of at least zero and an end, and has no effect."""
        stage = await self.make_stage()
        wanted = stage.instruction()
        quote = await stage.provider.quote(quote_of(wanted), now=stage.now())
        assert quote.debit == wanted.amount
        assert quote.pay == wanted.amount
        assert quote.rate is None
        _assert_usable(stage, quote)
        assert await stage.effects(wanted.payout_id) == 0

    @case()
    async def test_a_payment_costs_no_more_than_quoted(self) -> None:
        """What a payment took is at most the fee that was quoted, borne by the side that was quoted."""
        stage = await self.make_stage()
        wanted = stage.instruction()
        quote = await stage.provider.quote(quote_of(wanted), now=stage.now())
        paid = await made(stage, wanted)
        assert paid.outcome is Outcome.PAID
        if paid.fee is not None:
            assert (paid.fee.asset, paid.fee_borne_by) == (quote.fee.asset, quote.fee_borne_by)
            assert Amount.zero(paid.fee.asset) <= paid.fee <= quote.fee

    @case()
    async def test_no_price_has_a_code(self) -> None:
        """For an asset that the rail does not pay there is no quote, but a stable code and a text without details."""
        stage = await self.make_stage()
        asked = quote_of(stage.instruction())
        refused = await _refusal(stage, replace(asked, pay_asset=_UNSERVED))
        assert PAYOUT_DECISIONS[PayoutCode(refused.code)] is RetryDecision.GIVE_UP
        assert not any(str(value) in refused.detail for value in asked.details.values() if value)

    @case(Feature.MAXIMUM)
    async def test_no_price_beyond_the_limits(self) -> None:
        """The rail quotes no amount that it would refuse to pay."""
        stage = await self.make_stage()
        asked = quote_of(stage.instruction())
        limit = stage.provider.capabilities().maximum[asked.pay_asset.code]
        above = replace(asked, debit=Amount(asked.pay_asset, limit.minor + 1))
        refused = await _refusal(stage, above)
        assert PAYOUT_DECISIONS[PayoutCode(refused.code)] is RetryDecision.GIVE_UP

    @case(Behaviour.OUTAGE)
    async def test_an_outage_gives_no_wrong_price(self) -> None:
        """In an outage a quote is refused with a code that allows another request, or it is one that holds."""
        stage = await self.make_stage()
        await stage.behave(Behaviour.OUTAGE)
        answer = await _answer(stage, quote_of(stage.instruction()))
        if isinstance(answer, QuoteUnavailable):
            assert PAYOUT_DECISIONS[PayoutCode(answer.code)] is not RetryDecision.GIVE_UP
        else:
            _assert_usable(stage, answer)


async def _answer(stage: Stage, asked: QuoteRequest) -> Quote | QuoteUnavailable:
    try:
        return await stage.provider.quote(asked, now=stage.now())
    except QuoteUnavailable as refused:
        return refused


async def _refusal(stage: Stage, asked: QuoteRequest) -> QuoteUnavailable:
    answer = await _answer(stage, asked)
    assert isinstance(answer, QuoteUnavailable), f"quoted {answer}"
    return answer


def _assert_usable(stage: Stage, quote: Quote) -> None:
    assert quote.pay
    assert quote.fee >= Amount.zero(quote.fee.asset)
    assert quote.fee_borne_by == "platform" or quote.fee < quote.pay
    assert stage.now() < quote.expires_at <= stage.now() + _VALID_MAX
