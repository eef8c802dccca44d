"""Entry fees: charged once, from the right bucket, and earned or refunded when the round ends."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import orjson
import pytest
from sqlalchemy import text

from prizewire_rewards.entries.domain import EntryEnd
from prizewire_rewards.entries.handlers import ending as handler
from prizewire_rewards.entries.handlers.ending import close_next
from prizewire_rewards.ledger.domain.accounts import Kind
from services.rewards.tests.money import closed, end, entered, entry_of, opened, top_up, voided
from services.rewards.tests.rig import Match, Rig
from services.rewards.tests.sql import refused, refused_to_the_owner


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


async def rich(
    rig: Rig, player: str, *, winnings: str = "0.00", topup: str = "0.00", asset: str = "USDC"
) -> None:
    """Give a player winnings and a top-up."""
    if winnings.strip("0."):
        campaign = await rig.campaign(funded=1_000_000, asset=asset)
        await rig.settle(
            Match(campaign, [(player, winnings)], asset=asset, platform=_zero(asset), **_fees(asset))
        )
    if topup.strip("0."):
        await top_up(rig, player, topup, asset=asset)


def _zero(asset: str) -> str:
    return "0" if asset == "SEASON" else "0.00"


def _fees(asset: str) -> dict[str, str]:
    return {"organizer": _zero(asset), "unclaimed": _zero(asset)}


async def state_of(rig: Rig, match: Match, player: str) -> tuple[str, str | None]:
    [row] = await rig.rows("SELECT state, code FROM entries WHERE id = :id", id=entry_of(match, player))
    return row["state"], row["code"]


async def wallet(rig: Rig, player: str, asset: str = "USDC") -> tuple[int, int]:
    """(topup, winnings)."""
    return await rig.balance(Kind.TOPUP, player, asset), await rig.winnings(player, asset)


@pytest.fixture
async def match(rig: Rig) -> Match:
    """A match of a funded campaign, without entries."""
    campaign = await rig.campaign(funded=100_000)
    return Match(campaign, [("ann", "10.00")])


async def test_the_fee_is_taken_from_top_ups_first(rig: Rig, match: Match) -> None:
    """Top-ups pay first, winnings pay the rest, and both parts are in escrow."""
    await rich(rig, "ann", winnings="10.00", topup="3.00")
    await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2))
    assert await rig.stuck() == []
    assert await wallet(rig, "ann") == (0, 800)
    entry = entry_of(match, "ann")
    assert await rig.balance(Kind.ESCROW_TOPUP, entry) == 300
    assert await rig.balance(Kind.ESCROW_WINNINGS, entry) == 200
    [event] = await rig.events("entry.paid")
    data = event["data"]
    assert (data["amount"], data["from_topup"], data["from_winnings"]) == ("5.00", "3.00", "2.00")
    assert (event["subject"], event["correlationid"], event["aggregateversion"]) == (
        str(entry),
        match.correlation_id,
        1,
    )
    assert await rig.breaches() == []


async def test_entries_are_listed_by_their_last_change(rig: Rig, match: Match) -> None:
    """The listing that is compared with settlement, page by page and from a time on."""
    for player in ("ann", "bob"):
        await rich(rig, player, topup="5.00")
    await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2))
    since = await rig.database_time()
    await rig.feed(rig.settlements, entered(match, "bob", version=3))
    path = "/api/rewards/rounds/entries"
    async with rig.client("olga", "operator") as client:
        first = (await client.get(path, params={"limit": "1"})).json()
        rest = (await client.get(path, params={"cursor": first["next_cursor"]})).json()
        later = (await client.get(path, params={"since": since})).json()
        wrong = await client.get(path, params={"since": "soon"})
    found = [*first["items"], *rest["items"]]
    names = ("player", "asset", "amount", "state", "round_id")
    assert [[one[name] for name in names] for one in found] == [
        [player, found[0]["asset"], "5.00", "paid", str(match.round_id)] for player in ("bob", "ann")
    ]
    assert [one["player"] for one in later["items"]] == ["bob"]
    assert (wrong.status_code, wrong.json()["code"]) == (400, "period_invalid")


async def test_a_wallet_that_does_not_cover_the_fee_pays_nothing(rig: Rig, match: Match) -> None:
    """The entry is refused whole, and later events of its round are applied."""
    await rich(rig, "ann", winnings="1.00", topup="3.99")
    await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2), closed(match, version=3))
    assert await rig.stuck() == []
    assert await wallet(rig, "ann") == (399, 100)
    assert await state_of(rig, match, "ann") == ("refused", "insufficient_balance")
    [event] = await rig.events("entry.refused")
    assert (event["data"]["code"], event["data"]["from_topup"]) == ("insufficient_balance", "0.00")
    assert await rig.breaches() == []


async def test_a_refused_entry_may_be_repeated(rig: Rig, match: Match) -> None:
    """When the wallet covers it, the player pays the same entry, and the event has the next version."""
    await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2))
    await rich(rig, "ann", topup="5.00")
    async with rig.client("ann") as ann:
        answer = await ann.post("/api/wallet/entries", json={"round_id": str(match.round_id)}, headers=key())
    assert (answer.status_code, answer.json()["state"]) == (201, "paid"), answer.text
    versions = [
        (event["type"].split(".")[2], event["aggregateversion"])
        for event in await rig.events()
        if event["type"].startswith("prizewire.entry.")
    ]
    assert versions == [("refused", 1), ("paid", 2)]
    assert await rig.breaches() == []


async def test_entering_twice_pays_once(rig: Rig, match: Match) -> None:
    """By event, by request, with another key, and by fifty concurrent requests."""
    await rich(rig, "ann", winnings="100.00")
    await rig.feed(
        rig.settlements, opened(match), entered(match, "ann", version=2), entered(match, "ann", version=3)
    )
    body = {"match_source": "/games/test", "match_id": match.match_id}
    async with rig.client("ann") as ann:
        answers = await asyncio.gather(
            *(ann.post("/api/wallet/entries", json=body, headers=key()) for _ in range(50))
        )
    assert {answer.status_code for answer in answers} == {201}
    assert await rig.winnings("ann") == 9_500
    assert len(await rig.events("entry.paid")) == 1
    assert await rig.breaches() == []


async def test_fifty_concurrent_first_entries_pay_once(rig: Rig, match: Match) -> None:
    """Concurrent requests of one player make one entry."""
    await rich(rig, "ann", winnings="100.00")
    await rig.feed(rig.settlements, opened(match))
    async with rig.client("ann") as ann:
        answers = await asyncio.gather(
            *(
                ann.post("/api/wallet/entries", json={"round_id": str(match.round_id)}, headers=key())
                for _ in range(50)
            )
        )
    assert {answer.status_code for answer in answers} == {201}
    assert await rig.winnings("ann") == 9_500
    assert len(await rig.events("entry.paid")) == 1


async def test_a_key_names_one_entry(rig: Rig, match: Match) -> None:
    """The same request with the same key gets the stored answer. Another round with this key is a conflict and is not paid."""
    await rich(rig, "ann", winnings="100.00")
    other = Match(match.campaign, [("bob", "1.00")])
    await rig.feed(rig.settlements, opened(match), opened(other))
    same = key()
    async with rig.client("ann") as ann:
        bodies = [{"round_id": str(one.round_id)} for one in (match, match, other)]
        answers = [await ann.post("/api/wallet/entries", json=body, headers=same) for body in bodies]
    assert [answer.status_code for answer in answers] == [201, 201, 409]
    assert answers[1].json() == answers[0].json()
    assert answers[1].headers["idempotency-replayed"] == "true"
    assert answers[2].json()["code"] == "idempotency_conflict"
    assert await rig.winnings("ann") == 9_500


async def test_one_wallet_pays_as_many_entries_as_it_covers(rig: Rig) -> None:
    """Entries of one batch are charged one after the other."""
    campaign = await rig.campaign(funded=100_000)
    matches = [Match(campaign, []) for _ in range(3)]
    await rich(rig, "ann", winnings="7.00", topup="4.00")
    await rig.feed(
        rig.settlements,
        *(event for one in matches for event in (opened(one), entered(one, "ann", version=2))),
    )
    assert [(await state_of(rig, one, "ann"))[0] for one in matches] == ["paid", "paid", "refused"]
    assert await wallet(rig, "ann") == (0, 100)
    assert await rig.breaches() == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"round_id": "11111111-1111-4111-8111-111111111111"}, 422, "round_unknown"),
        ({"match_source": "/games/test", "match_id": "nobody-knows"}, 422, "round_unknown"),
        ({"match_id": "x"}, 400, "invalid_request"),
        ({}, 400, "invalid_request"),
        ({"round_id": "11111111-1111-4111-8111-111111111111", "match_id": "x"}, 400, "invalid_request"),
    ],
)
async def test_a_wrong_entry_is_refused(rig: Rig, body: dict[str, str], status: int, code: str) -> None:
    """An unknown round, and bodies that name no round or two."""
    async with rig.client("ann") as ann:
        answer = await ann.post("/api/wallet/entries", json=body, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_rounds_that_do_not_offer_entry_are_refused(rig: Rig) -> None:
    """Free, closed and ended rounds take no money."""
    await rich(rig, "ann", winnings="100.00")
    campaign = await rig.campaign(funded=100_000)
    free, shut, void, over, unopened = (Match(campaign, [("bob", "1.00")]) for _ in range(5))
    await rig.feed(
        rig.settlements,
        opened(free, fee=None),
        opened(shut),
        closed(shut, version=2),
        opened(void),
        opened(over),
        *unopened.events(),
    )
    await end(rig, void, EntryEnd.REFUNDED)
    await end(rig, over, EntryEnd.EARNED)
    async with rig.client("ann") as ann:
        for match in (free, shut, void, over, unopened):
            answer = await ann.post(
                "/api/wallet/entries", json={"round_id": str(match.round_id)}, headers=key()
            )
            assert (answer.status_code, answer.json()["code"]) == (422, "entry_not_offered")
        poor = Match(campaign, [])
        await rig.feed(rig.settlements, opened(poor, fee="100.01"))
        answer = await ann.post("/api/wallet/entries", json={"round_id": str(poor.round_id)}, headers=key())
        assert (answer.status_code, answer.json()["code"]) == (422, "insufficient_balance")
    assert await rig.winnings("ann") == 10_000
    assert await rig.rows("SELECT 1 FROM entries") == []


async def test_a_final_settlement_earns_the_fees(rig: Rig, match: Match) -> None:
    """With the last part of a final settlement, escrows become revenue, with one event for each entry."""
    await rich(rig, "ann", winnings="10.00", topup="3.00")
    await rich(rig, "bob", topup="5.00")
    await rig.feed(
        rig.settlements, opened(match), entered(match, "ann", version=2), entered(match, "bob", version=3)
    )
    [settled] = match.events()
    await rig.feed(rig.settlements, with_version(match, settled, 4))
    assert await rig.stuck() == []
    assert await rig.balance(Kind.ENTRY_FEES, "platform") == 1_000
    assert [event["data"]["player"] for event in sorted_by_player(await rig.events("entry.earned"))] == [
        "ann",
        "bob",
    ]
    assert await state_of(rig, match, "ann") == ("earned", None)
    assert await rig.winnings("ann") == 1_800, "the rest of the winnings, and the prize"
    assert await rig.breaches() == []


def sorted_by_player(events: list[dict[str, dict[str, str]]]) -> list[dict[str, dict[str, str]]]:
    return sorted(events, key=lambda event: event["data"]["player"])


def with_version(match: Match, settled: bytes, version: int) -> bytes:
    """The same settlement as a later event of its round."""
    data = orjson.loads(settled)["data"]
    return match.settlement_event("prizewire.round.settled.v1", data, version=version)


async def test_fees_wait_for_finality(rig: Rig) -> None:
    """A settlement with a dispute window earns nothing. Finality earns the fees once."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, [("bob", "10.00")], final=False)
    await rich(rig, "ann", topup="5.00")
    await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2))
    [settled] = match.events()
    await rig.feed(rig.settlements, with_version(match, settled, 3))
    assert await state_of(rig, match, "ann") == ("paid", None)
    await rig.feed(rig.settlements, match.finalized(version=4))
    assert await state_of(rig, match, "ann") == ("earned", None)
    assert await rig.balance(Kind.ENTRY_FEES, "platform") == 500
    assert await end(rig, match, EntryEnd.REFUNDED) == {}, "the end of a round does not change"
    assert await rig.breaches() == []


