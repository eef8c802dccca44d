"""Claims over a real database: opened, judged, decided and expired; and their visibility."""

import asyncio
import json
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from prizewire_devstack.waiting import eventually
from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.campaigns.domain.settings import (
    NO_SETTINGS,
    AtDeadline,
    CampaignSettings,
    ClaimSettings,
    RiskThresholds,
    Velocity,
)
from prizewire_rewards.claims.domain import RuleName
from prizewire_rewards.claims.handlers.claims import ClaimResult, claim, expire_due, pass_deadlines
from prizewire_rewards.errors import InvalidRequest, RewardsError
from prizewire_rewards.ledger.domain.accounts import Kind
from services.rewards.tests.rig import Match, Rig, captured_logs

PLAIN = CampaignSettings(claim=ClaimSettings(expires_s=3600, review_deadline_s=600))
HOLDS_ALL = CampaignSettings(
    claim=ClaimSettings(expires_s=3600, review_deadline_s=600), risk=RiskThresholds(amount=1)
)


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


async def claimable(
    rig: Rig, *prizes: tuple[str, str], settings: CampaignSettings = PLAIN, funded: int = 100_000
) -> Match:
    """A final round of a campaign whose prizes must be claimed."""
    campaign = await rig.campaign(funded=funded, delivery=Delivery.CLAIM, settings=settings)
    match = Match(campaign, prizes or [("ann", "60.00"), ("bob", "40.00")])
    await rig.settle(match)
    return match


async def post(rig: Rig, who: str, path: str, *roles: str, **body: Any) -> httpx.Response:
    async with rig.client(who, *roles) as client:
        return await client.post(f"/api/claims/{path}", json=body or None, headers=key())


async def make(rig: Rig, match: Match, player: str) -> ClaimResult:
    async with rig.db.transaction() as tx:
        return await claim(
            match.reward_id(player),
            player=player,
            ports=rig.ports_of(tx),
            tools=rig.tools,
            now=rig.clock.now(),
        )


async def states(rig: Rig) -> dict[str, tuple[str, str]]:
    """The states of claim and prize, by player."""
    rows = await rig.rows(
        "SELECT c.player, c.state, w.state AS prize FROM claims c JOIN rewards w ON w.id = c.reward_id"
    )
    return {row["player"]: (row["state"], row["prize"]) for row in rows}


async def test_the_code_of_a_claim_depends_on_its_end(rig: Rig) -> None:
    """A claim ended by a correction, by a refusal and by its deadline have different codes."""
    match = await claimable(rig, ("ann", "60.00"), ("bob", "40.00"))
    await rig.feed(rig.settlements, *match.corrected([("bob", "40.00")], at=2))
    rig.clock.advance(timedelta(hours=2))
    async with rig.db.transaction() as tx:
        await expire_due(ports=rig.ports_of(tx), now=rig.clock.now())
    shown = {}
    for player in ("ann", "bob"):
        async with rig.client(player) as client:
            [shown[player]] = (await client.get("/api/claims")).json()["items"]
    assert {player: (one["state"], one["code"]) for player, one in shown.items()} == {
        "ann": ("rejected", "corrected"),
        "bob": ("expired", "not_claimed"),
    }


async def test_final_prizes_wait_to_be_claimed(rig: Rig) -> None:
    """Nothing is credited: each prize has an open claim with a deadline, one event, and its money in one account."""
    match = await claimable(rig)
    assert await rig.balance(Kind.CLAIMABLE, match.campaign) == 10_000
    assert await rig.winnings("ann") == 0
    assert await states(rig) == {"ann": ("open", "claimable"), "bob": ("open", "claimable")}
    opened = await rig.events("claim.opened")
    assert [(event["subject"], event["data"]["state"]) for event in opened] == [
        (str(match.reward_id(player)), "open") for player in ("ann", "bob")
    ]
    assert {event["correlationid"] for event in opened} == {match.correlation_id}
    assert opened[0]["data"]["deadline"].startswith((rig.clock.now() + timedelta(hours=1)).isoformat()[:19])
    assert await rig.breaches() == []


