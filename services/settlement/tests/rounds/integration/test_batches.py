"""Match events over real PostgreSQL: settled once, refused with a reason, other events unaffected."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from prizewire_chassis.testing import event_bytes, watch_statements
from prizewire_contracts.events.settlements import RoundSettledEvent
from prizewire_contracts.ids import match_correlation_id
from prizewire_contracts.topics import MATCHES
from prizewire_settlement.metrics import LINES, REFUSED, ROUNDS_SETTLED
from services.settlement.tests.fakes import KEY, NOW, OTHER_KEY, SOURCE
from services.settlement.tests.service import (
    Opener,
    Service,
    competition_body,
    line_amounts,
    match_event,
    results,
    subject_of,
)


async def test_a_match_is_settled_with_the_default_fees(service: Service) -> None:
    """Opened, closed, completed: stored steps, three signed events without a gap, 15 percent fees, exact lines."""
    await service.take(match_event("opened"), match_event("closed"), match_event("completed"))
    events = await service.events()
    assert [event.type.split(".")[2] for event in events] == ["opened", "closed", "settled"]
    assert [event.aggregateversion for event in events] == [1, 2, 3]
    assert {(event.subject, event.correlationid) for event in events} == {(str(subject_of("m1")), "corr-m1")}
    settled = events[2].data
    assert (settled.gross, settled.net, settled.unclaimed) == ("100.00", "85.00", "0.00")
    assert (settled.fees.platform, settled.fees.organizer) == ("10.00", "5.00")
    assert [(line.player, line.amount) for line in settled.lines] == [
        ("ann", "42.50"),
        ("bob", "25.50"),
        ("cyd", "17.00"),
    ]
    assert (settled.final, settled.final_at, settled.part, settled.parts) == (True, NOW, 1, 1)
    body = await service.round()
    assert body["state"] == "FINALIZED"
    assert [step["to_state"] for step in body["transitions"]] == [
        "OPEN",
        "CLOSED",
        "RESOLVED",
        "SETTLED",
        "FINALIZED",
    ]
    assert line_amounts(body) == {"ann": "42.50", "bob": "25.50", "cyd": "17.00"}
    assert await service.breaches() == {}


async def test_fifty_concurrent_copies_of_one_result_have_one_effect(open_service: Opener) -> None:
    """Half of them the same event, half other events with the same result, over five processes at once."""
    services = [await open_service() for _ in range(5)]
    await services[0].create()
    same = match_event("completed", id="same")
    copies = [same if n % 2 else match_event("completed", id=f"copy-{n}") for n in range(50)]
    await asyncio.gather(*(services[n % 5].take(copies[n]) for n in range(50)))
    first: Service = services[0]
    assert len(await first.events()) == 1
    assert await first.count("settlements") == 1
    assert await first.count("settlement_lines") == 3
    assert await first.stuck() == []
    assert await first.breaches() == {}


async def test_concurrent_batches_of_new_matches_are_all_settled(open_service: Opener) -> None:
    """Two processes get overlapping batches in opposite orders: no deadlock, no loss, nothing twice."""
    services: list[Service] = [await open_service() for _ in range(2)]
    await services[0].create()
    names = [f"m{n}" for n in range(40)]
    batches = [
        [match_event("completed", name, id=f"{name}-{side}") for name in order]
        for side, order in enumerate((names, names[::-1]))
    ]
    await asyncio.gather(*(one.take(*batch) for one, batch in zip(services, batches, strict=True)))
    assert len(await services[0].events()) == 40
    assert await services[0].stuck() == []
    assert await services[0].breaches() == {}


async def test_the_same_id_with_another_body_is_a_conflict(service: Service) -> None:
    """The conflict is dead, parks nothing, and the first result stays."""
    other = {"results": results("cyd", "bob", "ann")}
    await service.take(match_event("completed", id="x"), match_event("completed", "m2", id="y"))
    await service.take(match_event("completed", id="x"), match_event("completed", id="x", data=other))
    assert await service.stuck() == [("dead", "id_conflict")]
    assert line_amounts(await service.round())["ann"] == "42.50"
    assert len(await service.events()) == 2


def tampered() -> bytes:
    """A signed result whose winner was changed afterwards."""
    return match_event("completed", id="t").replace(b'"player":"ann"', b'"player":"eve"')


def raw(**changes: Any) -> bytes:
    return event_bytes(
        topic=MATCHES.name,
        source=SOURCE,
        subject="m1",
        **{"kind": "prizewire.match.completed.v1", "data": {}, "key": KEY, **changes},
    )


BAD: dict[str, tuple[bytes, tuple[str, str]]] = {
    "not JSON": (b"{", ("dead", "not_json")),
    "not a CloudEvent": (b'{"player": "ann"}', ("dead", "not_cloudevent")),
    "unknown type": (raw(kind="prizewire.match.celebrated.v1"), ("dead", "unknown_type")),
    "unknown version": (raw(kind="prizewire.match.completed.v9"), ("dead", "unsupported_version")),
    "float": (
        match_event("completed").replace(b'"place":1', b'"place":1.5'),
        ("dead", "float_refused"),
    ),
    "too large": (
        match_event("completed").replace(b'"place":1', b'"place":1' + b"0" * 30),
        ("dead", "number_out_of_range"),
    ),
    "no result": (match_event("completed", data={"results": []}), ("dead", "schema_invalid")),
    "unknown competition": (
        match_event("completed", data={"competition": "unheard"}),
        ("dead", "competition_unknown"),
    ),
    "unlisted source": (match_event("completed", source="/games/forged"), ("dead", "source_not_allowed")),
    "unsigned": (match_event("completed", key=None), ("dead", "signature_missing")),
    "key not listed": (match_event("completed", key=OTHER_KEY), ("dead", "key_not_trusted")),
    "expired key": (match_event("completed", time="2027-06-01T00:00:00Z"), ("dead", "key_not_trusted")),
    "tampered": (tampered(), ("dead", "signature_invalid")),
    "tie": (
        match_event("completed", data={"competition": "strict", "results": [
            {"player": "ann", "place": 1}, {"player": "bob", "place": 1}]}),
        ("dead", "tie_refused"),
    ),
    "player twice": (
        match_event("completed", data={"results": results("ann", "ann")}),
        ("dead", "duplicate_player"),
    ),
    "score missing": (
        match_event("completed", data={"competition": "scored"}),
        ("dead", "score_missing"),
    ),
    "correlation id": (
        match_event("completed", "known", correlationid="another"),
        ("dead", "correlation_mismatch"),
    ),
    "other result": (
        match_event("completed", "known", data={"results": results("cyd")}),
        ("dead", "result_conflict"),
    ),
    "corrected too early": (match_event("corrected"), ("parked", "result_missing")),
    "corrected too late": (match_event("corrected", "known"), ("dead", "dispute_window_passed")),
    "voided too late": (match_event("voided", "known"), ("dead", "illegal_transition")),
    "entered without a fee": (match_event("entered", data={"player": "ann"}), ("dead", "entry_not_offered")),
}  # fmt: skip


@pytest.mark.parametrize("name", list(BAD))
async def test_bad_input_ends_with_its_reason_and_harms_no_neighbour(service: Service, name: str) -> None:
    """Each kind of bad message becomes a stuck event with its stable reason; the messages around it are settled."""
    bad, expected = BAD[name]
    await service.create(id="strict", ties={"policy": "refuse"})
    await service.create(id="scored", rank_by={"by": "score", "score": "points"})
    await service.take(match_event("completed", "known"))
    await service.take(match_event("completed", "before"), bad, match_event("completed", "after"))
    assert await service.stuck() == [expected]
    assert [row.match_id for row in await service.rows("SELECT match_id FROM rounds ORDER BY match_id")] == [
        "after",
        "before",
        "known",
    ]
    assert len(await service.events()) == 3
    assert await service.breaches() == {}


async def test_a_dead_event_can_be_replayed_once_its_cause_is_gone(service: Service) -> None:
    """A result for a competition that is made later settles on replay; a second replay is refused."""
    await service.take(match_event("completed", data={"competition": "late"}))
    await service.create(id="late")
    route = "/api/services/settlement/stuck-events"
    listed = (await service.client.get(route, headers=service.as_("operator"))).json()["items"]
    assert [(item["reason"], item["correlation_id"]) for item in listed] == [
        ("competition_unknown", "corr-m1")
    ]
    replay = f"{route}/{listed[0]['id']}/replay"
    answer = await service.client.post(replay, headers=service.as_("operator"))
    assert answer.json()["state"] == "replayed"
    assert len(await service.events()) == 1
    again = await service.client.post(replay, headers=service.as_("operator"))
    assert again.status_code == 409


async def test_a_parked_correction_holds_the_next_one_and_no_other_match(service: Service) -> None:
    """Further corrections wait behind it; a replay without the result has the same reason; other matches go on."""
    await service.take(
        match_event("corrected"),
        match_event("corrected", data={"result_version": 3}),
        match_event("completed", "m2"),
    )
    assert await service.stuck() == [("parked", "result_missing"), ("parked", "subject_parked")]
    assert [event.data.match_id for event in await service.events()] == ["m2"]
    rows = await service.rows("SELECT id FROM stuck_events ORDER BY id")
    answer = await service.stuck_events.replay(rows[0].id, actor="otto")
    assert (answer.state, answer.reason) == ("parked", "result_missing")
    assert await service.stuck_events.release() is False


FORGED = {
    "unlisted source": {"source": "/games/forged"},
    "unlisted key": {"key": OTHER_KEY},
    "unsigned": {"key": None},
    "unknown competition": {"data": {"competition": "unheard"}},
}


@pytest.mark.parametrize("name", list(FORGED))
async def test_a_forgery_behind_a_parked_correction_is_dead_and_leaves_the_id_free(
    service: Service, name: str
) -> None:
    """A forged event is never parked; the authentic event of the same id is parked behind the correction."""
    forged = match_event("corrected", id="r", **FORGED[name])
    await service.take(match_event("corrected"))
    await service.take(forged, match_event("corrected", id="r"))
    states = [state for state, _ in await service.stuck()]
    assert states == ["parked", "dead", "parked"]
    rows = await service.rows("SELECT event_id, source FROM inbox ORDER BY received_at, event_id")
    assert (len(rows), {row.source for row in rows}) == (2, {SOURCE})


async def test_refusals_and_settlements_are_counted_once_they_are_committed(service: Service) -> None:
    """A batch that is lost in its commit, four times, counts its rounds, lines and refusals once."""

    def counted() -> tuple[float, ...]:
        return (
            ROUNDS_SETTLED._value.get(),
            LINES._value.get(),
            REFUSED.labels("source_not_allowed")._value.get(),
            REFUSED.labels("tie_refused")._value.get(),
        )

    await service.create(id="strict", ties={"policy": "refuse"})
    owner = await asyncpg.connect(service.urls.migration)
    await owner.execute(KILL_AT_COMMIT)
    await owner.close()
    before = counted()
    tied = [{"player": "ann", "place": 1}, {"player": "bob", "place": 1}]
    await service.take(
        match_event("completed"),
        match_event("completed", "m2", source="/games/forged"),
        match_event("completed", "m3", data={"competition": "strict", "results": tied}),
    )
    assert (await service.rows("SELECT last_value FROM kills"))[0].last_value == 5
    assert [after - was for after, was in zip(counted(), before, strict=True)] == [1, 3, 1, 1]


async def test_a_refused_match_is_found_under_the_correlation_id_it_would_have_had(service: Service) -> None:
    """Without a correlation id one is derived; dead and parked events are listed under it."""
    await service.take(
        match_event("completed", correlationid=None, source="/games/forged"),
        match_event("corrected", "m2", correlationid=None),
        match_event("completed", "m3", correlationid=None, data={"results": []}),
    )
    found = await service.stuck_events.page(after=0, limit=9)
    assert [(row["reason"], row["correlation_id"]) for row in found] == [
        ("source_not_allowed", str(match_correlation_id(source="/games/forged", match_id="m1"))),
        ("result_missing", str(match_correlation_id(source=SOURCE, match_id="m2"))),
        ("schema_invalid", str(match_correlation_id(source=SOURCE, match_id="m3"))),
    ]


async def test_finality_comes_with_time_and_a_dispute_holds_it(service: Service) -> None:
    """round.finalized once the window has passed; a correction that waits, whole and parked or for a part of it, keeps the
    round settled.
    """
    await service.create(id="slow", dispute_window_s=3_600)
    slow = {"competition": "slow"}
    await service.take(
        match_event("completed", data=slow),
        match_event("completed", "m2", data=slow),
        match_event("corrected", "m3", data=slow),
        match_event("completed", "m3", data=slow),
    )
    settled = [event for event in await service.events() if isinstance(event, RoundSettledEvent)]
    assert {(event.data.final, event.data.final_at) for event in settled} == {
        (False, NOW + timedelta(hours=1))
    }
    await service.take(match_event("corrected", "m2", data={**slow, "part": 1, "parts": 2}))
    service.clock.advance(timedelta(minutes=59))
    assert await service.finalize() is False
    service.clock.advance(timedelta(minutes=1))
    assert await service.finalize() is True
    assert await service.finalize() is False
    finalized = (await service.events())[-1]
    assert (finalized.type, finalized.aggregateversion) == ("prizewire.round.finalized.v1", 2)
    assert finalized.data.settlement_version == 1
    states = [(await service.round(match))["state"] for match in ("m1", "m2", "m3")]
    assert states == ["FINALIZED", "SETTLED", "SETTLED"]
    assert await service.stuck_events.release() is True
    assert await service.finalize() is True
    states = [(await service.round(match))["state"] for match in ("m1", "m2", "m3")]
    assert states == ["FINALIZED", "SETTLED", "FINALIZED"]
    assert set(await service.breaches()) == {"settlement.results_are_whole"}


async def test_two_processes_finalize_a_round_once(open_service: Opener) -> None:
    """Jobs of two processes at the same moment skip each other's locks."""
    services: list[Service] = [await open_service(now=NOW) for _ in range(2)]
    await services[0].create(dispute_window_s=1)
    await services[0].take(*(match_event("completed", f"m{n}") for n in range(30)))
    for one in services:
        one.clock.advance(timedelta(seconds=1))
    while any(await asyncio.gather(*(one.finalize() for one in services))):
        continue
    kinds = [event.type for event in await services[0].events()]
    assert kinds.count("prizewire.round.finalized.v1") == 30
    assert await services[0].breaches() == {}