async def test_a_refused_settlement_closes_no_entry(rig: Rig, match: Match) -> None:
    """An event that is not applied changes no entry."""
    await rich(rig, "ann", topup="5.00")
    await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2))
    [settled] = match.events(digest="ab" * 32)
    await rig.feed(rig.settlements, with_version(match, settled, 3))
    assert await rig.stuck() == [("parked", "digest_mismatch")]
    assert await state_of(rig, match, "ann") == ("paid", None)
    assert await rig.breaches() == []


async def test_a_void_refunds_the_buckets_that_paid(rig: Rig, match: Match) -> None:
    """Top-ups come back as top-ups and winnings as winnings, so a void cannot launder money."""
    await rich(rig, "ann", winnings="10.00", topup="3.00")
    await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2))
    assert await end(rig, match, EntryEnd.REFUNDED) == {"refunded": 1}
    assert await wallet(rig, "ann") == (300, 1_000)
    [event] = await rig.events("entry.refunded")
    assert (event["data"]["from_topup"], event["data"]["from_winnings"]) == ("3.00", "2.00")
    assert await rig.balance(Kind.ENTRY_FEES, "platform") == 0
    assert await rig.breaches() == []


async def test_a_void_refunds_before_and_after_settling(rig: Rig) -> None:
    """Prizes go back to the pool and fees to their wallets, in one transaction."""
    campaign = await rig.campaign(funded=100_000)
    unsettled, pending = Match(campaign, []), Match(campaign, [("bob", "10.00")], final=False)
    await rich(rig, "ann", topup="10.00")
    [settled] = pending.events()
    await rig.feed(
        rig.settlements,
        opened(unsettled),
        entered(unsettled, "ann", version=2),
        voided(unsettled, version=3),
        opened(pending),
        entered(pending, "ann", version=2),
        with_version(pending, settled, 3),
    )
    await rig.feed(rig.settlements, voided(pending, version=4))
    assert await rig.stuck() == []
    for match in (unsettled, pending):
        assert await state_of(rig, match, "ann") == ("refunded", None)
    assert await wallet(rig, "ann") == (1_000, 0)
    assert await rig.balance(Kind.POOL, campaign) == 100_000
    late = Match(campaign, [])
    await rig.feed(rig.settlements, voided(late, version=1), entered(late, "ann", version=2))
    assert await state_of(rig, late, "ann") == ("refused", "round_ended")
    assert await rig.breaches() == []