async def test_prizes_become_claimable_at_finality_and_not_before(rig: Rig) -> None:
    """In the dispute window they are pending like all other prizes."""
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.CLAIM, settings=PLAIN)
    match = Match(campaign, [("ann", "60.00")], platform="5.00", final=False)
    await rig.settle(match)
    assert await rig.balance(Kind.PENDING, "ann") == 6_000
    assert await states(rig) == {}
    await rig.feed(rig.settlements, match.finalized())
    assert await rig.balance(Kind.PENDING, "ann") == 0
    assert await rig.balance(Kind.CLAIMABLE, campaign) == 6_000
    assert await states(rig) == {"ann": ("open", "claimable")}
    assert await rig.breaches() == []


async def test_a_claimed_prize_is_credited_once(rig: Rig) -> None:
    """A player claims over HTTP twice, under different keys, and gets the same answer; the money moves once."""
    match = await claimable(rig)
    path = str(match.reward_id("ann"))
    first, again = await post(rig, "ann", path), await post(rig, "ann", path)
    assert (first.status_code, again.status_code) == (200, 200), first.text
    assert first.json() == again.json()
    assert (first.json()["state"], first.json()["deadline"]) == ("approved", None)
    assert await rig.winnings("ann") == 6_000
    assert await rig.balance(Kind.CLAIMABLE, match.campaign) == 4_000
    assert (await states(rig))["ann"] == ("approved", "credited")
    assert len(await rig.events("claim.approved")) == 1
    [released] = await rig.events("reward.released")
    assert [(line["player"], line["state"]) for line in released["data"]["lines"]] == [("ann", "credited")]
    assert await rig.breaches() == []


async def test_a_claim_pays_the_players_debts_first(rig: Rig) -> None:
    """A claimed prize is a credit like any other: debts are recovered from it."""
    match = await claimable(rig)
    await rig.owe("ann", 1_000)
    assert (await make(rig, match, "ann")).netted == 1
    assert await rig.winnings("ann") == 5_000
    assert await rig.breaches() == []


async def test_another_players_prize_is_unknown(rig: Rig) -> None:
    """A player can neither claim nor see another player's prize, nor learn that it exists."""
    match = await claimable(rig)
    path = str(match.reward_id("ann"))
    claimed = await post(rig, "bob", path)
    async with rig.client("bob") as bob:
        seen = await bob.get(f"/api/claims/{path}")
        listed = (await bob.get("/api/claims", params={"player": "ann"})).json()["items"]
    assert (claimed.status_code, claimed.json()["code"]) == (404, "claim_unknown")
    assert (seen.status_code, seen.json()["code"]) == (404, "claim_unknown")
    assert [item["player"] for item in listed] == ["bob"]
    assert await rig.winnings("ann") == await rig.winnings("bob") == 0


SUSPICIONS: dict[str, RiskThresholds] = {
    RuleName.AMOUNT: RiskThresholds(amount=6_000),
    RuleName.NEW_ACCOUNT: RiskThresholds(new_account_s=86_400),
    RuleName.VELOCITY: RiskThresholds(velocity=Velocity(count=1, window_s=3600)),
    RuleName.COLLUSION: RiskThresholds(collusion_winners=2),
    RuleName.KYC: RiskThresholds(kyc_above=1_000),
}