async def test_the_query_of_operators_has_the_wait_for_parts(service: Service) -> None:
    """The query of docs/operations.md counts results of several parts alone, and has the time between two transactions."""
    page = (Path(__file__).parents[5] / "docs" / "operations.md").read_text()
    [query] = [one for one in re.findall(r"```sql\n(.*?)```", page, re.DOTALL) if "first_part" in one]
    await service.create(id="large", template={"table": [{"places": "1-2", "percent_total": "100"}]})
    for number, rows in enumerate((results("ann"), results("ann", "bob")[1:]), start=1):
        await service.take(
            match_event(
                "completed", data={"competition": "large", "results": rows, "part": number, "parts": 2}
            )
        )
        service.clock.advance(timedelta(minutes=7))
    # The clock of the test is not that of the database.
    [row] = await service.rows(query.replace("now() - interval '1 day'", "'2000-01-02'"))
    assert (row.rounds, row.average, row.longest) == (1, timedelta(minutes=7), timedelta(minutes=7))


async def test_a_large_result_in_parts_settles_in_parts(service: Service) -> None:
    """2,500 paid places from two parts: three events whose digest is that of all lines."""
    await service.create(
        id="large", template={"table": [{"places": "1-2500", "percent_total": "100"}]}, gross_prize="25000.00"
    )
    players = results(*(f"p{n:04}" for n in range(2_500)))
    cut = [players[:1_500], players[1_500:]]
    parts = [
        match_event("completed", data={"competition": "large", "results": rows, "part": n, "parts": 2})
        for n, rows in enumerate(cut, start=1)
    ]
    await service.take(parts[0])
    assert await service.events() == []
    assert (await service.round())["state"] == "CLOSED"
    await service.take(parts[1])
    events = await service.events()
    assert [(event.aggregateversion, event.data.part, len(event.data.lines)) for event in events] == [
        (1, 1, 1_000),
        (2, 2, 1_000),
        (3, 3, 500),
    ]
    assert {(event.data.parts, event.data.lines_total, event.data.net) for event in events} == {
        (3, 2_500, "21250.00")
    }
    assert len({event.data.digest for event in events}) == 1
    assert {line.amount for event in events for line in event.data.lines} == {"8.50"}
    shown = await service.round()
    assert (len(shown["lines"]), shown["settlement"]["lines_total"]) == (1_000, 2_500)
    assert await service.breaches() == {}


