"""Corrections, voids and entries over real PostgreSQL, as game servers send them."""

import asyncio
from datetime import timedelta
from typing import Any

from prizewire_contracts.canonical import canonical_hash
from prizewire_contracts.events.settlements import RoundCorrectedEvent, RoundEnteredEvent, RoundOpenedEvent
from prizewire_contracts.ids import entry_id
from prizewire_settlement.metrics import ROUNDS_CORRECTED, ROUNDS_VOIDED
from services.settlement.tests.service import (
    Opener,
    Service,
    competition_body,
    line_amounts,
    match_event,
    results,
    subject_of,
)

SLOW = {"competition": "slow"}
SWAPPED = {**SLOW, "results": results("bob", "ann", "cyd")}


async def kinds(service: Service) -> list[str]:
    return [event.type.split(".")[2] for event in await service.events()]


async def test_a_correction_is_published_with_full_lines_and_its_reason(service: Service) -> None:
    """round.corrected of version 2: net, fees and the end of the window as before, all lines, their digest."""
    await service.create(id="slow", dispute_window_s=3_600)
    before = ROUNDS_CORRECTED._value.get()
    await service.take(match_event("completed", data=SLOW))
    service.clock.advance(timedelta(minutes=5))
    await service.take(match_event("corrected", data=SWAPPED))
    first, event = await service.events()
    assert isinstance(event, RoundCorrectedEvent)
    assert (event.aggregateversion, event.correlationid, event.causationid is not None) == (
        2,
        "corr-m1",
        True,
    )
    data = event.data
    assert (data.settlement_version, data.reason, data.final) == (2, "a judge said so", False)
    same = ("rule_version", "campaign", "asset", "gross", "fees", "net", "unclaimed", "final_at")
    assert [getattr(data, name) for name in same] == [getattr(first.data, name) for name in same]
    assert [(line.line, line.player, line.place, line.amount) for line in data.lines] == [
        (1, "bob", 1, "42.50"),
        (2, "ann", 2, "25.50"),
        (3, "cyd", 3, "17.00"),
    ]
    rows = [[line.line, line.player, line.place, line.amount] for line in data.lines]
    assert data.digest == canonical_hash(rows).hex()
    body = await service.round()
    assert (body["state"], body["result_version"], body["settlement"]["reason"]) == (
        "SETTLED",
        2,
        "a judge said so",
    )
    assert line_amounts(body) == {"bob": "42.50", "ann": "25.50", "cyd": "17.00"}
    assert ROUNDS_CORRECTED._value.get() - before == 1
    assert await service.breaches() == {}


async def test_a_correction_that_comes_first_waits_and_is_released_by_itself(service: Service) -> None:
    """The result passes it, in the same batch as in a later one; then it and the next one are applied in order."""
    await service.create(id="slow", dispute_window_s=3_600)
    third = {**SLOW, "results": results("cyd", "bob", "ann"), "result_version": 3}
    await service.take(
        match_event("corrected", data=SWAPPED),
        match_event("corrected", data=third),
        match_event("opened", data=SLOW),
    )
    assert await service.stuck_events.release() is False
    await service.take(match_event("completed", data=SLOW))
    assert await kinds(service) == ["opened", "settled"]
    assert await service.stuck_events.release() is True
    assert await kinds(service) == ["opened", "settled", "corrected", "corrected"]
    assert {state for state, _ in await service.stuck()} == {"replayed"}
    body = await service.round()
    assert (body["result_version"], body["settlement_version"]) == (3, 3)
    assert line_amounts(body)["cyd"] == "42.50"
    assert await service.breaches() == {}


async def test_what_corrections_lowered_is_summed_up(service: Service) -> None:
    """Of each player and each version, also of a player who lost the prize and got it back."""
    await service.create(id="slow", dispute_window_s=3_600)
    await service.take(match_event("completed", data=SLOW))
    lowered = []
    for version, places in enumerate(
        (("ann", "bob", "cyd"), ("bob", "ann", "cyd"), ("dan", "bob", "cyd"), ("ann", "bob", "cyd")), 1
    ):
        if version > 1:
            data = {**SLOW, "results": results(*places), "result_version": version}
            await service.take(match_event("corrected", data=data))
        answer = await service.client.get(
            "/api/rounds/settled", params={"ids": str(subject_of("m1"))}, headers=service.as_("operator")
        )
        [settled] = answer.json()["items"]
        assert settled["settlement_version"] == version
        lowered.append(settled["lowered"])
    assert await service.stuck() == []
    assert lowered == ["0.00", "17.00", "59.50", "102.00"]


