"""Campaigns and refusals of rewards over the database: rules that could never be paid, and refused rounds."""

from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from httpx import Response

from prizewire_contracts.events.settlements import RoundFinalizedEvent, RoundSettledEvent, RoundVoidedEvent
from prizewire_settlement.metrics import ROUNDS_REFUSED
from services.settlement.tests.rounds.integration.test_database import refusal, step
from services.settlement.tests.service import (
    Service,
    campaign_event,
    competition_body,
    disowned_event,
    line_amounts,
    match_event,
    refused_event,
    subject_of,
)

OTHER = "11111111-2222-4333-8444-555555555555"
WHY = {"reason": "the rule named a wrong campaign"}


async def put(service: Service, **changes: Any) -> Response:
    return await service.client.put(
        "/api/competitions/cup", json=competition_body(**changes), headers=service.as_("admin")
    )


async def decide(service: Service, what: str, body: dict[str, Any], *, key: str = "k1") -> Response:
    headers = service.as_("admin", subject="ada") | {"idempotency-key": key}
    return await service.client.post(f"/api/rounds/{subject_of('m1')}/{what}", json=body, headers=headers)


async def listed(service: Service, **query: Any) -> list[str]:
    answer = await service.client.get("/api/rounds", params=query, headers=service.as_("operator"))
    return [one["match_id"] for one in answer.json()["items"]]


async def test_a_rule_needs_a_campaign_that_can_pay_it(service: Service) -> None:
    """Unknown, in another asset, or ended: refused with its code, until an event says otherwise."""
    unknown = await put(service, campaign=OTHER)
    assert (unknown.status_code, unknown.json()["code"]) == (422, "campaign_unknown")
    await service.know(campaign_event(OTHER, asset="USDC"))
    mismatch = await put(service, campaign=OTHER)
    assert (mismatch.status_code, mismatch.json()["code"]) == (422, "asset_mismatch")
    assert (await put(service, campaign=OTHER, asset="USDC")).status_code == 200
    await service.know(campaign_event(OTHER, asset="USDC", state="ended", version=7))
    await service.know(campaign_event(OTHER, asset="USDC", state="paused", version=3))
    ended = await put(service, campaign=OTHER, asset="USDC")
    assert (ended.status_code, ended.json()["code"]) == (422, "campaign_ended")
    assert await service.stuck() == []


async def test_a_refused_round_is_shown_resettled_and_paid(service: Service) -> None:
    """State, list, check, metric and lineage show it; a mended rule settles it with the next version, once for a key."""
    await service.take(match_event("completed"), match_event("completed", "m2"))
    await service.know(refused_event())
    shown = await service.round()
    assert (shown["refused"]["code"], shown["refused"]["settlement_version"]) == ("asset_mismatch", 1)
    assert (await listed(service, refused=True), shown["state"]) == (["m1"], "FINALIZED")
    assert list(await service.breaches()) == ["settlement.refused_rounds_are_mended"]
    await service.job("rounds.refused")
    assert ROUNDS_REFUSED._value.get() == 1
    story = await service.client.get(
        "/api/services/settlement/lineage/corr-m1", headers=service.as_("operator")
    )
    assert "round.refused" in [entry["kind"] for entry in story.json()["entries"]]

    assert (await decide(service, "resettle", WHY, key="k0")).json()["code"] == "rule_unchanged"
    await service.know(campaign_event(OTHER, asset="USDC"))
    assert (await put(service, campaign=OTHER, asset="USDC", gross_prize="200.00")).status_code == 200
    first, again = await decide(service, "resettle", WHY), await decide(service, "resettle", WHY)
    assert (first.status_code, first.json()["settlement_version"], first.json()["rule_version"]) == (
        200,
        2,
        2,
    )
    assert again.json() == first.json()

    event = (await service.events())[-1]
    assert isinstance(event, RoundSettledEvent)
    assert (event.data.settlement_version, str(event.data.campaign), event.data.asset) == (2, OTHER, "USDC")
    assert (event.aggregateversion, event.data.final) == (2, True)
    shown = await service.round()
    assert (shown["refused"], shown["refused_at"], shown["state"]) == (None, None, "FINALIZED")
    assert line_amounts(shown) == {"ann": "85.00", "bob": "51.00", "cyd": "34.00"}
    (row,) = await service.rows("SELECT * FROM audit_log WHERE action = 'round.resettled'")
    assert (row.actor, row.reason, row.detail["rule_version"]) == ("ada", WHY["reason"], 2)
    assert await listed(service, refused=True) == []
    assert await service.breaches() == {}