async def test_a_refused_whole_can_be_sent_again(service: Service) -> None:
    """The last part names a player twice: it is dead, the part that waited is replaced, the match settles."""

    def part(number: int, *players: str) -> bytes:
        rows = results(*players)
        return match_event("completed", data={"results": rows, "part": number, "parts": 2})

    await service.take(part(1, "ann"))
    await service.take(part(2, "ann"))
    assert await service.stuck() == [("dead", "duplicate_player")]
    await service.take(part(1, "bob"), part(2, "ann"))
    assert line_amounts(await service.round()) == {"ann": "34.00", "bob": "34.00"}
    assert await service.breaches() == {}


async def test_a_batch_costs_a_fixed_number_of_statements(service: Service) -> None:
    """Three matches and three hundred take the same number of round trips."""
    counted: list[str] = []
    numbers = []
    for size in (3, 300):
        counted.clear()
        with watch_statements(service.db, counted.append):
            await service.take(*(match_event("completed", f"{size}-{n}") for n in range(size)))
        numbers.append(len(counted))
    assert numbers == [5, 5], counted
    assert len(await service.events()) == 303


KILL_AT_COMMIT = """
CREATE SEQUENCE kills;
GRANT USAGE ON SEQUENCE kills TO PUBLIC;
CREATE FUNCTION kill_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('kills') <= 4 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER kill_at_commit AFTER INSERT ON settlements
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION kill_at_commit();
"""


