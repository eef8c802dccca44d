"""Events of payouts, compared with what rewards requested."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from prizewire_contracts.events.rewards import PayoutIntentRenewedEvent, PayoutRequestedEvent
from prizewire_contracts.trust import NotTrusted
from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.ledger.domain.accounts import Kind
from services.rewards.tests.rig import (
    FAKE_METHOD,
    FAKE_RAIL,
    TRUST,
    Match,
    Rig,
    closed_event,
    closure_of,
    method_event,
    paid_event,
    payout_event,
    returned_event,
)
from services.rewards.tests.sql import as_owner, refused_to_the_owner


async def requested(rig: Rig, **method: Any) -> UUID:
    """A direct payout of 500.00 USDC to ann."""
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann", **method))
    await rig.settle(Match(campaign, [("ann", "500.00")]))
    [requested_event] = await rig.events("payout.requested")
    return UUID(requested_event["data"]["payout_id"])


async def state_of(rig: Rig, payout: UUID) -> str:
    [row] = await rig.rows("SELECT state FROM payouts WHERE id = :id", id=payout)
    return str(row["state"])


async def test_paid_moves_the_money_to_the_rail(rig: Rig) -> None:
    """The payout's money goes to the rail's treasury, and the rail's fee is booked too."""
    payout = await requested(rig)
    await rig.feed(rig.payouts, paid_event(payout, player="ann", amount="500.00"))
    assert await rig.stuck() == []
    assert await state_of(rig, payout) == "paid"
    assert await rig.balance(Kind.PAYOUT_PENDING, payout) == 0
    assert await rig.balance(Kind.TREASURY, "stellar-main") == 50_000
    assert await rig.balance(Kind.RAIL_FEES, "stellar-main", "XLM") == -100
    assert await rig.breaches() == []


async def test_the_intent_is_signed_by_rewards(rig: Rig) -> None:
    """The signature in payout.requested is valid for the intent's own bytes only."""
    await requested(rig)
    [requested_event] = await rig.events("payout.requested")
    data = PayoutRequestedEvent.model_validate(requested_event).data
    at = datetime.fromtimestamp(data.intent.issued_at, UTC)

    def check(message: bytes) -> None:
        TRUST.verify(
            keyid=data.intent.key_id,
            service="rewards",
            use="intent",
            message=message,
            signature=data.intent_signature,
            at=at,
        )

    check(data.intent.signing_bytes())
    with pytest.raises(NotTrusted):
        check(data.intent.signing_bytes().replace(b"500.00", b"600.00"))


async def test_the_intent_of_a_prize_names_its_origin_and_its_way(rig: Rig) -> None:
    """Campaign, competition and source come from the round. The one way allows the paid amount. The row keeps all three."""
    payout = await requested(rig)
    [requested_event] = await rig.events("payout.requested")
    intent = PayoutRequestedEvent.model_validate(requested_event).data.intent
    [row] = await rig.rows(
        "SELECT p.campaign, p.competition, p.source, r.competition AS cup, r.match_source FROM payouts p "
        "JOIN rounds r ON r.id = p.round_id"
    )
    assert (intent.v, intent.quote) == (2, None)
    assert (intent.campaign, intent.competition, intent.source) == (
        str(row["campaign"]),
        row["cup"],
        "/games/test",
    )
    assert (row["competition"], row["source"]) == (row["cup"], row["match_source"])
    [way] = intent.allowed
    assert (way.rail, way.amount_max) == ("stellar", "500.00")
    for column in ("competition", "source"):
        change = f"UPDATE payouts SET {column} = 'other' WHERE id = '{payout}'"
        _, message = await refused_to_the_owner(rig, change)
        assert "what it is bound to does not change" in message


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": "499.99"},
        {"asset": "EURC"},
        {"player": "eve"},
        {"rail_type": "fake"},
    ],
)
async def test_a_paid_event_that_does_not_match_is_parked(rig: Rig, changes: dict[str, str]) -> None:
    """A paid event with another amount, asset, player or rail than the intent moves nothing."""
    payout = await requested(rig)
    await rig.feed(rig.payouts, paid_event(payout, **{"player": "ann", "amount": "500.00", **changes}))
    assert await rig.stuck() == [("parked", "event_mismatch")]
    assert await state_of(rig, payout) == "requested"
    assert await rig.balance(Kind.PAYOUT_PENDING, payout) == 50_000
    assert await rig.breaches() == []