async def test_a_correction_waits_for_the_last_part_of_its_result(service: Service) -> None:
    """Parts pass it one by one; only the whole result makes it ready."""
    await service.create(id="slow", dispute_window_s=3_600)
    await service.take(match_event("corrected", data=SWAPPED))
    halves = [
        {**SLOW, "part": number, "parts": 2, "results": rows}
        for number, rows in enumerate((results("ann", "bob", "cyd")[:2], results("ann", "bob", "cyd")[2:]), 1)
    ]
    await service.take(match_event("completed", data=halves[0]))
    assert await service.stuck_events.release() is False
    assert await service.stuck() == [("parked", "result_missing")]
    await service.take(match_event("completed", data=halves[1]))
    assert await service.stuck_events.release() is True
    assert await kinds(service) == ["settled", "corrected"]


async def test_a_correction_that_raced_its_result_is_found(open_service: Opener) -> None:
    """Two processes take both at once, so that neither sees the other: the correction is released in either order."""
    services: list[Service] = [await open_service() for _ in range(2)]
    await services[0].create(id="slow", dispute_window_s=3_600)
    names = [f"m{n}" for n in range(20)]
    await asyncio.gather(
        services[0].take(*(match_event("corrected", name, data=SWAPPED) for name in names)),
        services[1].take(*(match_event("completed", name, data=SLOW) for name in names)),
    )
    while await services[0].stuck_events.release():
        continue
    rows = await services[0].rows("SELECT DISTINCT result_version FROM rounds")
    assert [row.result_version for row in rows] == [2]
    assert {state for state, _ in await services[0].stuck()} <= {"replayed"}
    assert await services[0].breaches() == {}


async def test_a_void_passes_a_correction_that_waits(service: Service) -> None:
    """The void is applied, and the parked correction becomes dead."""
    await service.take(match_event("corrected"), match_event("voided"))
    assert (await service.round())["state"] == "VOIDED"
    assert await service.stuck_events.release() is False
    assert await service.stuck() == [("dead", "illegal_transition")]


async def test_a_waiting_correction_is_judged_by_when_it_came(service: Service) -> None:
    """Released after the window's end it is applied; one that comes then is dead."""
    await service.create(id="slow", dispute_window_s=60)
    await service.take(match_event("corrected", data=SWAPPED))
    await service.take(match_event("completed", data=SLOW))
    service.clock.advance(timedelta(minutes=2))
    assert await service.finalize() is False
    late = match_event("corrected", data={**SWAPPED, "result_version": 3})
    assert await service.stuck_events.release() is True
    await service.take(late)
    assert await service.stuck() == [("replayed", "result_missing"), ("dead", "dispute_window_passed")]
    assert (await service.round())["settlement_version"] == 2


async def test_only_what_disputes_a_round_holds_its_end(service: Service) -> None:
    """A correction of which a part is missing does. A parked correction of another match does not, nor of a match of
    another source with the same id, nor a dead event.
    """
    other_source = "/games/go"
    sources = [*competition_body()["sources"], {"source": other_source}]
    await service.create(id="slow", dispute_window_s=60, sources=sources)
    part = {**SWAPPED, "part": 1, "parts": 2, "results": results("bob")}
    await service.take(
        match_event("completed", "disputed", data=SLOW),
        match_event("corrected", "disputed", data=part),
        match_event("corrected", "m2", data=SLOW),
        match_event("corrected", "m1", source=other_source, key=None, data=SLOW),
        match_event("completed", "m1", data=SLOW),
        match_event("completed", "m1", data={**SLOW, "results": results("eve")}),
    )
    assert await service.stuck() == [
        ("parked", "result_missing"),
        ("parked", "result_missing"),
        ("dead", "result_conflict"),
    ]
    service.clock.advance(timedelta(minutes=2))
    await service.finalize()
    rows = await service.rows("SELECT match_id, state FROM rounds ORDER BY match_id")
    assert [tuple(row) for row in rows] == [("disputed", "SETTLED"), ("m1", "FINALIZED")]


async def test_a_void_is_published_with_its_reason(service: Service) -> None:
    """round.voided after the settlement, and alone for an unknown match, whose result is dead then."""
    await service.create(id="slow", dispute_window_s=3_600)
    before = ROUNDS_VOIDED._value.get()
    await service.take(
        match_event("completed", data=SLOW), match_event("voided", data=SLOW), match_event("voided", "m2")
    )
    events = await service.events()
    assert [(event.type.split(".")[2], event.aggregateversion) for event in events] == [
        ("settled", 1),
        ("voided", 2),
        ("voided", 1),
    ]
    assert {event.data.reason for event in events[1:]} == {"a judge said so"}
    await service.take(match_event("completed", "m2"))
    assert await service.stuck() == [("dead", "illegal_transition")]
    service.clock.advance(timedelta(hours=2))
    assert await service.finalize() is False
    body = await service.round()
    assert body["transitions"][-1]["reason"] == "a judge said so"
    assert ROUNDS_VOIDED._value.get() - before == 2
    assert await service.breaches() == {}