async def test_a_refund_to_winnings_pays_debts_first(rig: Rig, match: Match) -> None:
    """It is a credit to winnings, and debts are recovered from it."""
    await rich(rig, "ann", winnings="5.00")
    await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2))
    await rig.owe("ann", 200)
    await end(rig, match, EntryEnd.REFUNDED)
    assert await rig.winnings("ann") == 300
    assert await rig.balance(Kind.RECEIVABLE, "ann") == 0


async def test_points_are_never_refunded(rig: Rig) -> None:
    """A void closes an entry that was paid in points, with a code, and the fee is revenue."""
    campaign = await rig.campaign(funded=100)
    match = Match(campaign, [])
    await rich(rig, "ann", winnings="50", asset="SEASON")
    await rig.feed(
        rig.settlements,
        opened(match, fee="20", asset="SEASON"),
        entered(match, "ann", version=2, fee="20", asset="SEASON"),
    )
    assert await end(rig, match, EntryEnd.REFUNDED) == {"closed": 1}
    assert await rig.winnings("ann", "SEASON") == 30
    assert await rig.balance(Kind.ENTRY_FEES, "platform", "SEASON") == 20
    [event] = await rig.events("entry.closed")
    assert (event["data"]["state"], event["data"]["code"]) == ("closed", "not_refundable")
    assert await rig.breaches() == []