async def test_a_connection_lost_during_commit_is_retried_and_settles_once(service: Service) -> None:
    """The server ends the connection inside COMMIT, four times: the batch is processed again, with one effect."""
    owner = await asyncpg.connect(service.urls.migration)
    await owner.execute(KILL_AT_COMMIT)
    await owner.close()
    await service.take(match_event("completed"), match_event("opened", "m2"))
    assert (await service.rows("SELECT last_value FROM kills"))[0].last_value == 5
    assert len(await service.events()) == 2
    assert await service.stuck() == []
    assert line_amounts(await service.round())["ann"] == "42.50"
    assert await service.breaches() == {}


async def test_a_batch_whose_commit_has_no_answer_is_not_applied_twice(service: Service) -> None:
    """The transaction commits, the answer is lost: the batch is processed again and finds its own effect."""
    batch = service.records(match_event("completed"), match_event("opened", "m2"))
    for _ in range(3):
        await service.runtime.processor.process(service.built.specs[0], batch)
    assert len(await service.events()) == 2
    assert await service.count("settlements") == 1
    assert await service.stuck() == []


async def test_a_competition_may_pin_no_keys(service: Service) -> None:
    """Where a source lists no keys, its unsigned results are settled."""
    await service.create(id="open", sources=[{"source": SOURCE}])
    await service.take(match_event("completed", key=None, data={"competition": "open"}))
    assert len(await service.events()) == 1


async def test_a_rule_change_counts_for_new_rounds_only(service: Service) -> None:
    """The round that was open keeps version 1, also with an empty cache."""
    await service.take(match_event("opened"))
    body = competition_body(
        gross_prize="1.00", organizer_player="guild", organizer_fee_bps=0, platform_fee_bps=0
    )
    answer = await service.client.put("/api/competitions/cup", json=body, headers=service.as_("admin"))
    assert answer.json()["rule_version"] == 2
    await service.take(match_event("completed"), match_event("completed", "m2"))
    settled = {event.data.match_id: event.data for event in (await service.events())[1:]}
    assert (settled["m1"].rule_version, settled["m1"].gross, settled["m1"].fees.organizer_player) == (
        1,
        "100.00",
        "org",
    )
    assert (settled["m2"].rule_version, settled["m2"].gross, settled["m2"].fees.organizer_player) == (
        2,
        "1.00",
        "guild",
    )
    assert await service.breaches() == {}
