"""Top-ups: credited once, reversed at most up to the credit, and never paid out."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.ledger.storage.accounts import roll_up
from services.rewards.tests.money import TopupSession, entered, opened, top_up
from services.rewards.tests.rig import Match, Rig, closed_event, closure_of, method_event
from services.rewards.tests.sql import insert, open_account, refused, refused_to_the_owner


async def topup_events(rig: Rig) -> list[tuple[str, str, str | None]]:
    """(type, amount, owed) of each event about top-ups."""
    return [
        (event["type"].split(".")[2], event["data"]["amount"], event["data"]["owed"])
        for event in await rig.events()
        if ".wallet.topup_" in event["type"]
    ]


async def totals(rig: Rig, session: TopupSession) -> tuple[int, int]:
    """(credited, reversed) of a session."""
    [row] = await rig.rows("SELECT credited, reversed FROM topups WHERE id = :id", id=session.id)
    return row["credited"], row["reversed"]


async def topup(rig: Rig, player: str = "ann") -> int:
    return await rig.balance(Kind.TOPUP, player)


async def spend(rig: Rig, player: str, fee: str) -> None:
    """Let a player enter a round that never ends."""
    campaign = await rig.campaign()
    match = Match(campaign, [])
    await rig.feed(rig.settlements, opened(match, fee=fee), entered(match, player, version=2, fee=fee))


async def test_a_session_is_credited_once(rig: Rig) -> None:
    """A repeated completion has no effect, in one batch or in several, under any version."""
    session = TopupSession()
    await rig.feed(rig.payouts, session.completed(), session.completed())
    await rig.feed(rig.payouts, session.completed())
    assert await rig.stuck() == []
    assert await topup(rig) == 2_000
    assert await topup_events(rig) == [("topup_credited", "20.00", None)]
    assert await rig.winnings("ann") == 0
    assert await rig.breaches() == []


async def test_an_expired_session_is_credited(rig: Rig) -> None:
    """The payment that the provider names counts, not the state of the session."""
    session = TopupSession()
    await rig.feed(rig.payouts, session.event("expired"), session.completed(amount="19.50"))
    assert await topup(rig) == 1_950
    assert await rig.stuck() == []


@pytest.mark.parametrize("changes", [{"amount": "20.01"}, {"player": "eve"}, {"asset": "EURC"}])
async def test_a_completion_with_another_amount_or_player_is_parked(
    rig: Rig, changes: dict[str, str]
) -> None:
    """A second completion that differs needs a person, and moves nothing."""
    session = await top_up(rig, "ann", "20.00")
    await rig.feed(rig.payouts, session.completed(**changes))
    assert await rig.stuck() == [("parked", "event_mismatch")]
    assert (await topup(rig), await topup(rig, "eve")) == (2_000, 0)
    assert await rig.breaches() == []


@pytest.mark.parametrize("changes", [{"asset": "SEASON", "amount": "20"}, {"amount": "0.00"}])
async def test_points_and_an_amount_of_zero_are_parked(rig: Rig, changes: dict[str, str]) -> None:
    """Nothing is booked."""
    await rig.feed(rig.payouts, TopupSession().completed(**changes))
    assert await rig.stuck() == [("parked", "event_mismatch")]
    assert await rig.rows("SELECT 1 FROM topups") == []


async def test_top_ups_beyond_the_limit_are_parked(rig: Rig) -> None:
    """Top-ups may use half of the intake, so that admins can still fund and import."""
    half = 2**61
    many = f"{half // 100}.{half % 100:02}"
    await rig.feed(
        rig.payouts, *(TopupSession("eve", amount="92000000000000000.00").completed() for _ in range(3))
    )
    assert await rig.stuck() == [("parked", "amount_too_large")] * 3
    await rig.feed(
        rig.payouts, TopupSession("eve", amount=many).completed(), TopupSession(amount="0.01").completed()
    )
    assert await rig.stuck() == [("parked", "amount_too_large")] * 4
    assert (await topup(rig, "eve"), await topup(rig)) == (half, 0)
    await rig.campaign(funded=100)
    async with rig.db.transaction() as tx:
        await roll_up(tx, rows_max=100)
    assert await rig.breaches() == []


async def test_won_disputes_count_towards_the_limit(rig: Rig) -> None:
    """Money of a won dispute comes in once more."""
    half = 2**61
    session = await top_up(rig, "ann", f"{half // 100}.{half % 100:02}")
    await rig.feed(rig.payouts, session.reversal("disputed", "d1", "0.01"))
    await rig.feed(rig.payouts, session.reversal("dispute_won", "d1", "0.01"))
    assert await rig.stuck() == [("parked", "amount_too_large")]
    assert await topup(rig) == half - 1
    assert await rig.breaches() == []


async def test_only_payouts_may_publish_top_ups(rig: Rig) -> None:
    """A completion that another service signed is dead."""
    await rig.feed(rig.payouts, TopupSession().completed(key="settlement"))
    assert await rig.stuck() == [("dead", "key_not_trusted")]
    assert await topup(rig) == 0


async def test_a_refund_is_booked_once(rig: Rig) -> None:
    """The provider's id is the key: the same refund again has no effect, another refund has."""
    session = await top_up(rig, "ann", "20.00")
    await rig.feed(rig.payouts, session.reversal("refunded", "re_1", "5.00"))
    await rig.feed(rig.payouts, session.reversal("refunded", "re_1", "5.00"))
    assert await topup(rig) == 1_500
    await rig.feed(rig.payouts, session.reversal("refunded", "re_2", "5.00"))
    assert await topup(rig) == 1_000
    assert await totals(rig, session) == (2_000, 1_000)
    assert await topup_events(rig) == [
        ("topup_credited", "20.00", None),
        ("topup_reversed", "5.00", None),
        ("topup_reversed", "5.00", None),
    ]
    assert (await rig.stuck(), await rig.breaches()) == ([], [])


