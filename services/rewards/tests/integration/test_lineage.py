"""A lineage has a limit and names the kinds that exceed it; each step describes its own time."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.campaigns.domain.settings import CampaignSettings, Caps
from prizewire_rewards.lineage import lineage_of
from services.rewards.tests.debts import lift_receivable
from services.rewards.tests.money import entered, opened, top_up
from services.rewards.tests.rig import ASSETS, Match, Rig, method_event


async def test_a_long_lineage_is_limited_and_says_so(rig: Rig) -> None:
    """Every kind of entry has a limit, and the last entry names the kinds that have more."""
    players = [f"p{number}" for number in range(4)]
    campaign = await rig.campaign(funded=10_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, *(method_event(player) for player in players))
    match = Match(campaign, [(player, "1.00") for player in players])
    await rig.settle(match)
    async with rig.db.transaction() as tx:
        cut = await lineage_of(tx, match.correlation_id, assets=ASSETS, entries_max=3)
        whole = await lineage_of(tx, match.correlation_id, assets=ASSETS, entries_max=9)
    kinds = [entry.kind for entry in cut]
    assert kinds.count("transfer") == kinds.count("payout_request") == 3
    assert kinds.count("round_state") + kinds.count("payout_state") == 3
    assert kinds.count("round") == 1
    assert (kinds[-1], cut[-1].detail["cut"]) == ("more", ["state changes", "transfers", "payout requests"])
    assert "more state changes and transfers and payout requests" in cut[-1].summary
    assert [entry.kind for entry in whole].count("transfer") == 9
    assert "more" not in [entry.kind for entry in whole]


async def test_a_correction_and_its_debts_are_steps(rig: Rig) -> None:
    """The lineage of the prize has the reason, the version, the debt, and its recovery from another match."""
    campaign = await rig.campaign(funded=20_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"))
    match = Match(campaign, [("ann", "50.00")])
    await rig.settle(match)
    await rig.feed(rig.settlements, *match.corrected([("bob", "50.00")], at=2))
    await rig.settle(Match(campaign, [("ann", "20.00")]))
    async with rig.db.transaction() as tx:
        steps = await lineage_of(tx, match.correlation_id, assets=ASSETS)
    [corrected] = [entry for entry in steps if entry.kind == "correction"]
    assert (corrected.id, corrected.detail["settlement_version"]) == (str(match.round_id), 2)
    assert "a mistake" in corrected.summary
    [owed] = [entry for entry in steps if entry.kind == "receivable"]
    assert (owed.summary, owed.detail["now"]["recovered"], owed.detail["now"]["open"]) == (
        "ann owes 50.00 USDC",
        "20.00",
        "30.00",
    )
    moved = [entry.detail["type"] for entry in steps if entry.kind == "transfer"]
    assert {"receivable_opened", "receivable_recovered", "receivable_settled"} <= set(moved)


async def steps_of(rig: Rig, correlation_id: str) -> list[tuple[Any, ...]]:
    """The steps of a lineage without the present in their details."""
    async with rig.db.transaction() as tx:
        steps = await lineage_of(tx, correlation_id, assets=ASSETS)
    return [
        (
            one.at,
            one.kind,
            one.id,
            one.summary,
            {name: said for name, said in one.detail.items() if name != "now"},
        )
        for one in steps
    ]


async def test_a_disownment_names_the_payouts_to_be_cancelled(rig: Rig) -> None:
    """The payout of another correlation id that holds the prize is named, and another player's is not."""
    match = Match(await rig.campaign(funded=90_000), [("ann", "50.00"), ("bob", "10.00")])
    await rig.settle(match)
    await rig.feed(rig.payouts, method_event("ann"), method_event("bob"))
    asked = {"asset": "USDC", "amount": "50.00"}
    payout = await send(rig, "/api/wallet/payout-request", asked, by="ann", role="player")
    filed = await send(rig, "/api/round-disownments", {"round_id": str(match.round_id), "reason": "forged"})
    assert "payout_cancel_asked" not in [step[1] for step in await steps_of(rig, match.correlation_id)]
    await send(rig, f"/api/round-disownments/{filed['disownment_id']}/approve", None, by="boris")
    steps = await steps_of(rig, match.correlation_id)
    assert [step[2] for step in steps if step[1] == "payout_cancel_asked"] == [payout["payout_id"]]


async def send(rig: Rig, path: str, body: Any, *, by: str = "ada", role: str = "admin") -> Any:
    async with rig.client(by, role) as client:
        answer = await client.post(path, json=body, headers={"Idempotency-Key": uuid4().hex})
    assert answer.status_code < 300, answer.text
    return answer.json()


