"""``POST /api/rounds/{id}/resolve``: what admins decide, once, with a reason, audited."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from httpx import Response

from prizewire_contracts.events.settlements import RoundCorrectedEvent, RoundSettledEvent, RoundVoidedEvent
from services.settlement.tests.service import SOURCE, Service, line_amounts, match_event, results, subject_of

SWAPPED = {"reason": "appeal upheld", "results": results("bob", "ann", "cyd")}
VOID = {"reason": "power cut", "void": True}


async def resolve(
    service: Service, body: dict[str, Any], *, match: str = "m1", key: str | None = "k1", role: str = "admin"
) -> Response:
    headers = service.as_(role, subject="ada") | ({"idempotency-key": key} if key else {})
    return await service.client.post(f"/api/rounds/{subject_of(match)}/resolve", json=body, headers=headers)


async def test_an_open_round_is_settled(service: Service) -> None:
    """round.settled in version 1, caused by the request; history and audit log name the admin and the reason."""
    await service.take(match_event("opened"))
    answer = await resolve(service, SWAPPED)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["state"], body["changed"], body["settlement"]["lines_total"]) == ("FINALIZED", True, 3)
    event = (await service.events())[-1]
    assert isinstance(event, RoundSettledEvent)
    shown = await service.round()
    assert line_amounts(shown) == {"bob": "42.50", "ann": "25.50", "cyd": "17.00"}
    last = shown["transitions"][-1]
    assert (last["cause"], last["cause_id"], last["actor"], last["reason"]) == (
        "admin.resolve",
        event.causationid,
        "ada",
        "appeal upheld",
    )
    (row,) = await service.rows("SELECT * FROM audit_log WHERE action = 'round.resolved'")
    assert (row.actor, row.target, row.reason) == ("ada", str(subject_of("m1")), "appeal upheld")
    assert (row.detail["from"], row.detail["to"], row.detail["changed"]) == ("OPEN", "FINALIZED", True)
    assert await service.breaches() == {}


async def test_a_final_round_is_corrected_late(service: Service) -> None:
    """The only way after finality: round.corrected with final, and the moment of finality as it was."""
    await service.take(match_event("completed"))
    service.clock.advance(timedelta(days=30))
    answer = await resolve(service, SWAPPED)
    assert answer.json()["state"] == "FINALIZED"
    settled, event = await service.events()
    assert isinstance(event, RoundCorrectedEvent)
    assert (event.data.final, event.data.settlement_version) == (True, 2)
    assert event.data.final_at == settled.data.final_at
    steps = [step["to_state"] for step in (await service.round())["transitions"]]
    assert steps[-3:] == ["RESOLVED", "SETTLED", "FINALIZED"]
    assert await service.breaches() == {}


async def test_a_settled_round_is_corrected_and_voided(service: Service) -> None:
    """Inside the window both are possible, one after the other; a void of a final round is refused."""
    await service.create(id="slow", dispute_window_s=60)
    await service.take(match_event("completed", data={"competition": "slow"}), match_event("completed", "m2"))
    assert (await resolve(service, SWAPPED)).json()["settlement_version"] == 2
    voided = await resolve(service, VOID, key="k2")
    assert (voided.json()["state"], voided.json()["changed"]) == ("VOIDED", True)
    assert (voided.json()["final_at"], voided.json()["settlement"]["final_at"]) == (None, None)
    listed = await service.client.get("/api/rounds?match_id=m1", headers=service.as_("operator"))
    assert [one["final_at"] for one in listed.json()["items"]] == [None]
    event = (await service.events())[-1]
    assert isinstance(event, RoundVoidedEvent)
    assert event.data.reason == "power cut"
    for body, match in ((VOID, "m2"), (SWAPPED, "m1")):
        refused = await resolve(service, body, match=match, key="k3")
        assert (refused.status_code, refused.json()["code"]) == (409, "illegal_transition")
    assert await service.breaches() == {}


@pytest.mark.parametrize("body", [VOID, SWAPPED], ids=["void", "result"])
async def test_a_repeat_that_changes_nothing_writes_no_record(service: Service, body: dict[str, Any]) -> None:
    """The record of the decision names the person who decided, and nobody who sent the same again."""
    await service.create(id="slow", dispute_window_s=60)
    await service.take(match_event("completed", data={"competition": "slow"}))
    assert (await resolve(service, body)).json()["changed"] is True
    headers = service.as_("admin", subject="eve") | {"idempotency-key": "another"}
    again = await service.client.post(f"/api/rounds/{subject_of('m1')}/resolve", json=body, headers=headers)
    assert (again.status_code, again.json()["changed"]) == (200, False)
    actors = await service.rows(
        "SELECT actor FROM audit_log WHERE action IN ('round.voided', 'round.resolved')"
    )
    assert [row.actor for row in actors] == ["ada"]


async def summaries(service: Service, kind: str) -> list[str]:
    """The summaries of one kind in the lineage of match m1."""
    answer = await service.client.get(
        "/api/services/settlement/lineage/corr-m1", headers=service.as_("operator")
    )
    return [entry["summary"] for entry in answer.json()["entries"] if entry["kind"] == kind]


async def test_a_lineage_names_who_decided(service: Service) -> None:
    """A correction and a void by an admin name the admin; what the game server reported names the game server."""
    await service.create(id="slow", dispute_window_s=60)
    await service.take(match_event("completed", data={"competition": "slow"}))
    [reported] = await summaries(service, "match.result")
    assert reported == f"result of match m1 from {SOURCE}: 3 players"
    assert (await resolve(service, SWAPPED)).status_code == 200
    assert await summaries(service, "match.result") == [
        reported,
        "corrected result of match m1 decided by ada: 3 players",
    ]
    assert (await summaries(service, "round.resolved"))[-1] == "SETTLED → RESOLVED by ada: appeal upheld"
    assert (await resolve(service, VOID, key="k2")).status_code == 200
    assert await summaries(service, "round.voided") == ["SETTLED → VOIDED by ada: power cut"]


async def test_a_lineage_names_who_decided_a_first_result(service: Service) -> None:
    """A first result that an admin decided is no correction. One that changes no prize still names the admin."""
    await service.take(match_event("opened"))
    assert (await resolve(service, SWAPPED)).status_code == 200
    first = "result of match m1 decided by ada: 3 players"
    assert await summaries(service, "match.result") == [first]
    results_of_more = [*SWAPPED["results"], {"player": "dan", "place": 4}]
    body = {"reason": "dan played too", "results": results_of_more}
    answer = await resolve(service, body, key="k2")
    assert (answer.status_code, answer.json()["changed"]) == (200, False)
    assert await summaries(service, "match.result") == [
        first,
        "corrected result of match m1 for which ada answers: 4 players",
    ]


async def test_the_same_request_is_answered_again(service: Service) -> None:
    """One effect for a key; another body under it is a conflict; the same result under a new key changes nothing."""
    await service.take(match_event("completed"))
    first = await resolve(service, SWAPPED)
    again = await resolve(service, SWAPPED)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = await resolve(service, {**SWAPPED, "reason": "another"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    same = await resolve(service, SWAPPED, key="k2")
    assert (same.json()["changed"], same.json()["settlement_version"]) == (False, 2)
    assert len(await service.events()) == 2
    assert await service.breaches() == {}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"results": results("ann")}, "invalid_request"),
        ({"reason": "", "results": results("ann")}, "invalid_request"),
        ({"reason": "x"}, "invalid_request"),
        ({"reason": "x", "void": False}, "invalid_request"),
        ({"reason": "x", "void": True, "results": results("ann")}, "invalid_request"),
        ({"reason": "x", "results": []}, "invalid_request"),
        ({"reason": "x", "results": [{"player": "ann"}]}, "invalid_request"),
        ({"reason": "x", "void": True, "surprise": 1}, "invalid_request"),
        ({"reason": "x", "results": results("ann", "ann")}, "duplicate_player"),
        ({"reason": "x", "results": [{"player": "ann", "scores": {"points": "1"}}]}, "score_missing"),
    ],
)
async def test_invalid_input_is_refused(service: Service, body: dict[str, Any], code: str) -> None:
    """Each has its code, and nothing is stored, not even the key."""
    await service.take(match_event("opened"))
    answer = await resolve(service, body)
    assert (answer.status_code, answer.json()["code"]) == (
        422 if "_p" in code or "score" in code else 400,
        code,
    )
    assert await service.count("audit_log") == 1
    assert await service.count("idempotency_keys") == 0
    assert (await service.round())["state"] == "OPEN"


async def test_a_key_and_a_round_are_needed(service: Service) -> None:
    """Without Idempotency-Key 400, for an unknown round 404."""
    await service.take(match_event("opened"))
    missing = await resolve(service, SWAPPED, key=None)
    assert (missing.status_code, missing.json()["code"]) == (400, "idempotency_key_required")
    headers = service.as_("admin") | {"idempotency-key": "k"}
    unknown = await service.client.post(f"/api/rounds/{uuid4()}/resolve", json=VOID, headers=headers)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "round_unknown")


@pytest.mark.parametrize("role", ["player", "organizer", "operator", "approver"])
async def test_admins_alone_decide(service: Service, role: str) -> None:
    """Every other role is refused."""
    await service.take(match_event("completed"))
    answer = await resolve(service, SWAPPED, role=role)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert len(await service.events()) == 1