async def test_entries_after_the_end_are_refused(rig: Rig, match: Match) -> None:
    """Finality and voids end a round for later entries, in the same batch or in another."""
    campaign = await rig.campaign(funded=1_000)
    voided = Match(campaign, [])
    await rich(rig, "ann", winnings="50.00")
    [settled] = match.events()
    await rig.feed(
        rig.settlements, opened(match), with_version(match, settled, 2), entered(match, "ann", version=3)
    )
    await rig.feed(rig.settlements, entered(match, "bob", version=4))
    await end(rig, voided, EntryEnd.REFUNDED)
    await rig.feed(rig.settlements, entered(voided, "ann", version=1))
    for one, player in ((match, "ann"), (match, "bob"), (voided, "ann")):
        assert await state_of(rig, one, player) == ("refused", "round_ended")
    assert await rig.stuck() == []
    assert await rig.winnings("ann") == 6_000
    assert await rig.breaches() == []


async def test_a_final_round_without_a_fee_takes_no_entry(rig: Rig) -> None:
    """An entry after the final settlement is refused, also where rewards never received the opening."""
    campaign = await rig.campaign(funded=1_000)
    match = Match(campaign, [("bob", "1.00")])
    await rich(rig, "ann", winnings="50.00")
    await rig.settle(match)
    await rig.feed(rig.settlements, entered(match, "ann", version=2))
    assert await state_of(rig, match, "ann") == ("refused", "round_ended")
    assert await rig.winnings("ann") == 5_000


