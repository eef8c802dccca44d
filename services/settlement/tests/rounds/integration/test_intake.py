"""Game servers without Kafka: ``/api/matches`` with an API token, and the tokens themselves."""

import asyncio
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest
from httpx import Response

from prizewire_contracts.events.settlements import RoundEnteredEvent, RoundSettledEvent
from prizewire_settlement.metrics import REFUSED
from prizewire_settlement.source_tokens.domain import PREFIX
from services.settlement.tests.fakes import OTHER_KEY, SOURCE
from services.settlement.tests.service import Opener, Service, line_amounts, match_event, results, subject_of

TOKENS = "/api/source-tokens"
KEPT = ("rounds", "round_results", "round_transitions", "settlements", "entries", "inbox", "stuck_events")


async def make_token(service: Service, source: str = SOURCE, **more: Any) -> dict[str, Any]:
    body = {"source": source, **more}
    answer = await service.client.post(TOKENS, json=body, headers=service.as_("admin", subject="ada"))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def report(
    service: Service, token: str, value: bytes | dict[str, Any], *, path: str = "", key: str | None = "k1"
) -> Response:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    if key is not None:
        headers["idempotency-key"] = key
    sent = {"content": value} if isinstance(value, bytes) else {"json": value}
    return await service.client.post(f"/api/matches{path}", headers=headers, **sent)


@pytest.fixture
async def token(service: Service) -> str:
    made = await make_token(service)
    found: str = made["token"]
    return found


@pytest.fixture
async def unsigned(service: Service) -> str:
    """The name of a competition whose source need not sign, with an entry fee."""
    await service.create(
        id="open", sources=[{"source": SOURCE}], entry_fee={"amount": "1.00", "asset": "EURC"}
    )
    return "open"


async def kept(service: Service) -> dict[str, int]:
    return {table: await service.count(table) for table in KEPT}


async def test_a_signed_event_is_settled(service: Service, token: str) -> None:
    """202 with the round; the event is the same as on Kafka, where its copy has no further effect."""
    event = match_event("completed")
    answer = await report(service, token, event)
    assert answer.status_code == 202, answer.text
    body = answer.json()
    assert (body["round_id"], body["state"], body["settlement_version"]) == (
        str(subject_of("m1")),
        "FINALIZED",
        1,
    )
    await service.take(event)
    assert len(await service.events()) == 1
    assert await service.stuck() == []
    assert await service.count("inbox") == 1
    assert await service.breaches() == {}


async def test_a_report_that_came_by_kafka_before_is_answered(service: Service, token: str) -> None:
    """The answer has the state of the round, and nothing changes."""
    event = match_event("completed")
    await service.take(event)
    answer = await report(service, token, event)
    assert (answer.status_code, answer.json()["state"]) == (202, "FINALIZED")
    assert len(await service.events()) == 1


REFUSED_EVENTS: dict[str, tuple[bytes, int, str]] = {
    "unsigned": (match_event("completed", key=None), 403, "signature_missing"),
    "other key": (match_event("completed", key=OTHER_KEY), 403, "key_not_trusted"),
    "tampered": (
        match_event("completed").replace(b'"player":"ann"', b'"player":"eve"'),
        403,
        "signature_invalid",
    ),
    "other source": (match_event("completed", source="/games/go"), 403, "source_not_allowed"),
    "unknown competition": (
        match_event("completed", data={"competition": "unheard"}),
        422,
        "competition_unknown",
    ),
    "unknown type": (match_event("celebrated"), 400, "unknown_type"),
    "no event": (b'{"player": "ann"}', 400, "not_cloudevent"),
    "float": (match_event("completed").replace(b'"place":1', b'"place":1.5'), 400, "float_refused"),
    "no JSON": (b"{", 400, "body_not_json"),
    "no object": (b"[]", 400, "invalid_request"),
    "another match": (match_event("completed", subject="m2"), 400, "schema_invalid"),
    "player twice": (match_event("completed", data={"results": results("a", "a")}), 422, "duplicate_player"),
    "early correction": (match_event("corrected"), 409, "result_missing"),
    "no fee": (match_event("entered", data={"player": "ann"}), 422, "entry_not_offered"),
}


@pytest.mark.parametrize("name", list(REFUSED_EVENTS))
async def test_a_refused_report_leaves_nothing_behind(service: Service, token: str, name: str) -> None:
    """The sender gets the stable code; no row is stored, and the id and the key stay free for the authentic report."""
    value, status, code = REFUSED_EVENTS[name]
    before = await kept(service)
    counted = REFUSED.labels(code)._value.get()
    answer = await report(service, token, value)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert await kept(service) == before
    assert await service.count("idempotency_keys") == 0
    if code not in ("invalid_request", "body_not_json"):
        assert REFUSED.labels(code)._value.get() - counted == 1
    assert (await report(service, token, match_event("completed"))).status_code == 202


