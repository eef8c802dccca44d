"""Parties of money: from pools and results through wallets to requested payouts."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.campaigns.domain.settings import CampaignSettings, RiskThresholds
from prizewire_rewards.ledger.domain.receivables import WriteOff
from prizewire_rewards.ledger.handlers import write_off
from prizewire_rewards.payouts.domain.commands import RequestPayout
from prizewire_rewards.payouts.handlers.requests import request_payout
from prizewire_rewards.rounds.handlers.held import release_held
from prizewire_rewards.rounds.handlers.settling import CapBook
from services.rewards.tests.rig import Match, Rig, closed_event, closure_of, method_event

POOL = [("funder", "admin"), ("rule_writer", "admin")]
ADA_ALONE = [{"role": "rule_writer", "subject": "ada"}, {"role": "reporter", "subject": "ada"}]
ADA_AND_BOB = [{"role": "rule_writer", "subject": "ada"}, {"role": "reporter", "subject": "bob"}]


def parties_of(requested: dict[str, Any]) -> tuple[list[tuple[str, str]], list[str]]:
    data = requested["data"]
    return [(party["role"], party["subject"]) for party in data["parties"]], data["one_person"]


def expected_parties(*parties: tuple[str, str]) -> list[tuple[str, str]]:
    return sorted({*POOL, *parties})


async def settle(rig: Rig, match: Match, parties: list[dict[str, str]], **more: Any) -> None:
    await rig.feed(rig.settlements, *match.events(parties=parties, **more))


async def request(rig: Rig, amount: int, player: str = "ann") -> UUID:
    command = RequestPayout(id=uuid4(), player=player, asset="USDC", amount=amount, method_id=None)
    async with rig.db.transaction() as tx:
        payout = await request_payout(command, ports=rig.ports_of(tx), tools=rig.tools, now=rig.clock.now())
    return payout.id


async def kept(rig: Rig, player: str = "ann") -> list[str]:
    rows = await rig.rows("SELECT role FROM wallet_parties WHERE player = :p ORDER BY role", p=player)
    return [row["role"] for row in rows]


async def last_requested(rig: Rig) -> dict[str, Any]:
    requested: dict[str, Any] = (await rig.events("payout.requested"))[-1]
    return requested


async def test_a_direct_prize_takes_its_parties_along(rig: Rig) -> None:
    """The payout of a direct prize has the parties of campaign and round, and the wallet keeps none of them."""
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"))
    await settle(rig, Match(campaign, [("ann", "20.00"), ("bob", "10.00")]), ADA_AND_BOB)
    assert parties_of(await last_requested(rig)) == (
        expected_parties(("rule_writer", "ada"), ("reporter", "bob")),
        [],
    )
    assert (await kept(rig), await kept(rig, "bob")) == (
        [],
        ["funder", "reporter", "rule_writer", "rule_writer"],
    )


async def test_a_writer_of_settings_is_a_party(rig: Rig) -> None:
    """A writer of settings decides who gets how much, so is a party like the creator and the funder of the campaign."""
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"))
    async with rig.client("sid", "admin") as client:
        answer = await client.put(
            f"/api/campaigns/{campaign}/settings", json={"caps": {"per_player": "100.00"}}
        )
        assert answer.status_code == 200, answer.text
    await settle(rig, Match(campaign, [("ann", "20.00")]), ADA_AND_BOB)
    everybody = expected_parties(("rule_writer", "ada"), ("rule_writer", "sid"), ("reporter", "bob"))
    assert parties_of(await last_requested(rig)) == (everybody, [])


async def test_a_wallet_keeps_all_parties_until_it_is_empty(rig: Rig) -> None:
    """Money of one person keeps its mark when other money is added. A payout of the whole balance takes all parties,
    and a give-back returns them.
    """
    campaign = await rig.campaign(funded=100_000)
    await rig.feed(rig.payouts, method_event("ann"))
    await settle(rig, Match(campaign, [("ann", "20.00")]), ADA_ALONE)
    await settle(rig, Match(campaign, [("ann", "20.00")]), ADA_AND_BOB)
    everybody = expected_parties(("rule_writer", "ada"), ("reporter", "ada"), ("reporter", "bob"))
    await request(rig, 1_000)
    assert parties_of(await last_requested(rig)) == (everybody, ["ada"])
    whole = await request(rig, 3_000)
    assert parties_of(await last_requested(rig)) == (everybody, ["ada"])
    assert await kept(rig) == []
    await settle(rig, Match(campaign, [("ann", "5.00")]), ADA_AND_BOB)
    await request(rig, 500)
    assert parties_of(await last_requested(rig)) == (
        expected_parties(("rule_writer", "ada"), ("reporter", "bob")),
        [],
    )
    await rig.feed(rig.payouts, closed_event(whole, "failed", closure=closure_of(whole)))
    await request(rig, 3_000)
    assert parties_of(await last_requested(rig)) == (everybody, ["ada"])


async def test_matured_prizes_have_their_parties(rig: Rig) -> None:
    """Pending prizes are credited at finality with the parties of the result in force then."""
    campaign = await rig.campaign(funded=100_000)
    await rig.feed(rig.payouts, method_event("ann"))
    match = Match(campaign, [("ann", "20.00")], final=False)
    await settle(rig, match, ADA_AND_BOB)
    assert await kept(rig) == []
    match.corrected([("ann", "15.00")], at=2)
    corrected = match.events(kind="corrected", at=2, reason="a mistake", parties=ADA_ALONE)
    await rig.feed(rig.settlements, *corrected)
    await rig.feed(rig.settlements, match.finalized(version=3))
    assert await rig.stuck() == []
    await request(rig, 1_500)
    assert parties_of(await last_requested(rig)) == (
        expected_parties(("rule_writer", "ada"), ("reporter", "ada")),
        ["ada"],
    )


async def test_a_large_round_keeps_its_parties_through_chunks(rig: Rig) -> None:
    """Parts are staged and booked in chunks; each prize has the parties of the settlement."""
    campaign = await rig.campaign(funded=100_000)
    lines = [(f"p{number}", "1.00") for number in range(6)]
    match = Match(campaign, lines, lines_per_part=2)
    await settle(rig, match, ADA_ALONE)
    await rig.work_on(limit=2)
    rows = await rig.rows("SELECT DISTINCT player FROM wallet_parties WHERE alone")
    assert len(rows) == 6


async def test_a_releaser_of_a_held_prize_is_a_party(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The releaser counts as a second person for that prize alone: no one reviewed the others of the round."""
    monkeypatch.setattr(CapBook, "held", lambda *_: {2: "cap_player"})
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, [("ann", "50.00"), ("bob", "30.00")])
    await settle(rig, match, ADA_ALONE)
    async with rig.db.transaction() as tx:
        await release_held(
            match.reward_id("bob"),
            actor="rita",
            reason="fine",
            ports=rig.ports_of(tx),
            tools=rig.tools,
            now=rig.clock.now(),
        )
    rows = await rig.rows("SELECT player, role, alone FROM wallet_parties WHERE subject IN ('ada', 'rita')")
    found = {(row["player"], row["role"], row["alone"]) for row in rows}
    assert {one for one in found if one[0] == "ann"} == {
        ("ann", "rule_writer", True),
        ("ann", "reporter", True),
    }
    assert ("bob", "releaser", False) in found
    assert not any(alone for player, _, alone in found if player == "bob")