async def test_a_refused_final_round_is_voided(service: Service) -> None:
    """By the route that voids others before they are final."""
    await service.take(match_event("completed"))
    assert (await decide(service, "resolve", {"void": True, **WHY})).json()["code"] == "illegal_transition"
    await service.know(refused_event())
    answer = await decide(service, "resolve", {"void": True, **WHY}, key="k2")
    assert (answer.status_code, answer.json()["state"]) == (200, "VOIDED")
    assert isinstance((await service.events())[-1], RoundVoidedEvent)
    assert await service.breaches() == {}


async def test_a_refused_round_becomes_final_after_it_is_resettled(service: Service) -> None:
    """A round that was refused inside its window becomes final only after it is resettled."""
    await service.create(id="slow", dispute_window_s=60)
    await service.take(match_event("completed", data={"competition": "slow"}))
    await service.know(refused_event())
    service.clock.advance(timedelta(minutes=2))
    assert not await service.finalize()
    await service.know(campaign_event(OTHER))
    body = competition_body(id="slow", campaign=OTHER, dispute_window_s=60)
    await service.client.put("/api/competitions/slow", json=body, headers=service.as_("admin"))
    assert (await decide(service, "resettle", WHY)).json()["state"] == "SETTLED"
    assert await service.finalize()
    event = (await service.events())[-1]
    assert isinstance(event, RoundFinalizedEvent)
    assert event.data.settlement_version == 2


async def test_refusals_that_do_not_fit(service: Service) -> None:
    """A refusal of an unknown settlement is parked; a repeated one changes nothing, also by another event."""
    await service.take(match_event("completed"))
    once = refused_event()
    await service.know(once, once)
    await service.know(refused_event(at=2, code="campaign_ended"), refused_event(at=3))
    assert (await service.round())["refused"]["code"] == "asset_mismatch"
    await service.know(refused_event("m9"))
    assert await service.count("round_refusals") == 1
    assert await service.stuck() == [("parked", "event_mismatch")]


async def test_a_disowned_final_round_is_shown_and_can_only_be_voided(service: Service) -> None:
    """State, list, check, metric and lineage show it, also of a round that rewards refused before; a repeated
    event changes nothing.
    """
    await service.take(match_event("completed"), match_event("completed", "m2"))
    await service.know(refused_event(), disowned_event())
    service.clock.advance(timedelta(minutes=1))
    await service.know(disowned_event(reason="sent again"))
    shown = await service.round()
    assert (shown["disowned"]["reason"], shown["state"]) == ("it was forged", "FINALIZED")
    assert (shown["refused"], shown["refused_at"]) == (None, None)
    assert shown["disowned"]["at"] == shown["disowned_at"]
    assert shown["final_at"] is not None, "it was final before it was disowned"
    assert await listed(service, refused=True) == ["m1"]
    [breach] = (await service.breaches())["settlement.refused_rounds_are_mended"]
    assert breach.endswith("void it")
    assert "two admins disowned it" in breach
    await service.job("rounds.refused")
    assert ROUNDS_REFUSED._value.get() == 1
    marks = {one["round_id"]: (one["refused"], one["disowned"]) for one in await ended(service)}
    assert marks == {str(subject_of("m1")): (True, True), str(subject_of("m2")): (False, False)}
    story = await service.client.get(
        "/api/services/settlement/lineage/corr-m1", headers=service.as_("operator")
    )
    assert "round.disowned" in [entry["kind"] for entry in story.json()["entries"]]

    body = {"reason": "seen", "results": [{"player": "bob", "place": 1}]}
    for what, sent in (("resettle", WHY), ("resolve", body)):
        answer = await decide(service, what, sent, key=what)
        assert (answer.status_code, answer.json()["code"]) == (409, "round_disowned"), what
    answer = await decide(service, "resolve", {"void": True, **WHY}, key="void")
    assert (answer.status_code, answer.json()["state"]) == (200, "VOIDED")
    assert isinstance((await service.events())[-1], RoundVoidedEvent)
    shown = await service.round()
    assert (shown["refused_at"], shown["disowned_at"] is None) == (None, False)
    assert (shown["final_at"], shown["settlement"]["final_at"]) == (None, None)
    assert (await service.breaches(), await service.stuck()) == ({}, [])


