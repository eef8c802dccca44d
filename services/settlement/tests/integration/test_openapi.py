"""Settlement's OpenAPI document."""

from typing import Any
from uuid import uuid4

import orjson

from services.settlement.tests.fakes import SOURCE
from services.settlement.tests.integration.conftest import (
    Opener,
    Service,
    competition_body,
    match_event,
    refused_event,
    results,
    subject_of,
)
from tests.openapi import differences, faults_of, shown

FEE = {"entry_fee": {"amount": "1.00", "asset": "EURC"}}
UNSIGNED = [{"source": SOURCE}]

CALLS: list[tuple[str, str, str, Any]] = [
    # who, method, route, body
    ("admin", "POST", "/api/competitions", competition_body(id="other", **FEE)),
    ("admin", "PUT", "/api/competitions/{competition_id}", competition_body(id="other", **FEE)),
    ("operator", "GET", "/api/competitions", None),
    ("operator", "GET", "/api/competitions/{competition_id}", None),
    ("operator", "GET", "/api/competitions/{competition_id}/rules/{version}", None),
    ("operator", "POST", "/api/competitions/{competition_id}/preview", {"results": results("ann", "bob")}),
    ("source", "POST", "/api/matches", orjson.loads(match_event("completed", "m2"))),
    ("source", "POST", "/api/matches/{match_id}/entries", {"competition": "open", "player": "ann"}),
    ("source", "POST", "/api/matches/{match_id}/end", {"competition": "open", "results": results("ann")}),
    ("admin", "POST", "/api/rounds/{round_id}/resettle", {"reason": "a wrong campaign"}),
    ("operator", "GET", "/api/rounds", None),
    ("operator", "GET", "/api/rounds/ended", None),
    ("operator", "GET", "/api/rounds/{round_id}", None),
    ("operator", "GET", "/api/rounds/{round_id}/lines", None),
    ("admin", "POST", "/api/rounds/{round_id}/resolve", {"reason": "seen", "results": results("bob")}),
    ("admin", "POST", "/api/source-tokens", {"source": SOURCE}),
    ("admin", "GET", "/api/source-tokens", None),
    ("admin", "POST", "/api/source-tokens/{token_id}/rotate", {}),
    ("admin", "DELETE", "/api/source-tokens/{token_id}", None),
]
"""Every route, in an order in which each has something to show."""


async def test_the_document_is_valid_and_shows_every_body(service: Service) -> None:
    """It is served without a token, at /schema and through the gateway; both are the same."""
    document = (await service.client.get("/schema")).json()
    told = await service.client.get("/api/services/settlement/schema")
    assert told.json() == document
    assert faults_of(document) == []
    assert document["info"]["title"] == "Prizewire settlement"


async def test_every_answer_is_shown_by_example(service: Service) -> None:
    """Of every route that answers JSON."""
    found = list(shown((await service.client.get("/schema")).json()))
    assert {route for route, _, _ in found} == {f"{method} {path}" for _, method, path, _ in CALLS}
    assert [f"{route}: {status}" for route, status, examples in found if not examples] == []


async def test_real_answers_have_the_fields_of_the_examples(open_service: Opener) -> None:
    """Every route answers with its status and with exactly the fields of one of its examples, null ones included."""
    service: Service = await open_service()
    await service.create(dispute_window_s=3_600)
    await service.create(id="open", sources=UNSIGNED, **FEE)
    await service.take(match_event("completed"))
    await service.create_rule(gross_prize="200.00", dispute_window_s=3_600)
    await service.know(refused_event())
    made = await service.client.post(
        "/api/source-tokens", json={"source": SOURCE}, headers=service.as_("admin")
    )
    values = {
        "competition_id": "other",
        "version": 1,
        "match_id": "m3",
        "round_id": subject_of("m1"),
        "token_id": made.json()["id"],
    }
    people = {who: service.as_(who) for who in ("admin", "operator")}
    people["source"] = {"authorization": f"Bearer {made.json()['token']}"}
    examples = {
        (route, int(status)): found
        for route, status, found in shown((await service.client.get("/schema")).json())
    }
    faults = []
    for who, method, path, body in CALLS:
        route = f"{method} {path}"
        headers = {**people[who], "idempotency-key": uuid4().hex}
        real = await service.client.request(method, path.format(**values), json=body, headers=headers)
        if (route, real.status_code) not in examples:
            faults.append(f"{route}: {real.status_code} {real.text}")
            continue
        found = [differences(one, real.json()) for one in examples[route, real.status_code]]
        if [] not in found:
            faults.append(f"{route}: {found}")
    assert not faults, "\n".join(faults)