def in_utc(moment: datetime) -> str:
    """A time as answers show it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


async def suspect(rig: Rig, rule: str) -> Match:
    """A round won by ann, in which one rule has a finding about her."""
    settings = CampaignSettings(claim=PLAIN.claim, risk=SUSPICIONS[rule])
    if rule == RuleName.VELOCITY:
        await rig.settle(Match(await rig.campaign(funded=1_000), [("ann", "10.00")]))
    if rule == RuleName.COLLUSION:
        async with rig.client("boss", "admin") as admin:
            for player in ("ann", "bob"):
                await admin.put(f"/api/players/{player}", json={"device": "shared-phone"})
    return await claimable(rig, settings=settings)


@pytest.mark.parametrize("rule", list(SUSPICIONS))
async def test_a_player_sees_the_same_for_every_held_claim(
    rig: Rig, rule: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The player sees state, code and deadline, and nothing else, in answers, events and logs. Operators see the
    findings.
    """
    match = await suspect(rig, rule)
    path = str(match.reward_id("ann"))
    watch = next(job for job in rig.built.jobs if job.name == "invariants")
    with caplog.at_level(logging.INFO), captured_logs() as lines:
        answer = await post(rig, "ann", path)
        await watch.run()
    assert answer.status_code == 200
    deadline = rig.clock.now() + timedelta(seconds=600)
    [claim] = await rig.rows("SELECT opened_at FROM claims WHERE player = 'ann'")
    expected = {
        "reward_id": path,
        "round_id": str(match.round_id),
        "campaign": str(match.campaign),
        "player": "ann",
        "asset": "USDC",
        "amount": "60.00",
        "state": "held",
        "code": "under_review",
        "deadline": in_utc(deadline),
        "correlation_id": match.correlation_id,
        "opened_at": in_utc(claim["opened_at"]),
        "claimed_at": None,
        "decided_at": None,
        "decided_by": None,
        "reason": None,
        "findings": None,
    }
    assert answer.json() == expected
    async with rig.client("ann") as ann:
        assert (await ann.get(f"/api/claims/{path}")).json() == expected
        assert (await ann.get("/api/claims")).json()["items"] == [expected]
    async with rig.client("olga", "operator") as olga:
        seen = (await olga.get(f"/api/claims/{path}")).json()
    [finding] = seen["findings"]
    assert (finding["rule"], finding["verdict"]) == (rule, "hold")
    assert finding["saw"]
    assert finding["threshold"]
    assert finding["explanation"]
    [held] = await rig.events("claim.held")
    assert (held["data"]["code"], held["data"]["actor"]) == ("under_review", "rewards")
    said = json.dumps(await rig.events()) + caplog.text + json.dumps(lines, default=str)
    assert "claim.held" in said
    assert "invariants checked" in said
    for word in (finding["saw"], finding["threshold"], finding["explanation"], f': "{rule}"', f"={rule}"):
        assert word not in said
    assert await states(rig) == {"ann": ("held", "claimable"), "bob": ("open", "claimable")}
    assert await rig.breaches() == []


async def test_an_operator_who_won_sees_what_every_winner_sees(rig: Rig) -> None:
    """No one reads the findings about themselves or decides their own claim, whatever their role."""
    match = await claimable(rig, settings=HOLDS_ALL)
    path = str(match.reward_id("ann"))
    await post(rig, "ann", path)
    async with rig.client("ann", "player", "operator", "admin") as ann:
        seen = (await ann.get(f"/api/claims/{path}")).json()
        listed = (await ann.get("/api/claims", params={"state": "held"})).json()["items"]
    assert [seen[name] for name in ("claimed_at", "decided_at", "decided_by", "reason", "findings")] == [
        None
    ] * 5
    assert listed == [seen]
    answer = await post(rig, "ann", f"{path}/release", "operator", reason="mine")
    assert (answer.status_code, answer.json()["code"]) == (403, "own_claim")
    assert await rig.winnings("ann") == 0


async def test_an_operator_releases_a_held_claim(rig: Rig) -> None:
    """The prize is credited; decider and reason are stored and audited, and not shown to the player."""
    match = await claimable(rig, settings=HOLDS_ALL)
    path = str(match.reward_id("ann"))
    await post(rig, "ann", path)
    answer = await post(rig, "olga", f"{path}/release", "operator", reason="passport seen")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["state"], answer.json()["decided_by"]) == ("approved", "olga")
    assert await rig.winnings("ann") == 6_000
    [audited] = await rig.rows(
        "SELECT actor, action, target, reason, correlation_id FROM audit_log WHERE action LIKE 'claim.%'"
    )
    assert audited == {
        "actor": "olga",
        "action": "claim.release",
        "target": path,
        "reason": "passport seen",
        "correlation_id": match.correlation_id,
    }
    async with rig.client("ann") as ann:
        assert "passport" not in (await ann.get(f"/api/claims/{path}")).text
    assert "passport" not in json.dumps(
        [event for event in await rig.events() if event["type"] != "prizewire.audit.recorded.v1"]
    )
    again = await post(rig, "olga", f"{path}/reject", "operator", reason="no")
    assert (again.status_code, again.json()["code"]) == (409, "claim_not_held")
    assert await rig.breaches() == []