async def test_a_round_that_is_disowned_inside_its_window_never_becomes_final(service: Service) -> None:
    """Its `final_at` is null, before and after it is voided."""
    await service.create(id="slow", dispute_window_s=60)
    await service.take(match_event("completed", data={"competition": "slow"}))
    shown = await service.round()
    assert shown["final_at"] == shown["settlement"]["final_at"] is not None
    await service.know(disowned_event())
    shown = await service.round()
    assert (shown["state"], shown["final_at"], shown["settlement"]["final_at"]) == ("SETTLED", None, None)
    await decide(service, "resolve", {"void": True, **WHY})
    shown = await service.round()
    assert (shown["state"], shown["final_at"], shown["settlement"]["final_at"]) == ("VOIDED", None, None)


async def test_a_round_that_is_disowned_before_it_is_reported(service: Service) -> None:
    """Nothing is parked; a round that is reported later becomes a disowned one, and an admin voids it."""
    await service.know(disowned_event("m1"), disowned_event("m1", reason="again"), disowned_event("m2"))
    assert (await service.count("round_disownments"), await service.stuck()) == (2, [])
    await service.take(match_event("completed"), match_event("voided", "m2"))
    shown = await service.round()
    assert (shown["state"], shown["disowned"]["reason"]) == ("FINALIZED", "it was forged")
    assert await listed(service, refused=True) == ["m1"]
    answer = await decide(service, "resolve", {"void": True, **WHY})
    assert (answer.status_code, answer.json()["state"]) == (200, "VOIDED")
    assert await service.breaches() == {}


async def test_a_disownment_of_another_subject_is_dead(service: Service) -> None:
    """The subject of a disownment must be the round."""
    await service.take(match_event("completed"))
    await service.know(disowned_event(disownment_id=OTHER))
    assert await service.stuck() == [("dead", "event_mismatch")]
    assert (await service.round())["disowned"] is None


async def test_the_database_keeps_that_a_round_is_disowned(service: Service) -> None:
    """No round is marked without a disownment, and none that is marked loses it."""
    await service.take(match_event("completed"))
    error = await refusal(service, "UPDATE rounds SET disowned_at = now()")
    assert "what a round is bound to does not change" in str(error)
    await service.know(disowned_event())
    error = await refusal(service, "UPDATE rounds SET disowned_at = NULL")
    assert "what a round is bound to does not change" in str(error)


OTHER_RULE = "UPDATE rounds SET rule_version = 2, settlement_version = 2, version = 2"
OTHER_FIGURES = (
    "INSERT INTO settlements SELECT round_id, 2, 2, campaign, asset, gross, platform_fee, organizer_fee, "
    "organizer_player, net, unclaimed, lines_total, parts, 2, final, final_at, settled_at, cause_id, 'x', NULL, true "
    "FROM settlements"
)


@pytest.mark.parametrize("statement", [OTHER_RULE, OTHER_FIGURES])
async def test_the_database_lets_only_refused_rounds_change_their_rule(
    service: Service, statement: str
) -> None:
    """Without a refusal of the settlement before, neither a round nor a settlement takes another rule."""
    await service.take(match_event("completed"))
    assert (await put(service, gross_prize="200.00")).status_code == 200
    connection = await asyncpg.connect(service.urls.migration)
    try:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_one_refusal_allows_one_other_rule(service: Service) -> None:
    """A refused round takes no other rule without a settlement, and none with another end of its window; after it
    is resettled, it takes no further rule and is not voided.
    """
    await service.take(match_event("completed"))
    assert (await put(service, gross_prize="200.00")).status_code == 200
    await service.know(refused_event())
    error = await refusal(service, "UPDATE rounds SET rule_version = 2")
    assert "what a round is bound to does not change" in str(error)
    error = await refusal(service, OTHER_FIGURES.replace(" final_at,", " final_at + interval '1 s',"))
    assert "settlement 2 of round" in str(error)
    assert (await decide(service, "resettle", WHY)).json()["settlement_version"] == 2
    assert (await put(service, gross_prize="300.00")).status_code == 200
    error = await refusal(service, "UPDATE rounds SET rule_version = 3, settlement_version = 3")
    assert "what a round is bound to does not change" in str(error)
    figures = OTHER_FIGURES.replace("round_id, 2, 2,", "round_id, 3, 3,") + " WHERE version = 2"
    assert "settlement 3 of round" in str(await refusal(service, figures))
    [last] = await service.rows("SELECT max(seq) AS seq FROM round_transitions")
    void = step(last.seq + 1, "FINALIZED", "VOIDED", match="m1").replace(
        "'x', 'x', 'x', 'x', now(), NULL", "'admin.resolve', 'x', 'x', 'x', now(), 'x'"
    )
    assert "from FINALIZED to VOIDED is not allowed" in str(await refusal(service, void))