async def test_one_batch_may_hold_a_whole_round(rig: Rig, match: Match) -> None:
    """Opened, entered and settled for good: who entered before the end is in, even where the opening is not captured_logs."""
    unopened = Match(match.campaign, [("bob", "10.00")])
    await rich(rig, "ann", topup="10.00")
    await rig.feed(
        rig.settlements,
        opened(match),
        entered(match, "ann", version=2),
        with_version(match, match.events()[0], 3),
        entered(unopened, "ann", version=1),
        with_version(unopened, unopened.events()[0], 2),
    )
    assert await rig.stuck() == []
    for one in (match, unopened):
        assert await state_of(rig, one, "ann") == ("earned", None)
    assert await rig.breaches() == []


async def test_concurrent_entries_and_void_leave_no_fee(rig: Rig, match: Match) -> None:
    """Entries before the void are refunded, entries after it pay nothing. No fee stays in escrow."""
    players = [f"p{n}" for n in range(12)]
    for player in players:
        await rich(rig, player, topup="5.00")
    await rig.feed(rig.settlements, opened(match))

    async def enter(player: str) -> int:
        async with rig.client(player) as client:
            body = {"round_id": str(match.round_id)}
            return (await client.post("/api/wallet/entries", json=body, headers=key())).status_code

    answers = await asyncio.gather(
        *(enter(player) for player in players[:6]),
        rig.feed(rig.settlements, voided(match, version=2)),
        *(enter(player) for player in players[6:]),
    )
    assert {answer for answer in answers if answer is not None} <= {201, 422}
    assert [await wallet(rig, player) for player in players] == [(500, 0)] * 12
    assert await rig.rows("SELECT 1 FROM entries WHERE state = 'paid'") == []
    assert await rig.breaches() == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"fee": {"asset": "USDC", "amount": "0.00"}}, "invalid_amount"),
        ({"fee": {"asset": "USDC", "amount": "1.005"}}, "invalid_amount"),
        ({"fee": {"asset": "NOPE", "amount": "1.00"}}, "asset_unknown"),
        ({"entry_id": "11111111-1111-4111-8111-111111111111"}, "event_mismatch"),
        ({"round_id": "11111111-1111-4111-8111-111111111111"}, "event_mismatch"),
    ],
)
async def test_a_malformed_entry_does_not_hold_its_round(
    rig: Rig, match: Match, changes: dict[str, object], code: str
) -> None:
    """It is dead, and the round's other events are applied."""
    await rich(rig, "ann", topup="50.00")
    wrong = entered(match, "ann", version=2, changes=changes)
    await rig.feed(rig.settlements, opened(match), wrong)
    assert await rig.stuck() == [("dead", code)]
    assert await wallet(rig, "ann") == (5_000, 0)
    assert await rig.rows("SELECT 1 FROM entries") == []


async def test_another_fee_for_the_same_entry_is_dead(rig: Rig, match: Match) -> None:
    """An entry's fee does not change, whether it was paid or refused."""
    await rich(rig, "ann", topup="5.00")
    await rig.feed(
        rig.settlements,
        opened(match),
        entered(match, "ann", version=2),
        entered(match, "ann", version=3, fee="6.00"),
    )
    assert await rig.stuck() == [("dead", "event_mismatch")]
    assert await wallet(rig, "ann") == (0, 0)


async def test_a_large_round_is_closed_in_chunks(
    rig: Rig, match: Match, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job closes many entries, one chunk in a transaction, each entry once."""
    monkeypatch.setattr(handler, "CLOSED_INLINE_MAX", 3)
    monkeypatch.setattr(handler, "CLOSED_AT_ONCE_MAX", 4)
    players = [f"p{n:02}" for n in range(10)]
    for player in players:
        await rich(rig, player, topup="5.00")
    await rig.feed(
        rig.settlements,
        opened(match),
        *(entered(match, player, version=n) for n, player in enumerate(players, 2)),
    )
    assert await end(rig, match, EntryEnd.REFUNDED) == {}
    assert await rig.breaches() == [], "entries that are being closed are no breach"
    closed_at_once = []
    while True:
        async with rig.db.transaction() as tx:
            reached = await close_next(ports=rig.ports_of(tx), tools=rig.tools, now=rig.clock.now())
        if reached is None:
            break
        closed_at_once.append(sum(reached.values()))
    assert closed_at_once == [4, 4, 2]
    assert [await wallet(rig, player) for player in players] == [(500, 0)] * 10
    assert len(await rig.events("entry.refunded")) == 10
    assert await rig.breaches() == []


async def test_two_jobs_close_a_round_together(
    rig: Rig, match: Match, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second job skips the locked round, and nothing is refunded twice."""
    monkeypatch.setattr(handler, "CLOSED_INLINE_MAX", 0)
    await rich(rig, "ann", topup="5.00")
    await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2))
    await end(rig, match, EntryEnd.REFUNDED)

    async def job() -> object:
        async with rig.db.transaction() as tx:
            return await close_next(ports=rig.ports_of(tx), tools=rig.tools, now=rig.clock.now())

    answers = await asyncio.gather(*(job() for _ in range(4)))
    assert len([answer for answer in answers if answer]) == 1
    assert await wallet(rig, "ann") == (500, 0)


