"""Payouts with a quote: what is debited, exchanged, paid and given back, and which quotes are refused."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from prizewire_contracts.quotes import PayoutQuote
from prizewire_devstack.testing import DatabaseFactory
from prizewire_rewards.errors import InvalidRequest
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.payouts.domain.quotes import SignedQuote
from prizewire_rewards.payouts.domain.rules import FeeBearer, PayoutRule, PayoutRules
from services.rewards.tests.quotes import FakeMethod, quote_of, request_quoted, request_with, sign_quote
from services.rewards.tests.rig import (
    FAKE_RAIL,
    Match,
    Rig,
    closed_event,
    paid_event,
    returned_event,
)
from services.rewards.tests.sql import insert, open_account, refused


async def won(rig: Rig, player: str, amount: str = "100.00") -> FakeMethod:
    """A player with winnings and a payout method."""
    await rig.settle(Match(await rig.campaign(funded=100_000), [(player, amount)]))
    return await FakeMethod.register(rig, player)


async def exchange_of(rig: Rig, payout: UUID) -> tuple[int, int]:
    """What the exchange of a payout holds in dollars and euros."""
    return await rig.balance(Kind.FX, payout), await rig.balance(Kind.FX, payout, "EURC")


def paid(payout: UUID, player: str, amount: str) -> bytes:
    return paid_event(payout, player=player, amount=amount, asset="EURC", **FAKE_RAIL)


async def test_a_quoted_payout_is_exchanged_and_paid(rig: Rig) -> None:
    """The debit goes to the exchange, which gives the quoted amount of the paid asset; that amount goes to the rail."""
    ann = await won(rig, "ann")
    quote = quote_of(ann, debit="40.00", pay="36.80")
    payout = (await request_with(rig, sign_quote(quote), ann, amount=4_000)).id
    assert await rig.winnings("ann") == 6_000
    assert await rig.balance(Kind.PAYOUT_PENDING, payout) == 0
    assert await rig.balance(Kind.PAYOUT_PENDING, payout, "EURC") == 3_680
    assert await exchange_of(rig, payout) == (4_000, -3_680)
    [event] = await rig.events("payout.requested")
    intent = event["data"]["intent"]
    assert (intent["debit_asset"], intent["debit_amount"]) == ("USDC", "40.00")
    assert (intent["pay_asset"], intent["pay_amount"]) == ("EURC", "36.80")
    assert intent["quote"] == {"id": quote.quote_id, "digest": quote.digest()}
    assert [way["amount_max"] for way in intent["allowed"]] == ["36.80"]
    assert await rig.breaches() == []
    await rig.feed(rig.payouts, paid(payout, "ann", "36.80"))
    assert await rig.stuck() == []
    assert await rig.balance(Kind.TREASURY, "fake", "EURC") == 3_680
    assert await rig.balance(Kind.PAYOUT_PENDING, payout, "EURC") == 0
    assert await exchange_of(rig, payout) == (4_000, -3_680)
    assert await rig.breaches() == []


@pytest.mark.parametrize("end", ["failed", "rejected", "cancelled"])
async def test_a_payout_without_effect_is_given_back_at_the_quoted_rate(rig: Rig, end: str) -> None:
    """Both legs are reversed: the wallet gets exactly what it gave, and the exchange holds nothing."""
    ann = await won(rig, "ann")
    payout = await request_quoted(rig, ann, debit="40.00", pay="36.81")
    await rig.feed(rig.payouts, closed_event(payout, end, closure=None))
    assert await rig.stuck() == []
    assert await rig.winnings("ann") == 10_000
    assert await exchange_of(rig, payout) == (0, 0)
    assert await rig.balance(Kind.PAYOUT_PENDING, payout, "EURC") == 0
    assert await rig.breaches() == []


@pytest.mark.parametrize(
    ("back", "credited"),
    [("36.81", 4_000), ("18.40", 1_999), ("0.01", 1), ("36.80", 3_998)],
)
async def test_a_return_is_converted_at_the_quoted_rate(rig: Rig, back: str, credited: int) -> None:
    """A return of all gives all back; of a part, the part at the quoted rate, rounded down. The rest stays in the exchange."""
    ann = await won(rig, "ann")
    payout = await request_quoted(rig, ann, debit="40.00", pay="36.81")
    await rig.feed(
        rig.payouts, paid(payout, "ann", "36.81"), returned_event(payout, amount=back, asset="EURC")
    )
    assert await rig.stuck() == []
    returned = int(back.replace(".", ""))
    assert await rig.winnings("ann") == 6_000 + credited
    assert await exchange_of(rig, payout) == (4_000 - credited, returned - 3_681)
    assert await rig.balance(Kind.TREASURY, "fake", "EURC") == 3_681 - returned
    assert await rig.breaches() == []


async def test_a_return_of_less_than_a_minor_unit_credits_nothing(rig: Rig) -> None:
    """Where the returned part is worth less than one minor unit of the debited asset, only the rail's money moves."""
    ann = await won(rig, "ann")
    payout = await request_quoted(rig, ann, debit="40.00", pay="79.99")
    await rig.feed(
        rig.payouts, paid(payout, "ann", "79.99"), returned_event(payout, amount="0.01", asset="EURC")
    )
    assert await rig.stuck() == []
    assert await rig.winnings("ann") == 6_000
    assert await exchange_of(rig, payout) == (4_000, -7_998)
    assert await rig.breaches() == []