@pytest.mark.parametrize("end", ["approve", "reject"])
async def test_later_steps_change_no_earlier_step_of_a_match(rig: Rig, end: str) -> None:
    """A correction, a requested cancellation of a payout, and a decided disownment add steps at their own times, and
    change no earlier step.
    """
    campaign = await rig.campaign(funded=90_000)
    match = Match(campaign, [("ann", "50.00")])
    await top_up(rig, "eve", "20.00")
    await rig.feed(rig.settlements, opened(match), entered(match, "eve", version=2), *match.events(at=3))
    await rig.feed(rig.payouts, method_event("ann"))
    payout = await send(
        rig, "/api/wallet/payout-request", {"asset": "USDC", "amount": "50.00"}, by="ann", role="player"
    )
    before = await steps_of(rig, match.correlation_id)
    rig.clock.advance(timedelta(hours=1))
    await rig.feed(rig.settlements, *match.corrected([("bob", "40.00"), ("cam", "10.00")], at=4))
    corrected = await steps_of(rig, match.correlation_id)
    assert corrected[: len(before)] == before
    assert {step[0] for step in corrected[len(before) :]} == {rig.clock.now()}
    assert [step[1:4] for step in corrected if step[1] == "payout_cancel_asked"] == [
        (
            "payout_cancel_asked",
            payout["payout_id"],
            f"payout cancel asked: payout {payout['payout_id']} of 50.00 USDC to ann",
        )
    ]

    rig.clock.advance(timedelta(hours=1))
    body = {"round_id": str(match.round_id), "reason": "it was forged"}
    filed = await send(rig, "/api/round-disownments", body)
    waiting = await steps_of(rig, match.correlation_id)
    assert waiting[: len(corrected)] == corrected
    [step] = waiting[len(corrected) :]
    assert step[1:4] == (
        "disownment",
        filed["disownment_id"],
        "disownment of the round filed by ada: it was forged",
    )

    rig.clock.advance(timedelta(hours=1))
    reason = {"reason": "it was not"} if end == "reject" else None
    await send(rig, f"/api/round-disownments/{filed['disownment_id']}/{end}", reason, by="boris")
    decided = await steps_of(rig, match.correlation_id)
    assert decided[: len(waiting)] == waiting
    [step] = [step for step in decided[len(waiting) :] if step[1].startswith("disownment")]
    ended = "approved" if end == "approve" else "rejected"
    assert step[:2] == (rig.clock.now(), f"disownment_{ended}")
    assert step[3] == f"disownment of the round {ended} by boris"


async def test_every_change_of_a_debt_is_a_step_at_its_time(rig: Rig) -> None:
    """Recovered, written off, lifted and restored amounts are steps of their own, with the open amount after each."""
    campaign = await rig.campaign(funded=90_000)
    debt = await rig.owe("ann", 5_000, campaign=campaign)
    other = await rig.owe("bob", 1_000, campaign=campaign)
    seen = [rig.clock.now()]

    def later() -> None:
        rig.clock.advance(timedelta(hours=1))
        seen.append(rig.clock.now())

    later()
    await rig.settle(Match(campaign, [("ann", "20.00")]))
    later()
    async with rig.db.transaction() as tx:
        await lift_receivable(debt.id, amount=1_000, ports=rig.ports_of(tx), now=rig.clock.now())
    later()
    await send(rig, f"/api/receivables/{debt.id}/write-off", {"reason": "closed"}, by="eve", role="approver")
    later()
    async with rig.db.transaction() as tx:
        await lift_receivable(debt.id, amount=500, ports=rig.ports_of(tx), now=rig.clock.now())
    steps = [step for step in await steps_of(rig, debt.correlation_id) if step[2] == str(debt.id)]
    assert [step[0] for step in steps] == seen
    assert [(step[1], step[3]) for step in steps] == [
        ("receivable", "ann owes 50.00 USDC"),
        ("receivable_recovered", "20.00 USDC of what ann owes recovered, 30.00 open"),
        ("receivable_lifted", "10.00 USDC of what ann owes lifted, 20.00 open"),
        ("receivable_written_off", "20.00 USDC of what ann owes written off, 0.00 open"),
        ("receivable_restored", "5.00 USDC restored, written off before of what ann owed, 0.00 open"),
    ]
    assert [step[1] for step in await steps_of(rig, other.correlation_id) if step[2] == str(other.id)] == [
        "receivable"
    ]


