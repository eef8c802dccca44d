"""A row that a job of rewards cannot read: the job goes on with the others, and moves no money for this one."""

from datetime import timedelta

import asyncpg
import pytest

from prizewire_contracts.encode import source_of
from prizewire_contracts.ids import event_id
from prizewire_rewards.entries.handlers import ending
from services.rewards.tests.claims.integration.test_claims import HOLDS_ALL, PLAIN, claimable, make
from services.rewards.tests.entries.integration.test_entries import EntryEnd, end, entered, opened, rich
from services.rewards.tests.rig import Match, Rig, method_event


async def as_owner(rig: Rig, *statements: str) -> None:
    """Change rows as no guard allows it."""
    connection = await asyncpg.connect(rig.urls.migration)
    for statement in statements:
        assert await connection.execute(statement) != "UPDATE 0", statement
    await connection.close()


async def run(rig: Rig, name: str) -> None:
    """Run a job until it has no more to do."""
    [job] = [job for job in rig.built.jobs if job.name == name]
    for _ in range(20):
        if not await job.run():
            return
    pytest.fail(f"{name} finds work for ever")


@pytest.mark.parametrize("kind", ["open", "held"])
async def test_claims_are_decided_beside_one_that_cannot_be_read(rig: Rig, kind: str) -> None:
    """The prize of the other player goes back; the money of this one stays where it is."""
    match = await claimable(rig, settings=HOLDS_ALL if kind == "held" else PLAIN)
    if kind == "held":
        for player in ("ann", "bob"):
            await make(rig, match, player)
    rig.clock.advance(timedelta(hours=2))
    await as_owner(rig, "UPDATE claims SET findings = '[1]' WHERE player = 'ann'")
    await run(rig, "claims.expire" if kind == "open" else "claims.overdue")
    rows = await rig.rows(
        "SELECT c.player, c.state, w.state AS prize FROM claims c JOIN rewards w ON w.id = c.reward_id"
    )
    states = {row["player"]: (row["state"], row["prize"]) for row in rows}
    assert states["ann"] == (kind, "claimable")
    assert states["bob"][0] == ("expired" if kind == "open" else "rejected")


async def test_automatic_withdrawals_go_on_past_one_that_cannot_be_read(rig: Rig) -> None:
    """Only the other player's winnings are requested."""
    campaign = await rig.campaign(funded=100_000)
    await rig.feed(rig.payouts, method_event("ann"), method_event("bob"))
    for player in ("ann", "bob"):
        async with rig.client(player) as client:
            body = {"threshold": "10.00"}
            assert (await client.put("/api/wallet/auto-withdraw/USDC", json=body)).status_code == 200
    await rig.settle(Match(campaign, [("ann", "60.00"), ("bob", "40.00")]))
    await as_owner(
        rig,
        "ALTER TABLE auto_withdrawals DROP CONSTRAINT auto_withdrawals_one_way",
        "ALTER TABLE auto_withdrawals DROP CONSTRAINT auto_withdrawals_schedule",
        "UPDATE auto_withdrawals SET schedule = 'never', next_at = next_at - interval '1 day' WHERE player = 'ann'",
    )
    await run(rig, "withdrawals")
    assert [event["data"]["player"] for event in await rig.events("payout.requested")] == ["bob"]
    assert await rig.winnings("ann") == 6_000


async def test_large_rounds_are_booked_beside_one_that_cannot_be_read(rig: Rig) -> None:
    """The lines of the other round are paid; those of this one stay in its reserve."""
    campaign = await rig.campaign(funded=100_000)
    bad, good = (
        Match(campaign, [(f"{name}{n}", "1.00") for n in range(11)], lines_per_part=3) for name in ("a", "b")
    )
    await rig.settle(bad, good)
    await as_owner(rig, f"UPDATE rounds SET parties = '1' WHERE id = '{bad.round_id}'")
    await run(rig, "rounds.work")
    assert [await rig.winnings("a0"), await rig.winnings("b0")] == [0, 100]


async def test_rounds_of_other_campaigns_are_booked_beside_one_that_cannot_be_read(rig: Rig) -> None:
    """The queue of a campaign keeps its order: what stands behind the round waits, and other campaigns go on."""
    campaigns = sorted([await rig.campaign(), await rig.campaign()])
    matches = [Match(campaign, [(f"p{n}", "1.00")]) for n, campaign in enumerate(campaigns)]
    await rig.settle(*matches)
    for campaign in campaigns:
        await rig.fund(campaign, 1_000)
    await as_owner(rig, f"UPDATE rounds SET parties = '1' WHERE id = '{matches[0].round_id}'")
    await run(rig, "rounds.release")
    assert [await rig.winnings("p0"), await rig.winnings("p1")] == [0, 100]


async def test_entries_of_rounds_are_closed_beside_one_that_cannot(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The players of the other round get their fees back; those of this one have paid, and can still get them back."""
    monkeypatch.setattr(ending, "CLOSED_INLINE_MAX", 1)
    campaign = await rig.campaign()
    bad, good = sorted((Match(campaign, []) for _ in range(2)), key=lambda match: match.round_id)
    for name, match in (("a", bad), ("b", good)):
        players = [f"{name}{n}" for n in range(3)]
        for player in players:
            await rich(rig, player, topup="5.00")
        entries = [entered(match, player, version=n) for n, player in enumerate(players, 2)]
        await rig.feed(rig.settlements, opened(match), *entries)
        assert await end(rig, match, EntryEnd.REFUNDED) == {}
    [entry] = await rig.rows("SELECT id, version FROM entries WHERE player = 'a0'")
    taken = event_id(
        source=source_of("rewards"),
        subject=str(entry["id"]),
        version=entry["version"] + 1,
        kind="prizewire.entry.refunded.v1",
    )
    await as_owner(
        rig,
        "INSERT INTO outbox (event_id, topic, key, value, created_at) "
        f"SELECT '{taken}', topic, key, value, created_at FROM outbox LIMIT 1",
    )
    await run(rig, "entries.close")
    closed = {row["player"]: row["state"] for row in await rig.rows("SELECT player, state FROM entries")}
    assert {closed["a0"], closed["b0"]} == {"paid", "refunded"}
