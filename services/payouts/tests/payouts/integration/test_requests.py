"""What rewards asks, as it arrives from Kafka: taken once, checked whole, refused with a reason."""

from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.stuck_events import ReplayAnswer, StuckEvents
from prizewire_chassis.stuck_events.discards import Discards
from prizewire_chassis.testing import make_key
from prizewire_contracts.intents import AllowedWay
from prizewire_contracts.rails import Outcome, ProviderResult
from prizewire_money import Amount
from prizewire_payouts.approval.domain import ApprovalRefused
from prizewire_payouts.approval.handlers import Decision, approve_payout, reject_payout
from services.payouts.tests.rig import ADDRESS, EURC, NETWORK, POLICY, Rig, Storages, intent_json, renewed


async def test_a_request_within_the_limit_is_approved_and_routed(rig: Rig) -> None:
    """An authentic request goes by policy at once, with its history and its event."""
    method = await rig.method()
    payout_id = await rig.request(method)
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.rail, payout.due_at) == ("approved", "fake", rig.clock.now())
    (approved,) = await rig.events(payout_id)
    assert (approved.type, approved.version, approved.correlation_id) == ("payout.approved", 1, "corr-1")
    assert approved.data == {
        "payout_id": str(payout_id),
        "campaign": "11111111-1111-4111-8111-111111111111",
        "competition": "spring-cup",
        "source": "/games/arena",
        "policy_version": 3,
        "approvers": [],
    }
    steps = await rig.rows("SELECT * FROM payout_transitions")
    assert [(step.from_state, step.to_state, step.cause, step.correlation_id) for step in steps] == [
        ("requested", "approved", f"{payout_id}/payout.requested/1", "corr-1")
    ]


async def test_a_repeated_request_has_one_effect(rig: Rig) -> None:
    """The same event again, in the same batch and in a later one, changes nothing."""
    method = await rig.method()
    intent = rig.intent(method)
    event = rig.requested(method, intent)
    await rig.feed(event, event)
    await rig.feed(event)
    assert await rig.event_types(UUID(intent.payout_id)) == ["payout.approved"]
    assert await rig.stuck() == []


async def test_another_request_for_a_known_payout_parks(rig: Rig) -> None:
    """The same payout id on other terms is authentic and cannot be applied: it waits for a person."""
    method = await rig.method()
    intent = rig.intent(method)
    await rig.feed(rig.requested(method, intent))
    other = replace(intent, debit_amount="99.00", pay_amount="99.00")
    await rig.feed(rig.requested(method, other, version=2))
    assert await rig.stuck() == [("parked", "event_mismatch")]
    assert (await rig.payout(UUID(intent.payout_id))).amount.to_wire() == "12.50"


@pytest.mark.parametrize(
    "change",
    [
        {"pay_amount": "99.00", "debit_amount": "99.00"},
        {"player": "eve"},
        {"network": "elsewhere"},
        {"correlation_id": "corr-2"},
        {"expires_at": 4_000_000_000},
        {"payout_id": "22222222-2222-4222-8222-222222222222"},
        {"allowed": (AllowedWay(rail="fake", commitment="0" * 64, amount_max="12.50"),)},
    ],
)
async def test_a_changed_intent_is_dead(rig: Rig, change: dict[str, Any]) -> None:
    """Whatever is changed in a signed intent breaks its signature, and nothing comes of it."""
    method = await rig.method()
    signed = rig.intent(method)
    changed = replace(signed, **change)
    event = rig.requested(
        method,
        signed,
        intent=intent_json(changed),
        intent_signature=make_key("rewards").sign(signed.signing_bytes()),
    )
    await rig.feed(event)
    assert await rig.stuck() == [("dead", "intent_invalid")]
    assert await rig.rows("SELECT 1 FROM payouts") == []


