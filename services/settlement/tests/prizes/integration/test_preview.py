"""What a result would pay, over HTTP and a real PostgreSQL."""

import asyncio
import threading
from typing import Any

import pytest

from prizewire_settlement.prizes import http as routes
from services.settlement.tests.examples import load_example
from services.settlement.tests.service import Service, competition_body, line_amounts, match_event, results

ROUTE = "/api/competitions/cup/preview"


async def ask(service: Service, body: dict[str, Any], *, route: str = ROUTE, role: str = "organizer") -> Any:
    return await service.client.post(route, json=body, headers=service.as_(role))


def rule_body(**changes: Any) -> dict[str, Any]:
    body = competition_body(**changes)
    del body["id"]
    return body


async def counts(service: Service) -> dict[str, int]:
    """Rows of every table that the service has."""
    tables = await service.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {row.tablename: await service.count(row.tablename) for row in tables}


async def test_a_preview_pays_what_the_match_then_pays(service: Service) -> None:
    """Gross, fees, net, unclaimed and each line are those of the settlement that follows."""
    answer = await ask(service, {"results": results("ann", "bob", "cyd", "dan")})
    shown = answer.json()
    assert answer.status_code == 200, answer.text
    assert shown == {
        "competition": "cup",
        "rule_version": 1,
        "asset": "EURC",
        "gross": "100.00",
        "fees": {
            "platform": "10.00",
            "platform_bps": 1_000,
            "organizer": "5.00",
            "organizer_bps": 500,
            "organizer_player": "org",
        },
        "net": "85.00",
        "unclaimed": "0.00",
        "lines": [
            {"line": 1, "player": "ann", "place": 1, "amount": "42.50"},
            {"line": 2, "player": "bob", "place": 2, "amount": "25.50"},
            {"line": 3, "player": "cyd", "place": 3, "amount": "17.00"},
        ],
    }
    await service.take(match_event("completed", data={"results": results("ann", "bob", "cyd", "dan")}))
    settled = await service.round()
    assert settled["lines"] == shown["lines"]
    made = settled["settlement"]
    same = ("asset", "gross", "fees", "net", "unclaimed", "rule_version")
    assert [made[name] for name in same] == [shown[name] for name in same]