@pytest.mark.parametrize(
    ("fee", "asset", "books"),
    [
        ("90000000000.0000000", "XLM", False),
        ("100.0000001", "XLM", False),
        ("100.0000000", "XLM", True),
        ("500.01", "USDC", False),
        ("500.00", "USDC", True),
    ],
)
async def test_a_rails_fee_has_a_bound(rig: Rig, fee: str, asset: str, books: bool) -> None:
    """The limit is 100 units, or, in the payout's own asset, the paid amount: an event with a larger fee parks."""
    payout = await requested(rig)
    await rig.feed(rig.payouts, paid_event(payout, player="ann", amount="500.00", fee=fee, fee_asset=asset))
    assert await rig.stuck() == ([] if books else [("parked", "fee_too_large")])
    assert await state_of(rig, payout) == ("paid" if books else "requested")
    charged = await rig.balance(Kind.RAIL_FEES, "stellar-main", asset)
    assert charged == (-int(fee.replace(".", "")) if books else 0)
    assert await rig.breaches() == []


async def test_an_unknown_payout_is_parked(rig: Rig) -> None:
    """Nothing was requested, so nothing can be paid or given back."""
    await rig.feed(rig.payouts, paid_event(uuid4(), player="ann", amount="1.00"))
    assert await rig.stuck() == [("parked", "event_mismatch")]


@pytest.mark.parametrize("what", ["failed", "rejected", "cancelled"])
async def test_an_end_with_a_closure_gives_the_money_back(rig: Rig, what: str) -> None:
    """With the signer's closure the winnings come back, once."""
    payout = await requested(rig)
    await rig.feed(rig.payouts, closed_event(payout, what, closure=closure_of(payout)))
    assert await rig.stuck() == []
    assert await state_of(rig, payout) == what
    assert await rig.winnings("ann") == 50_000
    assert await rig.balance(Kind.PAYOUT_PENDING, payout) == 0
    assert await rig.breaches() == []


def forged_closures(payout: UUID) -> dict[str, str | None]:
    return {
        "missing": None,
        "of another payout": closure_of(uuid4()),
        "signed by payouts": closure_of(payout, key="payouts"),
        "not json": "tombstone",
        "tampered": closure_of(payout).replace('"counter":1', '"counter":2'),
        "another event": closure_of(payout).replace("signing.closed", "signing.close_refused"),
    }


async def test_without_an_authentic_closure_nothing_is_given_back(rig: Rig) -> None:
    """A failed payout whose closure is missing, forged or of another payout parks and moves nothing."""
    payout = await requested(rig)
    for name, closure in forged_closures(payout).items():
        await rig.feed(rig.payouts, closed_event(payout, "failed", closure=closure))
        assert (await rig.stuck())[0] == ("parked", "closure_invalid"), name
        assert await rig.winnings("ann") == 0
        assert await state_of(rig, payout) == "requested"
        await as_owner(rig, "DELETE FROM stuck_events")
    assert await rig.breaches() == []


async def test_a_rail_without_signer_needs_no_closure(rig: Rig) -> None:
    """An intent that allows only rails without a signer is given back without a closure."""
    payout = await requested(rig, **FAKE_METHOD)
    await rig.feed(rig.payouts, closed_event(payout, "failed", closure=None))
    assert await rig.stuck() == []
    assert await rig.winnings("ann") == 50_000


async def test_a_forged_failure_is_dead(rig: Rig) -> None:
    """An event that payouts did not sign is dead and parks nothing; the authentic one is applied afterwards."""
    payout = await requested(rig)
    forged = payout_event(
        payout, "failed", key="settlement", code="x", attempts=1, closure={"event": closure_of(payout)}
    )
    await rig.feed(rig.payouts, forged)
    assert await rig.stuck() == [("dead", "key_not_trusted")]
    assert await rig.winnings("ann") == 0
    await rig.feed(rig.payouts, paid_event(payout, player="ann", amount="500.00"))
    assert await state_of(rig, payout) == "paid"


async def test_a_payout_ends_once(rig: Rig) -> None:
    """A paid payout is not given back, and an event that contradicts the state parks."""
    payout = await requested(rig)
    await rig.feed(
        rig.payouts,
        paid_event(payout, player="ann", amount="500.00", version=1),
        closed_event(payout, "failed", closure=closure_of(payout), version=2),
    )
    assert await rig.stuck() == [("parked", "event_mismatch")]
    assert await state_of(rig, payout) == "paid"
    assert await rig.winnings("ann") == 0
    assert await rig.breaches() == []