async def test_a_payment_in_the_debited_asset_does_not_fit(rig: Rig) -> None:
    """``payout.paid`` and ``payout.returned`` name the paid asset; the debited one parks."""
    ann = await won(rig, "ann")
    payout = await request_quoted(rig, ann, debit="40.00", pay="36.80")
    await rig.feed(rig.payouts, paid_event(payout, player="ann", amount="36.80", **FAKE_RAIL))
    assert await rig.stuck() == [("parked", "event_mismatch")]
    assert await rig.breaches() == []


async def test_a_quote_in_one_asset_may_pay_less(rig: Rig) -> None:
    """The difference is a fee that the player bears: it goes to the fees once the payout is paid."""
    ann = await won(rig, "ann")
    payout = await request_quoted(rig, ann, debit="40.00", pay="39.50", pay_asset="USDC", rate=None)
    assert await rig.balance(Kind.PAYOUT_PENDING, payout) == 4_000
    await rig.feed(rig.payouts, paid_event(payout, player="ann", amount="39.50", **FAKE_RAIL))
    assert await rig.stuck() == []
    assert await rig.balance(Kind.FEES, "platform") == 50
    assert await rig.balance(Kind.TREASURY, "fake") == 3_950
    assert await rig.breaches() == []


async def test_a_players_fee_is_not_exchanged(rig: Rig) -> None:
    """The quote is for what the rule's fee leaves. The fee stays in the debited asset, and comes back with a give-back."""
    ann = await won(rig, "ann")
    rule = PayoutRule(fee_flat=100, borne_by=FeeBearer.PLAYER)
    rules = PayoutRules(players={"USDC": rule}, rates_max=rig.tools.payout_rules.rates_max)
    tools = replace(rig.tools, payout_rules=rules)
    too_much = sign_quote(quote_of(ann, debit="40.00", pay="36.80"))
    with pytest.raises(InvalidRequest, match=r"ask for a quote of 39\.00 USDC") as caught:
        await request_with(rig, too_much, ann, amount=4_000, tools=tools)
    assert caught.value.code == "quote_mismatch"
    quote = sign_quote(quote_of(ann, debit="39.00", pay="35.88"))
    first, second = [
        await request_with(rig, one, ann, amount=4_000, tools=tools)
        for one in (quote, sign_quote(quote_of(ann, debit="39.00", pay="35.88")))
    ]
    assert await rig.balance(Kind.PAYOUT_PENDING, first.id) == 100
    assert await exchange_of(rig, first.id) == (3_900, -3_588)
    assert await rig.breaches() == []
    await rig.feed(
        rig.payouts, closed_event(first.id, "failed", closure=None), paid(second.id, "ann", "35.88")
    )
    assert await rig.stuck() == []
    assert await rig.winnings("ann") == 6_000
    assert await rig.balance(Kind.FEES, "platform") == 100
    assert await rig.breaches() == []


Change = Callable[[SignedQuote], SignedQuote]


