"""Payouts at a quote: what is accepted, asked again before it is sent, held, and paid."""

from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

import asyncpg
import pytest

from prizewire_chassis.testing import make_key
from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.intents import AllowedWay
from prizewire_contracts.quotes import QUOTE_VERSION, PayoutQuote, QuoteReference
from prizewire_contracts.rails import Outcome, ProviderResult, Quote, QuoteUnavailable, RailType
from prizewire_money import Amount
from prizewire_payouts.approval.handlers import approve_payout
from prizewire_payouts.methods.domain import Method
from prizewire_payouts.rails.ports import Rail
from services.payouts.tests.fakes import ScriptedProvider
from services.payouts.tests.http import Client, as_
from services.payouts.tests.rig import ASSETS, NETWORK, POLICY, Rig

VALID = timedelta(minutes=10)


def amount(text: str, code: str = "XLM") -> Amount:
    return Amount.parse(ASSETS[code], text)


@dataclass
class World:
    """A rail ``fake`` with prepared answers, and a method of ana."""

    rig: Rig
    rail: ScriptedProvider
    method: Method

    @classmethod
    async def open(cls, rig: Rig) -> "World":
        provider = ScriptedProvider(rail="fake", rail_type=RailType.FAKE)
        capabilities = replace(provider.capabilities(), method_types=frozenset({"fake"}))
        rail = Rail(name="fake", capabilities=capabilities, provider=provider)
        rig.rails[1] = rail
        rig.workers["fake"] = rig.worker(rail)
        return cls(rig, provider, await rig.method("ana"))

    def quote(self, **changes: Any) -> PayoutQuote:
        """12.50 EURC for 50 XLM, with a fee of 0.1 XLM."""
        now = self.rig.clock.now()
        quote = PayoutQuote(
            v=QUOTE_VERSION,
            network=NETWORK,
            quote_id=str(uuid4()),
            player="ana",
            method_id=str(self.method.method_id),
            rail="fake",
            rail_type="fake",
            debit_asset="EURC",
            debit_amount="12.50",
            pay_asset="XLM",
            pay_amount="50.0000000",
            rate="4",
            fee_asset="XLM",
            fee_amount="0.1000000",
            fee_borne_by="platform",
            issued_at=int(now.timestamp()),
            expires_at=int((now + VALID).timestamp()),
            key_id=make_key("payouts").keyid,
        )
        return replace(quote, **changes)

    async def request(self, bound: PayoutQuote, /, *, signer: str = "payouts", **changes: Any) -> UUID:
        """A payout at a quote, as rewards would ask for it; ``changes`` are of the event."""
        way = AllowedWay(rail="fake", commitment=self.method.commitment, amount_max="50.0000000")
        intent = self.rig.intent(
            self.method,
            amount="12.50",
            pay_asset="XLM",
            pay_amount="50.0000000",
            allowed=(way,),
            quote=QuoteReference(id=bound.quote_id, digest=bound.digest()),
        )
        signed = {
            "quote": asdict(bound),
            "quote_signature": make_key(signer).sign(bound.signing_bytes()),
            **changes,
        }
        await self.rig.feed(self.rig.requested(self.method, intent, **signed))
        return UUID(intent.payout_id)

    async def approved(self) -> UUID:
        """A payout at a quote that an approver has approved: amounts in XLM have no automatic limit."""
        payout = await self.request(self.quote())
        assert await self.rig.stuck() == []
        await self.approve(payout)
        return payout

    async def approve(self, payout: UUID) -> None:
        """An approver approves it."""
        now, rails = self.rig.clock.now(), self.rig.rails
        await self.rig.run(
            lambda storages: approve_payout(
                storages.payouts, storages.approvals, payout_id=payout, approver="bob", note=None,
                policy=POLICY, rails=rails, now=now,
            )
        )  # fmt: skip


def fresh(
    pay: str = "50.0000000",
    fee: str = "0.1000000",
    borne_by: Literal["platform", "recipient"] = "platform",
    **changes: Any,
) -> Quote:
    """The rail's answer to the second question."""
    return Quote(
        debit=amount("12.50", "EURC"),
        pay=amount(pay),
        fee=amount(fee),
        fee_borne_by=borne_by,
        expires_at=changes.get("expires_at"),  # type: ignore[arg-type]  # not read the second time
        rate="4",
    )


def paid(fee: str | None = None, code: str = "XLM") -> ProviderResult:
    return ProviderResult(
        outcome=Outcome.PAID,
        provider_ref="r-1",
        amount=amount("50.0000000"),
        fee=None if fee is None else amount(fee, code),
    )


@pytest.mark.parametrize("again", [fresh(), fresh("50.0000001"), fresh(fee="0.0000000")])
async def test_it_is_paid_at_the_quote_or_better(rig: Rig, again: Quote) -> None:
    """The rail is asked again before the payment, and gets the quoted amount to pay, also where it now offers more."""
    world = await World.open(rig)
    payout = await world.approved()
    world.rail.quotes.append(again)
    world.rail.answers.append(paid("0.1000000"))
    await rig.submit()
    found = await rig.payout(payout)
    assert (found.state, found.code) == ("paid", None)
    (sent,) = world.rail.created
    assert sent.amount == amount("50.0000000")
    assert sent.quote is not None
    assert sent.quote.rate == "4"
    (event,) = [one for one in await rig.events(payout) if one.type == "payout.paid"]
    assert (event.data["asset"], event.data["amount"]) == ("XLM", "50.0000000")
    assert (found.debit, found.player_fee) == (amount("12.50", "EURC"), amount("0.00", "EURC"))
    assert rig.impossible == []
    assert await rig.breaches() == []


