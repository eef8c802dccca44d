"""The metrics of settlement: rounds that have not ended, the time of resolution, and the ends of tokens."""

from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from prizewire_chassis.metrics.definitions import defined
from prizewire_settlement import metrics
from prizewire_settlement.rounds.domain.model import EDGES, RoundState
from prizewire_settlement.source_tokens.jobs import SOURCES_MAX
from services.settlement.tests.fakes import NOW, SOURCE
from services.settlement.tests.service import Opener, Service, match_event, results, subject_of

ENDS = {RoundState.FINALIZED, RoundState.VOIDED}
RESOLUTION = "prizewire_settlement_round_resolution_seconds"


def value(name: str, /, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def rounds() -> dict[str, float | None]:
    return {state: value("prizewire_settlement_rounds", state=state) for state in metrics.OPEN_STATES}


class Resolutions:
    """The number of measured rounds, and the sum of their times, since the last look."""

    def __init__(self) -> None:
        self._seen = self._now()

    def _now(self) -> tuple[float, float]:
        return value(f"{RESOLUTION}_count") or 0, value(f"{RESOLUTION}_sum") or 0

    def more(self) -> tuple[float, float]:
        now = self._now()
        was, self._seen = self._seen, now
        return now[0] - was[0], round(now[1] - was[1], 3)


def part(number: int, *players: str, **more: Any) -> dict[str, Any]:
    return {"results": results(*players), "part": number, "parts": 2, **more}


def test_the_states_are_those_that_are_no_end() -> None:
    """A new state needs a place in the metric."""
    states = {state for edge in EDGES for state in (edge.before, edge.after)} - {RoundState.NEW}
    assert set(metrics.OPEN_STATES) == {state.value for state in states - ENDS}
    assert "player" not in {
        label for one in defined() if one.name.startswith("prizewire_settlement_") for label in one.labels
    }


async def test_rounds_are_counted_until_they_end(service: Service) -> None:
    """Open, closed and settled rounds have a number each. Final and voided ones do not count. The API lists the same."""
    await service.create(id="slow", dispute_window_s=3_600)
    slow = {"competition": "slow"}
    await service.take(
        match_event("opened", "open"),
        match_event("opened", "shut"),
        match_event("closed", "shut"),
        match_event("completed", "half", data=part(1, "ann")),
        match_event("completed", "window", data=slow),
        match_event("completed", "over"),
        match_event("voided", "void"),
    )
    await service.job("rounds.open")
    assert rounds() == {"OPEN": 1, "CLOSED": 2, "RESOLVED": 0, "SETTLED": 1}
    for state, count in rounds().items():
        answer = await service.client.get(f"/api/rounds?state={state}", headers=service.as_("operator"))
        assert len(answer.json()["items"]) == count, state
    service.clock.advance(timedelta(seconds=3_601))
    await service.finalize()
    await service.job("rounds.open")
    assert rounds()["SETTLED"] == 0


async def test_the_time_of_resolution_begins_at_the_end_of_the_match(service: Service) -> None:
    """One part: from the game server's time. Two parts: from the first part's. A replay, a correction and a time that is ahead
    add nothing.
    """
    await service.create(id="slow", dispute_window_s=3_600)
    seen = Resolutions()
    service.clock.advance(timedelta(seconds=5))
    ended = match_event("completed", "m1", data={"competition": "slow"})
    await service.take(ended)
    assert seen.more() == (1, 5)
    corrected = {"competition": "slow", "results": results("bob", "ann", "cyd")}
    await service.take(ended, match_event("corrected", "m1", data=corrected))
    assert (await service.round("m1"))["settlement_version"] == 2
    assert seen.more() == (0, 0)
    ahead = (service.clock.now() + timedelta(seconds=60)).isoformat()
    await service.take(match_event("completed", "m2", time=ahead))
    assert seen.more() == (1, 0)

    now = service.clock.now().isoformat()
    await service.take(match_event("completed", "m3", time=now, data=part(1, "ann", "bob")))
    service.clock.advance(timedelta(seconds=40))
    assert seen.more() == (0, 0)
    last = part(2, "cyd")
    last["results"][0]["place"] = 3
    await service.take(match_event("completed", "m3", time=service.clock.now().isoformat(), data=last))
    assert seen.more() == (1, 40)
    assert await service.stuck() == []


async def test_a_round_that_an_admin_resolves_without_a_report_has_no_time(service: Service) -> None:
    """No report of the match's end came."""
    await service.take(match_event("opened", "m1"))
    seen, settled = Resolutions(), value("prizewire_settlement_rounds_settled_total") or 0
    answer = await service.client.post(
        f"/api/rounds/{subject_of('m1')}/resolve",
        json={"reason": "the server is lost", "results": results("ann", "bob", "cyd")},
        headers={**service.as_("admin"), "idempotency-key": "resolve-m1"},
    )
    assert answer.status_code == 200, answer.text
    assert (value("prizewire_settlement_rounds_settled_total") or 0) - settled == 1
    assert seen.more() == (0, 0)


async def token(service: Service, source: str, *, days: int, label: str = "") -> str:
    body = {"source": source, "valid_days": days, "label": label}
    answer = await service.client.post("/api/source-tokens", json=body, headers=service.as_("admin"))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def ends(source: str) -> float | None:
    return value("prizewire_credential_expires_timestamp_seconds", kind="token", name=source)


def after(days: float) -> float:
    return (NOW + timedelta(days=days)).timestamp()


async def test_the_first_end_of_a_sources_tokens_is_shown(service: Service) -> None:
    """A successor replaces its former token, a revoked token does not count, and each label counts for itself."""
    first = await token(service, SOURCE, days=20, label="blue")
    await token(service, SOURCE, days=30, label="green")
    await token(service, "/games/other", days=5)
    await service.job("source_tokens.ends")
    assert (ends(SOURCE), ends("/games/other")) == (after(20), after(5))
    answer = await service.client.post(
        f"/api/source-tokens/{first}/rotate", json={"valid_days": 60}, headers=service.as_("admin")
    )
    assert answer.status_code == 201, answer.text
    await service.job("source_tokens.ends")
    assert ends(SOURCE) == after(30)
    successor = answer.json()["id"]
    await service.client.delete(f"/api/source-tokens/{successor}", headers=service.as_("admin"))
    await service.job("source_tokens.ends")
    assert ends(SOURCE) == after(1 / 24)  # the former token, until the end of the overlap


async def test_a_token_that_ended_stays_shown_for_a_week(service: Service) -> None:
    """Nobody renewed it: its game server cannot report. Then the series goes."""
    await token(service, SOURCE, days=1)
    service.clock.advance(timedelta(days=7, hours=23))
    await service.job("source_tokens.ends")
    assert ends(SOURCE) == after(1)
    service.clock.advance(timedelta(hours=2))
    await service.job("source_tokens.ends")
    assert ends(SOURCE) is None


@pytest.mark.parametrize("more", [1])
async def test_only_the_sources_that_end_first_are_shown(open_service: Opener, more: int) -> None:
    """The number of series is bounded, whatever the number of sources."""
    service: Service = await open_service()
    sources = [f"/games/bounded-{number:02}" for number in range(SOURCES_MAX + more)]
    await service.rows(
        "INSERT INTO source_tokens (id, source, label, created_by, created_at, expires_at, digest) "
        "SELECT gen_random_uuid(), s, '', 'ada', CAST(:now AS timestamptz), "
        "CAST(:now AS timestamptz) + n * interval '1 day', sha256(s::bytea) "
        "FROM unnest(CAST(:sources AS text[])) WITH ORDINALITY u(s, n) RETURNING id",
        now=NOW,
        sources=sources,
    )
    await service.job("source_tokens.ends")
    assert [ends(source) is not None for source in sources] == [True] * SOURCES_MAX + [False] * more
    await service.rows("UPDATE source_tokens SET revoked_at = expires_at - interval '1 hour' RETURNING id")
    await service.job("source_tokens.ends")
    assert {ends(source) for source in sources} == {None}