async def test_an_operator_refuses_a_held_claim(rig: Rig) -> None:
    """The prize goes back to the pool, and the campaign's granted amount shrinks."""
    match = await claimable(rig, settings=HOLDS_ALL)
    path = str(match.reward_id("ann"))
    await post(rig, "ann", path)
    answer = await post(rig, "olga", f"{path}/reject", "operator", reason="bot")
    assert answer.json()["state"] == "rejected"
    assert await rig.balance(Kind.POOL, match.campaign) == 100_000 - 4_000
    assert (await states(rig))["ann"] == ("rejected", "rejected")
    [rejected] = await rig.events("claim.rejected")
    assert rejected["data"]["code"] == "refused"
    claimed = await post(rig, "ann", path)
    assert (claimed.status_code, claimed.json()["code"]) == (409, "claim_final")
    assert await rig.breaches() == []


@pytest.mark.parametrize("role", ["player", "organizer", "approver"])
async def test_only_operators_decide(rig: Rig, role: str) -> None:
    """A decision needs the role of an operator or admin."""
    match = await claimable(rig, settings=HOLDS_ALL)
    path = str(match.reward_id("ann"))
    await post(rig, "ann", path)
    answer = await post(rig, "eve", f"{path}/release", role, reason="x")
    assert answer.status_code == 403
    assert await rig.winnings("ann") == 0


async def test_a_rejected_identity_check_refuses_the_claim(rig: Rig) -> None:
    """The claim is refused without a person; the player sees only that it was rejected."""
    async with rig.client("boss", "admin") as admin:
        await admin.put("/api/players/ann", json={"kyc_state": "rejected"})
    match = await claimable(rig, settings=CampaignSettings(risk=RiskThresholds(kyc_above=100_000)))
    answer = await post(rig, "ann", str(match.reward_id("ann")))
    assert (answer.status_code, answer.json()["state"]) == (200, "rejected")
    assert await rig.balance(Kind.POOL, match.campaign) == 100_000 - 4_000
    [rejected] = await rig.events("claim.rejected")
    assert "kyc" not in json.dumps(rejected)
    assert await rig.breaches() == []


async def expire(rig: Rig) -> int:
    """Expire claims, as the job does. Returns their number."""
    ended = 0
    while True:
        async with rig.db.transaction() as tx:
            done = await expire_due(ports=rig.ports_of(tx), now=rig.clock.now())
        if done is None:
            return ended
        ended += len(done.claims)


async def test_unclaimed_prizes_go_back_to_the_pool(rig: Rig) -> None:
    """Unclaimed prizes expire at the deadline, not before; other claims of the round stay unchanged."""
    match = await claimable(rig)
    await make(rig, match, "bob")
    rig.clock.advance(timedelta(seconds=3599))
    assert await expire(rig) == 0
    rig.clock.advance(timedelta(seconds=1))
    with pytest.raises(InvalidRequest, match="in time"):
        await make(rig, match, "ann")
    assert await expire(rig) == 1
    assert await states(rig) == {"ann": ("expired", "expired"), "bob": ("approved", "credited")}
    assert await rig.balance(Kind.POOL, match.campaign) == 100_000 - 4_000
    assert await rig.balance(Kind.CLAIMABLE, match.campaign) == 0
    [expired] = await rig.events("claim.expired")
    [expired_event] = await rig.events("reward.expired")
    assert expired["data"]["code"] == "not_claimed"
    assert [(line["player"], line["state"]) for line in expired_event["data"]["lines"]] == [
        ("ann", "expired")
    ]
    answer = await post(rig, "ann", str(match.reward_id("ann")))
    assert (answer.status_code, answer.json()["code"]) == (409, "claim_expired")
    assert await rig.breaches() == []


