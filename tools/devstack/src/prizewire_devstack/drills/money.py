"""Drills about money: an empty pool, unusually many claims, unusually many rejections."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from prizewire_devstack.drills.drill import Drill, Step, Values, newest_pause
from prizewire_devstack.drills.world import World

VOLUME_FACTOR: Final = 240.0
"""Divides the rule's range of an hour into 15 s, in which a slow machine makes enough claims too."""
SEEN_BEFORE_S: Final = 6 * 3600 / VOLUME_FACTOR + 5
"""How long claims must have been counted before the failure, in seconds: the rule compares with six hours before."""
CLAIMS: Final = 120
"""The claims of the drill about their volume: more than the rule's least number."""
REJECTIONS: Final = 14
"""More than the least number of decided claims for the rule about rejections."""


def _noted(*places: str) -> Callable[[World], Values]:
    """The values of places that the cause noted under their names."""
    return lambda world: {place: world.notes[place] for place in places}


def _empty_pool(world: World) -> Mapping[str, str]:
    name = world.name("pool")
    campaign = world.campaign(name, delivery="wallet", funding="10.00")
    world.competition(name, campaign=campaign, prizes=("50.00",), gross="50.00")
    world.play(name, [f"{name}-a"])
    world.notes |= {"CAMPAIGN": campaign, "AMOUNT": "40.00"}
    return {"asset": "USDC"}


POOL: Final = Drill(
    name="pool-exhausted",
    title="A campaign's pool does not cover a settled round",
    alert="PrizewirePoolExhausted",
    page="PrizewirePoolExhausted",
    cause=_empty_pool,
    steps=(
        Step(command="prizewire campaigns list --state exhausted"),
        Step(command="prizewire campaigns show CAMPAIGN", values=_noted("CAMPAIGN")),
        Step(
            command='prizewire campaigns fund CAMPAIGN AMOUNT --reference "bank statement 2026-11-25/17"',
            values=_noted("CAMPAIGN", "AMOUNT"),
            by_hand="The sponsor pays the missing amount.",
        ),
    ),
)


def _claim_campaign(world: World, *, winners: int, **settings: Any) -> list[str]:
    """Prizes of one round, open to be claimed. Returns the ids of the claims; the campaign is noted."""
    name = world.name("claims")
    campaign = world.campaign(name, delivery="claim", funding="100000.00", **settings)
    world.competition(name, campaign=campaign, prizes=("1.00",) * winners, gross=f"{winners}.00")
    world.play(name, [f"{name}-p{number}" for number in range(winners)])
    world.notes["CAMPAIGN"] = campaign

    def opened() -> list[str] | None:
        with world.api() as api:
            found = [
                str(one["reward_id"]) for one in api.items("/api/claims", campaign=campaign, state="open")
            ]
        return found if len(found) == winners else None

    found: list[str] = world.wait(opened)
    return found


def _claim(world: World, claims: list[str]) -> None:
    """Each winner claims. Who wins what is read before, so that the claims follow each other closely."""
    with world.api() as api:
        players = {one: str(api.get(f"/api/claims/{one}")["player"]) for one in claims}
    winners = {one: world.api("player", subject=player) for one, player in players.items()}

    def claim(one: str) -> None:
        with winners[one] as api:
            api.post(f"/api/claims/{one}", {}, key=f"drill:{one}")

    world.each(claim, claims)


def _usual_claims(world: World) -> None:
    """A few claims, and time enough for the rule to compare with."""
    _claim(world, _claim_campaign(world, winners=2))
    world.wait(
        lambda: world.measured(f"prizewire:rewards_claims:increase1h offset {SEEN_BEFORE_S:.0f}s") is not None
    )


def _many_claims(world: World) -> Mapping[str, str]:
    claims = _claim_campaign(world, winners=CLAIMS, risk={"new_account_s": 604_800})
    _claim(world, claims)
    world.notes["CLAIM"] = claims[0]
    return {}


def _held_claim(world: World) -> Values:
    with world.api() as api:
        held = api.items("/api/claims", campaign=world.notes["CAMPAIGN"], state="held")
        return {"CLAIM": str(next(iter(held))["reward_id"])}


VOLUME: Final = Drill(
    name="claim-volume",
    title="Many more prizes are claimed than before",
    alert="PrizewireClaimVolumeAbnormal",
    page="PrizewireClaimVolumeAbnormal",
    factor=VOLUME_FACTOR,
    before=_usual_claims,
    cause=_many_claims,
    steps=(
        Step(command="prizewire claims list --state held"),
        Step(command="prizewire claims show CLAIM", values=_noted("CLAIM")),
        Step(command="prizewire campaigns show CAMPAIGN", values=_noted("CAMPAIGN")),
        Step(
            command='prizewire payouts pause campaign CAMPAIGN --reason "many claims are being reviewed"',
            values=_noted("CAMPAIGN"),
        ),
        Step(
            command='prizewire claims release CLAIM --reason "winner of the published list"',
            values=_held_claim,
        ),
        Step(
            command='prizewire claims reject CLAIM --reason "the same person under several names"',
            values=_held_claim,
        ),
        Step(command="prizewire payouts pauses"),
        Step(command="prizewire payouts resume PAUSE", values=newest_pause),
    ),
)


def _many_rejections(world: World) -> Mapping[str, str]:
    claims = _claim_campaign(world, winners=REJECTIONS, risk={"amount": "1.00"})
    _claim(world, claims)

    def reject(one: str) -> None:
        with world.api(subject="drill-reviewer") as api:
            api.post(f"/api/claims/{one}/reject", {"reason": "drill"}, key=f"drill:reject:{one}")

    world.each(reject, claims)
    return {}


REJECTED: Final = Drill(
    name="rejection-rate",
    title="Most claims are rejected",
    alert="PrizewireRejectionRateHigh",
    page="PrizewireRejectionRateHigh",
    factor=240.0,
    cause=_many_rejections,
    steps=(
        Step(command="prizewire claims list --state rejected"),
        Step(command="prizewire payouts list --state rejected"),
        Step(
            command="prizewire audit list --limit 50",
            by_hand="The reviewer is asked, and stops.",
        ),
    ),
)
