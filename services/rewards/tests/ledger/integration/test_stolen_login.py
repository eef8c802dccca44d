"""What an attacker with the database login of rewards moves between owners is reported, although every balance adds up.

Each attack is one transaction as the role of the service.
"""

from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.checks.invariants import Invariant
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from services.rewards.tests.money import spent_and_disputed
from services.rewards.tests.rig import Match, Rig
from services.rewards.tests.rounds.integration.test_disownments import disown
from services.rewards.tests.rounds.integration.test_settled_lines import booked
from services.rewards.tests.sql import insert, open_account

MALLORY, VICTOR, CLUB = (Account(Kind.WINNINGS, player, "USDC") for player in ("mallory", "victor", "club"))
DEBT, CLEARING = (
    Account(Kind.RECEIVABLE, "victor", "USDC"),
    Account(Kind.CLEARING, "receivables", "USDC"),
)
OUTSIDE, PLATFORM = Account(Kind.EXTERNAL_OUT, "world", "USDC"), Account(Kind.FEES, "platform", "USDC")


def reserve_of(match: Match) -> Account:
    return Account(Kind.RESERVED, str(match.round_id), "USDC")


def pool_of(match: Match) -> Account:
    return Account(Kind.POOL, str(match.campaign), "USDC")


async def won(rig: Rig, **fees: str) -> Match:
    """A final round of an organizer ``club``; victor and mallory have winnings of it."""
    match = Match(
        await rig.campaign(funded=100_000),
        [("victor", "100.00"), ("mallory", "1.00")],
        **{"platform": "3.00", "organizer": "2.00", "organizer_player": "club", **fees},  # type: ignore[arg-type] # texts
    )
    await rig.settle(match)
    assert await rig.breaches() == []
    return match


async def grant(tx: AsyncConnection, match: Match, amount: int) -> None:
    """Move an amount from the pool to the round's reserve."""
    await insert(tx, "prize_reserved", pool_of(match), reserve_of(match), amount, **of_round(match))
    await count_as_granted(tx, match, amount)


async def count_as_granted(tx: AsyncConnection, match: Match, amount: int) -> None:
    await tx.exec_driver_sql(
        f"UPDATE campaigns SET granted = granted + {amount} WHERE id = '{match.campaign}'"
    )


def of_round(match: Match, step: str = "") -> dict[str, str]:
    return {"cause": f"round/{match.round_id}/1{step}", "correlation": match.correlation_id}


async def broken(rig: Rig) -> set[str]:
    """The names of the invariants with breaches."""
    return {one.split(":")[0] for one in await rig.breaches()}


@pytest.mark.parametrize(
    ("type_", "to", "amount", "found"),
    [
        ("organizer_fee", MALLORY, 200, {Invariant.ROUND_MONEY, Invariant.TRANSFERS_DOCUMENTED}),
        ("organizer_fee", MALLORY, 9_000, {Invariant.ROUND_MONEY, Invariant.TRANSFERS_DOCUMENTED}),
        ("organizer_fee", CLUB, 200, {Invariant.ROUND_MONEY}),
        ("platform_fee", PLATFORM, 300, {Invariant.ROUND_MONEY}),
    ],
    ids=["another organizer", "another amount", "the organizer's fee again", "the platform's fee again"],
)
async def test_a_fee_out_of_the_pool_is_a_breach(
    rig: Rig, type_: str, to: Account, amount: int, found: set[str]
) -> None:
    """From the pool through the reserve of a genuine final round, under its cause, and counted as granted."""
    match = await won(rig)
    async with rig.db.transaction() as tx:
        await grant(tx, match, amount)
        await insert(tx, type_, reserve_of(match), to, amount, **of_round(match))
    assert await broken(rig) == found


