"""Held prizes."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

import pytest

from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.campaigns.domain.settings import CampaignSettings, RiskThresholds
from prizewire_rewards.errors import InvalidRequest, NotFound
from prizewire_rewards.ledger.domain.accounts import Kind
from prizewire_rewards.prizes.domain.model import Line, Settlement
from prizewire_rewards.rounds.handlers.held import reject_held, release_held
from prizewire_rewards.rounds.handlers.settling import CapBook
from services.rewards.tests.rig import Match, Rig, method_event

LINES = [("ann", "50.00"), ("bob", "30.00"), ("cat", "20.00")]


@pytest.fixture
def keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that holds every second line."""

    def held(_book: CapBook, settlement: Settlement, lines: Iterable[Line]) -> dict[int, str]:
        if settlement.settlement_version > 1:
            return {}
        return {line.line: "cap_player" for line in lines if line.line == 2}

    monkeypatch.setattr(CapBook, "held", held)


async def decide(rig: Rig, reward: UUID, *, go: bool, actor: str = "operator") -> None:
    handler = release_held if go else reject_held
    async with rig.db.transaction() as tx:
        await handler(
            reward,
            actor=actor,
            reason="looked at",
            ports=rig.ports_of(tx),
            tools=rig.tools,
            now=rig.clock.now(),
        )


async def state_of(rig: Rig, player: str) -> str:
    [row] = await rig.rows("SELECT state FROM rewards WHERE player = :p", p=player)
    return str(row["state"])