@pytest.mark.parametrize("end", ["paid", "returned", "failed"])
async def test_a_repeated_end_has_no_effect(rig: Rig, end: str) -> None:
    """The same event under a later version has no effect; with other fields it parks."""
    payout = await requested(rig, **FAKE_METHOD)
    paid = {"player": "ann", "amount": "500.00", **FAKE_RAIL}

    def repeated(version: int) -> list[bytes]:
        if end == "failed":
            return [closed_event(payout, "failed", closure=None, version=version)]
        events = [paid_event(payout, version=version, **paid)]
        if end == "returned":
            # payouts does not store the fee of a return, and does not send it again
            fee = "0.10" if version == 1 else "0.00"
            events.append(returned_event(payout, amount="500.00", version=version + 1, fee=fee))
        return events

    await rig.feed(rig.payouts, *repeated(1))
    before = (await state_of(rig, payout), await rig.winnings("ann"))
    await rig.feed(rig.payouts, *repeated(len(repeated(1)) + 1))
    assert await rig.stuck() == []
    assert (await state_of(rig, payout), await rig.winnings("ann")) == before
    assert await rig.breaches() == []
    other = paid_event(payout, version=2 * len(repeated(1)) + 1, **{**paid, "rail": "other"})
    await rig.feed(rig.payouts, other)
    assert await rig.stuck() == [("parked", "event_mismatch")]


@pytest.mark.parametrize("changes", [{"return_ref": "other"}, {"amount": "499.00"}, {"asset": "EURC"}])
async def test_a_repeated_return_with_other_fields_is_parked(rig: Rig, changes: dict[str, str]) -> None:
    """Other fields would mean a second return of the same payment."""
    payout = await requested(rig, **FAKE_METHOD)
    await rig.feed(
        rig.payouts,
        paid_event(payout, player="ann", amount="500.00", **FAKE_RAIL),
        returned_event(payout, amount="500.00"),
        returned_event(payout, version=3, **{"amount": "500.00", **changes}),
    )
    assert await rig.stuck() == [("parked", "event_mismatch")]
    assert await rig.winnings("ann") == 50_000
    assert await rig.breaches() == []


async def test_a_return_gives_back_at_most_what_was_paid(rig: Rig) -> None:
    """The returned amount is credited; a return of more than was paid parks."""
    payout = await requested(rig, **FAKE_METHOD)
    await rig.feed(
        rig.payouts,
        paid_event(payout, player="ann", amount="500.00", **FAKE_RAIL),
        returned_event(payout, amount="500.01"),
    )
    assert await rig.stuck() == [("parked", "event_mismatch")]
    await as_owner(rig, "DELETE FROM stuck_events")
    await rig.feed(rig.payouts, returned_event(payout, amount="499.00"))
    assert await state_of(rig, payout) == "returned"
    assert await rig.winnings("ann") == 49_900
    assert await rig.balance(Kind.TREASURY, "fake") == 100
    assert await rig.breaches() == []


@pytest.mark.parametrize("booked", [True, False], ids=["paid earlier", "paid in the same batch"])
async def test_on_a_rail_of_the_signer_nothing_is_returned(rig: Rig, booked: bool) -> None:
    """A return parks there, and the money stays in the treasury: whether the payout was paid, or only reported as paid."""
    payout = await requested(rig)
    paid, returned = (
        paid_event(payout, player="ann", amount="500.00"),
        returned_event(payout, amount="500.00"),
    )
    for events in [[paid], [returned]] if booked else [[paid, returned]]:
        await rig.feed(rig.payouts, *events)
    [stuck] = await rig.rows("SELECT state, reason, detail FROM stuck_events")
    assert (stuck["state"], stuck["reason"]) == ("parked", "closure_invalid")
    assert f"the signer serves the rail of payout {payout}" in stuck["detail"]
    assert await state_of(rig, payout) == "paid"
    assert await rig.winnings("ann") == 0
    assert await rig.balance(Kind.TREASURY, "stellar-main") == 50_000
    assert await rig.breaches() == []


async def test_paid_and_returned_in_one_batch(rig: Rig) -> None:
    """Both are applied, in their order."""
    payout = await requested(rig, **FAKE_METHOD)
    await rig.feed(
        rig.payouts,
        paid_event(payout, player="ann", amount="500.00", **FAKE_RAIL),
        returned_event(payout, amount="500.00"),
    )
    assert await rig.stuck() == []
    assert await rig.winnings("ann") == 50_000
    assert await rig.breaches() == []