@pytest.mark.parametrize("type_", ["organizer_fee", "platform_fee"])
@pytest.mark.parametrize("state", ["booking", "voided", "disowned", "reserved"])
async def test_a_fee_of_a_round_that_is_not_final_is_a_breach(rig: Rig, state: str, type_: str) -> None:
    """With the round's amount and to its owner: twice while it is booked, once where it has none."""
    await won(rig)
    match = Match(
        await rig.campaign(funded=100_000),
        [("victor", "100.00"), ("mallory", "1.00")],
        platform="3.00",
        organizer="2.00",
        organizer_player="club",
        final=state == "disowned",
        lines_per_part=1 if state == "booking" else None,
    )
    await rig.settle(match)
    if state == "voided":
        await rig.feed(rig.settlements, match.voided(at=2))
    if state == "disowned":
        await disown(rig, match)
    assert await rig.breaches() == []
    to, amount = (PLATFORM, 300) if type_ == "platform_fee" else (CLUB, 200)
    times = 2 if state == "booking" else 1
    async with rig.db.transaction() as tx:
        for _ in range(times):
            await grant(tx, match, amount)
            await insert(tx, type_, reserve_of(match), to, amount, **of_round(match))
    assert Invariant.ROUND_MONEY in await broken(rig)


@pytest.mark.parametrize("type_", ["prize_unclaimed", "prize_released"])
async def test_money_that_a_round_gives_to_another_pool_is_a_breach(rig: Rig, type_: str) -> None:
    """An attacker's campaign cannot be filled by another one."""
    match, other = await won(rig), await rig.campaign(funded=100)
    async with rig.db.transaction() as tx:
        await grant(tx, match, 9_000)
        pool = Account(Kind.POOL, str(other), "USDC")
        await insert(tx, type_, reserve_of(match), pool, 9_000, **of_round(match))
    assert Invariant.TRANSFERS_DOCUMENTED in await broken(rig)


async def test_money_of_claims_belongs_to_its_round(rig: Rig) -> None:
    """What one round made claimable is not paid by another: the account of the campaign alone would add up."""
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.CLAIM)
    first, second = (Match(campaign, [(player, "5.00")]) for player in ("victor", "mallory"))
    await rig.settle(first, second)
    claimable = Account(Kind.CLAIMABLE, str(campaign), "USDC")
    async with rig.db.transaction() as tx:
        await insert(tx, "prize_reversed", claimable, reserve_of(first), 500, **of_round(first, "/void"))
        await insert(tx, "prize_released", reserve_of(first), pool_of(first), 500, **of_round(first, "/void"))
        await insert(tx, "prize_reserved", pool_of(second), reserve_of(second), 500, **of_round(second))
        await insert(tx, "claim_opened", reserve_of(second), claimable, 500, **of_round(second))
    found = await rig.breaches()
    assert {one.split(":")[0] for one in found} == {Invariant.ROUND_MONEY}
    assert len(found) == 2


async def add_debt(
    tx: AsyncConnection, *, amount: int, campaign: object, cause: str, reference: str, correlation: str
) -> None:
    """Insert a debt of victor that is recovered already, with all its transfers."""
    await open_account(tx, OUTSIDE)
    of_debt = await open_debt(
        tx,
        "victor",
        amount=amount,
        recovered=amount,
        campaign=campaign,
        cause=cause,
        reference=reference,
        correlation=correlation,
    )
    to = OUTSIDE if campaign is None else Account(Kind.POOL, str(campaign), "USDC")
    await insert(tx, "receivable_recovered", VICTOR, to, amount, **of_debt)
    await insert(tx, "receivable_settled", CLEARING, DEBT, amount, **of_debt)


async def open_debt(
    tx: AsyncConnection,
    player: str,
    *,
    amount: int,
    recovered: int = 0,
    campaign: object,
    cause: str,
    reference: str,
    correlation: str,
) -> dict[str, str]:
    """Insert a debt and the transfer that opens it. Returns cause and correlation id of its transfers."""
    debt, owed = uuid4(), Account(Kind.RECEIVABLE, player, "USDC")
    for account in (owed, CLEARING):
        await open_account(tx, account, balance=0 if account is owed else None)
    owed_to = "NULL" if campaign is None else f"'{campaign}'"
    await tx.exec_driver_sql(
        "INSERT INTO receivables (id, player, asset, campaign, reference, amount, recovered, written_off, lifted, restored, "
        f"version, cause, correlation_id, opened_at) VALUES ('{debt}', '{player}', 'USDC', {owed_to}, '{reference}', {amount}, "
        f"{recovered}, 0, 0, 0, 2, '{cause}', '{correlation}', now())"
    )
    of_debt = {"cause": f"receivable/{debt}/1", "correlation": correlation}
    await insert(tx, "receivable_opened", owed, CLEARING, amount, **of_debt)
    return of_debt