async def test_claims_of_several_campaigns_expire_one_campaign_at_a_time(rig: Rig) -> None:
    """Each transaction locks one campaign, and in the end all due claims have expired."""
    for _ in range(3):
        await claimable(rig)
    rig.clock.advance(timedelta(hours=2))
    assert await expire(rig) == 6
    assert await rig.breaches() == []


async def test_expired_money_pays_rounds_that_wait(rig: Rig) -> None:
    """Money of expired prizes pays waiting rounds, in the order of the queue."""
    match = await claimable(rig, ("ann", "100.00"), funded=10_000)
    waiting = Match(match.campaign, [("bob", "100.00")])
    await rig.settle(waiting)
    rig.clock.advance(timedelta(hours=2))
    assert await rig.release() == 0
    await expire(rig)
    assert await rig.release() == 1
    assert (await states(rig))["bob"] == ("open", "claimable")
    assert await rig.breaches() == []


@pytest.mark.parametrize("attempt", range(5))
async def test_either_the_claim_or_the_expiry_succeeds(rig: Rig, attempt: int) -> None:
    """A claim and the expiry at the same time, with different clocks: the money goes either to the player or to the
    pool.
    """
    del attempt
    match = await claimable(rig, *[(f"p{n}", "10.00") for n in range(8)])
    rig.clock.advance(timedelta(seconds=3600))
    early = rig.clock.now() - timedelta(microseconds=1)

    async def one(player: str) -> bool:
        with suppress(RewardsError):
            await rig.db.run(
                lambda tx: claim(
                    match.reward_id(player),
                    player=player,
                    ports=rig.ports_of(tx),
                    tools=rig.tools,
                    now=early,
                )
            )
            return True
        return False

    async def all_due() -> None:
        await rig.db.run(lambda tx: expire_due(ports=rig.ports_of(tx), now=rig.clock.now()))

    won, _ = await asyncio.gather(asyncio.gather(*(one(f"p{n}") for n in range(8))), all_due())
    await expire(rig)
    for number, credited in enumerate(won):
        assert await rig.winnings(f"p{number}") == (1_000 if credited else 0)
    assert await rig.balance(Kind.POOL, match.campaign) == 100_000 - 1_000 * sum(won)
    assert await rig.balance(Kind.CLAIMABLE, match.campaign) == 0
    assert await rig.breaches() == []


async def test_many_copies_of_one_claim_credit_once(rig: Rig) -> None:
    """Twenty concurrent requests with different keys move the money once."""
    match = await claimable(rig)
    path = str(match.reward_id("ann"))
    answers = await asyncio.gather(*(post(rig, "ann", path) for _ in range(20)))
    assert {answer.json()["state"] for answer in answers} == {"approved"}
    assert await rig.winnings("ann") == 6_000
    assert await rig.breaches() == []


async def test_concurrent_claims_count_for_velocity(rig: Rig) -> None:
    """Two claims of one player in two campaigns at the same time: the second one waits for the first and counts it."""
    once = CampaignSettings(claim=PLAIN.claim, risk=RiskThresholds(velocity=Velocity(count=1, window_s=60)))
    one, two = [await claimable(rig, ("ann", "10.00"), settings=once) for _ in range(2)]
    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    async with rig.db.transaction() as tx:
        first = await claim(
            one.reward_id("ann"), player="ann", ports=rig.ports_of(tx), tools=rig.tools, now=rig.clock.now()
        )
        second = asyncio.create_task(make(rig, two, "ann"))

        async def queued() -> bool:
            return bool(await rig.rows(waiting))

        await eventually(queued)
    assert (first.claim.state, (await second).claim.state) == ("approved", "held")