async def test_later_steps_change_no_earlier_step_of_a_top_up(rig: Rig) -> None:
    """A dispute and its end are steps at their own times."""
    session = await top_up(rig, "ann", "20.00")
    steps = [
        (
            session.reversal("disputed", "dp_1", "5.00"),
            "dispute dp_1 of 5.00 USDC: 5.00 taken back, 0.00 owed",
        ),
        (session.reversal("dispute_won", "dp_1", "5.00"), "dispute dp_1 won: 5.00 USDC restored"),
    ]
    before = await steps_of(rig, str(session.id))
    for event, summary in steps:
        rig.clock.advance(timedelta(hours=1))
        await rig.feed(rig.payouts, event)
        after = await steps_of(rig, str(session.id))
        assert after[: len(before)] == before
        new = after[len(before) :]
        assert {step[0] for step in new} == {rig.clock.now()}
        assert summary in [step[3] for step in new]
        before = after


async def test_causes_come_before_effects_of_one_time(rig: Rig) -> None:
    """A direct prize is credited and requested in one transaction: the credit comes first, then the payout, then its
    transfer; transfers stay in the order of the ledger.
    """
    campaign = await rig.campaign(funded=10_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"), method_event("bob"))
    match = Match(campaign, [("ann", "2.00"), ("bob", "1.00")])
    await rig.settle(match)
    async with rig.db.transaction() as tx:
        steps = await lineage_of(tx, match.correlation_id, assets=ASSETS)
    assert len({step.at for step in steps}) == 1
    named = [step.detail.get("type", step.kind) for step in steps]
    payout = ["payout_request", "payout_state", "payout_requested"]
    assert named == [
        "round",
        "round_state",
        "prize_reserved",
        "prize_credited",
        "prize_credited",
        *payout,
        *payout,
    ]
    payouts = [step.id for step in steps if step.kind in ("payout_request", "payout_state")]
    assert payouts[0] == payouts[1] != payouts[2] == payouts[3]


async def test_a_round_that_waits_for_money_names_the_missing_amount(rig: Rig) -> None:
    """The step has the amount that the round waits for; the present and the campaign have what the pool lacks. Rounds before it
    in the queue count, and the round's own amount is named apart.
    """
    campaign = await rig.campaign(funded=1_000)
    first, second = Match(campaign, [("ann", "30.00")]), Match(campaign, [("bob", "25.00")])
    await rig.settle(first)
    await rig.settle(second)
    assert [await awaited(rig, match) for match in (first, second)] == [
        "30.00 USDC; the pool of campaign cup lacks 20.00 USDC for it: fund the campaign",
        (
            "25.00 USDC; the pool of campaign cup lacks 45.00 USDC for it and the rounds before it in the queue: "
            "fund the campaign"
        ),
    ]
    steps = await steps_of(rig, second.correlation_id)
    assert [step[3] for step in steps if step[1] == "round_state"] == [
        f"round {second.round_id}: new → unfunded, waits for 25.00 USDC of its campaign"
    ]
    async with rig.client("ada", "admin") as client:
        answer = (await client.get(f"/api/campaigns/{campaign}")).json()
    assert (answer["unfunded_rounds"], answer["available"], answer["missing"]) == (2, "10.00", "45.00")
    await rig.fund(campaign, 4_500)
    await rig.release()
    assert [await awaited(rig, match) for match in (first, second)] == [None, None]
    async with rig.client("ada", "admin") as client:
        answer = (await client.get(f"/api/campaigns/{campaign}")).json()
    assert (answer["unfunded_rounds"], answer["missing"]) == (0, "0.00")


async def test_a_corrected_round_waits_for_its_missing_part(rig: Rig) -> None:
    """A booked round waits for what its correction lacks, and the lack of the queue is named apart."""
    campaign = await rig.campaign(funded=5_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"))
    booked, waiting = Match(campaign, [("ann", "50.00")]), Match(campaign, [("cam", "30.00")])
    await rig.settle(booked)
    await rig.settle(waiting)
    await rig.feed(rig.settlements, *booked.corrected([("bob", "20.00"), ("ann", "30.00")], at=2))
    assert await awaited(rig, booked) == (
        "20.00 USDC; the pool of campaign cup lacks 50.00 USDC for it and the rounds before it in the queue: "
        "fund the campaign"
    )


@pytest.mark.parametrize(("state", "said"), [("draft", "is a draft"), ("paused", "is paused")])
async def test_a_round_of_a_campaign_that_is_not_active_names_its_state(
    rig: Rig, state: str, said: str
) -> None:
    """The round waits for the campaign, whatever its pool has; where money is missing too, both are named. A later state of
    the campaign does not change the step.
    """
    campaign = await rig.campaign(funded=5_000, active=state == "paused")
    if state == "paused":
        await rig.change(campaign, "paused")
    first, second = Match(campaign, [("ann", "30.00")]), Match(campaign, [("bob", "25.00")])
    await rig.settle(first)
    await rig.settle(second)
    assert await awaited(rig, first) == f"campaign cup, which {said}: set it active"
    assert await awaited(rig, second) == (
        "25.00 USDC; the pool of campaign cup lacks 5.00 USDC for it and the rounds before it in the queue, and the campaign "
        f"{said}: fund the campaign and set it active"
    )
    await rig.change(campaign, "active")
    assert await awaited(rig, first) == "its turn in the queue of campaign cup"
    await rig.release()
    assert await awaited(rig, first) is None
    steps = await steps_of(rig, first.correlation_id)
    assert next(step[3] for step in steps if step[1] == "round_state") == (
        f"round {first.round_id}: new → unfunded, waits for 30.00 USDC of its campaign, which {said}"
    )


@pytest.mark.parametrize(
    ("end", "ended"), [("release", "released"), ("reject", "rejected"), ("correction", None)]
)
async def test_a_held_prize_and_its_decision_are_steps(rig: Rig, end: str, ended: str | None) -> None:
    """The held amount, the rule and what it waits for are shown; then who released or rejected it. A correction of a held
    prize shows the amount that is held from then on.
    """
    capped = CampaignSettings(caps=Caps(per_player=7_000))
    match = Match(await rig.campaign(funded=20_000, settings=capped), [("ann", "90.00"), ("bob", "10.00")])
    await rig.settle(match)
    reward = str(match.reward_id("ann"))
    held = ("reward_held", reward, "prize of ann: 90.00 USDC held in the reserve of its round")
    settled_at = rig.clock.now()
    before = await steps_of(rig, match.correlation_id)
    assert [step[:4] for step in before if step[1].startswith("reward_")] == [(settled_at, *held)]
    assert await held_now(rig, match) == {
        "state": "held",
        "note": "cap_player",
        "waits_for": "the release or rejection of 90.00 USDC of ann, held by the rule cap_player",
    }
    rig.clock.advance(timedelta(hours=1))
    if ended is None:
        await rig.feed(rig.settlements, *match.corrected([("ann", "85.00"), ("bob", "15.00")], at=2))
        after = await steps_of(rig, match.correlation_id)
        assert [(step[0], step[3]) for step in after if step[1].startswith("reward_")] == [
            (rig.clock.now(), "prize of ann: 85.00 USDC held in the reserve of its round")
        ]
        return
    await send(rig, f"/api/rewards/{reward}/{end}", {"reason": "looked at"}, by="olga", role="operator")
    after = await steps_of(rig, match.correlation_id)
    assert after[: len(before)] == before
    assert [step[:4] for step in after[len(before) :] if step[1].startswith("reward_")] == [
        (rig.clock.now(), f"reward_{ended}", reward, f"prize of ann: 90.00 USDC {ended} by olga: looked at")
    ]
    assert (await held_now(rig, match))["waits_for"] is None


async def held_now(rig: Rig, match: Match) -> dict[str, str | None]:
    """The present of the held prize of a match."""
    async with rig.db.transaction() as tx:
        steps = await lineage_of(tx, match.correlation_id, assets=ASSETS)
    [held] = [step for step in steps if step.kind == "reward_held"]
    said: dict[str, str | None] = held.detail["now"]
    return said


async def awaited(rig: Rig, match: Match) -> str | None:
    """What the round of a match waits for now."""
    async with rig.db.transaction() as tx:
        steps = await lineage_of(tx, match.correlation_id, assets=ASSETS)
    [round_] = [step for step in steps if step.kind == "round"]
    said: str | None = round_.detail["now"]["waits_for"]
    return said


async def test_who_paused_a_campaign_is_in_the_lineage_of_the_rounds_it_held(rig: Rig) -> None:
    """The pause and its end are steps of a round that waited for them, and of no other round."""
    campaign = await rig.campaign(funded=20_000)
    before, held, after = (Match(campaign, [(player, "30.00")]) for player in ("ann", "bob", "cat"))
    await rig.settle(before)
    await switch(rig, campaign, "paused", by="olga")
    await rig.settle(held)
    await switch(rig, campaign, "active", by="ada")
    await rig.release()
    await rig.settle(after)
    said = [step[3] for step in await steps_of(rig, held.correlation_id) if step[1].startswith("campaign_")]
    assert said == ["campaign cup paused by olga", "campaign cup set active by ada"]
    for other in (before, after):
        assert not [step for step in await steps_of(rig, other.correlation_id) if "campaign_" in step[1]]


async def switch(rig: Rig, campaign: UUID, to: str, *, by: str) -> None:
    """Change the state of a campaign with the audit record that its route writes."""
    rig.clock.advance(timedelta(seconds=1))
    await rig.change(campaign, to)
    async with rig.db.transaction() as tx:
        await rig.audit.record(tx, actor=by, action=f"campaign.{to}", target=str(campaign))
    rig.clock.advance(timedelta(seconds=1))