_REASON, _SUMS = (
    {Invariant.DEBTS_HAVE_REASONS},
    {Invariant.PRIZES_AS_BOOKED, Invariant.ROUND_MONEY},
)
REASONS: dict[str, tuple[str, str, int, set[Invariant]]] = {
    "none": ("round_corrected", "r-x", 400, _REASON),
    "a correction that does not exist": ("correction/{round}/2", "{round}", 400, _REASON | _SUMS),
    "a version that the round does not have": (
        "correction/{corrected}/3",
        "{corrected}",
        400,
        _REASON | _SUMS,
    ),
    "a correction of a player whose prize stayed": ("correction/{corrected}/2", "{corrected}", 400, _SUMS),
    "a correction of players alone": ("correction/{strangers}/2", "{strangers}", 400, _REASON | _SUMS),
    "a correction under another reference": ("correction/{corrected}/2", "r-x", 400, _REASON),
    "more than a round pays": ("correction/{corrected}/2", "{corrected}", 1_401, _REASON | _SUMS),
    "a disownment that does not exist": ("disownment/{round}", "{round}", 400, _REASON | _SUMS),
    "a disownment of a round that was voided": ("disownment/{voided}", "{voided}", 400, _REASON | _SUMS),
    "a disownment that took the prize back": ("disownment/{disowned}", "{disowned}", 500, _SUMS),
    "a disownment under another reference": ("disownment/{disowned}", "r-x", 400, _REASON),
    "more than the disowned prize": ("disownment/{disowned}", "{disowned}", 501, _REASON | _SUMS),
    "an organizer's fee of another": (
        "disownment/{disowned}/organizer-fee",
        "{disowned}/organizer-fee",
        400,
        _REASON | {Invariant.DISOWNED_GONE, Invariant.ROUND_MONEY},
    ),
    "a part of a disownment that does not exist": ("disownment/{disowned}/x", "r-x", 400, _REASON),
}
"""The cause, reference and amount of an invented debt of a campaign, and the invariants that report it."""


@pytest.mark.parametrize("name", REASONS)
async def test_a_debt_without_a_reason_is_a_breach(rig: Rig, name: str) -> None:
    """A player who owes nothing loses winnings to a pool: row, account and clearing agree."""
    cause, reference, amount, found = REASONS[name]
    match = await won(rig)
    lines = [("victor", "5.00"), ("ann", "9.00")]
    corrected, voided = Match(match.campaign, lines), Match(match.campaign, lines, final=False)
    disowned = Match(match.campaign, lines, organizer="5.00", organizer_player="club")
    strangers = Match(match.campaign, [("cid", "5.00"), ("ann", "9.00")])
    rounds = {
        "round": match,
        "corrected": corrected,
        "disowned": disowned,
        "strangers": strangers,
        "voided": voided,
    }
    await rig.settle(*(one for one in rounds.values() if one is not match))
    await rig.feed(rig.settlements, voided.voided(at=2))
    for changed in (corrected, strangers):
        await rig.feed(rig.settlements, *changed.corrected([changed.lines[0], ("bob", "9.00")], at=2))
    await disown(rig, disowned)
    assert await rig.breaches() == []
    ids = {key: one.round_id for key, one in rounds.items()}
    of = next((one for key, one in rounds.items() if key in cause.split("{")[-1]), match)
    async with rig.db.transaction() as tx:
        await tx.exec_driver_sql(
            "INSERT INTO corrections (round_id, settlement_version, asset, lines_total, unclaimed, reason, cause, "
            f"correlation_id, at) VALUES ('{corrected.round_id}', 3, 'USDC', 2, 0, 'x', 'x', 'x', now())"
        )
        await add_debt(
            tx,
            amount=amount,
            campaign=match.campaign,
            cause=cause.format(**ids),
            reference=reference.format(**ids),
            correlation=of.correlation_id,
        )
        await count_as_granted(tx, match, -amount)
    assert await broken(rig) == found