def _quote(**changes: Any) -> Callable[[PayoutQuote], PayoutQuote]:
    return lambda quote: replace(quote, **changes)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"player": "eve"}, "quote_mismatch"),
        ({"method_id": str(uuid4())}, "quote_mismatch"),
        ({"network": "other"}, "quote_mismatch"),
        ({"debit_asset": "EURC"}, "quote_mismatch"),
        ({"debit_amount": "40.01"}, "quote_mismatch"),
        ({"debit_amount": "40.001"}, "quote_mismatch"),
        ({"rail_type": "stellar"}, "quote_mismatch"),
        ({"pay_amount": "0.00"}, "quote_mismatch"),
        ({"pay_asset": "GOLD"}, "quote_mismatch"),
        ({"pay_asset": "SEASON", "pay_amount": "4"}, "asset_not_redeemable"),
        ({"pay_asset": "USDC", "pay_amount": "40.01"}, "quote_mismatch"),
        ({"pay_amount": "80.01"}, "exchange_not_allowed"),
        ({"pay_asset": "XLM", "pay_amount": "1.0000000"}, "exchange_not_allowed"),
        ({"v": 2}, "quote_invalid"),
    ],
)
async def test_a_quote_for_something_else_is_refused(rig: Rig, changes: dict[str, Any], code: str) -> None:
    """Each field that says what the quote is for is compared with the request, and nothing moves."""
    ann = await won(rig, "ann")
    quote = replace(quote_of(ann, debit="40.00", pay="36.80"), **changes)
    with pytest.raises(InvalidRequest) as caught:
        await request_with(rig, sign_quote(quote), ann, amount=4_000)
    assert caught.value.code == code
    assert await rig.winnings("ann") == 10_000


@pytest.mark.parametrize("by", ["rewards", "webhooks"])
async def test_only_payouts_signs_quotes(rig: Rig, by: str) -> None:
    """A quote that another service signed, or whose terms changed after its signature, is refused."""
    ann = await won(rig, "ann")
    quote = quote_of(ann, debit="40.00", pay="36.80")
    signed = sign_quote(quote)
    forged = [
        sign_quote(quote, by=by),
        sign_quote(replace(quote, key_id=by), by=by),
        SignedQuote(fields={**signed.fields, "pay_amount": "36.81"}, signature=signed.signature),
        SignedQuote(fields={**signed.fields, "more": 1}, signature=signed.signature),
    ]
    for one in forged:
        with pytest.raises(InvalidRequest) as caught:
            await request_with(rig, one, ann, amount=4_000)
        assert caught.value.code == "quote_invalid"
    assert await rig.winnings("ann") == 10_000


async def test_an_expired_quote_is_refused(rig: Rig) -> None:
    """A quote is valid before its expiry only."""
    ann = await won(rig, "ann")
    quote = quote_of(ann, debit="40.00", pay="36.80")
    expiry = timedelta(seconds=quote.expires_at - quote.issued_at)
    rig.clock.advance(expiry)
    with pytest.raises(InvalidRequest) as caught:
        await request_with(rig, sign_quote(quote), ann, amount=4_000)
    assert caught.value.code == "quote_expired"


async def test_a_quote_is_used_once(rig: Rig) -> None:
    """A second payout with the same quote is refused, also after the first one ended; the database refuses it too."""
    ann = await won(rig, "ann")
    quote = sign_quote(quote_of(ann, debit="40.00", pay="36.80"))
    first = await request_with(rig, quote, ann, amount=4_000)
    await rig.feed(rig.payouts, closed_event(first.id, "failed", closure=None))
    with pytest.raises(InvalidRequest) as caught:
        await request_with(rig, quote, ann, amount=4_000)
    assert caught.value.code == "quote_used"
    assert str(first.id) in caught.value.detail
    copied = (
        "INSERT INTO payouts SELECT (jsonb_populate_record(p, jsonb_build_object('id', gen_random_uuid(), 'state', "
        "'requested'))).* FROM payouts p"
    )
    state, message = await refused(rig, lambda tx: tx.exec_driver_sql(copied))
    assert (state, "payouts_quote_once" in message) == ("23505", True)


async def test_the_asked_asset_is_the_quoted_one(rig: Rig) -> None:
    """A request that names another asset to arrive than its quote is refused."""
    ann = await won(rig, "ann")
    quote = sign_quote(quote_of(ann, debit="40.00", pay="36.80"))
    with pytest.raises(InvalidRequest) as caught:
        await request_with(rig, quote, ann, amount=4_000, pay_asset="USDC")
    assert caught.value.code == "quote_mismatch"