async def test_entries_are_stored_and_published(service: Service) -> None:
    """round.opened with the fee, round.entered for each player once; the rule shows its fee."""
    made = await service.create(id="paid", entry_fee={"amount": "2.50", "asset": "USDC"})
    assert made["entry_fee"] == {"amount": "2.50", "asset": "USDC"}
    data = {"competition": "paid", "player": "ann"}
    await service.take(match_event("entered", data=data), match_event("entered", data=data))
    await service.take(match_event("entered", data={**data, "player": "bob"}))
    opened, first, second = await service.events()
    assert isinstance(opened, RoundOpenedEvent)
    assert (opened.data.entry_fee.amount, opened.data.entry_fee.asset) == ("2.50", "USDC")
    for event, player in ((first, "ann"), (second, "bob")):
        assert isinstance(event, RoundEnteredEvent)
        assert event.data.entry_id == entry_id(round_id=subject_of("m1"), player=player)
        assert (event.data.player, event.data.fee.amount, event.data.fee.asset) == (player, "2.50", "USDC")
    assert [event.aggregateversion for event in (opened, first, second)] == [1, 2, 3]
    assert await service.count("entries") == 2
    assert await service.breaches() == {}


async def test_an_invented_entry_suppresses_the_entry_of_its_player_alone(service: Service) -> None:
    """The genuine event is taken for a repetition. The check reports an invented entry that does not cost what the rule asks
    for, and no other one.
    """
    await service.create(id="paid", entry_fee={"amount": "2.50", "asset": "USDC"})
    await service.take(match_event("opened", data={"competition": "paid"}))
    for player, amount in (("ann", 250), ("bob", 1)):
        await invent_entry(service, player, amount)
    for player in ("ann", "bob", "cyd"):
        await service.take(match_event("entered", data={"competition": "paid", "player": player}))
    events = await service.events()
    assert [one.data.player for one in events if isinstance(one, RoundEnteredEvent)] == ["cyd"]
    [wrong] = (await service.breaches())["settlement.entries_follow_the_rule"]
    assert "costs 0.01 USDC, rule 1 asks for 2.50 USDC" in wrong


async def test_an_invented_entry_of_a_round_to_come_is_noticed(service: Service) -> None:
    """The check reports it, and the first genuine event of the match is parked if it is the same entry."""
    await service.create(id="paid", entry_fee={"amount": "2.50", "asset": "USDC"})
    await invent_entry(service, "ann", 250)
    assert list(await service.breaches()) == ["settlement.entries_follow_the_rule"]
    await service.take(match_event("entered", data={"competition": "paid", "player": "ann"}))
    assert await service.stuck() == [("parked", "handler_error")]


async def invent_entry(service: Service, player: str, amount: int) -> None:
    """Insert an entry with the database login of the service."""
    async with service.db.transaction() as tx:
        await tx.exec_driver_sql(
            "INSERT INTO entries (id, round_id, player, asset, amount, event_id, entered_at) VALUES "
            f"(gen_random_uuid(), '{subject_of('m1')}', '{player}', 'USDC', {amount}, 'invented', now())"
        )


async def test_corrections_in_the_lineage(service: Service) -> None:
    """Both results, every step with its reason, both settlements."""
    await service.create(id="slow", dispute_window_s=3_600)
    await service.take(match_event("completed", data=SLOW), match_event("corrected", data=SWAPPED))
    route = "/api/services/settlement/lineage/corr-m1"
    entries: list[dict[str, Any]] = (await service.client.get(route, headers=service.as_("operator"))).json()[
        "entries"
    ]
    assert [entry["kind"] for entry in entries].count("match.result") == 2
    assert [entry["detail"]["reason"] for entry in entries if entry["kind"] == "match.result"] == [
        None,
        "a judge said so",
    ]
    assert [entry["summary"] for entry in entries if entry["kind"] == "round.resolved"] == [
        "CLOSED → RESOLVED: every part of the result is here",
        "SETTLED → RESOLVED: a judge said so",
    ]
    assert [entry["id"] for entry in entries if entry["kind"] == "settlement"] == [
        f"{subject_of('m1')}/1",
        f"{subject_of('m1')}/2",
    ]
    summaries = [entry["summary"] for entry in entries if entry["kind"] == "settlement"]
    assert [summary.split(":")[0] for summary in summaries] == ["settlement 1", "settlement 2 (corrected)"]


async def test_an_event_replayed_for_another_match_is_refused(service: Service) -> None:
    """The signature covers the match: neither subject nor data can name another match, and both must agree."""
    original = match_event("completed", "m1")
    for old, new in (
        ((b'"m1"', b'"m2"'),) * 2,
        ((b'"subject":"m1"', b'"subject":"m2"'),) * 2,
        ((b'"match_id":"m1"', b'"match_id":"m2"'),) * 2,
    ):
        await service.take(original.replace(*old).replace(*new))
    reasons = [reason for _, reason in await service.stuck()]
    assert reasons == ["signature_invalid", "schema_invalid", "schema_invalid"]
    assert await service.events() == []