async def test_a_debt_is_owed_to_the_campaign_of_its_round(rig: Rig) -> None:
    """A genuine correction is no reason for a debt to an attacker's campaign."""
    match, other = await won(rig), await rig.campaign(funded=10_000)
    await rig.settle(Match(other, [("ann", "50.00")]))
    await rig.feed(rig.settlements, *match.corrected([("victor", "100.00"), ("bob", "1.00")], at=2))
    async with rig.db.transaction() as tx:
        await add_debt(
            tx,
            amount=400,
            campaign=other,
            cause=f"correction/{match.round_id}/2",
            reference=str(match.round_id),
            correlation=match.correlation_id,
        )
        await tx.exec_driver_sql(f"UPDATE campaigns SET granted = granted - 400 WHERE id = '{other}'")
    assert await broken(rig) == {Invariant.DEBTS_HAVE_REASONS}


async def test_a_debt_of_a_top_up_that_does_not_exist_is_a_breach(rig: Rig) -> None:
    """Its money goes outside."""
    await won(rig)
    async with rig.db.transaction() as tx:
        await add_debt(
            tx,
            amount=400,
            campaign=None,
            cause=f"topup/{uuid4()}/stripe/dp",
            reference="dp",
            correlation="x",
        )
    assert await broken(rig) == {Invariant.DEBTS_HAVE_REASONS}


async def test_a_debt_that_pays_another_players_fee_is_a_breach(rig: Rig) -> None:
    """From a player through an invented debt, the pool and the reserve of a round to the attacker."""
    match = await won(rig)
    async with rig.db.transaction() as tx:
        await add_debt(
            tx,
            amount=400,
            campaign=match.campaign,
            cause="round_corrected",
            reference="r-x",
            correlation=match.correlation_id,
        )
        await insert(tx, "prize_reserved", pool_of(match), reserve_of(match), 400, **of_round(match))
        await insert(tx, "organizer_fee", reserve_of(match), MALLORY, 400, **of_round(match))
    assert await broken(rig) == {
        Invariant.DEBTS_HAVE_REASONS,
        Invariant.ROUND_MONEY,
        Invariant.TRANSFERS_DOCUMENTED,
    }


async def test_each_debt_is_compared_with_its_own_transfers(rig: Rig) -> None:
    """Debts of one player are compared one by one: the transfers of one debt do not pay another one."""
    match = await won(rig)
    paid, counted = [await rig.owe("victor", amount, campaign=match.campaign) for amount in (100, 300)]
    assert await rig.breaches() == []
    async with rig.db.transaction() as tx:
        of_paid = {"cause": f"receivable/{paid.id}/2", "correlation": paid.correlation_id}
        await insert(tx, "receivable_recovered", VICTOR, pool_of(match), 50, **of_paid)
        await insert(tx, "receivable_settled", CLEARING, DEBT, 50, **of_paid)
        await tx.exec_driver_sql(f"UPDATE receivables SET recovered = 50 WHERE id = '{counted.id}'")
        await tx.exec_driver_sql(f"UPDATE campaigns SET granted = granted - 50 WHERE id = '{match.campaign}'")
    found = await rig.breaches()
    assert {one.split(":")[0] for one in found} == {Invariant.RECEIVABLES_ADD_UP}
    assert len(found) == 2


@pytest.mark.parametrize("fee_to", ["the attacker", "the pool"])
async def test_a_round_that_was_finalized_by_sql_without_its_fees_is_a_breach(rig: Rig, fee_to: str) -> None:
    """At the end of the dispute window settlement finalizes the round too: its state alone shows nothing."""
    match = await won(rig)
    early = Match(
        match.campaign,
        [("victor", "5.00")],
        platform="3.00",
        organizer="2.00",
        organizer_player="club",
        final=False,
    )
    await rig.settle(early)
    pending = Account(Kind.PENDING, "victor", "USDC")
    async with rig.db.transaction() as tx:
        await insert(tx, "prize_matured", pending, VICTOR, 500, **of_round(early, "/final"))
        if fee_to == "the attacker":
            await insert(tx, "organizer_fee", reserve_of(early), MALLORY, 500, **of_round(early, "/final"))
        else:
            await insert(
                tx, "prize_released", reserve_of(early), pool_of(early), 500, **of_round(early, "/final")
            )
            await count_as_granted(tx, early, -500)
        for statement in (
            f"UPDATE rewards SET state = 'credited', transfer_id = gen_random_uuid() WHERE round_id = '{early.round_id}'",
            (
                "INSERT INTO transitions (machine, subject, from_state, to_state, cause, correlation_id, at) "
                f"VALUES ('round', '{early.round_id}', 'reserved', 'final', 'rewards', '{early.correlation_id}', now())"
            ),
            (
                "UPDATE rounds SET state = 'final', final = true, version = version + 1, changed_at = now() "
                f"WHERE id = '{early.round_id}'"
            ),
        ):
            await tx.exec_driver_sql(statement)
    await rig.feed(rig.settlements, early.finalized())
    assert await rig.stuck() == []
    wrong_fee = {Invariant.TRANSFERS_DOCUMENTED} if fee_to == "the attacker" else set()
    assert await broken(rig) == {Invariant.ROUND_MONEY, *wrong_fee}