@pytest.mark.parametrize("signer", ["payouts", "settlement", "signer"])
async def test_only_rewards_signs_intents(rig: Rig, signer: str) -> None:
    """A trusted key of another service does not make an intent, whatever key id it names."""
    method = await rig.method()
    for intent in (rig.intent(method), rig.intent(method, key_id=make_key(signer).keyid)):
        await rig.feed(rig.requested(method, intent, signer=signer))
    assert set(await rig.stuck()) == {("dead", "intent_invalid")}
    assert await rig.rows("SELECT 1 FROM payouts") == []


@pytest.mark.parametrize(
    "change",
    [
        {"network": "elsewhere"},
        {"player": "eve"},
        {"correlation_id": "corr-2"},
        {"debit_amount": "12.49"},
        {"debit_amount": "12.505"},
        {"debit_asset": "XLM"},
        {"pay_amount": "0.00", "debit_amount": "0.00"},
        {"pay_amount": "1.005", "debit_amount": "1.005"},
        {"pay_asset": "SEASON", "debit_asset": "SEASON", "pay_amount": "5", "debit_amount": "5"},
        {"allowed": ()},
        {"allowed": (AllowedWay(rail="fake", commitment="0" * 64, amount_max="12.50"),)},
        {"allowed": (AllowedWay(rail="stellar", destination="G...", amount_max="12.50"),)},
        {"v": 1},
        {"competition": "spring cup"},
        {"source": "games arena"},
        {"campaign": ""},
        {"issued_at": 2**50, "expires_at": 2**51},
    ],
)
async def test_signed_terms_must_fit_the_event_and_the_method(rig: Rig, change: dict[str, Any]) -> None:
    """An intent that rewards really signed is still refused where it does not say what the event says."""
    method = await rig.method()
    intent = rig.intent(method, **change)
    await rig.feed(rig.requested(method, intent, player="ana"))
    assert await rig.stuck() == [("dead", "intent_invalid")]
    assert await rig.rows("SELECT 1 FROM payouts") == []


async def test_the_method_must_be_the_players_own(rig: Rig) -> None:
    """Another player's method, a method that does not exist, and a version that never was are refused."""
    method, other = await rig.method("ana"), await rig.method("bob")
    intents = [rig.intent(other, player="ana"), rig.intent(method), rig.intent(method)]
    await rig.feed(
        rig.requested(other, intents[0], player="ana"),
        rig.requested(method, intents[1], method_id=str(uuid4())),
        rig.requested(method, intents[2], method_version=2),
    )
    assert await rig.stuck() == [("dead", "intent_invalid")] * 3


async def test_a_memo_belongs_to_the_intent(rig: Rig) -> None:
    """The same address without its memo is another destination."""
    method = await rig.method(
        kind="stellar", address="GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN", memo="77"
    )
    bare = rig.intent(
        method, allowed=(AllowedWay(rail="stellar", destination=method.address, amount_max="12.50"),)
    )
    await rig.feed(rig.requested(method, bare))
    assert await rig.stuck() == [("dead", "intent_invalid")]


async def test_an_unsigned_or_forged_event_is_dead(rig: Rig) -> None:
    """An event that rewards did not sign does not reach the intent's check."""
    method = await rig.method()
    await rig.feed(rig.requested(method, rig.intent(method), key=make_key("webhooks")))
    assert await rig.stuck() == [("dead", "key_not_trusted")]


async def test_other_requests_of_a_batch_are_accepted(rig: Rig) -> None:
    """One forged request among many does not hold the others."""
    method = await rig.method()
    good = [rig.intent(method) for _ in range(3)]
    bad = rig.intent(method, network="elsewhere")
    batch = [rig.requested(method, intent) for intent in (good[0], bad, good[1], good[2])]
    await rig.feed(*batch)
    rows = await rig.rows("SELECT payout_id FROM payouts WHERE state = 'approved'")
    assert {str(row.payout_id) for row in rows} == {intent.payout_id for intent in good}