async def test_a_refund_and_a_dispute_never_take_more_than_was_credited(rig: Rig) -> None:
    """The second takes the rest. A third takes nothing; it is stored, and no money moves."""
    session = await top_up(rig, "ann", "20.00")
    await rig.feed(
        rig.payouts,
        session.reversal("refunded", "re_1", "15.00"),
        session.reversal("disputed", "dp_1", "20.00"),
        session.reversal("refunded", "re_2", "1.00"),
    )
    assert await topup(rig) == 0
    assert await totals(rig, session) == (2_000, 2_000)
    assert [amount for _, amount, _ in await topup_events(rig)] == ["20.00", "15.00", "5.00"]
    assert await rig.balance(Kind.RECEIVABLE, "ann") == 0
    assert len(await rig.rows("SELECT 1 FROM topup_reversals")) == 3
    assert (await rig.stuck(), await rig.breaches()) == ([], [])


async def test_what_was_spent_is_owed(rig: Rig) -> None:
    """The wallet pays what it has and does not become negative; the rest is recovered from later winnings."""
    session = await top_up(rig, "ann", "20.00")
    await spend(rig, "ann", "12.00")
    await rig.feed(rig.payouts, session.reversal("disputed", "dp_1", "20.00"))
    assert await topup(rig) == 0
    assert await rig.balance(Kind.RECEIVABLE, "ann") == -1_200
    assert (await topup_events(rig))[-1] == ("topup_reversed", "20.00", "12.00")
    campaign = await rig.campaign(funded=10_000)
    await rig.settle(Match(campaign, [("ann", "30.00")]))
    assert await rig.winnings("ann") == 1_800
    assert await rig.balance(Kind.RECEIVABLE, "ann") == 0
    assert (await rig.stuck(), await rig.breaches()) == ([], [])


