"""Metrics count only committed changes."""

from uuid import uuid4

import asyncpg
import pytest
from prometheus_client import REGISTRY

from prizewire_chassis.assets import read_assets
from prizewire_devstack.home import repository_root
from prizewire_rewards.campaigns.domain.model import Delivery
from services.rewards.tests.rig import Match, Rig, method_event, paid_event

FAIL_AT_COMMIT = """
CREATE SEQUENCE failures;
GRANT USAGE ON SEQUENCE failures TO PUBLIC;
CREATE FUNCTION fail_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('failures') <= 3 THEN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER fail_at_commit AFTER INSERT ON {table}
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail_at_commit();
"""


async def fail_three_commits(rig: Rig, table: str) -> None:
    """Roll back the next three transactions that write to ``table``, in their commit."""
    owner = await asyncpg.connect(rig.urls.migration)
    await owner.execute(FAIL_AT_COMMIT.format(table=table))
    await owner.close()


def counted(name: str, **labels: str) -> float:
    """The value of one of the service's counters."""
    return REGISTRY.get_sample_value(f"prizewire_rewards_{name}_total", labels) or 0


async def test_a_settlement_batch_that_is_rolled_back_counts_nothing(rig: Rig) -> None:
    """After three failed commits of a batch, rounds, lines, payouts, debts and refusals are counted once."""

    def counts() -> list[float]:
        return [
            counted("rounds_booked"),
            counted("rounds_unfunded"),
            counted("lines_booked"),
            counted("payouts_requested", by="direct"),
            counted("receivables_netted"),
            counted("refused", code="asset_unknown"),
        ]

    campaign = await rig.campaign(funded=100_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"))
    await rig.owe("bob", 500)
    wrong = Match(campaign, [("eve", "1.00")]).events(asset="NOPE")
    booked = Match(campaign, [("ann", "500.00"), ("bob", "10.00")])
    waiting = Match(campaign, [("ann", "900.00")])
    await fail_three_commits(rig, "inbox")
    before = counts()
    await rig.feed(rig.settlements, *booked.events(), *waiting.events(), *wrong)
    assert await rig.stuck() == [("parked", "asset_unknown")]
    assert [after - was for after, was in zip(counts(), before, strict=True)] == [1, 1, 2, 1, 1, 1]


async def test_a_payout_batch_that_is_rolled_back_counts_nothing(rig: Rig) -> None:
    """Ended payouts and refused events are counted once, whatever the result of earlier attempts."""

    def counts() -> list[float]:
        return [counted("payouts_ended", state="paid"), counted("refused", code="event_mismatch")]

    campaign = await rig.campaign(funded=100_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"))
    await rig.settle(Match(campaign, [("ann", "500.00")]))
    [requested_event] = await rig.events("payout.requested")
    await fail_three_commits(rig, "inbox")
    before = counts()
    await rig.feed(
        rig.payouts,
        paid_event(requested_event["data"]["payout_id"], player="ann", amount="500.00"),
        paid_event(uuid4(), player="ann", amount="1.00"),
    )
    assert [reason for _, reason in await rig.stuck()] == ["event_mismatch"]
    assert [after - was for after, was in zip(counts(), before, strict=True)] == [1, 1]


@pytest.mark.parametrize("repeats", [1, 3])
async def test_a_players_request_is_counted_once(rig: Rig, repeats: int) -> None:
    """A retried transaction or a repeated Idempotency-Key does not count as another payout."""
    campaign = await rig.campaign(funded=100_000)
    await rig.settle(Match(campaign, [("ann", "500.00")]))
    await rig.feed(rig.payouts, method_event("ann"))
    await fail_three_commits(rig, "idempotency_keys")
    before = counted("payouts_requested", by="player")
    async with rig.client("ann") as ann:
        for _ in range(repeats):
            answer = await ann.post(
                "/api/wallet/payout-request",
                json={"asset": "USDC", "amount": "60.00"},
                headers={"idempotency-key": "one-and-the-same"},
            )
            assert answer.status_code == 202
    assert counted("payouts_requested", by="player") - before == 1


async def test_decisions_and_claims_are_counted_once(rig: Rig) -> None:
    """A decision about fees, or a claim, whose transaction is rolled back three times counts once."""
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.CLAIM)
    match = Match(campaign, [("ann", "85.00")], platform="10.00")
    await rig.settle(match)
    async with rig.client("ada", "admin") as ada:
        filed = await ada.post(
            "/api/fee-withdrawals",
            json={"source": "platform", "asset": "USDC", "amount": "7.00", "reference": "wire 77"},
            headers={"Idempotency-Key": "filed"},
        )
    await fail_three_commits(rig, "idempotency_keys")
    before = counted("fee_withdrawals", outcome="approved")
    async with rig.client("boris", "admin") as boris:
        decided = await boris.post(
            f"/api/fee-withdrawals/{filed.json()['withdrawal_id']}/approve",
            headers={"Idempotency-Key": "decided"},
        )
    assert decided.status_code == 200, decided.text
    assert counted("fee_withdrawals", outcome="approved") - before == 1
    owner = await asyncpg.connect(rig.urls.migration)
    await owner.execute("ALTER SEQUENCE failures RESTART")
    await owner.close()
    before = counted("claims_made")
    async with rig.client("ann") as ann:
        claimed = await ann.post(
            f"/api/claims/{match.reward_id('ann')}", json={}, headers={"Idempotency-Key": "claimed"}
        )
    assert claimed.status_code == 200, claimed.text
    assert counted("claims_made") - before == 1


async def test_the_counters_of_paid_prizes_begin_at_zero(rig: Rig) -> None:
    """Each configured asset has its counters from the start: Prometheus sees no increase in one that begins with its first prize."""
    for asset in read_assets(repository_root() / "assets.yaml"):
        assert REGISTRY.get_sample_value("prizewire_rewards_prizes_paid_total", {"asset": asset}) is not None
        assert (
            REGISTRY.get_sample_value("prizewire_rewards_prizes_paid_amount_total", {"asset": asset})
            is not None
        )