async def test_an_unknown_asset_parks(rig: Rig) -> None:
    """An asset that the configuration does not hold yet may be added: the request waits."""
    method = await rig.method()
    intent = rig.intent(method, pay_asset="GOLD", debit_asset="GOLD")
    await rig.feed(rig.requested(method, intent))
    assert await rig.stuck() == [("parked", "asset_unknown")]


async def test_above_the_limit_it_is_held(rig: Rig) -> None:
    """Above the automatic limit approvers decide, above the second limit two of them."""
    method = await rig.method()
    held = await rig.payout(await rig.request(method, amount="1000.01"))
    assert (held.state, held.code, held.approvers_needed) == ("held", "above_automatic_limit", 1)
    assert await rig.event_types(held.payout_id) == ["payout.held"]
    large = await rig.payout(await rig.request(method, amount="10000.01"))
    assert (large.state, large.approvers_needed) == ("held", 2)


async def test_an_expired_request_is_held_and_renewed(rig: Rig) -> None:
    """A request that comes too late is held with the reason that asks for a renewal, which keeps its terms."""
    method = await rig.method()
    now = int(rig.clock.now().timestamp())
    intent = rig.intent(method, issued_at=now - 7200, expires_at=now - 10)
    await rig.feed(rig.requested(method, intent))
    payout_id = UUID(intent.payout_id)
    assert (await rig.events(payout_id))[0].data["reason"] == "intent_expired"
    again = renewed(intent, hours=2)
    await rig.feed(rig.renewal(again))
    payout = await rig.payout(payout_id)
    assert payout.intent_alive(now=rig.clock.now())
    assert payout.intent["expires_at"] == again.expires_at
    assert (payout.state, payout.expiry_told) == ("held", False)


async def test_a_renewal_changes_nothing_but_times(rig: Rig) -> None:
    """A renewal with another amount or destination is refused, though rewards signed it."""
    method = await rig.method()
    intent = rig.intent(method, amount="5000.00")
    await rig.feed(rig.requested(method, intent))
    other = replace(renewed(intent, hours=2), pay_amount="1.00", debit_amount="1.00")
    await rig.feed(rig.renewal(other))
    assert await rig.stuck() == [("dead", "intent_invalid")]
    assert (await rig.payout(UUID(intent.payout_id))).intent["pay_amount"] == "5000.00"


async def test_cancel_before_anything_was_sent(rig: Rig) -> None:
    """A cancel of a payout that was not sent ends it at once where the signer is not concerned."""
    method = await rig.method()
    payout_id = await rig.request(method)
    await rig.feed(rig.cancel_asked(payout_id))
    assert (await rig.payout(payout_id)).state == "cancelled"
    last = (await rig.events(payout_id))[-1]
    assert (last.type, last.version) == ("payout.cancelled", 2)
    assert last.data["closure"] is None
    assert await rig.breaches() == []


@pytest.mark.parametrize("code", ["cancelled_by_player", "winnings_taken_back", None])
async def test_a_cancelled_payout_names_its_requester(rig: Rig, code: str | None) -> None:
    """The payout gets the code and the reason of the request; a request without a code is the player's."""
    method = await rig.method()
    payout_id = await rig.request(method)
    said = {} if code is None else {"code": code}
    await rig.feed(rig.cancel_asked(payout_id, reason="round 7 was corrected", **said))
    expected = code or "cancelled_by_player"
    payout = await rig.payout(payout_id)
    assert (payout.code, payout.reason) == (expected, "round 7 was corrected")
    published = (await rig.events(payout_id))[-1].data
    assert (published["code"], published["reason"]) == (expected, "round 7 was corrected")
    steps = await rig.rows(
        "SELECT code FROM payout_transitions WHERE payout_id = :id AND to_state = 'cancelled'", id=payout_id
    )
    assert [row.code for row in steps] == [expected]


