"""Competitions and rounds over HTTP."""

import csv
import io
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.event import listen, remove

from prizewire_chassis.http.paging import encode_cursor
from prizewire_settlement.rounds.storage.checks import CHECKS
from services.settlement.tests.fakes import CAMPAIGN, SOURCE
from services.settlement.tests.service import (
    Opener,
    Service,
    competition_body,
    match_event,
    results,
    subject_of,
)

ROUTE = "/api/competitions"


def holds(got: Any, body: Any) -> bool:
    """Whether an answer has every member of a body."""
    if isinstance(body, dict):
        return all(name in got and holds(got[name], value) for name, value in body.items())
    if isinstance(body, list):
        return len(got) == len(body) and all(map(holds, got, body))
    return bool(got == body)


async def test_a_competition_comes_back_as_it_was_written(open_service: Opener) -> None:
    """A table with points: version 1, the default fees, everything else as in the request."""
    service: Service = await open_service()
    body = competition_body(
        template={
            "table": [{"places": "1", "amount_each": "40.00"}, {"places": "2-3", "amount_each": "10.50"}],
            "per_point": {"score": "points", "per": "0.5", "amount": "1.00", "overflow": "pro_rata"},
        },
        rank_by={"by": "score", "score": "points", "order": "asc"},
        ties={"policy": "refuse"},
        organizer_player="org",
        dispute_window_s=3_600,
    )
    made = await service.client.post(ROUTE, json=body, headers=service.as_("admin"))
    assert made.status_code == 201
    got = (await service.client.get(f"{ROUTE}/cup", headers=service.as_("operator"))).json()
    assert got == made.json()
    assert (got["rule_version"], got["platform_fee_bps"], got["organizer_fee_bps"]) == (1, 1_000, 500)
    assert holds(got, body)
    assert got["fees"] == {"platform": "10.00", "organizer": "5.00", "net": "85.00"}


async def test_an_organizers_fee_needs_an_organizer(open_service: Opener) -> None:
    """A fee without an organizer is refused; the default holds only where an organizer is named."""
    service: Service = await open_service()
    asked = competition_body(organizer_player=None, organizer_fee_bps=500)
    refused = await service.client.post(ROUTE, json=asked, headers=service.as_("admin"))
    assert (refused.status_code, refused.json()["code"]) == (422, "organizer_missing"), refused.text
    assert refused.json()["field"] == "organizer_fee_bps"
    made = await service.client.post(
        ROUTE, json=competition_body(organizer_player=None), headers=service.as_("admin")
    )
    assert (made.status_code, made.json()["organizer_fee_bps"]) == (201, 0)
    assert made.json()["fees"] == {"platform": "10.00", "organizer": "0.00", "net": "90.00"}


async def test_percentages_are_taken_for_each_place(open_service: Opener) -> None:
    """2.5 % for each of four places is 10 % for all four; a place may earn zero percent or an amount of zero."""
    service: Service = await open_service()
    table = [
        {"places": "1", "percent_each": "80"},
        {"places": "2", "percent_total": "0"},
        {"places": "3-6", "percent_each": "2.5"},
    ]
    made = await service.client.post(
        ROUTE, json=competition_body(template={"table": table}), headers=service.as_("admin")
    )
    assert made.status_code == 201, made.text
    assert made.json()["template"]["table"] == [
        {"places": "1", "percent_total": "80", "amount_each": None},
        {"places": "2", "percent_total": "0", "amount_each": None},
        {"places": "3-6", "percent_total": "10", "amount_each": None},
    ]
    for again in (table, [{"places": "1", "percent_total": "80.0"}, *table[1:]]):
        body = competition_body(template={"table": again})
        put = await service.client.put(f"{ROUTE}/cup", json=body, headers=service.as_("admin"))
        assert (put.status_code, put.json()) == (200, made.json()), "the same rule in other words"
    both = [{"places": "1", "percent_each": "80", "percent_total": "80"}]
    nothing = [{"places": "1", "amount_each": "0.00"}]
    for table_, status in ((both, 422), (nothing, 200)):
        body = competition_body(template={"table": table_})
        put = await service.client.put(f"{ROUTE}/cup", json=body, headers=service.as_("admin"))
        assert put.status_code == status, put.text