async def test_a_player_sees_their_own_entries(rig: Rig, match: Match) -> None:
    """A player sees no others' entries. Operators see all."""
    await rich(rig, "ann", topup="5.00")
    await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2))
    async with rig.client("ann") as ann, rig.client("bob") as bob, rig.client("olga", "operator") as olga:
        [mine] = (await ann.get("/api/wallet/entries")).json()["items"]
        assert (mine["from_topup"], mine["state"]) == ("5.00", "paid")
        assert (await bob.get("/api/wallet/entries")).json()["items"] == []
        assert (await bob.get("/api/wallet/entries", params={"player": "ann"})).status_code == 403
        assert (await olga.get("/api/wallet/entries", params={"player": "ann"})).json()["items"] == [mine]
        lineage = (await olga.get(f"/api/services/rewards/lineage/{match.correlation_id}")).json()["entries"]
    assert [entry["kind"] for entry in lineage] == ["entry", "entry_state", "transfer"]


async def test_entries_are_listed_newest_first(rig: Rig) -> None:
    """By the time of their first request, page by page. A repeated entry keeps its place."""
    await rich(rig, "ann", topup="5.00")
    campaign = await rig.campaign(funded=100_000)
    matches = [Match(campaign, [("bob", "1.00")]) for _ in range(5)]
    for match in matches:
        rig.clock.advance(timedelta(minutes=1))
        await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2))
    await rich(rig, "ann", topup="5.00")
    async with rig.client("ann") as ann:
        body = {"round_id": str(matches[1].round_id)}
        tried = (await ann.post("/api/wallet/entries", json=body, headers=key())).json()
        seen: list[dict[str, str]] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await ann.get("/api/wallet/entries", params={"limit": "2", **cursor})).json()
            seen += page["items"]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
    assert [one["round_id"] for one in seen] == [str(match.round_id) for match in reversed(matches)]
    assert [one["entered_at"] for one in seen] == sorted((one["entered_at"] for one in seen), reverse=True)
    assert tried in seen


@pytest.mark.parametrize(
    "change",
    [
        "amount = amount + 1",
        "player = 'eve'",
        "from_topup = 0, from_winnings = amount",
        "state = 'refused', from_topup = 0, from_winnings = 0",
        "version = 0",
    ],
)
async def test_an_entry_cannot_be_changed_by_sql(rig: Rig, match: Match, change: str) -> None:
    """The bucket that paid cannot be changed, and a paid entry cannot become unpaid."""
    await rich(rig, "ann", topup="5.00")
    await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2))
    state, _ = await refused(rig, lambda tx: tx.execute(text(f"UPDATE entries SET {change}")))
    assert state in {"23514", "42501"}
    assert (await refused_to_the_owner(rig, f"UPDATE entries SET {change}"))[0] == "23514"


@pytest.mark.parametrize(
    "table", ["entries", "entry_rounds", "topups", "topup_reversals", "funding_accounts"]
)
async def test_rows_cannot_be_deleted(rig: Rig, table: str) -> None:
    """A deleted row could be created again and move money twice."""
    state, _ = await refused(rig, lambda tx: tx.execute(text(f"DELETE FROM {table}")))
    assert state == "42501"


async def test_a_round_ends_once(rig: Rig, match: Match) -> None:
    """Its end and its fee cannot be changed afterwards, also not by SQL."""
    await rig.feed(rig.settlements, opened(match))
    await end(rig, match, EntryEnd.EARNED)
    for change in ("ended_as = 'refunded'", "ended_as = NULL", "fee = 1"):
        state, _ = await refused(
            rig, lambda tx, sql=change: tx.execute(text(f"UPDATE entry_rounds SET {sql}"))
        )
        assert state == "23514"