async def test_an_unknown_code_of_a_cancel_is_refused(rig: Rig) -> None:
    """Rewards cancels for the player, for an operator or for itself, and for no other role."""
    payout_id = await rig.request(await rig.method())
    await rig.feed(rig.cancel_asked(payout_id, code="cancelled_by_approver"))
    assert [code for _, code in await rig.stuck()] == ["schema_invalid"]
    assert (await rig.payout(payout_id)).state == "approved"


async def test_request_and_cancel_in_one_batch(rig: Rig) -> None:
    """Two events of one payout in one batch are applied in their order."""
    method = await rig.method()
    intent = rig.intent(method)
    await rig.feed(rig.requested(method, intent), rig.cancel_asked(intent.payout_id))
    assert await rig.event_types(UUID(intent.payout_id)) == ["payout.approved", "payout.cancelled"]
    assert await rig.breaches() == []


async def test_a_cancel_that_comes_too_late_changes_nothing(rig: Rig) -> None:
    """A request after the payment has no effect and is no error."""
    method = await rig.method()
    payout_id = await rig.request(method)
    await rig.submit()
    await rig.feed(rig.cancel_asked(payout_id))
    assert (await rig.payout(payout_id)).state == "paid"
    assert await rig.stuck() == []


async def test_without_a_rail_it_fails_and_gives_back(rig: Rig) -> None:
    """An asset that no configured rail carries ends the payout at once, with the code that says why."""
    method = await rig.method()
    intent = rig.intent(
        method, pay_asset="XLM", debit_asset="XLM", pay_amount="1.0000000", debit_amount="1.0000000"
    )
    await rig.feed(rig.requested(method, intent))
    assert (await rig.payout(UUID(intent.payout_id))).state == "held"
    assert intent.network == NETWORK


async def test_the_subject_is_the_payout(rig: Rig) -> None:
    """An event about another subject than its payout would escape that payout's order of versions."""
    method = await rig.method()
    intent = rig.intent(method)
    await rig.feed(rig.requested(method, intent, subject=str(uuid4())))
    assert await rig.stuck() == [("dead", "event_mismatch")]
    assert await rig.rows("SELECT 1 FROM payouts") == []


async def test_a_renewal_that_meets_a_closing_payout_parks_nothing(rig: Rig) -> None:
    """An approver says no while rewards' renewal is on its way: it has no effect, and nothing waits behind it."""
    method = await rig.method(kind="stellar")
    now = int(rig.clock.now().timestamp())
    intent = rig.intent(method, issued_at=now - 7200, expires_at=now - 10)
    await rig.feed(rig.requested(method, intent))
    payout_id = UUID(intent.payout_id)
    await rig.run(
        lambda storages: reject_payout(
            storages.payouts, payout_id=payout_id, approver="bob", reason="no", now=rig.clock.now()
        )
    )
    assert (await rig.payout(payout_id)).state == "closing_rejected"
    again = renewed(intent, hours=2)
    await rig.feed(rig.renewal(again))
    await rig.feed(rig.cancel_asked(intent.payout_id, version=3))
    assert await rig.stuck() == []
    assert (await rig.payout(payout_id)).intent["expires_at"] == intent.expires_at


async def test_a_fee_is_debited_and_not_paid(rig: Rig) -> None:
    """An intent may debit a player more than it pays: what is paid is the intent's pay amount."""
    method = await rig.method()
    payout_id = await rig.request(method, debit_amount="13.00")
    assert (await rig.payout(payout_id)).amount.to_wire() == "12.50"
    await rig.submit()
    events = await rig.events(payout_id)
    assert events[-1].type == "payout.paid"
    assert events[-1].data["amount"] == "12.50"


WAY = AllowedWay(rail="stellar", destination=ADDRESS, memo="77", amount_max="12.50")


async def operators(rig: Rig, **changes: Any) -> tuple[UUID, bytes]:
    """An operator's payout out of a funding account to an address in clear, filed by olga."""
    prize = {"campaign": None, "competition": None, "source": None}
    of_nobody = {**prize, "player": None, "funding_account": "marketing", "allowed": (WAY,)}
    method = await rig.method(kind="stellar", address=ADDRESS)
    intent = rig.intent(method, **{**of_nobody, **changes})
    event = rig.requested(method, intent, player=None, method_id=None, method_version=None, filed_by="olga")
    return UUID(intent.payout_id), event


