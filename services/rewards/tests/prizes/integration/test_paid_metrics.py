"""Each prize counts once as paid, by whichever delivery, and only after the commit."""

import asyncpg
import pytest
from prometheus_client import REGISTRY

from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.campaigns.domain.settings import CampaignSettings, Caps, RiskThresholds
from services.rewards.tests.rig import (
    FAKE_METHOD,
    FAKE_RAIL,
    Match,
    Rig,
    closed_event,
    method_event,
    paid_event,
    returned_event,
)

FAIL_ONCE = """
CREATE SEQUENCE failures;
GRANT USAGE ON SEQUENCE failures TO PUBLIC;
CREATE FUNCTION fail_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('failures') <= 2 THEN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER fail_at_commit AFTER INSERT ON inbox
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail_at_commit();
"""


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"prizewire_rewards_{name}", labels) or 0


class Paid:
    """The change of the counters of paid prizes since the start, or since the last look."""

    def __init__(self) -> None:
        self._seen = self._now()

    def _now(self) -> tuple[float, float]:
        return value("prizes_paid_total", asset="USDC"), value("prizes_paid_amount_total", asset="USDC")

    def more(self) -> tuple[float, float]:
        """Prizes, and their amount."""
        now = self._now()
        was, self._seen = self._seen, now
        return now[0] - was[0], round(now[1] - was[1], 2)


async def claim(rig: Rig, match: Match, player: str) -> str:
    async with rig.client(player) as client:
        answer = await client.post(
            f"/api/claims/{match.reward_id(player)}", headers={"Idempotency-Key": f"claim-{match.version}"}
        )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["state"])


async def test_a_prize_in_a_wallet_counts_when_its_round_is_final(rig: Rig) -> None:
    """It does not count in the dispute window, nor again when the messages are repeated."""
    paid = Paid()
    match = Match(await rig.campaign(funded=100_000), [("ann", "60.00"), ("bob", "40.00")], final=False)
    await rig.settle(match)
    assert paid.more() == (0, 0)
    await rig.feed(rig.settlements, match.finalized())
    assert paid.more() == (2, 100)
    await rig.feed(rig.settlements, match.finalized())
    await rig.settle(match)
    assert paid.more() == (0, 0)


async def test_a_prize_to_be_claimed_counts_when_its_claim_is_approved(rig: Rig) -> None:
    """A held claim counts when a person releases it."""
    settings = CampaignSettings(risk=RiskThresholds(amount=5_000))
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.CLAIM, settings=settings)
    match = Match(campaign, [("ann", "60.00"), ("bob", "40.00")])
    paid = Paid()
    holds = value("abuse_holds_total", **{"class": "amount"})
    made = value("claims_made_total")
    await rig.settle(match)
    assert paid.more() == (0, 0)
    assert [await claim(rig, match, player) for player in ("bob", "ann")] == ["approved", "held"]
    assert paid.more() == (1, 40)
    assert value("abuse_holds_total", **{"class": "amount"}) - holds == 1
    [overdue] = [job for job in rig.built.jobs if job.name == "claims.overdue"]
    await overdue.run()
    assert value("claims_held", **{"class": "amount"}) == 1
    assert value("claims_held", **{"class": "identity"}) == 0
    rejected = value("claims_total", state="rejected")
    async with rig.client("boss", "admin") as admin:
        answer = await admin.post(
            f"/api/claims/{match.reward_id('ann')}/release",
            json={"reason": "known"},
            headers={"Idempotency-Key": "decided"},
        )
        listed = (await admin.get("/api/claims?state=held")).json()["items"]
    assert (answer.status_code, listed) == (200, [])
    assert paid.more() == (1, 60)
    await overdue.run()
    assert value("claims_held", **{"class": "amount"}) == 0
    assert value("claims_total", state="rejected") == rejected
    assert value("claims_made_total") - made == 2, "a held claim that is released is one claim"


async def test_a_claim_that_is_rejected_is_not_paid(rig: Rig) -> None:
    """It counts as a rejection, once for its key."""
    settings = CampaignSettings(risk=RiskThresholds(amount=1))
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.CLAIM, settings=settings)
    match = Match(campaign, [("ann", "60.00")])
    await rig.settle(match)
    await claim(rig, match, "ann")
    paid, rejected = Paid(), value("claims_total", state="rejected")
    async with rig.client("boss", "admin") as admin:
        for _ in range(2):
            answer = await admin.post(
                f"/api/claims/{match.reward_id('ann')}/reject",
                json={"reason": "a second account"},
                headers={"Idempotency-Key": "decided"},
            )
            assert answer.json()["state"] == "rejected"
    assert paid.more() == (0, 0)
    assert value("claims_total", state="rejected") - rejected == 1