async def ended(service: Service, **query: Any) -> list[dict[str, Any]]:
    """Every round that ended, read in pages of one."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        params = {"limit": 1, **query} | ({"cursor": cursor} if cursor else {})
        answer = await service.client.get("/api/rounds/ended", params=params, headers=service.as_("operator"))
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found


async def test_rounds_that_ended_are_listed_the_last_one_first(service: Service) -> None:
    """Final and void ones by the time of their ends; a late correction ends a round again, open rounds are left out."""
    await service.create(id="slow", dispute_window_s=3_600)
    await service.take(
        match_event("completed"),
        match_event("completed", "m2"),
        match_event("completed", "m3", data={"competition": "slow"}),
    )
    service.clock.advance(timedelta(minutes=1))
    since = service.clock.now()
    await service.take(match_event("voided", "m3", data={"competition": "slow"}))
    service.clock.advance(timedelta(minutes=1))
    body = {"reason": "seen", "results": [{"player": "bob", "place": 1}]}
    assert (await decide(service, "resolve", body)).status_code == 200
    ids = {name: str(subject_of(name)) for name in ("m1", "m2", "m3")}
    found = await ended(service)
    assert [one["round_id"] for one in found] == [ids["m1"], ids["m3"], ids["m2"]]
    assert [(one["state"], one["settlement_version"], one["prizes"]) for one in found] == [
        ("FINALIZED", 2, 1),
        ("VOIDED", 1, 3),
        ("FINALIZED", 1, 3),
    ]
    assert [(one["gross"], one["prizes_total"], one["asset"]) for one in found][::2] == [
        ("100.00", "42.50", "EURC"),
        ("100.00", "85.00", "EURC"),
    ]
    later = await ended(service, since=since.isoformat())
    assert [one["round_id"] for one in later] == [ids["m1"], ids["m3"]]
    for since in ("2026-05-01T12:00:00", "1777636800", "yesterday", "0001-01-01T00:00:00+14:00"):
        wrong = await service.client.get(
            "/api/rounds/ended", params={"since": since}, headers=service.as_("operator")
        )
        assert (wrong.status_code, wrong.json()["code"]) == (400, "period_invalid"), since


async def test_entry_terms_of_rounds_are_listed_by_their_ids(service: Service) -> None:
    """By the rule that a round is bound to; unknown ones are left out."""
    await service.create(id="free")
    await service.create(id="paid", entry_fee={"asset": "EURC", "amount": "2.50"})
    await service.take(
        match_event("opened", "m1", data={"competition": "free"}),
        match_event("opened", "m2", data={"competition": "paid"}),
    )
    ids = [str(subject_of(name)) for name in ("m1", "m2", "m9")]
    answer = await service.client.get(
        "/api/rounds/entry-terms", params={"ids": ",".join(ids)}, headers=service.as_("operator")
    )
    assert {one["round_id"]: (one["state"], one["asset"], one["fee"]) for one in answer.json()["items"]} == {
        ids[0]: ("OPEN", None, None),
        ids[1]: ("OPEN", "EURC", "2.50"),
    }


async def test_settlements_of_rounds_are_listed_by_their_ids(service: Service) -> None:
    """In whatever state they are, with the digest that the events carry; unknown and unsettled ones are left out."""
    await service.create(id="slow", dispute_window_s=3_600)
    await service.take(
        match_event("completed"),
        match_event("completed", "m2", data={"competition": "slow"}),
        match_event("opened", "m3"),
        match_event("opened", "m4"),
        match_event("voided", "m4"),
    )
    ids = [str(subject_of(name)) for name in ("m1", "m2", "m3", "m4", "m9")]
    answer = await service.client.get(
        "/api/rounds/settled", params={"ids": ",".join(ids)}, headers=service.as_("operator")
    )
    assert answer.status_code == 200, answer.text
    found = {one["round_id"]: one for one in answer.json()["items"]}
    assert set(found) == set(ids[:2])
    published = {
        str(event.data.round_id): event.data
        for event in await service.events()
        if isinstance(event, RoundSettledEvent)
    }
    assert [found[one]["state"] for one in ids[:2]] == ["FINALIZED", "SETTLED"]
    for one in ids[:2]:
        data, shown = published[one], found[one]
        assert shown["digest"] == data.digest
        assert (shown["gross"], shown["unclaimed"]) == (data.gross, data.unclaimed)
        assert shown["organizer_fee"] == data.fees.organizer
        assert shown["settlement_version"] == 1
    wrong = await service.client.get(
        "/api/rounds/settled", params={"ids": "r1"}, headers=service.as_("operator")
    )
    assert wrong.status_code == 400