async def test_rules_are_versioned_and_stay_readable(service: Service) -> None:
    """PUT makes version 2; version 1 can still be read; the list shows the one in force."""
    body = competition_body(name="Cup II", template={"table": [{"places": "1-4", "percent_total": "62.5"}]})
    put = await service.client.put(f"{ROUTE}/cup", json=body, headers=service.as_("admin"))
    assert (put.status_code, put.json()["rule_version"], put.json()["name"]) == (200, 2, "Cup II")
    first = (await service.client.get(f"{ROUTE}/cup/rules/1", headers=service.as_("admin"))).json()
    assert first["template"] == {"name": "top3", "table": None, "per_point": None}
    listed = (await service.client.get(ROUTE, headers=service.as_("admin"))).json()
    assert [(one["id"], one["rule_version"]) for one in listed["items"]] == [("cup", 2)]
    assert holds(listed["items"][0]["template"], body["template"])


async def test_every_change_is_audited(service: Service) -> None:
    """The record has the person, the competition, and the keys that may report its matches; a request that changes nothing is not audited."""
    for name in ("Cup", "Cup II", "Cup II"):
        await service.client.put(
            f"{ROUTE}/cup", json=competition_body(name=name), headers=service.as_("admin", subject="ada")
        )
    rows = await service.rows("SELECT actor, action, target, detail FROM audit_log ORDER BY sequence")
    assert [(row.actor, row.action, row.target) for row in rows] == [
        ("olga", "competition.created", "cup"),
        ("ada", "competition.rule_changed", "cup"),
    ]
    assert rows[1].detail["sources"] == [{"source": SOURCE, "keys": ["chess-1"]}]
    assert rows[1].detail["campaign"] == str(CAMPAIGN)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"asset": "DOGE"}, 422, "asset_unknown"),
        ({"gross_prize": "1.001"}, 422, "amount_too_many_decimals"),
        ({"gross_prize": 100.0}, 400, "invalid_request"),
        ({"gross_prize": 10**30}, 400, "number_out_of_range"),
        ({"gross_prize": "-1.00"}, 400, "invalid_request"),
        ({"gross_prize": "1e3"}, 400, "invalid_request"),
        ({"gross_prize": "9999999999999999999.00"}, 422, "amount_overflow"),
        ({"template": {"name": "top4"}}, 422, "template_unknown"),
        ({"template": {}}, 400, "invalid_request"),
        ({"template": {"name": "top3", "table": []}}, 400, "invalid_request"),
        ({"template": {"table": [{"places": "2", "percent_total": "5"}]}}, 422, "places_not_contiguous"),
        ({"template": {"table": [{"places": "1", "percent_total": "101"}]}}, 422, "percent_invalid"),
        ({"template": {"table": [{"places": "1", "amount_each": "85.01"}]}}, 422, "prizes_exceed_net"),
        ({"template": {"table": [{"place": "1"}]}}, 400, "invalid_request"),
        ({"platform_fee_bps": 9_900, "organizer_fee_bps": 101}, 422, "fees_invalid"),
        ({"platform_fee_bps": 100.5}, 400, "invalid_request"),
        ({"rank_by": {"by": "score"}}, 400, "invalid_request"),
        ({"dispute_window_s": -1}, 400, "invalid_request"),
        ({"dispute_window_s": 366 * 86_400 + 1}, 400, "invalid_request"),
        ({"dispute_window_s": "60"}, 400, "invalid_request"),
        ({"platform_fee_bps": True}, 400, "invalid_request"),
        ({"id": "a/b"}, 400, "invalid_request"),
        ({"id": None}, 400, "invalid_request"),
        ({"id": "cup"}, 409, "competition_exists"),
        ({"name": "with\x00nul"}, 400, "invalid_request"),
        ({"surprise": 1}, 400, "invalid_request"),
    ],
)
async def test_invalid_bodies_are_problems(
    service: Service, change: dict[str, Any], status: int, code: str
) -> None:
    """Each has a status and a stable code, and nothing is stored."""
    answer = await service.client.post(
        ROUTE, json=competition_body(**{"id": "other", **change}), headers=service.as_("admin")
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert await service.count("competitions") == 1
    assert await service.count("audit_log") == 1


WRITERS = {"admin"}
READERS = {"organizer", "operator", "approver", "admin"}


@pytest.mark.parametrize("role", ["player", "organizer", "operator", "approver", "admin", None])
async def test_each_route_is_for_its_roles(service: Service, role: str | None) -> None:
    """Admins write, since a rule decides whose money is paid to whom; organizers, operators and approvers read, players and callers without a token do neither."""
    await service.take(match_event("completed"))
    headers = service.as_(role) if role else {}
    body = competition_body()
    writes = [("POST", ROUTE), ("PUT", f"{ROUTE}/cup")]
    reads = [
        ("GET", path)
        for path in (
            ROUTE,
            f"{ROUTE}/cup",
            f"{ROUTE}/cup/rules/1",
            "/api/rounds",
            f"/api/rounds/{subject_of('m1')}",
            f"/api/rounds/{subject_of('m1')}/lines",
        )
    ]
    for routes, roles in ((writes, WRITERS), (reads, READERS)):
        for method, path in routes:
            sent = body if method != "GET" else None
            answer = await service.client.request(method, path, headers=headers, json=sent)
            if role is None:
                assert answer.status_code == 401, path
            elif role in roles:
                assert answer.status_code in (200, 409), path
            else:
                assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), path