async def test_a_won_dispute_returns_its_amount(rig: Rig) -> None:
    """It does so once, up to what the dispute took. The top-up can be refunded again."""
    session = await top_up(rig, "ann", "20.00")
    await rig.feed(
        rig.payouts,
        session.reversal("refunded", "re_1", "5.00"),
        session.reversal("disputed", "dp_1", "20.00"),
        session.reversal("dispute_won", "dp_1", "20.00"),
        session.reversal("dispute_won", "dp_1", "20.00"),
    )
    assert await topup(rig) == 1_500
    assert await totals(rig, session) == (2_000, 500)
    assert (await topup_events(rig))[-1] == ("topup_credited", "15.00", None)
    await rig.feed(rig.payouts, session.reversal("refunded", "re_9", "99.00"))
    assert (await topup(rig), await totals(rig, session)) == (0, (2_000, 2_000))
    assert (await rig.stuck(), await rig.breaches()) == ([], [])


async def test_a_won_dispute_first_closes_its_debt(rig: Rig) -> None:
    """Of 20.00, 12.00 were owed and 4.00 of that recovered: the debt of 8.00 is lifted, 12.00 come back."""
    session = await top_up(rig, "ann", "20.00")
    await spend(rig, "ann", "12.00")
    await rig.feed(rig.payouts, session.reversal("disputed", "dp_1", "20.00"))
    campaign = await rig.campaign(funded=10_000)
    await rig.settle(Match(campaign, [("ann", "4.00")]))
    assert await rig.balance(Kind.RECEIVABLE, "ann") == -800
    await rig.feed(rig.payouts, session.reversal("dispute_won", "dp_1", "20.00"))
    assert await rig.balance(Kind.RECEIVABLE, "ann") == 0
    assert (await topup(rig), await rig.winnings("ann")) == (1_200, 0)
    assert await totals(rig, session) == (2_000, 0)
    assert (await rig.stuck(), await rig.breaches()) == ([], [])


async def test_a_reversal_before_its_completion_waits(rig: Rig) -> None:
    """It is replayed as the next version of its session after the completion."""
    session = TopupSession()
    completed = session.completed()
    refund = session.reversal("refunded", "re_1", "20.00")
    await rig.feed(rig.payouts, refund)
    assert await rig.stuck() == [("parked", "version_gap")]
    assert await topup(rig) == 0
    await rig.feed(rig.payouts, completed)
    [row] = await rig.rows("SELECT id FROM stuck_events")
    async with rig.client("olga", "operator") as olga:
        answer = await olga.post(f"/api/services/rewards/stuck-events/{row['id']}/replay")
    assert answer.json()["state"] == "replayed", answer.text
    assert (await topup(rig), await totals(rig, session)) == (0, (2_000, 2_000))


@pytest.mark.parametrize(
    ("what", "ref", "changes"),
    [
        ("refunded", "re_1", {"amount": "6.00"}),
        ("disputed", "re_1", {"amount": "5.00"}),
        ("dispute_won", "dp_9", {"amount": "5.00"}),
        ("dispute_won", "re_1", {"amount": "5.00"}),
        ("refunded", "re_2", {"amount": "5.00", "player": "eve"}),
        ("refunded", "re_2", {"amount": "5.00", "asset": "EURC"}),
        ("refunded", "re_2", {"amount": "5.00", "rail": "paypal"}),
        ("refunded", "re_2", {"amount": "0.00"}),
    ],
)
async def test_a_reversal_that_does_not_fit_is_parked(
    rig: Rig, what: str, ref: str, changes: dict[str, str]
) -> None:
    """Another amount or kind under a known id, an unknown dispute, another player, asset or rail."""
    session = await top_up(rig, "ann", "20.00")
    await rig.feed(rig.payouts, session.reversal("refunded", "re_1", "5.00"))
    await rig.feed(rig.payouts, session.event(what, reversal_ref=ref, **changes))
    assert await rig.stuck() == [("parked", "event_mismatch")]
    assert await topup(rig) == 1_500
    assert await rig.breaches() == []