@pytest.mark.parametrize(
    ("rule", "ends"), [(AtDeadline.REJECT, "rejected"), (AtDeadline.RELEASE, "approved")]
)
async def test_a_deadline_without_a_decision_follows_the_campaigns_rule(
    rig: Rig, rule: AtDeadline, ends: str
) -> None:
    """After the deadline, not before, the service decides as the campaign's settings say."""
    settings = CampaignSettings(
        claim=ClaimSettings(expires_s=3600, review_deadline_s=600, at_deadline=rule),
        risk=RiskThresholds(amount=1),
    )
    match = await claimable(rig, settings=settings)
    await make(rig, match, "ann")

    async def due() -> int:
        async with rig.db.transaction() as tx:
            done = await pass_deadlines(ports=rig.ports_of(tx), now=rig.clock.now())
        return 0 if done is None else len(done.claims)

    rig.clock.advance(timedelta(seconds=599))
    assert await due() == 0
    rig.clock.advance(timedelta(seconds=1))
    assert [await due(), await due()] == [1, 0]
    assert (await states(rig))["ann"][0] == ends
    assert await rig.winnings("ann") == (6_000 if ends == "approved" else 0)
    [row] = await rig.rows("SELECT decided_by, reason FROM claims WHERE player = 'ann'")
    assert row == {"decided_by": "rewards", "reason": "deadline_passed"}
    assert await rig.breaches() == []


async def set_settings(rig: Rig, match: Match, who: str, **body: Any) -> None:
    async with rig.client(who, "admin") as admin:
        answer = await admin.put(f"/api/campaigns/{match.campaign}/settings", json=body)
    assert answer.status_code == 200, answer.text


async def deadlines(rig: Rig) -> int:
    async with rig.db.transaction() as tx:
        done = await pass_deadlines(ports=rig.ports_of(tx), now=rig.clock.now())
    return 0 if done is None else len(done.claims)


async def findings_of(rig: Rig, player: str) -> list[str]:
    [row] = await rig.rows(
        "SELECT jsonb_path_query_array(findings, '$[*].rule') AS rules FROM claims WHERE player = :p",
        p=player,
    )
    return [str(rule) for rule in row["rules"]]


async def test_a_claim_is_judged_by_the_settings_it_was_opened_under(rig: Rig) -> None:
    """A removed rule still applies to open claims; a new rule applies at once."""
    match = await claimable(rig, settings=HOLDS_ALL)
    await set_settings(rig, match, "sid", risk={"kyc_above": "50.00"})
    await make(rig, match, "ann")
    await make(rig, match, "bob")
    assert await states(rig) == {"ann": ("held", "claimable"), "bob": ("held", "claimable")}
    assert (await findings_of(rig, "ann"), await findings_of(rig, "bob")) == (["kyc", "amount"], ["amount"])
    later = Match(match.campaign, [("cyd", "50.00")])
    await rig.settle(later)
    await make(rig, later, "cyd")
    assert (await states(rig))["cyd"] == ("approved", "credited")
    assert await rig.breaches() == []


async def test_a_deadline_releases_what_it_released_when_the_claim_was_opened(rig: Rig) -> None:
    """Settings that release at an earlier deadline do not apply to open claims."""
    match = await claimable(rig, settings=HOLDS_ALL)
    easier = {"expires_s": 3600, "review_deadline_s": 60, "at_deadline": "release"}
    await set_settings(rig, match, "sid", claim=easier, risk={"amount": "0.01"})
    await make(rig, match, "ann")
    rig.clock.advance(timedelta(seconds=599))
    assert await deadlines(rig) == 0
    rig.clock.advance(timedelta(seconds=1))
    assert await deadlines(rig) == 1
    assert (await states(rig))["ann"] == ("rejected", "rejected")
    assert await rig.winnings("ann") == 0


async def test_a_writer_of_settings_does_not_profit_from_them(rig: Rig) -> None:
    """The claim is held without a threshold, and refused at a deadline that releases others; another person can release
    it.
    """
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.CLAIM)
    match = Match(campaign, [("ann", "60.00"), ("bob", "40.00")])
    easy = {"expires_s": 3600, "review_deadline_s": 600, "at_deadline": "release"}
    await set_settings(rig, match, "ann", claim=easy)
    await set_settings(rig, match, "sid", claim=easy, low_water="1.00")
    await rig.settle(match)
    await make(rig, match, "ann")
    await make(rig, match, "bob")
    assert await states(rig) == {"ann": ("held", "claimable"), "bob": ("approved", "credited")}
    assert await findings_of(rig, "ann") == ["own_settings"]
    rig.clock.advance(timedelta(seconds=600))
    assert await deadlines(rig) == 1
    assert (await states(rig))["ann"] == ("rejected", "rejected")
    other = Match(campaign, [("ann", "10.00")])
    await rig.settle(other)
    await make(rig, other, "ann")
    path = f"{other.reward_id('ann')}/release"
    assert (await post(rig, "ann", path, "operator", reason="mine")).json()["code"] == "own_claim"
    assert (await post(rig, "olga", path, "operator", reason="looked at")).status_code == 200
    assert await rig.winnings("ann") == 1_000