async def test_a_repeated_request_makes_one_token_and_shows_it_once(service: Service) -> None:
    """One key makes one token, and one successor; the answer stored under the key holds no token."""
    headers = {**service.as_("admin", subject="ada"), "idempotency-key": "t-1"}
    first = await service.client.post(TOKENS, json={"source": SOURCE}, headers=headers)
    again = await service.client.post(TOKENS, json={"source": SOURCE}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == {**first.json(), "token": None}
    assert again.headers["idempotency-replayed"] == "true"
    path = f"{TOKENS}/{first.json()['id']}/rotate"
    turned = [await service.client.post(path, json={}, headers=headers) for _ in range(2)]
    assert turned[1].json() == {**turned[0].json(), "token": None}
    assert turned[0].json()["token"].startswith(PREFIX)
    other = await service.client.post(TOKENS, json={"source": "/games/go"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert await service.count("source_tokens") == 2
    kept = await service.rows("SELECT answer::text AS answer FROM idempotency_keys")
    assert all(PREFIX not in row.answer for row in kept)


async def test_a_token_reports_for_its_source_only(service: Service, token: str) -> None:
    """A report in the name of another source of the competition is refused, signed or not: `source_not_allowed`."""
    sources = [{"source": SOURCE}, {"source": "/games/go"}]
    await service.create(id="both", sources=sources)
    event = match_event("completed", source="/games/go", key=None, data={"competition": "both"})
    answer = await report(service, token, event)
    assert (answer.status_code, answer.json()["code"]) == (403, "source_not_allowed")
    assert await service.count("rounds") == 0
    other = await make_token(service, "/games/go")
    assert (await report(service, other["token"], event)).status_code == 202


async def test_the_same_request_is_answered_again(service: Service, token: str, unsigned: str) -> None:
    """One effect for a key, although the event is a new one; another body is a conflict, as is a used event id."""
    body = {"competition": unsigned, "results": results("ann", "bob")}
    first = await report(service, token, body, path="/m1/end")
    service.clock.advance(timedelta(seconds=5))
    again = await report(service, token, body, path="/m1/end")
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    other = await report(service, token, {**body, "results": results("bob")}, path="/m1/end")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    missing = await report(service, token, body, path="/m1/end", key=None)
    assert (missing.status_code, missing.json()["code"]) == (400, "idempotency_key_required")
    event = match_event("completed", "m2", id="x")
    assert (await report(service, token, event, key="k2")).status_code == 202
    used = await report(service, token, match_event("completed", "m3", id="x"), key="k3")
    assert (used.status_code, used.json()["code"]) == (409, "id_conflict")


async def test_a_match_is_ended_over_its_own_route(service: Service, token: str, unsigned: str) -> None:
    """The data of match.completed settles it; parts wait; a source that must sign cannot use this route."""
    body = {"competition": unsigned, "results": results("ann", "bob", "cyd"), "correlation_id": "corr-m1"}
    answer = await report(service, token, body, path="/m1/end")
    assert (answer.status_code, answer.json()["correlation_id"]) == (202, "corr-m1")
    assert line_amounts(await service.round())["ann"] == "42.50"
    half = {**body, "part": 1, "parts": 2, "correlation_id": None}
    waiting = await report(service, token, half, path="/m2/end")
    assert (waiting.status_code, waiting.json()["state"]) == (202, "CLOSED")
    assert waiting.json()["waiting_since"] is not None
    signed = await report(service, token, {**body, "competition": "cup"}, path="/m3/end", key="k3")
    assert (signed.status_code, signed.json()["code"]) == (403, "signature_missing")
    (event,) = await service.events()
    assert isinstance(event, RoundSettledEvent)
    assert await service.breaches() == {}


async def test_players_enter_over_http(service: Service, token: str, unsigned: str) -> None:
    """The entry is published; the same player again, under another key, has no further effect."""
    body = {"competition": unsigned, "player": "ann"}
    for key in ("k1", "k2"):
        answer = await report(service, token, body, path="/m1/entries", key=key)
        assert (answer.status_code, answer.json()["state"]) == (202, "OPEN")
    events = await service.events()
    assert [type(event) is RoundEnteredEvent for event in events] == [False, True]
    await report(service, token, {"competition": unsigned, "results": results("ann")}, path="/m1/end")
    late = await report(service, token, {**body, "player": "bob"}, path="/m1/entries", key="k3")
    assert (late.status_code, late.json()["code"]) == (409, "illegal_transition")


async def test_copies_over_both_ways_have_one_effect(open_service: Opener) -> None:
    """Fifty copies of one result, by Kafka and by HTTP at once, over five processes."""
    services: list[Service] = [await open_service() for _ in range(5)]
    first = services[0]
    await first.create()
    token = (await make_token(first))["token"]
    event = match_event("completed", id="same")
    sends = [
        services[n % 5].take(event) if n % 2 else report(services[n % 5], token, event, key=f"k{n}")
        for n in range(50)
    ]
    answers = [answer for answer in await asyncio.gather(*sends) if isinstance(answer, Response)]
    assert {answer.status_code for answer in answers} == {202}
    assert len(await first.events()) == 1
    assert await first.count("settlements") == 1
    assert await first.stuck() == []


async def test_reports_need_a_source_token(service: Service, token: str) -> None:
    """Without a token 401, with a person's token 403; a source token is refused on all other routes."""
    event = match_event("completed")
    assert (await service.client.post("/api/matches", content=event)).status_code == 401
    for headers in (service.as_("admin"), service.as_("organizer")):
        answer = await service.client.post("/api/matches", content=event, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    headers = {"authorization": f"Bearer {token}"}
    for path in ("/api/competitions", "/api/rounds", TOKENS, "/api/services/settlement/stuck-events"):
        assert (await service.client.get(path, headers=headers)).status_code == 403, path
    for wrong in ("pws_unknown", token[:-1], token + "x"):
        answer = await report(service, wrong, event)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


async def test_a_token_is_shown_once_and_only_its_digest_kept(service: Service) -> None:
    """Listed without its text, audited, and not stored in the database."""
    made = await make_token(service, label="eu-west")
    (row,) = await service.rows("SELECT * FROM source_tokens")
    assert bytes(row.digest) == sha256(made["token"].encode()).digest()
    headers = service.as_("admin")
    (listed,) = (await service.client.get(TOKENS, headers=headers)).json()["items"]
    assert listed == {name: value for name, value in made.items() if name != "token"}
    assert (await service.client.get(f"{TOKENS}?source=/other", headers=headers)).json()["items"] == []
    (audited,) = await service.rows("SELECT * FROM audit_log WHERE action = 'source_token.created'")
    assert (audited.actor, audited.target, audited.detail["source"]) == ("ada", made["id"], SOURCE)
    assert made["token"] not in str(await service.rows("SELECT * FROM audit_log"))


async def test_a_token_ends(service: Service, token: str) -> None:
    """By time, by revocation at once, by rotation after its overlap; a revoked one is not rotated."""
    admin = service.as_("admin")
    short = await make_token(service, valid_days=1)
    rotated = await make_token(service)
    answer = await service.client.post(
        f"{TOKENS}/{rotated['id']}/rotate", json={"overlap_s": 60}, headers=admin
    )
    successor = answer.json()
    assert (answer.status_code, successor["source"]) == (201, SOURCE)

    async def counts(text: str) -> bool:
        return (await report(service, text, match_event("opened"), key=uuid4().hex)).status_code == 202

    assert [await counts(one) for one in (short["token"], rotated["token"], successor["token"])] == [True] * 3
    service.clock.advance(timedelta(minutes=1))
    assert [await counts(rotated["token"]), await counts(successor["token"])] == [False, True]
    service.clock.advance(timedelta(days=1))
    assert [await counts(short["token"]), await counts(token)] == [False, True]
    path = f"{TOKENS}/{successor['id']}"
    assert (await service.client.delete(path, headers=admin)).json()["revoked_at"] is not None
    assert not await counts(successor["token"])
    assert (await service.client.delete(path, headers=admin)).status_code == 200
    ended = await service.client.post(f"{path}/rotate", json={}, headers=admin)
    assert (ended.status_code, ended.json()["code"]) == (409, "token_ended")
    for missing in (
        await service.client.delete(f"{TOKENS}/{uuid4()}", headers=admin),
        await service.client.post(f"{TOKENS}/{uuid4()}/rotate", json={}, headers=admin),
    ):
        assert (missing.status_code, missing.json()["code"]) == (404, "token_unknown")
    too_long = await service.client.post(TOKENS, json={"source": "/x", "valid_days": 367}, headers=admin)
    assert (too_long.status_code, too_long.json()["code"]) == (422, "validity_too_long")
    actions = [row.action for row in await service.rows("SELECT action FROM audit_log ORDER BY sequence")]
    assert actions[-2:] == ["source_token.revoked", "source_token.revoked"]
    assert "source_token.rotated" in actions


async def test_tokens_are_listed_newest_first(service: Service) -> None:
    """In pages, every token once; those that were made at the same moment by their ids."""
    made = []
    for moment in range(3):
        pair = [(await make_token(service, f"/games/{moment}"))["id"] for _ in range(2)]
        made += sorted(pair)
        service.clock.advance(timedelta(seconds=1))
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": "1", **({"cursor": cursor} if cursor else {})}
        page = (await service.client.get(TOKENS, params=query, headers=service.as_("admin"))).json()
        seen += [one["id"] for one in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == made[::-1]
    bad = await service.client.get(f"{TOKENS}?cursor=nonsense", headers=service.as_("admin"))
    assert bad.status_code == 400