async def test_unknown_things_are_404(service: Service) -> None:
    """An unknown competition, rule version or path is 404 with a stable code, for reading and for changing."""
    body = competition_body()
    admin = service.as_("admin", subject="ada")
    assert (await service.client.put(f"{ROUTE}/cup", json=body, headers=admin)).status_code == 200
    del body["id"]
    missing = await service.client.put(f"{ROUTE}/unheard", json=body, headers=admin)
    assert (missing.status_code, missing.json()["code"]) == (404, "competition_unknown")
    body["id"] = "other"
    other = await service.client.put(f"{ROUTE}/cup", json=body, headers=admin)
    assert (other.status_code, other.json()["code"]) == (422, "id_mismatch")
    for path in (
        f"{ROUTE}/unheard",
        f"{ROUTE}/cup/rules/9",
        f"{ROUTE}/cup/rules/99999999999",
    ):
        assert (await service.client.get(path, headers=admin)).status_code == 404, path


async def test_rounds_are_listed_newest_first_with_filters_and_pages(service: Service) -> None:
    """Cursor paging returns every round once; filters by competition, state and match."""
    await service.create(id="other")
    for number in range(5):
        await service.take(match_event("completed", f"m{number}"))
        service.clock.advance(timedelta(seconds=1))
    await service.take(match_event("opened", "x", data={"competition": "other"}))
    headers = service.as_("operator")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await service.client.get("/api/rounds", params=query, headers=headers)).json()
        seen += [one["match_id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ["x", "m4", "m3", "m2", "m1", "m0"]
    for query, expected in (
        ({"competition": "other"}, ["x"]),
        ({"state": "OPEN"}, ["x"]),
        ({"match_id": "m3"}, ["m3"]),
        ({"competition": "cup", "state": "FINALIZED", "limit": "1"}, ["m4"]),
        ({"match_id": "unheard"}, []),
    ):
        page = (await service.client.get("/api/rounds", params=query, headers=headers)).json()
        assert [one["match_id"] for one in page["items"]] == expected
    for path in (
        "/api/rounds?cursor=nonsense",
        "/api/rounds?limit=0",
        "/api/rounds?state=LOST",
        "/api/rounds?match_id=%00",
    ):
        assert (await service.client.get(path, headers=headers)).status_code == 400, path


async def test_competitions_are_listed_newest_first(service: Service) -> None:
    """In pages, each of them once; those that were made at the same moment by their ids."""
    for name in ("b", "a", "z"):
        service.clock.advance(timedelta(seconds=name != "z"))
        await service.create(id=name)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": "1", **({"cursor": cursor} if cursor else {})}
        page = (await service.client.get(ROUTE, params=query, headers=service.as_("admin"))).json()
        seen += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ["z", "a", "b", "cup"]
    for values in (["2026-05-01T12:00:00", "a"], ["2026-05-01T12:00:00Z", 1], ["soon", "a"], ["a"]):
        wrong = await service.client.get(
            ROUTE, params={"cursor": encode_cursor(values)}, headers=service.as_("admin")
        )
        assert (wrong.status_code, wrong.json()["code"]) == (400, "cursor_invalid")


@pytest.mark.parametrize(
    ("public_key", "status", "code"),
    [
        ("00" * 31, 400, "invalid_request"),
        ("00" * 33, 400, "invalid_request"),
        ("g" * 64, 400, "invalid_request"),
        ("01" + "00" * 31, 422, "public_key_invalid"),
        ("ec" + "ff" * 30 + "7f", 422, "public_key_invalid"),
        ("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", 422, "public_key_invalid"),
        ("02" + "00" * 31, 422, "public_key_invalid"),
        ("ff" * 32, 422, "public_key_invalid"),
    ],
    ids=[
        "short",
        "long",
        "not hex",
        "order 1",
        "order 2",
        "order 8",
        "no point",
        "not reduced",
    ],
)
async def test_an_unusable_public_key_is_refused(
    service: Service, public_key: str, status: int, code: str
) -> None:
    """A text that is no Ed25519 public key, or a key of small order, is refused on creation and on change."""
    body = competition_body(id="keys")
    body["sources"][0]["keys"][0]["public_key"] = public_key
    made = await service.client.post(ROUTE, json=body, headers=service.as_("admin"))
    put = await service.client.put(f"{ROUTE}/cup", json={**body, "id": "cup"}, headers=service.as_("admin"))
    for answer in (made, put):
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    if status == 422:
        assert made.json()["field"] == f"sources.{SOURCE}"
    listed = (await service.client.get(ROUTE, headers=service.as_("admin"))).json()
    assert [(one["id"], one["rule_version"]) for one in listed["items"]] == [("cup", 1)]


async def test_a_page_of_lines_reads_a_page(service: Service) -> None:
    """Neither parts of the result nor lines of other pages are read from the database."""
    await service.create(id="many", template={"table": [{"places": "1-30", "percent_total": "90"}]})
    players = [f"p{n}" for n in range(30)]
    await service.take(match_event("completed", data={"competition": "many", "results": results(*players)}))
    read: list[tuple[str, int]] = []

    def note(_1: Any, cursor: Any, statement: str, *_: Any) -> None:
        read.append((statement, cursor.rowcount))

    engine = service.runtime.db.engine.sync_engine
    listen(engine, "after_cursor_execute", note)
    try:
        answer = await service.client.get(
            f"/api/rounds/{subject_of('m1')}/lines",
            params={"limit": 5, "cursor": encode_cursor([10])},
            headers=service.as_("admin"),
        )
    finally:
        remove(engine, "after_cursor_execute", note)
    assert [line["line"] for line in answer.json()["items"]] == [11, 12, 13, 14, 15]
    assert sum(rows for _, rows in read) == 6
    assert not any("round_results" in statement for statement, _ in read)


async def test_lines_are_paged(service: Service) -> None:
    """Every line once, in order; a round without a settlement has none."""
    await service.create(id="many", template={"table": [{"places": "1-7", "percent_total": "100"}]})
    players = [f"p{n}" for n in range(7)]
    await service.take(match_event("completed", data={"competition": "many", "results": results(*players)}))
    path, headers = f"/api/rounds/{subject_of('m1')}/lines", service.as_("admin")
    first = (await service.client.get(path, params={"limit": 5}, headers=headers)).json()
    second = (
        await service.client.get(path, params={"limit": 5, "cursor": first["next_cursor"]}, headers=headers)
    ).json()
    assert [line["player"] for line in first["items"] + second["items"]] == players
    assert second["next_cursor"] is None
    await service.take(match_event("opened", "m2"))
    missing = await service.client.get(f"/api/rounds/{subject_of('m2')}/lines", headers=headers)
    assert (missing.status_code, missing.json()["code"]) == (404, "round_unknown")


async def test_lines_come_as_csv(service: Service) -> None:
    """All lines with a header; a cell like a formula becomes text; a round without a settlement has no lines."""
    await service.create(id="many", template={"table": [{"places": "1-3", "percent_total": "100"}]})
    players = ["=1+1", "\uff1dcmd", 'zoe,"z"']
    await service.take(match_event("completed", data={"competition": "many", "results": results(*players)}))
    headers = service.as_("operator")
    answer = await service.client.get(f"/api/rounds/{subject_of('m1')}/lines.csv", headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (
        200,
        "text/csv; header=present; charset=utf-8",
    )
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["round_id", "settlement_version", "line", "place", "player", "asset", "amount"]
    assert [row[1:] for row in rows[1:]] == [
        ["1", "1", "1", "'=1+1", "EURC", "28.34"],
        ["1", "2", "2", "'\uff1dcmd", "EURC", "28.33"],
        ["1", "3", "3", 'zoe,"z"', "EURC", "28.33"],
    ]
    missing = await service.client.get(f"/api/rounds/{uuid4()}/lines.csv", headers=headers)
    assert (missing.status_code, missing.json()["code"]) == (404, "round_unknown")


async def test_a_lineage_shows_result_steps_rule_and_lines(service: Service) -> None:
    """For one correlation id: the result, every transition with its cause, the rule and the prize lines."""
    await service.take(match_event("completed", data={"results": results("ann", "bob", "cyd")}))
    route = "/api/services/settlement/lineage/corr-m1"
    body = (await service.client.get(route, headers=service.as_("operator"))).json()
    kinds = [entry["kind"] for entry in body["entries"]]
    assert kinds == [
        "match.result",
        "round.open",
        "round.closed",
        "round.resolved",
        "round.settled",
        "round.finalized",
        "settlement",
    ]
    result, settlement = body["entries"][0], body["entries"][-1]
    assert [row["player"] for row in result["detail"]["results"]] == ["ann", "bob", "cyd"]
    assert settlement["detail"]["rule"]["rule_version"] == 1
    assert [line["amount"] for line in settlement["detail"]["lines"]] == ["42.50", "25.50", "17.00"]
    assert (await service.client.get(f"{route}-unheard", headers=service.as_("operator"))).json()[
        "entries"
    ] == []


async def test_the_checks_are_served_and_hold(service: Service) -> None:
    """Every check is listed by name, and none has a breach."""
    await service.take(match_event("completed"), match_event("opened", "m2"))
    body = (
        await service.client.get("/api/services/settlement/checks", headers=service.as_("operator"))
    ).json()
    every_services = {
        "events.none_is_parked",
        "events.none_contradicts",
        "outbox.waiting_is_there",
        "audit.chain",
    }
    assert {check["name"] for check in body["checks"]} == {
        *CHECKS,
        "settlement.results_are_whole",
        "settlement.parts_are_proved",
        *every_services,
    }
    assert all(check["ok"] for check in body["checks"])