@pytest.mark.parametrize(
    ("type_", "debit", "credit", "asset"),
    [
        ("payout_exchanged", Kind.FX, Kind.PAYOUT_PENDING, "EURC"),
        ("payout_exchange_reversed", Kind.FX, Kind.PAYOUT_PENDING, "USDC"),
        ("payout_returned", Kind.FX, Kind.WINNINGS, "USDC"),
        ("payout_returned", Kind.TREASURY, Kind.FX, "EURC"),
    ],
)
async def test_the_database_explains_the_exchange(
    rig: Rig, type_: str, debit: Kind, credit: Kind, asset: str
) -> None:
    """A transfer of the exchange that its payout does not explain is refused by the database."""
    ann = await won(rig, "ann")
    payout = str(await request_quoted(rig, ann, debit="40.00", pay="36.80"))
    owners = {Kind.FX: payout, Kind.PAYOUT_PENDING: payout, Kind.WINNINGS: "ann", Kind.TREASURY: "fake"}

    async def attempt(tx: Any) -> None:
        accounts = [Account(kind, owners[kind], asset) for kind in (debit, credit)]
        for account in accounts:
            await open_account(tx, account)
        await insert(tx, type_, *accounts, 1, cause=f"payout/{payout}", correlation=payout)

    state, message = await refused(rig, attempt)
    assert state == "23514"
    assert f"payout {payout} exchanges" in message


async def test_an_exchange_goes_back_to_its_own_player(rig: Rig) -> None:
    """The database refuses a return out of the exchange to another player's wallet."""
    ann = await won(rig, "ann")
    payout = str(await request_quoted(rig, ann, debit="40.00", pay="40.00"))
    await rig.feed(rig.payouts, paid(UUID(payout), "ann", "40.00"))

    async def attempt(tx: Any) -> None:
        await tx.exec_driver_sql(
            f"UPDATE payouts SET state = 'returned', returned = 4000, version = version + 1 WHERE id = '{payout}'"
        )
        exchange = {asset: Account(Kind.FX, payout, asset) for asset in ("USDC", "EURC")}
        eve = Account(Kind.WINNINGS, "eve", "USDC")
        await open_account(tx, eve)
        await insert(tx, "payout_returned", Account(Kind.TREASURY, "fake", "EURC"), exchange["EURC"], 4_000)
        await insert(tx, "payout_returned", exchange["USDC"], eve, 4_000)

    state, message = await refused(rig, attempt)
    assert (state, "its own player only" in message) == ("23514", True)


@pytest.fixture
async def exchanging(make_database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Rig]:
    """A service whose payout rules exchange dollars for euros."""
    path = tmp_path / "payout-rules.yaml"
    path.write_text('exchanges: {USDC: {EURC: "0.95"}}')
    rig = await Rig.open(make_database("rewards", migrated=True), rules=path)
    yield rig
    await rig.close()


async def test_a_player_sends_the_quote_unchanged(exchanging: Rig) -> None:
    """The document of the quote goes into the request as payouts answered it, and on to payouts with its signature."""
    rig = exchanging
    ann = await won(rig, "ann")
    signed = sign_quote(quote_of(ann, debit="40.00", pay="36.80"))
    body = {
        "asset": "USDC",
        "amount": "40.00",
        "method_id": str(ann.id),
        "pay_asset": "EURC",
        "quote": {**signed.fields, "signature": signed.signature},
    }
    async with rig.client("ann") as client:
        answer = await client.post("/api/wallet/payout-request", json=body, headers={"Idempotency-Key": "k"})
        assert answer.status_code == 202, answer.text
        said = answer.json()
        assert (said["pay_asset"], said["pay_amount"]) == ("EURC", "36.80")
        (listed,) = (await client.get("/api/wallet/payout-requests")).json()["items"]
        assert (listed["asset"], listed["debit_amount"]) == ("USDC", "40.00")
        assert (listed["pay_asset"], listed["pay_amount"]) == ("EURC", "36.80")
        dear = sign_quote(quote_of(ann, debit="40.00", pay="38.01"))
        high = {**body, "quote": {**dear.fields, "signature": dear.signature}}
        more = await client.post("/api/wallet/payout-request", json=high, headers={"Idempotency-Key": "m"})
        assert (more.status_code, more.json()["code"]) == (422, "exchange_not_allowed")
        again = await client.post("/api/wallet/payout-request", json=body, headers={"Idempotency-Key": "l"})
        assert (again.status_code, again.json()["code"]) == (409, "quote_used")
        (entry,) = [
            one
            for one in (await client.get("/api/wallet/transactions")).json()["items"]
            if one["type"] == "payout_requested"
        ]
        assert (entry["asset"], entry["amount"]) == ("USDC", "40.00")
    [event] = await rig.events("payout.requested")
    assert event["data"]["quote"] == dict(signed.fields)
    assert event["data"]["quote_signature"] == signed.signature
    assert await rig.breaches() == []
