"""Caps over the ports in memory: counts, held lines, and counts that are given back."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from prizewire_contracts import ids
from prizewire_rewards.campaigns.domain.caps import CapCode, CapKey
from prizewire_rewards.campaigns.domain.model import Campaign, CampaignState, Delivery
from prizewire_rewards.campaigns.domain.settings import CampaignSettings, Caps
from prizewire_rewards.prizes.domain.model import Line, Reward, Settlement
from prizewire_rewards.prizes.domain.states import RewardState
from prizewire_rewards.prizes.handlers import give_back, recount
from prizewire_rewards.rounds.handlers.settling import CapBook
from services.rewards.tests.fakes import MemoryStore
from services.rewards.tests.rig import ASSETS

NOW = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)


def campaign_with(**caps: int) -> Campaign:
    return Campaign(
        id=uuid4(),
        name="cup",
        asset="USDC",
        delivery=Delivery.WALLET,
        state=CampaignState.ACTIVE,
        capped=bool(caps),
        settings=CampaignSettings(caps=Caps(**caps)),
    )


def settled(campaign: Campaign, *prizes: tuple[str, int], version: int = 1) -> tuple[Settlement, list[Line]]:
    lines = [Line(n, player, n, amount, 1) for n, (player, amount) in enumerate(prizes, 1)]
    total = sum(line.amount for line in lines)
    head = Settlement(
        round_id=uuid4(), match_id="m", match_source="/g", competition="c", correlation_id="c",
        settlement_version=version, rule_version=1, campaign=campaign.id, asset="USDC", gross=total,
        platform_fee=0, organizer_fee=0, organizer_player=None, net=total, unclaimed=0, parts=1,
        lines_total=len(lines), digest="", final=True, final_at=NOW,
    )  # fmt: skip
    return head, lines


class Bench:
    """A store in memory, and the functions of caps over it."""

    def __init__(self) -> None:
        self.store = MemoryStore(ASSETS)

    def held(
        self, campaign: Campaign, *rounds: tuple[Settlement, Sequence[Line]], now: datetime = NOW
    ) -> list[dict[int, str]]:
        async def go() -> list[dict[int, str]]:
            ports = self.store.ports()
            book = await CapBook.open(rounds, campaigns={campaign.id: campaign}, ports=ports, now=now)
            found = [book.held(*one) for one in rounds]
            await book.save(ports=ports)
            return found

        return asyncio.run(go())

    def back(self, campaign: Campaign, returned: dict[UUID, int | None]) -> None:
        asyncio.run(give_back(returned, campaign=campaign, ports=self.store.ports()))

    def used(self, campaign: Campaign, code: CapCode, player: str = "", day: Any = None) -> int:
        return self.store.cap_usage.get(CapKey(campaign.id, code, player, day), 0)


@pytest.mark.parametrize(
    ("cap", "code"),
    [
        ("per_player", "cap_player"),
        ("per_player_day", "cap_player_day"),
        ("per_campaign_day", "cap_campaign_day"),
        ("per_campaign", "cap_campaign"),
    ],
)
def test_a_line_up_to_the_cap_passes_and_one_unit_more_is_held(cap: str, code: str) -> None:
    """A line is never paid in part: one that reaches the cap passes, the next is held with the cap's code."""
    campaign, bench = campaign_with(**{cap: 1_000}), Bench()
    assert bench.held(campaign, settled(campaign, ("ann", 1_000))) == [{}]
    assert bench.held(campaign, settled(campaign, ("ann", 1))) == [{1: code}]


def test_lines_of_the_settings_writer_are_held() -> None:
    """Their line does not count, and another person releases it. A funder's line is checked as any other."""
    campaign, bench = campaign_with(per_player=1_000), Bench()
    campaign = replace(campaign, parties=(("funder", "bob"), ("rule_writer", "ann")))
    without = replace(campaign, settings=CampaignSettings())
    for one in (campaign, without):
        assert bench.held(one, settled(one, ("ann", 1), ("bob", 1))) == [{1: "own_settings"}]
    assert bench.used(campaign, CapCode.PLAYER, "ann") == 0
    never = replace(without, capped=False)
    assert bench.held(never, settled(never, ("ann", 1))) == [{}]


def test_a_held_line_does_not_count() -> None:
    """Lines are checked in their order, and a held line uses nothing of a cap."""
    campaign, bench = campaign_with(per_campaign=1_000), Bench()
    assert bench.held(campaign, settled(campaign, ("ann", 700), ("bob", 400), ("cid", 300))) == [
        {2: "cap_campaign"}
    ]
    assert bench.used(campaign, CapCode.CAMPAIGN) == 1_000