async def test_held_prizes_are_listed(rig: Rig, keeping: None) -> None:
    """Only held prizes, the newest round first, page by page; a player sees those of the player alone."""
    campaign = await rig.campaign(funded=50_000)
    matches = [Match(campaign, lines) for lines in (LINES, [("ann", "9.00"), ("cat", "1.00")])]
    for match in matches:
        await rig.settle(match)
        rig.clock.advance(timedelta(minutes=1))
    wanted = [("cat", matches[1]), ("bob", matches[0])]
    async with rig.client("olga", "operator") as olga:
        seen: list[tuple[str, str, str]] = []
        cursor: dict[str, str] = {}
        while True:
            query = {"state": "held", "limit": "1", **cursor}
            page = (await olga.get("/api/rewards", params=query)).json()
            seen += [(item["player"], item["round_id"], item["state"]) for item in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert seen == [(player, str(match.round_id), "held") for player, match in wanted]
        for filters, players in (
            ({"player": "bob"}, ["bob"]),
            ({"player": "ann"}, []),
            ({"round_id": str(matches[1].round_id)}, ["cat"]),
            ({"correlation_id": matches[0].correlation_id}, ["bob"]),
        ):
            items = (await olga.get("/api/rewards", params={"state": "held", **filters})).json()["items"]
            assert [item["player"] for item in items] == players, filters
        wrong = await olga.get("/api/rewards", params={"state": "lost"})
        assert wrong.status_code == 400
    async with rig.client("bob") as bob:
        items = (await bob.get("/api/rewards", params={"state": "held"})).json()["items"]
    assert [item["player"] for item in items] == ["bob"]


async def test_held_money_stays_in_the_reserve_until_released(rig: Rig, keeping: None) -> None:
    """The reserve of a final round has exactly the money of its held lines; a released prize is credited and published."""
    campaign = await rig.campaign(funded=20_000)
    match = Match(campaign, LINES, platform="5.00")
    await rig.settle(match)
    assert [await rig.winnings(player) for player, _ in LINES] == [5_000, 0, 2_000]
    assert await rig.balance(Kind.RESERVED, match.round_id) == 3_000
    [published] = await rig.events("reward.held")
    [line] = published["data"]["lines"]
    assert (line["player"], line["state"], line["note"]) == ("bob", "held", "cap_player")
    assert await rig.breaches() == []
    await decide(rig, match.reward_id("bob"), go=True)
    assert await rig.winnings("bob") == 3_000
    assert await rig.balance(Kind.RESERVED, match.round_id) == 0
    [released] = await rig.events("reward.released")
    assert [(one["player"], one["state"], one["note"]) for one in released["data"]["lines"]] == [
        ("bob", "credited", None)
    ]
    assert await rig.breaches() == []


async def test_held_money_is_shown_as_reserved(rig: Rig, keeping: None) -> None:
    """The list of campaigns, each campaign and the ledger show held money as reserved until it is decided."""
    campaign, other = await rig.campaign(funded=40_000), await rig.campaign(funded=10_000)
    final, held = Match(campaign, LINES), Match(campaign, LINES, platform="5.00", final=False)
    await rig.settle(final, held, Match(campaign, LINES[:1]), Match(other, LINES))

    async def reserved() -> list[str]:
        """The shown reserved amount, which is the same everywhere."""
        async with rig.client("olga", "operator") as olga:
            listed = (await olga.get("/api/campaigns")).json()["items"]
            for one in listed:
                path = f"/api/campaigns/{one['id']}"
                alone, sheet = (await olga.get(path)).json(), (await olga.get(f"{path}/balance-sheet")).json()
                assert one == alone
                assert one["reserved"] == sheet["reserved"]
        found = {one["id"]: one["reserved"] for one in listed}
        return [found[str(campaign)], found[str(other)]]

    assert await reserved() == ["65.00", "30.00"]
    await rig.feed(rig.settlements, held.finalized())
    assert await reserved() == ["60.00", "30.00"]
    await decide(rig, final.reward_id("bob"), go=True)
    await decide(rig, held.reward_id("bob"), go=False)
    assert await reserved() == ["0.00", "30.00"]


async def test_a_refused_prize_goes_back_to_the_pool(rig: Rig, keeping: None) -> None:
    """Its money can be granted to others, and no correction brings the prize back."""
    campaign = await rig.campaign(funded=10_000)
    match = Match(campaign, LINES)
    await rig.settle(match)
    await decide(rig, match.reward_id("bob"), go=False)
    assert await state_of(rig, "bob") == "rejected"
    assert await rig.balance(Kind.POOL, campaign) == 3_000
    assert await rig.rows("SELECT granted FROM campaigns") == [{"granted": 7_000}]
    [published] = await rig.events("reward.reversed")
    assert [(one["player"], one["state"]) for one in published["data"]["lines"]] == [("bob", "rejected")]
    assert await rig.breaches() == []
    await rig.feed(rig.settlements, *match.corrected([("bob", "40.00"), ("ann", "60.00")], at=2))
    assert (await rig.winnings("bob"), await rig.winnings("ann")) == (0, 6_000)
    assert await state_of(rig, "bob") == "rejected"
    assert await rig.breaches() == []


@pytest.mark.parametrize("on", ["reward", "claim"])
@pytest.mark.parametrize("what", ["release", "reject"])
async def test_a_decision_is_made_once_and_audited(
    rig: Rig, request: pytest.FixtureRequest, on: str, what: str
) -> None:
    """A repeated decision on a held prize or a claim gets the same answer; the money of a rejected prize may pay
    others.
    """
    if on == "reward":
        request.getfixturevalue("keeping")
        match = Match(await rig.campaign(funded=10_000), LINES)
    else:
        doubtful = CampaignSettings(risk=RiskThresholds(amount=1))
        campaign = await rig.campaign(funded=10_000, delivery=Delivery.CLAIM, settings=doubtful)
        match = Match(campaign, LINES)
    await rig.settle(match)
    reward = match.reward_id("bob")
    if on == "claim":
        async with rig.client("bob") as bob:
            await bob.post(f"/api/claims/{reward}", headers={"Idempotency-Key": "k"})
    [releasing] = [job for job in rig.built.jobs if job.name == "rounds.release"]
    releasing.woken.clear()
    async with rig.client("olga", "operator") as olga:
        path, headers = f"/api/{on}s/{reward}/{what}", {"Idempotency-Key": "k"}
        first = await olga.post(path, json={"reason": "looked at"}, headers=headers)
        again = await olga.post(path, json={"reason": "looked at"}, headers=headers)
        other = await olga.post(path, json={"reason": "another"}, headers=headers)
    assert first.status_code == 200, first.text
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    audited = await rig.rows(
        "SELECT actor, action, target, reason, correlation_id, detail->>'asset' AS asset, detail->>'amount' AS amount "
        "FROM audit_log WHERE actor = 'olga'"
    )
    assert audited == [
        {
            "actor": "olga",
            "action": f"{on}.{what}",
            "target": str(reward),
            "reason": "looked at",
            "correlation_id": match.correlation_id,
            "asset": "USDC",
            "amount": "30.00",
        }
    ]
    assert releasing.woken.is_set() == (what == "reject")


async def test_held_in_the_dispute_window(rig: Rig, keeping: None) -> None:
    """A prize released in the dispute window is pending; finality does not move held prizes."""
    campaign = await rig.campaign(funded=30_000)
    first, second = Match(campaign, LINES, platform="1.00", final=False), Match(campaign, LINES, final=False)
    await rig.settle(first, second)
    await decide(rig, first.reward_id("bob"), go=True)
    assert await rig.balance(Kind.PENDING, "bob") == 3_000
    await rig.feed(rig.settlements, first.finalized(), second.finalized())
    assert await rig.winnings("bob") == 3_000
    assert await rig.balance(Kind.RESERVED, second.round_id) == 3_000
    assert await rig.breaches() == []


async def test_a_void_takes_held_prizes_back(rig: Rig, keeping: None) -> None:
    """All money goes back, held or not."""
    campaign = await rig.campaign(funded=10_000)
    match = Match(campaign, LINES, final=False)
    await rig.settle(match)
    await rig.feed(rig.settlements, match.voided(at=2))
    assert await rig.balance(Kind.POOL, campaign) == 10_000
    assert await state_of(rig, "bob") == "reversed"
    assert await rig.breaches() == []


async def test_a_correction_changes_what_is_held_in_the_reserve(rig: Rig, keeping: None) -> None:
    """An excess amount pays others, a missing amount is added, and the prize stays held."""
    campaign = await rig.campaign(funded=10_000)
    match = Match(campaign, LINES)
    await rig.settle(match)
    await rig.feed(
        rig.settlements, *match.corrected([("ann", "70.00"), ("bob", "10.00"), ("cat", "20.00")], at=2)
    )
    assert await rig.balance(Kind.RESERVED, match.round_id) == 1_000
    assert await rig.winnings("ann") == 7_000
    await rig.feed(rig.settlements, *match.corrected([("bob", "80.00"), ("cat", "20.00")], at=3))
    assert await rig.balance(Kind.RESERVED, match.round_id) == 8_000
    assert await state_of(rig, "bob") == "held"
    assert await rig.breaches() == []
    await rig.feed(rig.settlements, *match.corrected([("cat", "20.00")], at=4))
    assert await rig.balance(Kind.RESERVED, match.round_id) == 0
    assert await rig.stuck() == []
    assert await rig.breaches() == []


async def test_a_line_of_a_waiting_round_is_held_when_it_is_booked(rig: Rig, keeping: None) -> None:
    """An unfunded round keeps the note of the rule until it is booked."""
    campaign = await rig.campaign()
    match = Match(campaign, LINES)
    await rig.settle(match)
    assert await state_of(rig, "bob") == "unfunded"
    await rig.fund(campaign, 10_000)
    assert await rig.release() == 1
    assert await state_of(rig, "bob") == "held"
    assert await rig.balance(Kind.RESERVED, match.round_id) == 3_000
    assert await rig.breaches() == []


async def test_a_released_direct_prize_is_requested(rig: Rig, keeping: None) -> None:
    """A released prize of a direct campaign is paid out."""
    campaign = await rig.campaign(funded=10_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("bob"))
    match = Match(campaign, LINES)
    await rig.settle(match)
    assert await rig.events("payout.requested") == []
    await decide(rig, match.reward_id("bob"), go=True)
    [requested_event] = await rig.events("payout.requested")
    assert requested_event["data"]["reward_ids"] == [str(match.reward_id("bob"))]
    assert await rig.breaches() == []


async def test_only_held_prizes_are_decided_and_not_by_their_player(rig: Rig, keeping: None) -> None:
    """Each refusal has its code and moves nothing."""
    campaign = await rig.campaign(funded=10_000)
    match = Match(campaign, LINES)
    await rig.settle(match)
    for reward, actor, code in (
        (match.reward_id("ann"), "operator", "reward_not_held"),
        (match.reward_id("bob"), "bob", "own_reward"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            await decide(rig, reward, go=True, actor=actor)
        assert refused.value.code == code
    with pytest.raises(NotFound):
        await decide(rig, match.round_id, go=False)
    assert await rig.balance(Kind.RESERVED, match.round_id) == 3_000


async def test_lines_of_a_large_round_are_held(rig: Rig) -> None:
    """The staged line has the rule's code, and its chunk holds the prize."""
    campaign = await rig.campaign(funded=10_000)
    match = Match(campaign, LINES, lines_per_part=2)
    first, last = match.events()
    await rig.feed(rig.settlements, first)
    async with rig.db.transaction() as tx:
        await rig.ports_of(tx).rounds.hold((match.round_id, 1), held={2: "cap_player"})
    await rig.feed(rig.settlements, last)
    await rig.work_on(limit=2)
    assert [await rig.winnings(player) for player, _ in LINES] == [5_000, 0, 2_000]
    assert await rig.balance(Kind.RESERVED, match.round_id) == 3_000
    [published] = await rig.events("reward.held")
    assert [line["note"] for line in published["data"]["lines"]] == ["cap_player"]
    await decide(rig, match.reward_id("bob"), go=True)
    assert await rig.winnings("bob") == 3_000
    assert await rig.breaches() == []
