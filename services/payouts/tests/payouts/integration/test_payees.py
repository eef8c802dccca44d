"""Payouts to a payee: a person who is paid in the player's place, as the intent names."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from prizewire_money import Amount
from prizewire_payouts.gates.domain import GateLimits
from prizewire_payouts.players.domain import KycState, PlayerFacts
from prizewire_payouts.players.storage import PlayerStorage
from services.payouts.tests.http import Client, as_
from services.payouts.tests.rig import EURC, Rig, Storages

ASSIGNERS = [{"role": "assigner", "subject": name} for name in ("ada", "adam")]


async def to_guardian(rig: Rig, *, amount: str = "12.50", player: str = "kim") -> UUID:
    """A payout of kim, who is a minor, to gerd, by an assignment of ada and adam."""
    method = await rig.method("gerd")
    intent = rig.intent(method, amount=amount, player=player, payee="gerd")
    await rig.feed(rig.requested(method, intent, parties=ASSIGNERS))
    return UUID(intent.payout_id)


async def test_the_payee_is_paid_and_both_see_it(rig: Rig, client: Client) -> None:
    """It goes to the payee's method. Player and payee read it, another player does not, and staff see both names."""
    payout_id = await to_guardian(rig)
    await rig.submit()
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.player, payout.payee) == ("paid", "kim", "gerd")
    for person in ("kim", "gerd"):
        (mine,) = (await client.get("/api/payouts", headers=as_(person))).json()["items"]
        assert (mine["player"], mine["payee"]) == ("kim", "gerd")
        assert (await client.get(f"/api/payouts/{payout_id}", headers=as_(person))).status_code == 200
    assert (await client.get("/api/payouts", headers=as_("ana"))).json()["items"] == []
    assert (await client.get(f"/api/payouts/{payout_id}", headers=as_("ana"))).status_code == 404
    for wanted, count in (("payee=gerd", 1), ("payee=kim", 0), ("player=kim", 1), ("player=gerd", 0)):
        found = await client.get(f"/api/admin/payouts?{wanted}", headers=as_("op", "operator"))
        assert len(found.json()["items"]) == count, wanted
    assert await rig.breaches() == []


async def verified(rig: Rig, player: str) -> None:
    """The identity check of this person was reported."""

    async def work(storages: Storages) -> None:
        facts = PlayerStorage(storages.unit_of_work)
        await facts.lock([player])
        now = rig.clock.now()
        await facts.save(
            [PlayerFacts(player=player, kyc_state=KycState.VERIFIED, kyc_reported_at=now)], now=now
        )

    await rig.run(work)


@pytest.mark.parametrize("changes", [{"payee": "zoe"}, {"payee": None}, {"payee": "kim"}])
async def test_only_a_method_of_the_payee_is_paid(rig: Rig, changes: dict[str, str | None]) -> None:
    """A method of any other person is refused, as is an intent whose payee is the player."""
    method = await rig.method("gerd")
    intent = rig.intent(method, player="kim", **changes)
    await rig.feed(rig.requested(method, intent))
    assert await rig.stuck() == [("dead", "intent_invalid")]
    own = await rig.method("kim", account="of-kim")
    intent = rig.intent(own, payout_id=uuid4(), player="kim", payee="gerd")
    await rig.feed(rig.requested(own, intent))
    assert len(await rig.stuck()) == 2


@pytest.mark.parametrize(
    ("person", "role"), [("kim", "payee"), ("gerd", "payee"), ("ada", "assigner"), ("adam", "assigner")]
)
async def test_no_person_of_the_assignment_approves(rig: Rig, client: Client, person: str, role: str) -> None:
    """Player, payee and both admins of the assignment are parties; the database refuses their approval too."""
    payout_id = await to_guardian(rig, amount="5000.00")
    assert (await rig.payout(payout_id)).state == "held"
    said = await client.put(
        f"/api/admin/payouts/{payout_id}/approve", json={}, headers=as_(person, "approver")
    )
    assert (said.status_code, said.json()["code"]) == (403, f"approver_is_{role}")


@pytest.mark.parametrize("person", ["kim", "gerd"])
async def test_a_pause_of_either_person_holds(rig: Rig, client: Client, person: str) -> None:
    """A pause of the player and a pause of the payee both keep the payment from starting."""
    payout_id = await to_guardian(rig)
    body = {"scope": "player", "value": person, "reason": "the account was taken over"}
    said = await client.post(
        "/api/admin/payouts/pauses", json=body, headers=as_("op", "operator", key=person)
    )
    assert said.status_code == 201, said.text
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "approved"


async def test_gates_ask_about_the_person_who_is_paid(rig: Rig) -> None:
    """The identity check of the payee counts, not the one of the player."""
    rig.limits = GateLimits(identity_above={"EURC": Amount(EURC, 100)})
    await verified(rig, "kim")
    held = await rig.payout(await to_guardian(rig))
    assert (held.state, held.code) == ("held", "identity_check")
    await verified(rig, "gerd")
    passed = await rig.payout(await to_guardian(rig, player="kit"))
    assert passed.state == "approved"


async def test_frequent_payouts_of_either_person_are_held(rig: Rig) -> None:
    """What the player requested before counts, and so does what the payee was paid before, in one batch or in several."""
    rig.limits = GateLimits(withdrawals_max=2)
    for player in ("kim", "kit"):
        await to_guardian(rig, player=player)
        rig.clock.advance(timedelta(seconds=1))
    third = await rig.payout(await to_guardian(rig, player="kat"))
    assert third.code == "withdrawals_frequent"
    rig.limits = replace(rig.limits, withdrawals_max=1)
    rig.clock.advance(timedelta(hours=25))
    method = await rig.method("zoe")
    intents = [rig.intent(method, player=player, payee="zoe") for player in ("lea", "lou")]
    await rig.feed(*(rig.requested(method, intent) for intent in intents))
    codes = [(await rig.payout(UUID(intent.payout_id))).code for intent in intents]
    assert codes == [None, "withdrawals_frequent"]


async def test_the_tax_gate_counts_what_one_person_is_paid(rig: Rig) -> None:
    """Payouts of two players to one payee are one sum; what the player was paid before is not part of it."""
    rig.limits = GateLimits(tax_above={"EURC": Amount(EURC, 2_000)})
    own = await rig.method("kim", account="of-kim")
    await rig.request(own, amount="12.00")
    rig.clock.advance(timedelta(seconds=1))
    first = await rig.payout(await to_guardian(rig, amount="12.00"))
    rig.clock.advance(timedelta(seconds=1))
    second = await rig.payout(await to_guardian(rig, amount="12.00", player="kit"))
    assert [first.code, second.code] == [None, "tax_form_missing"]