@pytest.mark.parametrize("end", ["paid", "failed", "returned"])
async def test_a_direct_prize_counts_once_whatever_its_payout_ends_as(rig: Rig, end: str) -> None:
    """It counts at the credit that the payout follows. Its payout has counters of its own."""
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann", **FAKE_METHOD))
    paid = Paid()
    await rig.settle(Match(campaign, [("ann", "60.00")]))
    assert paid.more() == (1, 60)
    [requested] = await rig.events("payout.requested")
    payout_id = requested["data"]["payout_id"]
    before = value("payouts_ended_total", state=end)
    if end == "failed":
        events = [closed_event(payout_id, "failed", closure=None, reason="closed")]
    else:
        events = [paid_event(payout_id, player="ann", amount="60.00", **FAKE_RAIL)]
        if end == "returned":
            events.append(returned_event(payout_id, amount="60.00"))
    await rig.feed(rig.payouts, *events)
    assert await rig.stuck() == []
    assert value("payouts_ended_total", state=end) - before == 1
    assert paid.more() == (0, 0)


@pytest.mark.parametrize("delivery", [Delivery.WALLET, Delivery.CLAIM])
async def test_a_prize_that_is_taken_back_and_given_again_counts_once(rig: Rig, delivery: Delivery) -> None:
    """A correction takes ann's prize back after she had it, and another one gives it again. The money is counted at each credit.
    A prize of a player who never had one counts.
    """
    campaign = await rig.campaign(funded=100_000, delivery=delivery)
    match = Match(campaign, [("ann", "60.00"), ("bob", "40.00")])
    paid = Paid()
    await rig.settle(match)
    if delivery is Delivery.CLAIM:
        await claim(rig, match, "ann")
    first = (2, 100) if delivery is Delivery.WALLET else (1, 60)
    assert paid.more() == first
    await rig.feed(rig.settlements, *match.corrected([("cid", "60.00"), ("bob", "40.00")], at=2))
    if delivery is Delivery.CLAIM:
        await claim(rig, match, "cid")
    assert paid.more() == (1, 60)
    await rig.feed(rig.settlements, *match.corrected([("ann", "60.00"), ("bob", "40.00")], at=3))
    if delivery is Delivery.CLAIM:
        await claim(rig, match, "ann")
    assert paid.more() == (0, 60)
    assert await rig.breaches() == []


async def test_a_prize_that_grows_counts_once(rig: Rig) -> None:
    """What a correction adds to a prize is money, and no second prize."""
    match = Match(await rig.campaign(funded=100_000), [("ann", "60.00"), ("bob", "40.00")])
    await rig.settle(match)
    paid = Paid()
    await rig.feed(rig.settlements, *match.corrected([("ann", "70.00"), ("bob", "30.00")], at=2))
    assert paid.more() == (0, 10)


async def test_a_prize_that_was_only_pending_counts_when_it_is_given_again(rig: Rig) -> None:
    """A correction in the dispute window took it back, and a late one gives it: it was never paid before."""
    match = Match(await rig.campaign(funded=100_000), [("ann", "60.00")], final=False)
    await rig.settle(match)
    await rig.feed(rig.settlements, *match.corrected([("bob", "60.00")], at=2))
    paid = Paid()
    await rig.feed(rig.settlements, match.finalized(version=3))
    assert paid.more() == (1, 60)
    match.final = True
    await rig.feed(rig.settlements, *match.corrected([("ann", "60.00")], at=4))
    assert await rig.stuck() == []
    assert paid.more() == (1, 60)


async def test_a_held_line_counts_when_a_person_releases_it(rig: Rig) -> None:
    """The cap's class counts the hold, and the release counts the prize."""
    campaign = await rig.campaign(funded=100_000, settings=CampaignSettings(caps=Caps(per_player_day=5_000)))
    match = Match(campaign, [("ann", "60.00"), ("bob", "40.00")])
    paid, holds = Paid(), value("abuse_holds_total", **{"class": "velocity"})
    await rig.settle(match)
    assert paid.more() == (1, 40)
    assert value("abuse_holds_total", **{"class": "velocity"}) - holds == 1
    async with rig.client("boss", "admin") as admin:
        for _ in range(2):
            answer = await admin.post(
                f"/api/rewards/{match.reward_id('ann')}/release",
                json={"reason": "known"},
                headers={"Idempotency-Key": "decided"},
            )
            assert answer.status_code == 200, answer.text
    assert paid.more() == (1, 60)


async def test_prizes_of_a_large_round_count_in_its_chunks(rig: Rig) -> None:
    """Each line counts once, also where the first chunks commit long before the last."""
    match = Match(
        await rig.campaign(funded=100_000), [(f"p{n}", "1.00") for n in range(10)], lines_per_part=4
    )
    await rig.settle(match)
    paid = Paid()
    [work] = [job for job in rig.built.jobs if job.name == "rounds.work"]
    while await work.run():
        pass
    assert paid.more() == (10, 10)


async def test_a_batch_that_is_rolled_back_counts_no_prize(rig: Rig) -> None:
    """Only the attempt that commits counts."""
    match = Match(await rig.campaign(funded=100_000), [("ann", "60.00")])
    owner = await asyncpg.connect(rig.urls.migration)
    await owner.execute(FAIL_ONCE)
    await owner.close()
    paid = Paid()
    await rig.settle(match)
    assert paid.more() == (1, 60)