async def test_a_held_claim_does_not_expire(rig: Rig) -> None:
    """A claim in time is not lost to a slow review."""
    match = await claimable(
        rig,
        settings=CampaignSettings(
            claim=ClaimSettings(expires_s=60, review_deadline_s=86_400), risk=RiskThresholds(amount=5_000)
        ),
    )
    await make(rig, match, "ann")
    rig.clock.advance(timedelta(hours=2))
    assert await expire(rig) == 1
    assert await states(rig) == {"ann": ("held", "claimable"), "bob": ("expired", "expired")}


async def test_operators_list_claims_by_state_campaign_and_player(rig: Rig) -> None:
    """Each filter works alone and with pages by cursor, newest first."""
    one, two = await claimable(rig, settings=HOLDS_ALL), await claimable(rig)
    await make(rig, one, "ann")
    async with rig.client("olga", "operator") as olga:

        async def listed(**params: str | int) -> list[tuple[str, str]]:
            answer = await olga.get("/api/claims", params=params)
            assert answer.status_code == 200, answer.text
            return [(item["player"], item["campaign"]) for item in answer.json()["items"]]

        assert await listed(state="held") == [("ann", str(one.campaign))]
        assert {player for player, _ in await listed(campaign=str(two.campaign))} == {"ann", "bob"}
        assert {campaign for _, campaign in await listed(player="bob")} == {
            str(one.campaign),
            str(two.campaign),
        }
        seen: list[str] = []
        cursor: str | None = None
        while True:
            params = {"limit": 3, **({"cursor": cursor} if cursor else {})}
            page = (await olga.get("/api/claims", params=params)).json()
            seen += [item["reward_id"] for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) == 4
        assert (await olga.get("/api/claims", params={"state": "lost"})).status_code == 400


async def test_a_claim_needs_an_idempotency_key(rig: Rig) -> None:
    """A claim moves money, so it needs a key and is answered once for each key."""
    match = await claimable(rig)
    async with rig.client("ann") as ann:
        answer = await ann.post(f"/api/claims/{match.reward_id('ann')}")
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")


async def test_the_lineage_of_a_match_has_its_claims(rig: Rig) -> None:
    """Each transition of a claim is a step in the lineage of its correlation id."""
    match = await claimable(rig, settings=HOLDS_ALL)
    await make(rig, match, "ann")
    async with rig.db.transaction() as tx:
        steps = await rig.built.lineage(tx, match.correlation_id)
    summaries = [
        step.summary
        for step in steps
        if step.kind == "claim_state" and step.id == str(match.reward_id("ann"))
    ]
    claim = f"claim {match.reward_id('ann')} of ann"
    assert summaries == [f"{claim}: new → open", f"{claim}: open → held"]


async def test_a_campaign_without_rules_holds_no_claim(rig: Rig) -> None:
    """By default no claim is held, and a claim stays open for thirty days."""
    assert NO_SETTINGS.risk == RiskThresholds()
    match = await claimable(rig, settings=NO_SETTINGS)
    [row] = await rig.rows("SELECT deadline FROM claims WHERE player = 'ann'")
    assert row["deadline"] == rig.clock.now() + timedelta(days=30)
    assert (await make(rig, match, "ann")).claim.state == "approved"


async def test_an_unknown_prize_is_refused(rig: Rig) -> None:
    """An unknown id is refused with its code, to operators too."""
    answer = await post(rig, "olga", f"{uuid4()}/release", "operator", reason="x")
    assert (answer.status_code, answer.json()["code"]) == (404, "claim_unknown")
    assert UUID(int=0) not in {row["reward_id"] for row in await rig.rows("SELECT reward_id FROM claims")}
