"""Large rounds: up to 100,000 paid places in parts, in bounded memory; parts that never come."""

import resource
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.event import listen, remove
from structlog.testing import capture_logs

from prizewire_chassis.testing import watch_statements
from prizewire_contracts.canonical import canonical_hash
from prizewire_contracts.decode import MESSAGE_BYTES_MAX
from prizewire_settlement.metrics import RESULTS_INCOMPLETE, RESULTS_INCOMPLETE_AGE
from services.settlement.tests.service import Opener, Service, match_event, results

PLACES = (6_000, pytest.param(100_000, marks=pytest.mark.large))
PART = 2_000
GROWTH_MB_MAX = 600
"""The bound of memory in bytes for 100,000 results, lines and their messages, held several times."""


def half(number: int, *players: str, **more: Any) -> dict[str, Any]:
    return {"results": results(*players), "part": number, "parts": 2, **more}


@pytest.mark.parametrize("places", PLACES)
async def test_a_large_round_settles_and_is_corrected(open_service: Opener, places: int) -> None:
    """Parts of 2,000 in, of 1,000 out, twice; the digest covers all lines; memory stays within bounds."""
    service: Service = await open_service()
    table = [{"places": f"1-{places}", "percent_total": "100"}]
    await service.create(
        id="mass",
        template={"table": table},
        gross_prize=f"{10 * places}.00",
        dispute_window_s=3_600,
        platform_fee_bps=0,
        organizer_fee_bps=0,
    )
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    players = [{"player": f"player-{n:06}", "place": n} for n in range(1, places + 1)]
    swapped = [{"player": f"player-{n:06}", "place": places + 1 - n} for n in range(1, places + 1)]
    for kind, rows in (("completed", players), ("corrected", swapped)):
        for number in range(places // PART):
            data = {
                "competition": "mass",
                "results": rows[number * PART : (number + 1) * PART],
                "part": number + 1,
                "parts": places // PART,
            }
            await service.take(match_event(kind, data=data))
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    assert grown_mb < GROWTH_MB_MAX
    events = await service.events()
    assert [event.aggregateversion for event in events] == list(range(1, 4 * places // PART + 1))
    first, second = events[: len(events) // 2], events[len(events) // 2 :]
    for version, settlement in ((1, first), (2, second)):
        lines = [
            [line.line, line.player, line.place, line.amount]
            for event in settlement
            for line in event.data.lines
        ]
        assert [line[0] for line in lines] == list(range(1, places + 1))
        assert {event.data.digest for event in settlement} == {canonical_hash(lines).hex()}
        assert {event.data.settlement_version for event in settlement} == {version}
        assert {line[3] for line in lines} == {"10.00"}
    assert (second[0].data.lines[0].player, second[0].data.reason) == (
        f"player-{places:06}",
        "a judge said so",
    )
    sizes = await service.rows("SELECT max(length(value)) AS bytes FROM outbox")
    assert sizes[0].bytes < MESSAGE_BYTES_MAX
    assert await service.stuck() == []
    read: list[tuple[str, int]] = []

    def note(_1: Any, cursor: Any, statement: str, *_: Any) -> None:
        read.append((statement, cursor.rowcount))

    engine = service.db.engine.sync_engine
    listen(engine, "after_cursor_execute", note)
    shown = await service.round()
    remove(engine, "after_cursor_execute", note)
    assert (len(shown["lines"]), shown["settlement"]["lines_total"]) == (1_000, places)
    assert not any("round_results" in statement for statement, _ in read)
    assert sum(rows for _, rows in read) < 1_100
    assert await service.breaches() == {}


async def test_a_result_is_read_again_only_when_it_is_whole(service: Service) -> None:
    """While parts are missing, earlier parts are not read: each part costs the same, however many there are."""
    read: list[str] = []
    with watch_statements(service.db, read.append):
        for number in range(1, 5):
            data = {"results": results(f"p{number}"), "part": number, "parts": 5}
            await service.take(match_event("completed", data=data))
        assert not any("SELECT part, document" in statement for statement in read)
        last = {"results": [{"player": "p5", "place": 2}], "part": 5, "parts": 5}
        await service.take(match_event("completed", data=last))
    assert sum("SELECT part, document" in statement for statement in read) == 1
    assert len(await service.events()) == 1


async def test_a_missing_part_is_reported(service: Service) -> None:
    """After the time of the setting there are a gauge with its age, one warning, a breached check and a listing, until the
    part arrives.
    """
    await service.create(id="slow", dispute_window_s=3_600)
    slow = {"competition": "slow"}
    await service.take(
        match_event("completed", data=half(1, "ann")),
        match_event("completed", "m2", data=slow),
        match_event("completed", "m3"),
    )
    service.clock.advance(timedelta(seconds=10))
    await service.take(match_event("corrected", "m2", data={**half(2, "bob"), **slow}))
    service.clock.advance(timedelta(seconds=289))
    with capture_logs() as logs:
        await service.job("results.incomplete")
        assert (RESULTS_INCOMPLETE._value.get(), RESULTS_INCOMPLETE_AGE._value.get()) == (0, 0)
        assert await service.breaches() == {}
        service.clock.advance(timedelta(seconds=1))
        for _ in range(2):
            await service.job("results.incomplete")
        assert (RESULTS_INCOMPLETE._value.get(), RESULTS_INCOMPLETE_AGE._value.get()) == (1, 300)
        service.clock.advance(timedelta(seconds=10))
        await service.job("results.incomplete")
        assert (RESULTS_INCOMPLETE._value.get(), RESULTS_INCOMPLETE_AGE._value.get()) == (2, 310)
    warned = [entry for entry in logs if entry["log_level"] == "warning"]
    assert [
        (entry["match_id"], entry["result_version"], entry["here"], entry["parts"]) for entry in warned
    ] == [
        ("m1", 1, 1, 2),
        ("m2", 2, 1, 2),
    ]
    assert len((await service.breaches())["settlement.results_are_whole"]) == 2
    headers = service.as_("operator")
    listed = (await service.client.get("/api/rounds?incomplete=true", headers=headers)).json()["items"]
    assert {one["match_id"] for one in listed} == {"m1", "m2"}
    assert (await service.round("m1"))["waiting"] == {"result_version": 1, "parts": 2, "missing": [2]}
    assert (await service.round("m2"))["waiting"] == {"result_version": 2, "parts": 2, "missing": [1]}
    assert (await service.round("m3"))["waiting"] is None
    bob = {"results": [{"player": "bob", "place": 2}], "part": 2, "parts": 2}
    await service.take(match_event("completed", data=bob))
    await service.take(match_event("voided", "m2", data=slow))
    await service.job("results.incomplete")
    assert (RESULTS_INCOMPLETE._value.get(), RESULTS_INCOMPLETE_AGE._value.get()) == (0, 0)
    assert await service.breaches() == {}


async def test_rounds_that_wait_are_paged_like_others(service: Service) -> None:
    """The filter `incomplete` works with the other filters and with the cursor."""
    for number in range(3):
        await service.take(match_event("completed", f"m{number}", data=half(1, "ann")))
        service.clock.advance(timedelta(seconds=1))
    await service.take(match_event("opened", "m9"))
    headers = service.as_("operator")
    query = {"incomplete": "true", "limit": "2", "competition": "cup"}
    first = (await service.client.get("/api/rounds", params=query, headers=headers)).json()
    query["cursor"] = first["next_cursor"]
    second = (await service.client.get("/api/rounds", params=query, headers=headers)).json()
    found = [one["match_id"] for one in first["items"] + second["items"]]
    assert found == ["m2", "m1", "m0"]