async def test_an_operators_payout_waits_for_somebody_else(rig: Rig) -> None:
    """It is held however small it is, not approved by its filer, and goes to the address that its intent names."""
    payout_id, event = await operators(rig)
    await rig.feed(event)
    assert await rig.stuck() == []
    payout = await rig.payout(payout_id)
    assert (payout.player, payout.method_id, payout.address, payout.memo) == (None, None, ADDRESS, "77")
    [held] = await rig.events(payout_id)
    assert (held.type, held.data["reason"]) == ("payout.held", "filed_by_operator")

    async def approve(storages: Storages, *, by: str) -> Decision:
        return await approve_payout(
            storages.payouts,
            storages.approvals,
            payout_id=payout_id,
            approver=by,
            note=None,
            policy=POLICY,
            rails=rig.rails,
            now=rig.clock.now(),
        )

    with pytest.raises(ApprovalRefused, match="is the filer"):
        await rig.run(partial(approve, by="olga"))
    await rig.run(partial(approve, by="pat"))
    proof = {"tx_hash": "ab" * 32, "ledger": 7}
    rig.chain.answers.append(ProviderResult(outcome=Outcome.PAID, amount=Amount(EURC, 1_250), proof=proof))
    await rig.submit("stellar")
    [instruction] = rig.chain.created
    assert dict(instruction.details) == {"address": ADDRESS, "memo": "77"}
    paid = (await rig.events(payout_id))[-1]
    assert (paid.type, paid.data["player"], paid.data["amount"]) == ("payout.paid", None, "12.50")


@pytest.mark.parametrize(
    "change",
    [
        {"debit_amount": "13.00"},
        {"allowed": (replace(WAY, amount_max="12.49"),)},
        {"allowed": (AllowedWay(rail="stellar", commitment="0" * 64, amount_max="12.50"),)},
        {"allowed": (AllowedWay(rail="fake", destination="somebody", amount_max="12.50"),)},
    ],
)
async def test_an_operators_intent_that_says_too_little_is_dead(rig: Rig, change: dict[str, Any]) -> None:
    """It has no fee, and it names an address on a chain."""
    _, event = await operators(rig, **change)
    await rig.feed(event)
    assert await rig.stuck() == [("dead", "intent_invalid")]


async def test_a_cancel_is_applied_once_the_bad_event_before_it_is_discarded(rig: Rig) -> None:
    """A NUL in the reason of a cancel, signed by rewards, is refused and stops the cancels after it; an operator gives
    it up, and the plain cancel that waited is done at once.
    """
    payout_id = await rig.request(await rig.method())
    await rig.feed(rig.cancel_asked(payout_id, reason="stop\x00"))
    await rig.feed(rig.cancel_asked(payout_id, version=3))
    assert await rig.stuck() == [("parked", "schema_invalid"), ("parked", "subject_parked")]
    assert (await rig.payout(payout_id)).state == "approved"

    async def record(tx: AsyncConnection, stuck_id: int, answer: ReplayAnswer) -> None:
        assert answer.state == "replayed"

    stuck = StuckEvents(db=rig.db, processor=rig.processor, specs=[rig.spec], clock=rig.clock)
    bad, _ = await stuck.page(after=0, limit=9)
    answer = await Discards(stuck=stuck, audit=rig.audit).discard(
        bad["id"], actor="op", reason="holds a NUL", may_hold_money=False, record=record
    )
    assert (answer.holds_money, answer.released) == (False, 1)
    assert await rig.event_types(payout_id) == ["payout.approved", "payout.cancelled"]
    assert await rig.stuck() == [("discarded", "schema_invalid"), ("replayed", "subject_parked")]