@pytest.mark.parametrize("again", [fresh("49.9999999"), fresh(fee="0.1000001"), fresh(borne_by="recipient")])
async def test_a_worse_price_holds_the_payout(rig: Rig, again: Quote) -> None:
    """Where the rail now pays less, charges more or charges another, nothing is sent: a person decides."""
    world = await World.open(rig)
    payout = await world.approved()
    world.rail.quotes.append(again)
    await rig.submit()
    found = await rig.payout(payout)
    assert (found.state, found.code) == ("held", "quote_worse")
    assert world.rail.created == []
    # approved again, the rail is asked again
    await world.approve(payout)
    world.rail.quotes.append(fresh())
    world.rail.answers.append(paid())
    await rig.submit()
    assert (await rig.payout(payout)).state == "paid"
    assert await rig.breaches() == []


async def test_a_rail_without_a_price_is_asked_later(rig: Rig) -> None:
    """An outage is no worse price: the payout stays approved and is tried again."""
    world = await World.open(rig)
    payout = await world.approved()
    world.rail.quotes.append(QuoteUnavailable(PayoutCode.RAIL_UNAVAILABLE, "out"))
    await rig.submit()
    found = await rig.payout(payout)
    assert (found.state, found.code) == ("approved", "quote_unavailable")
    assert world.rail.created == []


async def test_an_expired_quote_holds_the_payout(rig: Rig, client: Client) -> None:
    """It is not sent, and no approval sends it: the refusal says to reject it, which gives the money back."""
    world = await World.open(rig)
    payout = await world.approved()
    rig.clock.advance(VALID)
    await rig.submit()
    found = await rig.payout(payout)
    assert (found.state, found.code) == ("held", "quote_expired")
    assert world.rail.quoted == []
    path = f"/api/admin/payouts/{payout}"
    answer = await client.put(f"{path}/approve", json={}, headers=as_("paul", "approver"))
    assert (answer.status_code, answer.json()["code"]) == (409, "quote_expired")
    assert "reject the payout" in answer.json()["detail"]
    body = {"reason": "the quote has expired"}
    answer = await client.put(f"{path}/reject", json=body, headers=as_("paul", "approver"))
    assert answer.is_success, answer.text
    assert (await rig.payout(payout)).state == "rejected"
    assert await rig.breaches() == []


async def test_a_higher_fee_than_quoted_is_booked_and_reported(rig: Rig) -> None:
    """The rail has taken it, so the event has the fee as it is; the difference is recorded for a person."""
    world = await World.open(rig)
    payout = await world.approved()
    world.rail.quotes.append(fresh())
    world.rail.answers.append(paid("0.2000000"))
    await rig.submit()
    assert (await rig.payout(payout)).fee == amount("0.2000000")
    (reported,) = rig.impossible
    assert "a fee of 0.2000000 XLM" in reported.detail


@pytest.mark.parametrize(
    "changes",
    [
        {"player": "eve"},
        {"method_id": str(uuid4())},
        {"network": "other"},
        {"debit_asset": "XLM", "debit_amount": "12.5000000"},
        {"pay_amount": "49.0000000"},
        {"rail_type": "stellar"},
    ],
)
async def test_a_quote_for_something_else_is_refused(rig: Rig, changes: dict[str, Any]) -> None:
    """Although payouts signed it and the intent names it."""
    world = await World.open(rig)
    await world.request(world.quote(**changes))
    assert await rig.stuck() == [("dead", "intent_invalid")]


async def test_only_the_named_quote_is_taken(rig: Rig) -> None:
    """A quote that payouts did not sign, another one than the intent names, and none are refused."""
    world = await World.open(rig)
    await world.request(world.quote(), signer="rewards")
    other = asdict(world.quote())
    await world.request(world.quote(), quote=other)
    await world.request(world.quote(), quote=None, quote_signature=None)
    assert await rig.stuck() == [("dead", "intent_invalid")] * 3


async def test_a_changed_quote_pays_nothing(rig: Rig) -> None:
    """A quote that somebody changed in the database is not paid, and the checks report it."""
    world = await World.open(rig)
    payout = await world.approved()
    owner = await asyncpg.connect(rig.urls.migration)
    await owner.execute("UPDATE payouts SET quote = jsonb_set(quote, '{fee_amount}', '\"9.0000000\"')")
    await owner.close()
    await rig.submit()
    assert world.rail.created == []
    assert (await rig.payout(payout)).code == "intent_invalid"


async def test_only_its_own_rail_keeps_the_price(rig: Rig) -> None:
    """A payout goes to the rail that named the price, and to no other of the same type."""
    world = await World.open(rig)
    payout = await world.request(world.quote(rail="other"))
    await world.approve(payout)
    found = await rig.payout(payout)
    assert (found.state, found.code) == ("failed", "rail_unsupported")
