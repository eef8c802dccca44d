"""A part of a result that was changed in the database while it waited is not settled."""

import asyncpg
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from services.settlement.tests.rounds.integration.test_refusals import decide
from services.settlement.tests.service import (
    Opener,
    Service,
    line_amounts,
    match_event,
    refused_event,
    results,
    subject_of,
)

CHECK = "settlement.parts_are_proved"
NOT_AS_STORED = f"part 1 of result 1 of round {subject_of('m1')} is not as settlement stored it"
RENAMED = "document = replace(document, 'ann', 'eve')"
CHANGES = {
    "the document": RENAMED,
    "the document and its hash": f"{RENAMED}, hash = sha256(convert_to(replace(document, 'ann', 'eve'), 'UTF8'))",
    "the reporter": "reporter = 'mallory'",
    "the event": "event_id = 'another'",
    "the time": "received_at = received_at + interval '1 us'",
    "the MAC": "mac = NULL",
}


def part(number: int, *players: str, kind: str = "completed", **changes: object) -> bytes:
    ranked = [{**one, "place": one["place"] + 3 * (number - 1)} for one in results(*players)]
    return match_event(kind, data={"part": number, "parts": 2, "results": ranked, **changes})


ONE, TWO = part(1, "ann", "bob", "cyd"), part(2, "dan")


async def as_login(service: Service, statement: str) -> None:
    """Execute a statement with the database login of the service."""
    connection = await asyncpg.connect(service.urls.runtime)
    try:
        status = await connection.execute(statement)
    finally:
        await connection.close()
    assert status.endswith("1"), status


def refused() -> float:
    name = "prizewire_settlement_reports_refused_total"
    return REGISTRY.get_sample_value(name, {"reason": "part_unproved"}) or 0.0


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_a_changed_part_is_not_settled(service: Service, change: str) -> None:
    """What the login changes is found by the check and refused with the last part. The part is reported again, and the
    refused event replayed: the result is the one of the game server.
    """
    await service.take(ONE)
    assert await service.breaches() == {}
    await as_login(service, f"UPDATE round_results SET {change}")
    assert (await service.breaches())[CHECK] == [NOT_AS_STORED]
    before = refused()
    with capture_logs() as said:
        await service.take(TWO)
    assert await service.stuck() == [("dead", "part_unproved")]
    assert refused() == before + 1
    assert ((await service.round())["state"], await service.count("settlements")) == ("CLOSED", 0)
    place = {"round_id": str(subject_of("m1")), "result_version": 1, "part": 1}
    assert [one for one in said if one.items() >= place.items()]
    await service.take(part(1, "ann", "bob", "cyd"))
    (row,) = await service.rows("SELECT id FROM stuck_events")
    await service.stuck_events.replay(row.id, actor="olga")
    assert set(line_amounts(await service.round())) == {"ann", "bob", "cyd"}
    assert CHECK not in await service.breaches()


async def test_an_invented_part_is_not_settled(service: Service) -> None:
    """A part that the login inserts, or takes from another match, does not complete a result."""
    await service.take(match_event("completed", "m2", data={"part": 1, "parts": 2}))
    await service.take(match_event("closed"))
    await as_login(
        service,
        "INSERT INTO round_results (round_id, result_version, part, parts, hash, document, event_id, received_at, players, "
        f"mac) SELECT '{subject_of('m1')}', 1, 1, 2, hash, document, event_id, received_at, players, mac FROM round_results",
    )
    await service.take(TWO)
    assert await service.stuck() == [("dead", "part_unproved")]
    assert (await service.breaches())[CHECK] == [NOT_AS_STORED]


async def test_a_changed_part_of_a_correction_is_not_settled(service: Service) -> None:
    """A correction is held to the same."""
    await service.create(id="slow", dispute_window_s=60)
    slow = {"competition": "slow"}
    await service.take(
        match_event("completed", data=slow),
        part(1, "cyd", "bob", "ann", kind="corrected", **slow),
    )
    await as_login(
        service,
        f"UPDATE round_results SET {RENAMED}, hash = sha256(convert_to(replace(document, 'ann', 'eve'), 'UTF8')) "
        "WHERE result_version = 2",
    )
    await service.take(part(2, "dan", kind="corrected", **slow))
    assert await service.stuck() == [("dead", "part_unproved")]
    assert (await service.round())["settlement_version"] == 1


async def test_a_genuine_part_is_settled_by_another_process(open_service: Opener) -> None:
    """A part that one process stored is proved to every process with the same key."""
    first: Service = await open_service()
    await first.create()
    await first.take(ONE)
    second: Service = await open_service()
    second.offset = first.offset
    await second.take(TWO)
    assert (await second.round())["state"] == "FINALIZED"
    assert await second.breaches() == {}


async def test_a_result_without_a_mac_is_not_resettled(service: Service) -> None:
    """A result from before there were MACs is not resettled: an admin resolves the round with results."""
    await service.take(match_event("completed"))
    await service.know(refused_event())
    await service.create_rule(gross_prize="50.00")
    connection = await asyncpg.connect(service.urls.migration)
    try:
        await connection.execute("ALTER TABLE round_results DISABLE TRIGGER USER")
        await connection.execute("UPDATE round_results SET mac = NULL")
    finally:
        await connection.close()
    answer = await decide(service, "resettle", {"reason": "another rule"})
    assert (answer.status_code, answer.json()["code"]) == (409, "part_unproved")
    assert CHECK in await service.breaches()