def test_rounds_of_one_batch_share_the_caps() -> None:
    """The second round of a batch sees the counts of the first."""
    campaign, bench = campaign_with(per_player=1_000), Bench()
    rounds = [settled(campaign, ("ann", 600)), settled(campaign, ("ann", 600), ("bob", 600))]
    assert bench.held(campaign, *rounds) == [{}, {1: "cap_player"}]


def test_a_day_is_a_day_of_utc() -> None:
    """Half an hour later a new day begins with a count of zero. The cap over all days goes on."""
    campaign, bench = campaign_with(per_player_day=1_000, per_player=1_500), Bench()
    assert bench.held(campaign, settled(campaign, ("ann", 1_000))) == [{}]
    next_day = NOW + timedelta(minutes=31)
    assert bench.held(campaign, settled(campaign, ("ann", 600)), now=next_day) == [{1: "cap_player"}]
    assert bench.held(campaign, settled(campaign, ("ann", 500)), now=next_day) == [{}]


def test_amounts_given_back_no_longer_count() -> None:
    """A part of a prize, the whole of it, and at most its counted amount. Unknown prizes are skipped."""
    campaign, bench = campaign_with(per_player=1_000), Bench()
    head, lines = settled(campaign, ("ann", 1_000))
    bench.held(campaign, (head, lines))
    reward = ids.reward_id(round_id=head.round_id, player="ann")
    bench.back(campaign, {reward: 400, uuid4(): None})
    assert bench.used(campaign, CapCode.PLAYER, "ann") == 600
    bench.back(campaign, {reward: None})
    bench.back(campaign, {reward: None})
    assert {bench.used(campaign, key.cap, key.player, key.day) for key in bench.store.cap_usage} == {0}
    assert bench.store.cap_lines == {}


def test_a_corrected_line_counts_with_its_new_amount_on_its_first_day() -> None:
    """A correction does not hold a prize that counts already. It holds the prize of a new player."""
    campaign, bench = campaign_with(per_player=1_000), Bench()
    head, lines = settled(campaign, ("ann", 900))
    bench.held(campaign, (head, lines))
    corrected = replace(head, settlement_version=2)
    more = [Line(1, "ann", 1, 1_200, 1), Line(2, "bob", 2, 1_001, 1)]
    later = NOW + timedelta(days=2)
    assert bench.held(campaign, (corrected, more), now=later) == [{2: "cap_player"}]
    assert bench.used(campaign, CapCode.PLAYER, "ann") == 1_200
    assert bench.used(campaign, CapCode.PLAYER_DAY, "ann", NOW.date()) == 1_200
    assert bench.used(campaign, CapCode.PLAYER_DAY, "ann", later.date()) == 0


def test_a_released_line_counts_above_its_cap() -> None:
    """An operator may release a line above a cap. Later lines are then held."""
    campaign, bench = campaign_with(per_player=1_000), Bench()
    head, lines = settled(campaign, ("ann", 1_500))
    assert bench.held(campaign, (head, lines)) == [{1: "cap_player"}]
    [reward] = [
        Reward(
            ids.reward_id(round_id=head.round_id, player="ann"),
            head.round_id,
            line,
            RewardState.CREDITED,
            None,
        )
        for line in lines
    ]
    ports = bench.store.ports()
    asyncio.run(recount([reward], settlement=head, campaign=campaign, ports=ports, now=NOW))
    assert bench.used(campaign, CapCode.PLAYER, "ann") == 1_500
    assert bench.held(campaign, settled(campaign, ("ann", 1))) == [{1: "cap_player"}]


class _Untouchable:
    """A port that must not be called."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"caps.{name} was called")


def test_campaigns_without_caps_make_no_statements() -> None:
    """No port is called for a campaign that never had caps."""
    campaign, store = campaign_with(), MemoryStore(ASSETS)
    head, lines = settled(campaign, ("ann", 1_500))

    async def go() -> None:
        ports = replace(store.ports(), caps=_Untouchable())  # type: ignore[arg-type]  # no port is called
        book = await CapBook.open([(head, lines)], campaigns={campaign.id: campaign}, ports=ports, now=NOW)
        assert book.held(head, lines) == {}
        await book.save(ports=ports)
        await give_back({uuid4(): None}, campaign=campaign, ports=ports)
        await recount([], settlement=head, campaign=campaign, ports=ports, now=NOW)

    asyncio.run(go())