@pytest.mark.parametrize("change", ["cause", "correlation"])
async def test_transfers_belong_to_the_sums_of_their_document(rig: Rig, change: str) -> None:
    """Sums find transfers by the first word of their cause and by their correlation id: another one is a breach."""
    match = await won(rig)
    named = of_round(match) | {change: {"cause": f"other/{match.round_id}/1", "correlation": "other"}[change]}
    async with rig.db.transaction() as tx:
        await grant(tx, match, 500)
        await insert(tx, "prize_credited", reserve_of(match), MALLORY, 500, **named)
    found = await broken(rig)
    assert found == {Invariant.ROUND_MONEY, Invariant.TRANSFERS_DOCUMENTED}


async def test_the_debt_of_a_reversal_is_that_of_its_top_up(rig: Rig) -> None:
    """A reversal names its debt; a second debt for it is a breach."""
    await won(rig)
    await spent_and_disputed(rig, "victor", "4.00")
    assert await rig.breaches() == []
    [debt] = await rig.rows("SELECT cause, reference, correlation_id AS correlation FROM receivables")
    async with rig.db.transaction() as tx:
        await add_debt(tx, amount=400, campaign=None, **debt)
    assert await broken(rig) == {Invariant.DEBTS_HAVE_REASONS}


@pytest.mark.parametrize("cause", ["receivable", "other"])
async def test_money_of_a_debt_goes_to_its_pool_under_its_cause(rig: Rig, cause: str) -> None:
    """A campaign's debt is not recovered to the outside, and no sum would find transfers under another word."""
    match = await won(rig)
    debt = await rig.owe("victor", 100, campaign=match.campaign)
    of_debt = {"cause": f"{cause}/{debt.id}/2", "correlation": debt.correlation_id}
    async with rig.db.transaction() as tx:
        await open_account(tx, OUTSIDE)
        if cause == "receivable":
            await insert(tx, "receivable_recovered", VICTOR, OUTSIDE, 100, **of_debt)
        await insert(tx, "receivable_settled", CLEARING, DEBT, 100, **of_debt)
        column = "recovered" if cause == "receivable" else "lifted"
        await tx.exec_driver_sql(f"UPDATE receivables SET {column} = 100 WHERE id = '{debt.id}'")
    sums = set() if cause == "receivable" else {Invariant.RECEIVABLES_ADD_UP}
    assert await broken(rig) == {Invariant.TRANSFERS_DOCUMENTED, *sums}


async def test_a_prize_that_is_credited_and_owed_is_more_than_corrections_took(rig: Rig) -> None:
    """Rewards alone cannot know that no version of a corrected round had that prize. What its corrections took back then
    exceeds what settlement's corrections lowered, which ``prizewire verify`` compares (``rounds_were_settled``).
    """
    match = await won(rig)
    corrected = Match(match.campaign, [("mallory", "5.00"), ("ann", "9.00")])
    await rig.settle(corrected)
    assert (await booked(rig, corrected.round_id))["taken_back"] == "0.00"
    await rig.feed(
        rig.settlements, *corrected.corrected([("mallory", "4.00"), ("ann", "8.00"), ("bob", "2.00")], at=2)
    )
    assert (await booked(rig, corrected.round_id))["taken_back"] == "2.00"
    async with rig.db.transaction() as tx:
        await grant(tx, corrected, 700)
        await insert(tx, "prize_credited", reserve_of(corrected), MALLORY, 700, **of_round(corrected))
        await open_debt(
            tx,
            "mallory",
            amount=700,
            campaign=corrected.campaign,
            cause=f"correction/{corrected.round_id}/2",
            reference=str(corrected.round_id),
            correlation=corrected.correlation_id,
        )
    assert await rig.breaches() == []
    assert (await booked(rig, corrected.round_id))["taken_back"] == "9.00"
