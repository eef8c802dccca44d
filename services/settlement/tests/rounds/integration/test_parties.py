"""The parties of a settlement: writers of the rule version, and reporters of the result."""

from typing import Any

from services.settlement.tests.rounds.integration.test_intake import make_token, report
from services.settlement.tests.rounds.integration.test_resolve import SWAPPED, resolve
from services.settlement.tests.service import Service, competition_body, match_event


def parties_of(event: Any) -> list[tuple[str, str]]:
    return [(party.role.value, party.subject) for party in event.data.parties]


async def test_a_settlement_names_who_reported_it(service: Service) -> None:
    """The issuer of the token over HTTP, nobody over Kafka, the admin who resolved; a correction names its own."""
    issued = (await make_token(service))["token"]
    assert (await report(service, issued, match_event("completed"))).status_code == 202
    await service.take(match_event("completed", "m2"))
    assert (await resolve(service, SWAPPED, match="m2")).status_code == 200
    await service.take(match_event("opened", "m3"))
    other = await service.client.post(
        "/api/source-tokens",
        json={"source": "/games/chess"},
        headers=service.as_("admin", subject="eve"),
    )
    assert other.status_code == 201
    writer = ("rule_writer", "olga")
    first, second, corrected = [event for event in await service.events() if hasattr(event.data, "parties")]
    assert parties_of(first) == [writer, ("reporter", "ada")]
    assert parties_of(second) == [writer]
    assert parties_of(corrected) == [writer, ("reporter", "ada")]
    rows = await service.rows("SELECT reporters FROM settlements ORDER BY settled_at, round_id, version")
    assert sorted(str(row.reporters) for row in rows) == ["None", "ada", "ada"]


async def test_every_reporter_of_a_result_in_parts_is_named(service: Service) -> None:
    """Parts may come by tokens of two persons and over Kafka: all persons answer for the whole."""

    def part(number: int, *players: str) -> bytes:
        placed = [{"player": name, "place": number * 2 - 1 + at} for at, name in enumerate(players)]
        return match_event("completed", data={"results": placed, "part": number, "parts": 3})

    ada = (await make_token(service))["token"]
    answer = await service.client.post(
        "/api/source-tokens",
        json={"source": match_source(), "label": "second"},
        headers=service.as_("admin", subject="bob"),
    )
    bob = answer.json()["token"]
    assert (await report(service, ada, part(1, "a", "b"), key="k1")).status_code == 202
    await service.take(part(2, "c", "d"))
    assert (await report(service, bob, part(3, "e", "f"), key="k3")).status_code == 202
    (settled,) = [event for event in await service.events() if hasattr(event.data, "parties")]
    assert parties_of(settled) == [("rule_writer", "olga"), ("reporter", "ada"), ("reporter", "bob")]


async def test_the_sender_of_a_replaced_part_is_its_reporter(service: Service) -> None:
    """The sender of the replaced part is no reporter any more."""

    def part(number: int, player: str) -> bytes:
        placed = [{"player": player, "place": number}]
        return match_event("completed", data={"results": placed, "part": number, "parts": 2})

    ada = (await make_token(service))["token"]
    answer = await service.client.post(
        "/api/source-tokens", json={"source": match_source()}, headers=service.as_("admin", subject="bob")
    )
    bob = answer.json()["token"]
    assert (await report(service, ada, part(1, "ann"), key="k1")).status_code == 202
    assert (await report(service, bob, part(1, "eve"), key="k2")).status_code == 202
    await service.take(part(2, "cyd"))
    (settled,) = [event for event in await service.events() if hasattr(event.data, "parties")]
    assert parties_of(settled) == [("rule_writer", "olga"), ("reporter", "bob")]


async def test_a_round_names_every_writer_up_to_its_rule_version(service: Service) -> None:
    """A change of the name alone replaces no writer; rounds that have begun have no writer of later versions."""
    await service.take(match_event("opened"))
    answer = await service.client.put(
        "/api/competitions/cup",
        json=competition_body(name="Renamed"),
        headers=service.as_("admin", subject="eve"),
    )
    assert answer.status_code == 200, answer.text
    await service.take(match_event("completed"), match_event("completed", "m2"))
    old, new = [event for event in await service.events() if hasattr(event.data, "parties")]
    assert parties_of(old) == [("rule_writer", "olga")]
    assert parties_of(new) == [("rule_writer", "eve"), ("rule_writer", "olga")]


async def test_an_admin_who_removes_keys_reports_the_results_that_this_admits(service: Service) -> None:
    """A match begins under a rule with keys; another admin takes them out, and an unsigned result is accepted."""
    await service.take(match_event("opened"), match_event("opened", "m2"))
    changed = await service.client.put(
        "/api/competitions/cup",
        json=competition_body(sources=[{"source": match_source()}]),
        headers=service.as_("admin", subject="eve"),
    )
    assert changed.status_code == 200, changed.text
    await service.take(match_event("completed", key=None), match_event("completed", "m2"))
    unsigned, signed = [event for event in await service.events() if hasattr(event.data, "parties")]
    writers = [("rule_writer", "eve"), ("rule_writer", "olga")]
    assert parties_of(unsigned) == [*writers, ("reporter", "eve")]
    assert parties_of(signed) == writers
    assert [event.data.rule_version for event in (unsigned, signed)] == [1, 1]


def match_source() -> str:
    return str(competition_body()["sources"][0]["source"])