async def test_a_releaser_in_the_dispute_window_is_a_party_at_finality(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prize released in the dispute window is credited at finality, with its releaser as a party."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, [("ann", "50.00"), ("bob", "30.00")], final=False)
    with monkeypatch.context() as capped:
        capped.setattr(CapBook, "held", lambda *_: {2: "cap_player"})
        await settle(rig, match, ADA_ALONE)
    async with rig.db.transaction() as tx:
        await release_held(
            match.reward_id("bob"),
            actor="rita",
            reason="fine",
            ports=rig.ports_of(tx),
            tools=rig.tools,
            now=rig.clock.now(),
        )
    assert await kept(rig, "bob") == []
    await rig.feed(rig.settlements, match.finalized(version=2))
    assert await rig.winnings("bob") == 3_000
    rows = await rig.rows("SELECT player FROM wallet_parties WHERE (role, subject) = ('releaser', 'rita')")
    assert "bob" in {row["player"] for row in rows}


async def test_a_person_who_set_facts_is_a_party_of_the_claim(rig: Rig) -> None:
    """A person who set facts over HTTP is a party like a releaser, but does not count as a second person."""
    campaign = await rig.campaign(
        funded=100_000,
        delivery=Delivery.CLAIM,
        settings=CampaignSettings(risk=RiskThresholds(kyc_above=1)),
    )
    await rig.feed(rig.payouts, method_event("ann"))
    match = Match(campaign, [("ann", "20.00"), ("bob", "10.00")])
    await settle(rig, match, ADA_ALONE)
    async with rig.client("mia", "admin") as admin:
        assert (await admin.put("/api/players/ann", json={"kyc_state": "verified"})).status_code == 200
    async with rig.client("ann") as client:
        answer = await client.post(
            f"/api/claims/{match.reward_id('ann')}", headers={"Idempotency-Key": uuid4().hex}
        )
    assert answer.json()["state"] == "approved"
    await request(rig, 2_000)
    everybody = expected_parties(("rule_writer", "ada"), ("reporter", "ada"), ("releaser", "mia"))
    assert parties_of(await last_requested(rig)) == (everybody, ["ada"])


async def test_a_person_who_writes_off_a_debt_is_a_party(rig: Rig) -> None:
    """The person who writes off a debt is a party of the player's later credits."""
    debt = await rig.owe("ann", 500)
    async with rig.db.transaction() as tx:
        command = WriteOff(receivable_id=debt.id, actor="wim", reason="small")
        await write_off(command, ports=rig.ports_of(tx), now=rig.clock.now())
    assert await kept(rig) == ["releaser"]


async def test_the_importer_alone_decides_an_imported_balance(rig: Rig) -> None:
    """The importer alone decides who gets how much."""
    await rig.feed(rig.payouts, method_event("ann"))
    rows = [{"player": "ann", "asset": "USDC", "bucket": "winnings", "amount": "20.00", "reference": "old"}]
    async with rig.client("ada", "admin") as client:
        headers = {"idempotency-key": "k1"}
        answer = await client.post(
            "/api/imports/balances", json={"dry_run": False, "rows": rows}, headers=headers
        )
        assert answer.status_code == 200, answer.text
    await request(rig, 2_000)
    assert parties_of(await last_requested(rig)) == ([("importer", "ada")], ["ada"])


async def test_a_refundable_entry_keeps_the_parties(rig: Rig) -> None:
    """While an entry fee that winnings paid can still be refunded, an emptied wallet keeps its parties."""
    campaign = await rig.campaign(funded=100_000)
    await rig.feed(rig.payouts, method_event("ann"))
    await settle(rig, Match(campaign, [("ann", "20.00")]), ADA_ALONE)
    await rig.rows(
        "INSERT INTO entries (id, round_id, match_id, match_source, player, asset, amount, from_topup, from_winnings, "
        "state, correlation_id, version, entered_at, changed_at) VALUES (gen_random_uuid(), gen_random_uuid(), 'm', 's', "
        "'ann', 'USDC', 500, 0, 500, 'paid', 'c', 1, now(), now()) RETURNING id"
    )
    await request(rig, 2_000)
    assert "reporter" in await kept(rig)


async def test_the_rule_writers_decide_an_organizers_fee(rig: Rig) -> None:
    """The rule alone names the payee: each of its writers counts as one person, also with a game server or two writers."""
    campaign = await rig.campaign(funded=100_000)
    await rig.feed(rig.payouts, method_event("olaf"))
    one = [{"role": "rule_writer", "subject": "ada"}]
    two = [*one, {"role": "rule_writer", "subject": "eve"}, {"role": "reporter", "subject": "bob"}]
    fee = {"organizer": "9.00", "organizer_player": "olaf"}
    await settle(rig, Match(campaign, [("ann", "1.00")], **fee), one)
    assert await alone(rig, "ann") == []
    await request(rig, 900, "olaf")
    assert parties_of(await last_requested(rig)) == (expected_parties(("rule_writer", "ada")), ["ada"])
    late = Match(campaign, [("ann", "1.00")], final=False, **fee)
    await settle(rig, late, two)
    await rig.feed(rig.settlements, late.finalized())
    assert await alone(rig, "ann") == []
    await request(rig, 900, "olaf")
    everybody = expected_parties(("rule_writer", "ada"), ("rule_writer", "eve"), ("reporter", "bob"))
    assert parties_of(await last_requested(rig)) == (everybody, ["ada", "eve"])


async def alone(rig: Rig, player: str) -> list[str]:
    rows = await rig.rows("SELECT DISTINCT subject FROM wallet_parties WHERE player = :p AND alone", p=player)
    return sorted(row["subject"] for row in rows)
