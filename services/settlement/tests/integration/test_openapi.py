"""Settlement's OpenAPI document."""

from typing import Any
from uuid import uuid4

import orjson

from services.settlement.tests.fakes import SOURCE
from services.settlement.tests.service import (
    Opener,
    Service,
    competition_body,
    match_event,
    refused_event,
    results,
    subject_of,
)
from tests.openapi import faults_of

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
    ("operator", "GET", "/api/rounds/settled", None),
    ("operator", "GET", "/api/rounds/entry-terms", None),
    ("operator", "GET", "/api/rounds/{round_id}", None),
    ("operator", "GET", "/api/rounds/{round_id}/lines", None),
    ("operator", "GET", "/api/rounds/{round_id}/lines.csv", None),
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
    through_gateway = await service.client.get("/api/services/settlement/schema")
    assert through_gateway.json() == document
    assert faults_of(document) == []
    assert document["info"]["title"] == "Prizewire settlement"


async def test_every_answer_is_shown_by_example(service: Service) -> None:
    """Every answer in JSON has an example in the document."""
    document = (await service.client.get("/schema")).json()
    silent = []
    routes = set()
    for path, item in document["paths"].items():
        if path.startswith("/api/services/"):
            continue
        for method, operation in item.items():
            routes.add(f"{method.upper()} {path}")
            (found,) = [one for status, one in operation["responses"].items() if status < "300"]
            media = found["content"].get("application/json", {"example": "a file"})
            silent += [] if "example" in media else [f"{method} {path}"]
    assert silent == []
    assert routes == {f"{method} {path}" for _, method, path, _ in CALLS}


async def test_every_route_answers_as_documented(open_service: Opener) -> None:
    """Each successful answer is compared with the document (`Documented`)."""
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
    for who, method, path, body in CALLS:
        headers = {**people[who], "idempotency-key": uuid4().hex}
        query = {"ids": str(values["round_id"])} if path.endswith(("/settled", "/entry-terms")) else None
        real = await service.client.request(
            method, path.format(**values), params=query, json=body, headers=headers
        )
        assert real.is_success, f"{method} {path}: {real.text}"


async def test_a_required_key_is_shown_as_required(service: Service) -> None:
    """Where a request without an Idempotency-Key is refused, the document says so."""
    document = (await service.client.get("/schema")).json()
    required = {
        path
        for path, item in document["paths"].items()
        for operation in item.values()
        for one in operation.get("parameters", ())
        if one["name"] == "Idempotency-Key" and one["required"] and not path.startswith("/api/services/")
    }
    assert required == {
        "/api/matches",
        "/api/matches/{match_id}/end",
        "/api/matches/{match_id}/entries",
        "/api/rounds/{round_id}/resettle",
        "/api/rounds/{round_id}/resolve",
    }
