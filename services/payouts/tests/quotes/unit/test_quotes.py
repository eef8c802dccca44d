"""Quotes over rails with prepared answers: which one is the best, what is refused, and what is signed."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

import pytest

from prizewire_chassis.testing import make_key, make_trust
from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.quotes import PayoutQuote
from prizewire_contracts.rails import Quote, QuoteRequest, QuoteUnavailable
from prizewire_money import Amount, AssetRegistry
from prizewire_payouts.quotes.adapters import MessageKeySigner, OwnQuotes, document_of
from prizewire_payouts.quotes.handlers import QuoteRefused, Quoting, SignedOffer, Wanted, quote_payout
from prizewire_payouts.rails.ports import Rail
from services.payouts.tests.fakes import ScriptedProvider

ASSETS = AssetRegistry.from_mapping(
    {code: {"decimals": 2, "redeemable": True} for code in ("USDC", "EURC", "XLM")}
)
NOW = datetime(2026, 11, 20, tzinfo=UTC)
SECRET = "account-of-ana"
TRUST = make_trust()


def amount(text: str, code: str = "EURC") -> Amount:
    return Amount.parse(ASSETS[code], text)


DEBIT = amount("40.00", "USDC")


def offer(
    pay: str,
    fee: str = "0.00",
    *,
    borne_by: Literal["platform", "recipient"] = "platform",
    **changes: Any,
) -> Quote:
    """What a rail answers to ``DEBIT`` in euros."""
    quote = Quote(
        debit=DEBIT,
        pay=amount(pay),
        fee=amount(fee),
        fee_borne_by=borne_by,
        expires_at=NOW + timedelta(minutes=5),
        rate="0.92",
    )
    return replace(quote, **changes)


def rail(name: str, *answers: Quote | Exception, rail_type: str = "bank_rail", **limits: Any) -> Rail:
    """A rail that serves the method type ``bank``."""
    provider = ScriptedProvider(rail=name)
    provider.quotes.extend(answers)
    capabilities = replace(
        provider.capabilities(),
        type=rail_type,
        method_types=frozenset({"bank"}),
        assets=frozenset({"EURC", "USDC"}),
        **limits,
    )
    return Rail(name=name, capabilities=capabilities, provider=provider)


class Asked:
    """Quotes over rails, and how each answer was counted."""

    def __init__(self, *rails: Rail, limit: timedelta = timedelta(seconds=30)) -> None:
        self.counted: dict[str, str] = {}
        self.quoting = Quoting(
            rails=rails,
            network="test",
            signer=MessageKeySigner(make_key("payouts")),
            limit=limit,
            count=self._count,
        )

    def _count(self, *, rail: str, outcome: str) -> None:
        self.counted[rail] = outcome

    async def ask(self, **changes: Any) -> list[SignedOffer]:
        wanted = Wanted(
            player="ana",
            method_id=str(uuid4()),
            method_type="bank",
            details={"account": SECRET},
            memo=None,
            debit=DEBIT,
            pay_asset=ASSETS["EURC"],
        )
        return await quote_payout(replace(wanted, **changes), quoting=self.quoting, now=NOW)


def rails_of(offers: Sequence[SignedOffer]) -> list[str]:
    return [one.quote.rail for one in offers]


async def test_the_best_is_what_arrives_less_the_cost() -> None:
    """A fee counts for both bearers: 36.60 without a fee is better than 36.80 with a fee of 0.25 that either side bears."""
    asked = Asked(
        rail("one", offer("36.80", "0.25"), rail_type="a"),
        rail("two", offer("36.80", "0.25", borne_by="recipient"), rail_type="b"),
        rail("three", offer("36.60"), rail_type="c"),
    )
    offers = await asked.ask()
    assert rails_of(offers) == ["three", "one", "two"]
    assert [one.arrives.to_wire() for one in offers] == ["36.60", "36.80", "36.55"]
    assert set(asked.counted.values()) == {"offered"}


async def test_each_type_of_rail_has_its_best() -> None:
    """Alternatives are one for each type; between equal offers the earlier rail of the configuration is preferred."""
    asked = Asked(
        rail("one", offer("36.50"), rail_type="a"),
        rail("two", offer("36.80"), rail_type="a"),
        rail("three", offer("36.80"), rail_type="b"),
        rail("four", offer("36.80"), rail_type="b"),
    )
    assert rails_of(await asked.ask()) == ["two", "three"]


async def test_a_quote_is_signed_and_known_again() -> None:
    """The signature covers each field: payouts knows its quote again, and no changed one."""
    (signed,) = await Asked(rail("one", offer("36.80", "0.25", borne_by="recipient"))).ask()
    own = OwnQuotes(TRUST)
    document = document_of(signed.quote, signature=signed.signature)
    assert own.read(document) == signed.quote
    for name, value in asdict(signed.quote).items():
        changed = f"{value}0" if isinstance(value, str) else value + 1
        assert own.read({**document, name: changed}) is None, name
    assert own.read({**document, "more": 1}) is None
    assert own.read({}) is None
    foreign = replace(signed.quote, key_id=make_key("rewards").keyid)
    signature = make_key("rewards").sign(foreign.signing_bytes())
    assert own.read(document_of(foreign, signature=signature)) is None


async def test_the_terms_of_the_rail_are_in_the_quote() -> None:
    """Debit, paid amount, rate, fee, bearer and expiry are those of the rail; the rest is what was asked for."""
    (signed,) = await Asked(rail("one", offer("36.80", "0.25", borne_by="recipient"))).ask(method_id="m")
    quote = signed.quote
    assert quote == PayoutQuote(
        v=1,
        network="test",
        quote_id=quote.quote_id,
        player="ana",
        method_id="m",
        rail="one",
        rail_type="bank_rail",
        debit_asset="USDC",
        debit_amount="40.00",
        pay_asset="EURC",
        pay_amount="36.80",
        rate="0.92",
        fee_asset="EURC",
        fee_amount="0.25",
        fee_borne_by="recipient",
        issued_at=int(NOW.timestamp()),
        expires_at=int(NOW.timestamp()) + 300,
        key_id=make_key("payouts").keyid,
    )


@pytest.mark.parametrize(
    ("answer", "counted"),
    [
        (QuoteUnavailable(PayoutCode.RAIL_UNAVAILABLE, "out"), "unavailable"),
        (QuoteUnavailable(PayoutCode.LIMIT_EXCEEDED, "too much"), "limit"),
        (RuntimeError(SECRET), "failed"),
        (offer("36.80", debit=amount("40.01", "USDC")), "wrong"),
        (replace(offer("36.80"), pay=amount("36.80", "USDC")), "wrong"),
        (offer("36.80", rate=None), "wrong"),
        (offer("36.80", expires_at=NOW), "wrong"),
        (offer("0.00"), "wrong"),
        (offer("0.25", "0.25", borne_by="recipient"), "wrong"),
        (offer("200.00"), "limit"),
        (offer("0.99"), "limit"),
    ],
)
async def test_a_rail_without_a_usable_answer_is_left_out(answer: Quote | Exception, counted: str) -> None:
    """An error, a refusal, or an answer that does not fit what was asked does not hide the offers of other rails."""
    limits = {"minimum": {"EURC": amount("1.00")}, "maximum": {"EURC": amount("100.00")}}
    asked = Asked(rail("bad", answer, **limits), rail("good", offer("30.00")))
    assert rails_of(await asked.ask()) == ["good"]
    assert asked.counted == {"bad": counted, "good": "offered"}
    alone = Asked(rail("bad", answer, **limits))
    with pytest.raises(QuoteRefused) as refused:
        await alone.ask()
    assert refused.value.code == ("limit_exceeded" if counted == "limit" else "quote_unavailable")
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("changes", [{"rate": "1"}, {"pay": amount("40.01", "USDC")}])
async def test_within_one_asset_nothing_is_won(changes: dict[str, Any]) -> None:
    """A quote in the debited asset has no rate, and pays at most the debit."""
    dollars = {"pay": amount("40.00", "USDC"), "fee": amount("0.00", "USDC")}
    plain = replace(offer("1.00", rate=None), **dollars)
    fair = await Asked(rail("one", plain)).ask(pay_asset=ASSETS["USDC"])
    assert fair[0].quote.rate is None
    with pytest.raises(QuoteRefused):
        await Asked(rail("one", replace(plain, **changes))).ask(pay_asset=ASSETS["USDC"])


async def test_no_rail_pays_this() -> None:
    """Another type of method, or another asset, is refused without a question to the rail."""
    one = rail("one")
    for changes in ({"method_type": "upi"}, {"pay_asset": ASSETS["XLM"]}):
        with pytest.raises(QuoteRefused) as refused:
            await Asked(one).ask(**changes)
        assert refused.value.code == "rail_unsupported"
    assert isinstance(one.provider, ScriptedProvider)
    assert one.provider.quoted == []


@pytest.mark.parametrize(
    ("other", "code"),
    [
        (QuoteUnavailable(PayoutCode.RAIL_UNSUPPORTED, "no such pair"), "rail_unsupported"),
        (QuoteUnavailable(PayoutCode.RAIL_UNAVAILABLE, "an outage"), "quote_unavailable"),
        (RuntimeError("no rates"), "quote_unavailable"),
    ],
)
async def test_a_pair_without_a_rate_is_no_outage(other: Exception, code: str) -> None:
    """Where no rail has a rate for the two assets the payout is unsupported; where one that may have it does not answer, there is no
    price now.
    """
    pair = QuoteUnavailable(PayoutCode.RAIL_UNSUPPORTED, "no such pair")
    asked = Asked(rail("one", pair), rail("two", other))
    with pytest.raises(QuoteRefused) as refused:
        await asked.ask()
    assert refused.value.code == code
    assert asked.counted["one"] == "unsupported"
    assert ("USDC" in str(refused.value)) == (code == "rail_unsupported")


async def test_a_slow_rail_delays_nobody() -> None:
    """A rail that does not answer within the limit is left out."""

    class Silent(ScriptedProvider):
        async def quote(self, request: QuoteRequest, *, now: datetime) -> Quote:
            await asyncio.Event().wait()
            raise AssertionError("it never answers")

    slow = rail("slow")
    asked = Asked(
        replace(slow, provider=Silent()), rail("good", offer("30.00")), limit=timedelta(milliseconds=1)
    )
    assert rails_of(await asked.ask()) == ["good"]
    assert asked.counted == {"slow": "failed", "good": "offered"}


async def test_details_are_not_shown() -> None:
    """What is wanted has no details in its text, so that no log line shows them."""
    one = rail("one", offer("36.80"))
    await Asked(one).ask()
    assert isinstance(one.provider, ScriptedProvider)
    (request,) = one.provider.quoted
    assert request.details == {"account": SECRET}
    assert SECRET not in repr(request)