async def test_a_refund_id_belongs_to_one_session(rig: Rig) -> None:
    """A refund with the id of another top-up's refund is parked."""
    first, second = await top_up(rig, "ann", "20.00"), await top_up(rig, "bob", "20.00")
    await rig.feed(rig.payouts, first.reversal("refunded", "re_1", "5.00"))
    await rig.feed(rig.payouts, second.reversal("refunded", "re_1", "5.00"))
    assert await rig.stuck() == [("parked", "event_mismatch")]
    assert await topup(rig, "bob") == 2_000


async def test_concurrent_completions_are_credited_once(rig: Rig) -> None:
    """Two consumers process the same completion at once, as after a rebalance."""
    session = TopupSession()
    same = session.completed()
    await asyncio.gather(*(rig.feed(rig.payouts, same) for _ in range(8)))
    assert await topup(rig) == 2_000
    assert len(await topup_events(rig)) == 1


async def test_a_top_up_is_never_paid_out(rig: Rig) -> None:
    """Neither by request nor by SQL: no allowed transfer leads from the bucket to a payout or to winnings."""
    await top_up(rig, "ann", "20.00")
    await rig.feed(rig.payouts, method_event("ann"))
    async with rig.client("ann") as ann:
        body = {"asset": "USDC", "amount": "1.00"}
        answer = await ann.post("/api/wallet/payout-request", json=body, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["code"]) == (422, "insufficient_balance")
    bucket = Account(Kind.TOPUP, "ann", "USDC")
    for type_, to in (
        ("payout_requested", Account(Kind.PAYOUT_PENDING, "p", "USDC")),
        ("prize_matured", Account(Kind.WINNINGS, "ann", "USDC")),
        ("entry_fee_refunded", Account(Kind.WINNINGS, "ann", "USDC")),
        ("funding_added", Account(Kind.FUNDING, "marketing", "USDC")),
    ):

        async def move(tx: AsyncConnection, type_: str = type_, to: Account = to) -> Any:
            await open_account(tx, to)
            await insert(tx, type_, bucket, to, 100)

        state, _ = await refused(rig, move)
        assert state == "23503"


async def test_a_payout_is_given_back_to_winnings(rig: Rig) -> None:
    """Winnings of a failed payout return to winnings, and the top-up stays as it is."""
    await top_up(rig, "ann", "20.00")
    campaign = await rig.campaign(funded=10_000)
    await rig.settle(Match(campaign, [("ann", "30.00")]))
    await rig.feed(rig.payouts, method_event("ann"))
    async with rig.client("ann") as ann:
        body = {"asset": "USDC", "amount": "30.00"}
        answer = await ann.post("/api/wallet/payout-request", json=body, headers={"Idempotency-Key": "k"})
    payout = answer.json()["payout_id"]
    await rig.feed(rig.payouts, closed_event(payout, "failed", closure=closure_of(payout)))
    assert (await topup(rig), await rig.winnings("ann")) == (2_000, 3_000)


@pytest.mark.parametrize(
    "change", ["credited = credited + 1", "player = 'eve'", "reversed = credited + 1", "version = 0"]
)
async def test_a_top_up_cannot_be_changed_by_sql(rig: Rig, change: str) -> None:
    """Its amount and its player stay, and no more is reversed than was credited."""
    await top_up(rig, "ann", "20.00")
    state, _ = await refused(rig, lambda tx: tx.execute(text(f"UPDATE topups SET {change}")))
    assert state in {"23514", "42501"}
    assert (await refused_to_the_owner(rig, f"UPDATE topups SET {change}"))[0] == "23514"


async def test_lineage_shows_a_top_up(rig: Rig) -> None:
    """The session, its reversals and its transfers are listed under its correlation id."""
    session = await top_up(rig, "ann", "20.00")
    await rig.feed(rig.payouts, session.reversal("refunded", "re_1", "5.00"))
    async with rig.client("olga", "operator") as olga:
        found = (await olga.get(f"/api/services/rewards/lineage/{session.id}")).json()["entries"]
    assert sorted(entry["kind"] for entry in found) == ["topup", "topup_reversal", "transfer", "transfer"]