async def test_a_preview_does_not_hold_up_others(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other requests are answered while a large result is worked out."""
    begun, go_on = threading.Event(), threading.Event()
    work_out = routes.preview

    def slowly(**given: Any) -> Any:
        begun.set()
        assert go_on.wait(timeout=600)
        return work_out(**given)

    monkeypatch.setattr(routes, "preview", slowly)
    asked = asyncio.create_task(ask(service, {"results": results("ann", "bob")}))
    try:
        assert await asyncio.to_thread(begun.wait, 30)
        listed = await service.client.get("/api/competitions", headers=service.as_("operator"))
        assert listed.status_code == 200
        assert not asked.done()
    finally:
        go_on.set()
    assert (await asked).status_code == 200


async def test_a_preview_has_no_effect(service: Service) -> None:
    """Answered or refused: not a row more or less in any table, no event, no audit."""
    before = await counts(service)
    for body, status in (
        ({"results": results("ann", "bob")}, 200),
        ({"results": results("ann", "bob"), "rule": rule_body(gross_prize="9.00")}, 200),
        ({"results": [*results("ann"), *results("ann")]}, 422),
        ({"results": results("ann"), "rule": rule_body(template={"name": "top4"})}, 422),
        ({"results": results("ann"), "rule_version": 9}, 404),
    ):
        assert (await ask(service, body)).status_code == status
    assert await counts(service) == before


async def test_earlier_and_unstored_rules_can_be_asked(service: Service) -> None:
    """Version 1 after version 2 came into force; a rule in the body; a competition that is yet to be made."""
    put = await service.client.put(
        "/api/competitions/cup", json=rule_body(gross_prize="200.00"), headers=service.as_("admin")
    )
    assert put.status_code == 200
    wanted = {"results": results("ann")}
    for more, version, gross in (
        ({}, 2, "200.00"),
        ({"rule_version": 1}, 1, "100.00"),
        ({"rule": rule_body(gross_prize="300.00")}, None, "300.00"),
        ({"rule": competition_body(gross_prize="300.00")}, None, "300.00"),
    ):
        shown = (await ask(service, {**wanted, **more})).json()
        assert (shown["rule_version"], shown["gross"]) == (version, gross)
    unheard = await ask(service, {**wanted, "rule": rule_body()}, route="/api/competitions/new/preview")
    assert (unheard.status_code, unheard.json()["competition"]) == (200, "new")


async def test_a_rule_that_breaks_ties_and_spreads_is_stored_and_pays(service: Service) -> None:
    """Put, read and previewed: the tie is broken by its score, and the fifth place is spread over the four."""
    body = rule_body(
        template={"name": "top5"},
        ties={"policy": "break", "score": "kills", "order": "asc"},
        unclaimed="spread",
        platform_fee_bps=0,
        organizer_fee_bps=0,
    )
    put = await service.client.put("/api/competitions/cup", json=body, headers=service.as_("admin"))
    got = (await service.client.get("/api/competitions/cup", headers=service.as_("admin"))).json()
    for shown in (put.json(), got):
        assert shown["template"] == {"name": "top5", "table": None, "per_point": None}
        assert (shown["ties"], shown["unclaimed"]) == (body["ties"], "spread")
    first = (await service.client.get("/api/competitions/cup/rules/1", headers=service.as_("admin"))).json()
    assert (first["ties"], first["unclaimed"]) == (
        {"policy": "split", "score": None, "order": None},
        "pool",
    )
    standings = [
        {"player": "ann", "place": 1, "scores": {"kills": "3"}},
        {"player": "bob", "place": 1, "scores": {"kills": "2"}},
        {"player": "cyd", "place": 3, "scores": {"kills": "0"}},
        {"player": "dan", "place": 4, "scores": {"kills": "0"}},
    ]
    shown = (await ask(service, {"results": standings})).json()
    # 92.00 to four places, 8.00 spread over them as 40 : 25 : 15 : 12
    assert line_amounts(shown) == {"bob": "43.48", "ann": "27.17", "cyd": "16.31", "dan": "13.04"}
    await service.take(match_event("completed", data={"results": standings}))
    assert line_amounts(await service.round()) == line_amounts(shown)
    assert await service.breaches() == {}


async def test_a_published_competition_cut_after_its_first_five_players(service: Service) -> None:
    """Hero World Challenge 2023: the five best alone are shown what they got, the pair included; the rest is unclaimed."""
    example = load_example("hero-world-challenge-2023")
    best = [row["player"] for row in example.expected["lines"][:5]]
    cut = [row for row in example.results if row["player"] in best]
    route = f"/api/competitions/{example.competition['id']}/preview"
    shown = (await ask(service, {"rule": example.competition, "results": cut}, route=route)).json()
    assert [{name: line[name] for name in ("player", "place", "amount")} for line in shown["lines"]] == (
        example.expected["lines"][:5]
    )
    assert (shown["net"], shown["unclaimed"]) == ("4500000.00", "2325000.00")
    whole = (
        await ask(service, {"rule": example.competition, "results": example.results}, route=route)
    ).json()
    assert (len(whole["lines"]), whole["unclaimed"]) == (20, "0.00")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"results": [*results("ann"), *results("ann")]}, 422, "duplicate_player"),
        ({"results": [{"player": "ann", "scores": {"points": "1"}}]}, 422, "score_missing"),
        (
            {
                "results": results("ann"),
                "rule": rule_body(ties={"policy": "break", "score": "kills"}),
            },
            422,
            "score_missing",
        ),
        (
            {
                "results": [{"player": "ann", "place": 1}, {"player": "bob", "place": 1}],
                "rule": rule_body(ties={"policy": "refuse"}),
            },
            422,
            "tie_refused",
        ),
        (
            {
                "results": [{"player": "ann", "scores": {"kills": "99"}}],
                "rule": rule_body(
                    template={"per_point": {"score": "kills", "per": "1", "amount": "1.00"}},
                    rank_by={"by": "score", "score": "kills"},
                ),
            },
            422,
            "invalid_amount",
        ),
        ({"results": results("ann"), "rule": rule_body(asset="DOGE")}, 422, "asset_unknown"),
        (
            {
                "results": results("ann"),
                "rule": rule_body(
                    template={"per_point": {"score": "kills", "per": "1", "amount": "1.00"}},
                    unclaimed="spread",
                ),
            },
            422,
            "unclaimed_invalid",
        ),
        ({"results": results("ann"), "rule_version": 9}, 404, "competition_unknown"),
        ({"results": []}, 400, "invalid_request"),
        ({"results": results("ann"), "rule_version": 0}, 400, "invalid_request"),
        ({"results": results("ann"), "rule_version": 1, "rule": rule_body()}, 400, "invalid_request"),
        ({"results": results("ann"), "rule": competition_body(id="other")}, 422, "id_mismatch"),
        ({"results": results("ann"), "rule": rule_body(ties={"policy": "break"})}, 400, "invalid_request"),
        (
            {"results": results("ann"), "rule": rule_body(ties={"policy": "split", "order": "asc"})},
            400,
            "invalid_request",
        ),
        ({"results": results("ann"), "rule": rule_body(unclaimed="burn")}, 400, "invalid_request"),
        ({"results": [{"player": "ann"}]}, 400, "invalid_request"),
        ({"surprise": 1, "results": results("ann")}, 400, "invalid_request"),
    ],
)
async def test_a_preview_of_a_refused_result_is_a_problem(
    service: Service, body: dict[str, Any], status: int, code: str
) -> None:
    """The refusal's own code, as 422; bodies that cannot be read are 400."""
    answer = await ask(service, body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    if code == "id_mismatch":
        assert answer.json()["field"] == "rule.id"
    if code == "unclaimed_invalid":
        assert answer.json()["field"] == "rule.unclaimed"


async def test_unknown_things_are_404(service: Service) -> None:
    """An unknown competition without a rule of its own."""
    answer = await ask(service, {"results": results("ann")}, route="/api/competitions/unheard/preview")
    assert (answer.status_code, answer.json()["code"]) == (404, "competition_unknown")


@pytest.mark.parametrize("role", ["player", "organizer", "operator", "approver", "admin", None])
async def test_readers_may_preview(service: Service, role: str | None) -> None:
    """Roles that read rules may preview; players and callers without a token may not."""
    headers = service.as_(role) if role else {}
    answer = await service.client.post(ROUTE, json={"results": results("ann")}, headers=headers)
    expected = 401 if role is None else 403 if role == "player" else 200
    assert answer.status_code == expected


async def test_openapi_describes_the_preview(service: Service) -> None:
    """The route and examples of its body stand in the document."""
    document = (await service.client.get("/schema/openapi.json")).json()
    body = document["paths"]["/api/competitions/{competition_id}/preview"]["post"]["requestBody"]
    name = body["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
    assert document["components"]["schemas"][name]["properties"]["results"]["examples"]
