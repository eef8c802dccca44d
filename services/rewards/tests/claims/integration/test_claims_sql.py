"""The database's own refusals about claims, and the jobs that end claims."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from structlog.testing import capture_logs

from prizewire_chassis.logging import get_logger
from prizewire_devstack.testing import DatabaseFactory
from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.campaigns.domain.settings import CampaignSettings, ClaimSettings, RiskThresholds
from prizewire_rewards.claims import jobs as claim_jobs
from prizewire_rewards.claims.handlers.claims import claim
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from services.rewards.tests.rig import Match, Rig
from services.rewards.tests.sql import insert, open_account, refused, refused_to_the_owner

SETTINGS = CampaignSettings(
    claim=ClaimSettings(expires_s=3600, review_deadline_s=600), risk=RiskThresholds(amount=5_000)
)


@pytest.fixture(scope="module")
async def shared(make_module_database: DatabaseFactory) -> AsyncIterator[Rig]:
    """An open, a held and an approved claim, for tests in which every write is refused."""
    rig = await Rig.open(make_module_database("rewards", migrated=True))
    await played(rig)
    yield rig
    await rig.close()


async def played(rig: Rig) -> Match:
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.CLAIM, settings=SETTINGS)
    match = Match(campaign, [("held", "60.00"), ("open", "10.00"), ("approved", "10.00")])
    await rig.settle(match)
    for player in ("held", "approved"):
        async with rig.db.transaction() as tx:
            await claim(
                match.reward_id(player),
                player=player,
                ports=rig.ports_of(tx),
                tools=rig.tools,
                now=rig.clock.now(),
            )
    return match


@pytest.mark.parametrize(
    "change",
    [
        "player = 'eve'",
        "reward_id = gen_random_uuid()",
        "round_id = gen_random_uuid()",
        "opened_at = opened_at - interval '1 day'",
        "version = 0",
    ],
)
async def test_player_and_prize_of_a_claim_never_change(shared: Rig, change: str) -> None:
    """Player and prize of a claim never change, also not by the owner."""
    statement = f"UPDATE claims SET {change}"
    state, message = await refused(shared, lambda tx: tx.execute(text(statement)))
    assert state == "42501" or (state == "23514" and "bound to does not change" in message)
    state, message = await refused_to_the_owner(shared, statement)
    assert (state, "bound to does not change" in message) == ("23514", True)


@pytest.mark.parametrize(
    ("player", "to"),
    [
        ("open", "lost"),
        ("approved", "rejected"),
        ("approved", "expired"),
        ("held", "expired"),
        ("held", "open"),
    ],
)
async def test_no_transition_outside_the_state_machine(shared: Rig, player: str, to: str) -> None:
    """A paid claim stays paid, and a claim under review does not expire."""
    decided = "NULL" if to == "open" else "opened_at"
    statement = (
        f"UPDATE claims SET state = '{to}', version = version + 1, decided_at = {decided}, "
        f"decided_by = CAST({decided} AS text) WHERE player = '{player}'"
    )
    state, message = await refused(shared, lambda tx: tx.execute(text(statement)))
    assert state == "23514"
    assert f"{player} -> {to} is not allowed" in message


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE claims SET state = 'approved', version = 2 WHERE player = 'open'", "claims_decided"),
        ("UPDATE claims SET decided_at = NULL WHERE player = 'approved'", "claims_decided"),
        ("UPDATE claims SET decided_by = NULL WHERE player = 'approved'", "claims_decider"),
        ("UPDATE claims SET decided_by = player WHERE player = 'approved'", "claims_own"),
        (
            "UPDATE claims SET state = 'held', version = 2, claimed_at = opened_at WHERE player = 'open'",
            "claims_held",
        ),
        (
            "UPDATE claims SET state = 'held', claimed_at = opened_at, rule = 'x' WHERE player = 'open'",
            "bound to",
        ),
    ],
)
async def test_a_decision_has_a_decider_and_a_hold_its_rule(
    shared: Rig, statement: str, constraint: str
) -> None:
    """An incomplete decision is refused, and so is a transition without a new version."""
    state, message = await refused(shared, lambda tx: tx.execute(text(statement)))
    assert state == "23514"
    assert constraint in message


async def test_claims_are_not_deleted(shared: Rig) -> None:
    """Claims cannot be deleted: a deleted claim could be made again."""
    for statement in ("DELETE FROM claims", "TRUNCATE claims"):
        assert (await refused(shared, lambda tx, sql=statement: tx.execute(text(sql))))[0] == "42501"
        assert (await refused_to_the_owner(shared, statement))[0] == "23000"


@pytest.mark.parametrize(
    ("type_", "debit", "credit"),
    [
        ("claim_opened", Kind.RESERVED, Kind.CLAIMABLE),
        ("claim_opened", Kind.PENDING, Kind.CLAIMABLE),
        ("claim_paid", Kind.CLAIMABLE, Kind.WINNINGS),
    ],
)
async def test_points_are_never_claimed(shared: Rig, type_: str, debit: Kind, credit: Kind) -> None:
    """An asset that is not redeemable cannot be moved into or out of a claim."""

    async def attempt(tx: object) -> None:
        source, target = Account(debit, "x", "SEASON"), Account(credit, "y", "SEASON")
        for account in (source, target):
            await open_account(tx, account)  # type: ignore[arg-type]  # the connection of the attempt
        await insert(tx, type_, source, target, 1)  # type: ignore[arg-type]  # the connection of the attempt

    state, message = await refused(shared, attempt)
    assert state == "23514"
    assert "not redeemable" in message


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"prizewire_rewards_{name}", labels) or 0


async def test_the_jobs_end_claims_and_report_it(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passed deadlines change the counters and the gauge of waiting claims, and log a warning that names no risk rule."""
    await played(rig)
    jobs = {job.name: job for job in rig.built.jobs}
    assert await jobs["claims.overdue"].run() is False
    assert (value("claims_waiting", state="open"), value("claims_waiting", state="held")) == (1, 1)
    before = value("claims_overdue_total", rule="reject"), value("claims_total", state="expired")
    rig.clock.advance(timedelta(seconds=3600))
    assert await jobs["claims.expire"].run() is True
    monkeypatch.setattr(claim_jobs, "_log", get_logger("test"))
    with capture_logs() as lines:
        assert await jobs["claims.overdue"].run() is True
    assert value("claims_past_deadline", state="held") == 1
    assert await jobs["claims.overdue"].run() is False
    assert value("claims_past_deadline", state="held") == 0
    after = value("claims_overdue_total", rule="reject"), value("claims_total", state="expired")
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1]
    assert (value("claims_waiting", state="open"), value("claims_waiting", state="held")) == (0, 0)
    [line] = [line for line in lines if line["log_level"] == "warning"]
    assert (line["event"], line["rule"]) == (
        "the deadline of a held claim passed without a decision",
        "reject",
    )
    assert not {"velocity", "amount", "kyc", "collusion", "new_account"} & {
        str(said) for said in line.values()
    }
    assert await rig.breaches() == []


async def test_a_claim_that_does_not_match_its_prize_is_a_breach(rig: Rig) -> None:
    """The check finds a claim that ended while its prize is still claimable."""
    match = await played(rig)
    async with rig.db.transaction() as tx:
        await tx.execute(
            text("UPDATE rewards SET state = 'credited' WHERE id = :id"), {"id": match.reward_id("open")}
        )
    found = [breach for breach in await rig.breaches() if breach.startswith("claims_consistent")]
    assert len(found) == 1