async def test_money_that_comes_back_pays_debts_first(rig: Rig) -> None:
    """A give-back is a credit to winnings like any other: debts are recovered in the same transaction."""
    payout = await requested(rig)
    await rig.owe("ann", 20_000)
    await rig.feed(rig.payouts, closed_event(payout, "failed", closure=closure_of(payout)))
    assert await rig.winnings("ann") == 30_000
    assert await rig.balance(Kind.RECEIVABLE, "ann") == 0
    assert await rig.breaches() == []


async def test_methods_keep_their_highest_version(rig: Rig) -> None:
    """Late events with older states change nothing; a removed default method is no longer the default."""
    method = uuid4()
    await rig.feed(
        rig.payouts,
        method_event("ann", method_id=method, version=3, address="GNEW"),
        method_event("ann", method_id=method, version=2, address="GOLD"),
    )
    [row] = await rig.rows("SELECT version, address FROM payout_methods")
    assert row == {"version": 3, "address": "GNEW"}
    await rig.feed(
        rig.payouts, method_event("ann", method_id=method, version=4, state="removed", is_default=False)
    )
    async with rig.db.transaction() as tx:
        assert await rig.ports_of(tx).methods.defaults(["ann"]) == {}


async def test_the_default_moves_to_another_method(rig: Rig) -> None:
    """Payouts publishes events about both methods; the new default is used."""
    old, new = uuid4(), uuid4()
    await rig.feed(rig.payouts, method_event("ann", method_id=old, address="GOLD"))
    await rig.feed(
        rig.payouts,
        method_event("ann", method_id=old, version=2, is_default=False, address="GOLD"),
        method_event("ann", method_id=new, address="GNEW"),
    )
    async with rig.db.transaction() as tx:
        assert (await rig.ports_of(tx).methods.defaults(["ann"]))["ann"].address == "GNEW"


async def test_progress_events_only_count_versions(rig: Rig) -> None:
    """Events that move no money have no effect, and later events are applied."""
    payout = await requested(rig)
    await rig.feed(
        rig.payouts,
        payout_event(payout, "approved", version=1, policy_version=1, approvers=[]),
        paid_event(payout, player="ann", amount="500.00", version=2),
    )
    assert await rig.stuck() == []
    assert await state_of(rig, payout) == "paid"


async def test_an_expired_intent_is_renewed_on_the_same_terms(rig: Rig) -> None:
    """A payout held because of an expired intent gets a new intent: same terms, later expiry, no money moved."""
    payout = await requested(rig)
    [requested_event] = await rig.events("payout.requested")
    rig.clock.advance(timedelta(days=8))
    await rig.feed(rig.payouts, payout_event(payout, "held", reason="intent_expired"))
    [renewal] = await rig.events("payout.intent_renewed")
    data = PayoutIntentRenewedEvent.model_validate(renewal).data
    TRUST.verify(
        keyid=data.intent.key_id,
        service="rewards",
        use="intent",
        message=data.intent.signing_bytes(),
        signature=data.intent_signature,
        at=datetime.fromtimestamp(data.intent.issued_at, UTC),
    )
    assert data.intent.expires_at > rig.clock.now().timestamp()
    before, after = requested_event["data"]["intent"], renewal["data"]["intent"]
    assert {name for name in before if before[name] != after[name]} == {"issued_at", "expires_at"}
    assert (renewal["subject"], renewal["aggregateversion"]) == (str(payout), 2)
    [row] = await rig.rows("SELECT intent, intent_signature FROM payouts WHERE id = :id", id=payout)
    assert row["intent_signature"] == data.intent_signature
    assert await state_of(rig, payout) == "requested"
    assert await rig.balance(Kind.PAYOUT_PENDING, payout) == 50_000
    await rig.feed(rig.payouts, paid_event(payout, player="ann", amount="500.00", version=2))
    assert (await rig.stuck(), await rig.breaches()) == ([], [])


async def test_an_intent_for_an_approver_or_of_an_ended_payout_is_not_renewed(rig: Rig) -> None:
    """Only expiry renews an intent, and only of a payout that can still be paid."""
    payout = await requested(rig)
    await rig.feed(
        rig.payouts,
        payout_event(payout, "held", reason="above_automatic_limit"),
        closed_event(payout, "rejected", closure=closure_of(payout), version=2),
        payout_event(payout, "held", reason="intent_expired", version=3),
    )
    assert await rig.events("payout.intent_renewed") == []
    assert await rig.stuck() == []
