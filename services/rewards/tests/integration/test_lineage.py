"""A lineage is bounded, and says where it was cut."""

from prizewire_rewards.adapters.storage.lineage import lineage_of
from prizewire_rewards.domain.model import Delivery
from services.rewards.tests.rig import ASSETS, Match, Rig, method_event


async def test_a_long_lineage_is_cut_and_says_so(rig: Rig) -> None:
    """Every kind of entry is capped, and the last entry names those of which there are more."""
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


async def test_a_correction_and_what_it_leaves_owing_are_told(rig: Rig) -> None:
    """The reason, the version, the debt and its recovery from another match stand in the lineage of the prize."""
    campaign = await rig.campaign(funded=20_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"))
    match = Match(campaign, [("ann", "50.00")])
    await rig.settle(match)
    await rig.feed(rig.settlements, *match.corrected([("bob", "50.00")], at=2))
    await rig.settle(Match(campaign, [("ann", "20.00")]))
    async with rig.db.transaction() as tx:
        told = await lineage_of(tx, match.correlation_id, assets=ASSETS)
    [corrected] = [entry for entry in told if entry.kind == "correction"]
    assert (corrected.id, corrected.detail["settlement_version"]) == (str(match.round_id), 2)
    assert "a mistake" in corrected.summary
    [owed] = [entry for entry in told if entry.kind == "receivable"]
    assert (owed.detail["amount"], owed.detail["recovered"], owed.detail["open"]) == (
        "50.00",
        "20.00",
        "30.00",
    )
    moved = [entry.detail["type"] for entry in told if entry.kind == "transfer"]
    assert {"receivable_opened", "receivable_recovered", "receivable_settled"} <= set(moved)
