"""How large a body over HTTP may be: a whole part of a result, or a person's whole decision, always fits."""

import json
import resource
from typing import Any

import orjson
import pytest
from httpx import Response

from prizewire_contracts.events.matches import RESULTS_PER_PART_MAX
from prizewire_settlement.competitions.domain.rules import PLACES_MAX
from prizewire_settlement.prizes.http import RESULT_BYTES_MAX
from prizewire_settlement.rounds.http.bodies import PART_BYTES_MAX
from services.settlement.tests.fakes import SOURCE
from services.settlement.tests.service import Opener, Service, match_event, results, subject_of

GROWTH_MB_MAX = 600
"""The bound of memory in bytes for a decision about 100,000 places: its body, lines and messages, held several times."""


def longest(number: int) -> dict[str, Any]:
    """A result of the largest size in bytes, written with escapes."""
    scores = {f"{'s' * 30}_{one}": f"-{'9' * 12}.123456" for one in range(8)}
    name = f"{number:06}" + "\N{TROPHY}" * 122
    return {"player": name, "place": 1_000_000 - number, "scores": scores}


def written(event: bytes, *, size: int) -> bytes:
    """The event as a program that escapes everything writes it, with white space up to ``size`` bytes."""
    text = json.dumps(orjson.loads(event)).encode()
    assert len(text) <= size, len(text)
    return text.ljust(size)


@pytest.fixture
async def token(service: Service) -> str:
    body = {"source": SOURCE}
    made = await service.client.post("/api/source-tokens", json=body, headers=service.as_("admin"))
    found: str = made.json()["token"]
    return found


async def report(service: Service, token: str, value: bytes, *, key: str, path: str = "") -> Response:
    headers = {
        "authorization": f"Bearer {token}",
        "content-type": "application/json",
        "idempotency-key": key,
    }
    return await service.client.post(f"/api/matches{path}", headers=headers, content=value)


async def test_a_result_and_its_correction_come_in_parts_of_the_largest_size(
    service: Service, token: str
) -> None:
    """Parts of 2,000 of the longest results, in bodies of as many bytes as the limit allows: the last makes it whole."""
    await service.create(id="slow", dispute_window_s=3_600)
    many = [longest(number) for number in range(RESULTS_PER_PART_MAX)]
    for kind, first in (("completed", "ann"), ("corrected", "bob")):
        for number, rows in enumerate((many, results(first)), start=1):
            data = {"competition": "slow", "results": rows, "part": number, "parts": 2}
            event = written(match_event(kind, data=data), size=PART_BYTES_MAX)
            answer = await report(service, token, event, key=f"{kind}-{number}")
            assert answer.status_code == 202, answer.text
            assert (answer.json()["waiting_since"] is None) == (number == 2)
    shown = await service.round()
    assert (shown["settlement"]["settlement_version"], shown["result_version"]) == (2, 2)
    assert [line["player"] for line in shown["lines"]] == ["bob"]
    held = await service.rows("SELECT sum(players) AS n FROM round_results")
    assert held[0].n == 2 * (RESULTS_PER_PART_MAX + 1)
    assert await service.stuck() == []
    assert await service.breaches() == {}


async def test_an_unsigned_result_comes_in_parts_of_the_largest_size(service: Service, token: str) -> None:
    """An unsigned result may be as large as a signed event."""
    await service.create(id="open", sources=[{"source": SOURCE}])
    many = [longest(number) for number in range(RESULTS_PER_PART_MAX)]
    for number, rows in enumerate((many, results("ann")), start=1):
        body = {"competition": "open", "results": rows, "part": number, "parts": 2}
        event = written(orjson.dumps(body), size=PART_BYTES_MAX)
        answer = await report(service, token, event, key=f"end-{number}", path="/m1/end")
        assert answer.status_code == 202, answer.text
    assert (await service.round())["lines"][0]["player"] == "ann"


@pytest.mark.parametrize("path", ["", "/m1/end"])
async def test_a_larger_report_is_refused(service: Service, token: str, path: str) -> None:
    """One byte more: the answer names the limit, and the key may be used again."""
    event = written(match_event("completed"), size=PART_BYTES_MAX + 1)
    answer = await report(service, token, event, key="k", path=path)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert str(PART_BYTES_MAX) in answer.json()["detail"]
    assert (await report(service, token, match_event("completed"), key="k")).status_code == 202


@pytest.fixture
async def mass(open_service: Opener) -> Service:
    """A final round of 100,000 places, of which the first three were reported."""
    made: Service = await open_service()
    table = [{"places": f"1-{PLACES_MAX}", "percent_total": "100"}]
    await made.create(id="mass", template={"table": table}, gross_prize="1000000.00", platform_fee_bps=0)
    await made.take(match_event("completed", data={"competition": "mass"}))
    return made


async def resolve(service: Service, content: bytes) -> Response:
    headers = {**service.as_("admin"), "idempotency-key": "k", "content-type": "application/json"}
    path = f"/api/rounds/{subject_of('m1')}/resolve"
    return await service.client.post(path, content=content, headers=headers)


@pytest.mark.parametrize("places", [5_000, pytest.param(PLACES_MAX, marks=pytest.mark.large)])
async def test_an_admin_decides_on_many_places_at_once(mass: Service, places: int) -> None:
    """A body as large as the limit allows, in bounded memory; with as many places as a rule may have too."""
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = [{"player": f"{n:0128}", "place": n} for n in range(1, places + 1)]
    body = orjson.dumps({"reason": "a mistake", "results": rows}).ljust(RESULT_BYTES_MAX)
    assert len(body) == RESULT_BYTES_MAX
    del rows
    answer = await resolve(mass, body)
    assert answer.status_code == 200, answer.text
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    assert grown_mb < GROWTH_MB_MAX
    settled = answer.json()["settlement"]
    assert (settled["lines_total"], settled["settlement_version"]) == (places, 2)
    assert await mass.breaches() == {}


async def test_a_larger_decision_is_refused(mass: Service) -> None:
    """One byte more: the answer names the limit, and nothing is decided."""
    decision = orjson.dumps({"reason": "a mistake", "void": True})
    answer = await resolve(mass, decision.ljust(RESULT_BYTES_MAX + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert str(RESULT_BYTES_MAX) in answer.json()["detail"]
    assert (await mass.round())["settlement"]["settlement_version"] == 1


async def test_the_document_says_how_large_bodies_may_be(service: Service) -> None:
    """On the routes that take results, their own limit."""
    paths = (await service.client.get("/schema")).json()["paths"]
    for path, limit in (
        ("/api/matches", PART_BYTES_MAX),
        ("/api/matches/{match_id}/end", PART_BYTES_MAX),
        ("/api/rounds/{round_id}/resolve", RESULT_BYTES_MAX),
    ):
        assert f"At most {limit:,} bytes." in paths[path]["post"]["requestBody"]["description"]
