"""A settlement that fails anywhere leaves nothing; forged, unsigned and conflicting copies of one result."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from httpx import ASGITransport, AsyncClient
from structlog.testing import capture_logs

from prizewire_chassis.testing import watch_statements
from services.settlement.tests.fakes import OTHER_KEY, SOURCE
from services.settlement.tests.service import Opener, Service, match_event, results

TABLES = (
    "rounds",
    "round_transitions",
    "round_results",
    "settlements",
    "settlement_lines",
    "entries",
    "outbox",
    "inbox",
    "idempotency_keys",
    "stuck_events",
    "consumer_offsets",
)


class Injected(Exception):
    """An unexpected failure."""


@contextmanager
def failing_at(service: Service, number: int) -> Iterator[Callable[[], int]]:
    """From the ``number``-th statement on, counted from 1, every statement fails; yields a function that returns how many were run."""
    seen = 0

    def fail(_: str) -> None:
        nonlocal seen
        seen += 1
        if seen >= number:
            raise Injected(f"statement {seen}")

    with watch_statements(service.db, fail):
        yield lambda: seen


async def written(service: Service) -> dict[str, int]:
    return {table: await service.count(table) for table in TABLES}


CASES: dict[str, tuple[list[bytes], bytes]] = {
    "a first result": ([], match_event("completed", data={"competition": "slow"})),
    "a correction": (
        [match_event("completed", data={"competition": "slow"})],
        match_event("corrected", data={"competition": "slow", "results": results("bob", "ann")}),
    ),
    "a last part": (
        [match_event("completed", data={"results": results("ann"), "part": 1, "parts": 2})],
        match_event("completed", data={"results": [{"player": "bob", "place": 2}], "part": 2, "parts": 2}),
    ),
    "a void": (
        [match_event("completed", data={"competition": "slow"})],
        match_event("voided", data={"competition": "slow"}),
    ),
    "an entry": ([], match_event("entered", data={"competition": "slow", "player": "ann"})),
}


@pytest.mark.parametrize("name", list(CASES))
async def test_a_failure_at_any_statement_rolls_back_the_whole(service: Service, name: str) -> None:
    """A report over HTTP fails at each statement of a successful run in turn: nothing is stored, and the repeated report is
    applied once.
    """
    before, event = CASES[name]
    await service.create(id="slow", dispute_window_s=60, entry_fee={"amount": "1.00", "asset": "EURC"})
    made = await service.client.post(
        "/api/source-tokens", json={"source": SOURCE}, headers=service.as_("admin")
    )
    headers = {"authorization": f"Bearer {made.json()['token']}", "idempotency-key": "k1"}
    if before:
        await service.take(*before)
    was, events = await written(service), len(await service.events())
    # the answer of an unexpected failure is not in the OpenAPI document
    client = AsyncClient(transport=ASGITransport(app=service.app()), base_url="http://settlement.test")
    number = 1
    while True:
        with failing_at(service, number) as run, capture_logs():
            answer = await client.post("/api/matches", content=event, headers=headers)
        if answer.status_code == 202:
            break
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert run() == number
        assert await written(service) == was, f"statement {number} failed"
        number += 1
        assert number < 40
    assert number > 8
    assert (await service.client.post("/api/matches", content=event, headers=headers)).status_code == 202
    assert len(await service.events()) > events
    assert await service.count("inbox") == was["inbox"] + 1
    assert await service.breaches() == {}


async def test_one_result_among_forgeries_and_conflicts(open_service: Opener) -> None:
    """Five processes at once process authentic copies, forged ones, unsigned ones and other bodies under the same id: one
    effect, every other body is dead, nothing is parked.
    """
    services: list[Service] = [await open_service() for _ in range(5)]
    first = services[0]
    await first.create()
    for number, one in enumerate(services):
        one.offset = number * 1_000
    authentic = match_event("completed", id="same")
    await first.take(authentic)
    other = match_event("completed", id="same", data={"results": results("eve", "ann", "bob")})
    forged = match_event("completed", id="same", key=OTHER_KEY)
    unsigned = match_event("completed", id="same", key=None)
    wrong = [other, forged, unsigned]
    await asyncio.gather(
        *(services[n % 5].take(authentic if n % 2 else wrong[n // 2 % 3]) for n in range(50))
    )
    found = await first.stuck()
    assert {state for state, _ in found} == {"dead"}
    assert {reason for _, reason in found} == {"id_conflict", "key_not_trusted", "signature_missing"}
    assert len(found) == 25
    assert len(await first.events()) == 1
    assert (await first.round())["lines"][0]["player"] == "ann"
    assert await first.breaches() == {}
