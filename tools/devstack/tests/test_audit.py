"""`prizewire audit`: records of all services in one list, and chains whose hashes are computed here."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from prizewire_chassis.audit import GENESIS, link_hash
from prizewire_devstack.api import TOKEN_VARIABLE, URL_VARIABLE, Api
from prizewire_devstack.cli import audit as command
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.verification import CHAIN_READ, verify


def chain(service: str, count: int) -> list[dict[str, Any]]:
    """A whole chain of so many records."""
    made: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        bare = {
            "service": service,
            "sequence": number,
            "at": f"2026-05-01T12:00:0{number}Z",
            "actor": "ana",
            "action": "payout.approved",
            "target": f"p-{number}",
            "reason": "checked",
            "detail": {},
            "correlation_id": "c-1",
            "prev_hash": made[-1]["hash"] if made else GENESIS,
        }
        made.append({**bare, "hash": link_hash(bare)})
    return made


class Installation:
    """Services with prepared chains of three records, in pages of two."""

    def __init__(self) -> None:
        self.chains: dict[str, list[dict[str, Any]]] = {service: chain(service, 3) for service in SERVICES}
        self.published: dict[str, int] = {}
        self.known: dict[str, list[tuple[int, str]]] = {}
        self.later: dict[str, list[Any]] = {}
        """What `known` becomes after each request for it; under the name with `.head` what `published` becomes."""
        self.down: set[str] = set()
        self.asked: list[dict[str, str]] = []

    def publish(self, service: str, *numbers: int) -> list[tuple[int, str]]:
        """The service serves these numbers as published, each with the hash of its record."""
        self.known[service] = [(number, self.chains[service][number - 1]["hash"]) for number in numbers]
        return self.known[service]

    def _next(self, service: str, now: Any) -> Any:
        following = self.later.get(service)
        return following.pop(0) if following else now

    def answer(self, request: httpx.Request) -> httpx.Response:
        _, kind, service, asked, *more = request.url.path.strip("/").split("/")
        assert kind == "services"
        if service in self.down:
            return httpx.Response(502, json={"code": "service_unreachable", "detail": "away"})
        if asked == "codes":
            return httpx.Response(200, json=[])
        assert asked == "audit", request.url
        records = self.chains[service]
        if more == ["published"]:
            known = [{"sequence": number, "hash": link} for number, link in self.known.get(service, ())]
            self.known[service] = self._next(service, self.known.get(service, []))
            return httpx.Response(200, json={"items": known, "next_cursor": None})
        if more:
            newest = self.published.get(service, len(records))
            self.published[service] = self._next(f"{service}.head", newest)
            head = {"service": service, "sequence": len(records), "hash": None, "published": newest}
            return httpx.Response(200, json=head)
        query = dict(request.url.params)
        self.asked.append(query)
        begin = int(query.get("cursor", 0))
        ordered = records[::-1] if query.get("order") == "newest" else records
        following = str(begin + 2) if begin + 2 < len(records) else None
        return httpx.Response(200, json={"items": ordered[begin : begin + 2], "next_cursor": following})


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch) -> Installation:
    made, client = Installation(), httpx.Client

    def over_nothing(**options: Any) -> httpx.Client:
        return client(transport=httpx.MockTransport(made.answer), **options)

    monkeypatch.setattr("prizewire_devstack.api.httpx.Client", over_nothing)
    monkeypatch.setenv(URL_VARIABLE, "http://prizewire.test")
    monkeypatch.setenv(TOKEN_VARIABLE, "token")
    return made


def run(*arguments: str) -> tuple[int, str]:
    """The exit code and the output of `prizewire audit`."""
    result = CliRunner().invoke(command.command, arguments, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return int(result.return_value), result.output


def test_whole_chains_verify(installation: Installation) -> None:
    """Every page of every service is read, the signer's too."""
    code, said = run("verify")
    assert code == 0
    assert said.splitlines() == [f"{service}: ok, 3 records" for service in SERVICES]


def changed(records: list[dict[str, Any]]) -> None:
    records[1]["actor"] = "bob"


def missing(records: list[dict[str, Any]]) -> None:
    del records[1]


def reordered(records: list[dict[str, Any]]) -> None:
    records[1], records[2] = records[2], records[1]


def forked(records: list[dict[str, Any]]) -> None:
    bare = {**records[2], "prev_hash": records[0]["hash"]}
    records[2] = {**bare, "hash": link_hash(bare)}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (changed, "changed: audit record 2 of signer is not the record that was written"),
        (missing, "missing: audit record 2 of signer is missing before record 3"),
        (reordered, "reordered: audit record 2 of signer comes after record 3"),
        (forked, "forked: audit record 3 of signer follows record 1, as record 2 does"),
    ],
    ids=["changed", "missing", "reordered", "forked"],
)
def test_a_break_names_its_record(
    installation: Installation, spoil: Callable[[list[dict[str, Any]]], None], said: str
) -> None:
    """Exit code 1, and the exact record; the other services are still verified."""
    spoil(installation.chains["signer"])
    code, output = run("verify")
    assert code == 1
    assert said in output
    assert "settlement: ok" in output


def test_a_chain_that_was_cut_is_a_break(installation: Installation) -> None:
    """The service knows of a published record that it does not serve."""
    installation.published["rewards"] = 4
    code, output = run("verify", "--service", "rewards")
    assert (code, output) == (
        1,
        "rewards: BROKEN, 3 records\n  cut: audit record 4 of rewards is missing at the end, although published\n",
    )
    found = json.loads(run("verify", "--service", "rewards", "--json")[1])
    assert [one["sequence"] for one in found["chains"][0]["breaks"]] == [4]


def test_a_chain_that_was_rewritten_is_a_break(installation: Installation) -> None:
    """Its hashes and links fit each other, but the service still has an event with another hash."""
    installation.known["rewards"] = [(3, "ab" * 32), (2, installation.chains["rewards"][1]["hash"])]
    code, output = run("verify", "--service", "rewards")
    assert (code, output) == (
        1,
        "rewards: BROKEN, 3 records\n  rewritten: audit record 3 of rewards is not the record that was published\n",
    )


def test_a_second_record_of_the_signer_is_a_break(installation: Installation) -> None:
    """The copy has one of two records with a number. The kept one is not said to be the wrong one."""
    installation.known["signer"] = [(2, "ab" * 32)]
    code, output = run("verify", "--service", "signer")
    said = f"contradicted: audit record 2 of signer came with the hash {'ab' * 32} as well, which is not the kept record"
    assert (code, output) == (1, f"signer: BROKEN, 3 records\n  {said}\n")


@pytest.mark.parametrize("held", [(2, 1), (3, 1), (1,)], ids=["end", "between", "both"])
def test_a_record_without_an_event_is_a_break(installation: Installation, held: tuple[int, ...]) -> None:
    """An older record still has its event. Its hash and its link fit."""
    installation.publish("rewards", *held)
    code, output = run("verify", "--service", "rewards")
    said = [
        f"  unpublished: audit record {number} of rewards has no event in the outbox, although an older record has one"
        for number in (2, 3)
        if number not in held
    ]
    assert (code, output.splitlines()) == (1, ["rewards: BROKEN, 3 records", *said])


def test_records_older_than_all_events_are_no_break(installation: Installation) -> None:
    """The outbox has lost the oldest events, or all."""
    installation.publish("rewards", 3, 2)
    assert run("verify", "--service", "rewards") == (0, "rewards: ok, 3 records\n")
    installation.known.clear()
    assert run("verify", "--service", "rewards") == (0, "rewards: ok, 3 records\n")


@pytest.mark.parametrize(("days", "code"), [(12, 1), (14, 0)], ids=["young", "old"])
def test_a_young_record_without_an_event_is_a_break(installation: Installation, days: int, code: int) -> None:
    """Nobody has an older event to compare with: somebody deleted all of them, or the outbox has pruned them."""
    at = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    bare = {**installation.chains["rewards"][0], "at": at}
    installation.chains["rewards"] = [{**bare, "hash": link_hash(bare)}]
    installation.published["rewards"] = 1
    said = "audit record 1 of rewards has no event in the outbox, although it is younger than 13 days"
    broken = f"rewards: BROKEN, 1 records\n  unpublished: {said}\n"
    assert run("verify", "--service", "rewards") == (code, broken if code else "rewards: ok, 1 records\n")


def test_a_record_that_is_written_meanwhile_is_no_break(installation: Installation) -> None:
    """It came after the first list of events, and is in the second one."""
    installation.later["rewards"] = [installation.publish("rewards", 3, 2, 1)]
    installation.publish("rewards", 2, 1)
    assert run("verify", "--service", "rewards") == (0, "rewards: ok, 3 records\n")


def test_a_record_without_an_event_is_looked_up_once_more(installation: Installation) -> None:
    """The outbox lost the older events between the pages of a list."""
    installation.later["rewards"] = [
        installation.publish("rewards", 3, 1),
        installation.publish("rewards", 3),
    ]
    installation.publish("rewards", 3, 2, 1)
    assert run("verify", "--service", "rewards") == (0, "rewards: ok, 3 records\n")


def test_a_changed_record_without_an_event_is_named_once(installation: Installation) -> None:
    """By the break that says more."""
    installation.publish("rewards", 3, 1)
    changed(installation.chains["rewards"])
    code, output = run("verify", "--service", "rewards")
    assert (code, output.count("audit record 2")) == (1, 1)


def test_a_record_of_the_copy_that_never_came_is_a_break(installation: Installation) -> None:
    """Payouts received two of the signer's records, and its table has three."""
    installation.published["signer"] = 2
    code, output = run("verify", "--service", "signer")
    said = "unpublished: audit record 3 of signer did not come from Kafka"
    assert (code, output) == (1, f"signer: BROKEN, 3 records\n  {said}\n")


def test_a_record_of_the_copy_that_comes_meanwhile_is_no_break(installation: Installation) -> None:
    """What payouts received is read again after the records."""
    installation.published["signer"] = 2
    installation.later["signer.head"] = [3]
    assert run("verify", "--service", "signer") == (0, "signer: ok, 3 records\n")


def test_a_silent_service_is_no_verified_one(installation: Installation) -> None:
    """The exit code is 1, and the others are verified."""
    installation.down = {"webhooks"}
    code, output = run("verify")
    assert (code, "webhooks: ok" in output, "rewards: ok" in output) == (1, False, True)


def test_records_of_all_services_are_one_list(installation: Installation) -> None:
    """By time, the newest last, with the filters passed on. The limit holds for all services together."""
    whole = [
        f"2026-05-01T12:00:0{number}Z  {service}/{number}  payout.approved p-{number} by ana: checked"
        for number in (1, 2, 3)
        for service in sorted(SERVICES)
    ]
    code, output = run("list", "--actor", "ana", "--since", "2026-05-01", "--limit", "2")
    assert code == 0
    note = "These are the newest 2; there are more. Give a greater --limit, or filter."
    assert output.splitlines() == [*whole[-2:], note]
    assert run("list", "--limit", str(len(whole)))[1].splitlines() == whole
    assert run("list", "--limit", str(len(whole) - 1))[1].splitlines()[:-1] == whole[1:]
    assert json.loads(run("list", "--limit", "2", "--json")[1])["more"] is True
    assert json.loads(run("list", "--json")[1])["more"] is False
    # all further records may be those of one service
    code, output = run("list", "--service", "rewards", "--limit", "2")
    assert (code, output.splitlines()[-1]) == (0, note)
    # a service with many new records does not push out the only one of another service that is newer
    installation.chains["rewards"] = chain("rewards", 9)
    assert run("list", "--limit", "6")[1].splitlines()[:6] == [
        f"2026-05-01T12:00:0{number}Z  rewards/{number}  payout.approved p-{number} by ana: checked"
        for number in range(4, 10)
    ]
    installation.chains["rewards"] = chain("rewards", 3)
    installation.asked.clear()
    run("list", "--actor", "ana", "--since", "2026-05-01", "--limit", "2")
    assert {(one["actor"], one["from"], one["order"]) for one in installation.asked} == {
        ("ana", "2026-05-01T00:00:00+00:00", "newest")
    }
    assert len(json.loads(run("list", "--service", "rewards", "--json")[1])["items"]) == 3


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ({"amount": "12.50", "asset": "EUR"}, "p-1 (12.50 EUR) by"),
        ({"amount": "12.50"}, "p-1 (12.50) by"),
        ({"amount": 12}, "p-1 by"),
        ({"scope": "asset", "value": "EURC"}, "p-1 (asset EURC) by"),
        ({"scope": "asset", "value": 1}, "p-1 by"),
        ({"scope": "asset"}, "p-1 by"),
        ([], "p-1 by"),
        ({"amount": "1\x1b[2J", "asset": []}, "p-1 (1"),
    ],
    ids=["both", "no-asset", "no-text", "scope", "scope-of-a-number", "scope-alone", "no-object", "control"],
)
def test_an_amount_of_a_record_is_shown(installation: Installation, detail: Any, said: str) -> None:
    """Or what a pause is about, where its details have one of them."""
    installation.chains = {name: [] for name in SERVICES} | {"payouts": chain("payouts", 1)}
    installation.chains["payouts"][0]["detail"] = detail
    (line,) = run("list")[1].splitlines()
    assert said in line
    assert "\x1b" not in line


@pytest.mark.parametrize(
    ("action", "detail", "said"),
    [
        ("stuck_event.replayed", {"state": "replayed", "reason": None}, "p-1, now replayed by ana: checked"),
        ("stuck_event.replayed", {"state": "dead", "reason": "too_late"}, "p-1, now dead (too_late) by"),
        ("stuck_event.replayed", {"state": "de\x1bad", "reason": 1}, "p-1, now de"),
        ("stuck_event.replayed", {"state": 1}, "p-1 by"),
        ("stuck_event.replayed", [], "p-1 by"),
        ("round.resolved", {"state": "dead"}, "p-1 by"),
    ],
    ids=["applied", "refused", "control", "no-text", "no-object", "another-action"],
)
def test_a_replay_is_shown_with_its_outcome(
    installation: Installation, action: str, detail: Any, said: str
) -> None:
    """A replay that was refused again has another line than one that was applied."""
    installation.chains = {name: [] for name in SERVICES} | {"payouts": chain("payouts", 1)}
    installation.chains["payouts"][0] |= {"action": action, "detail": detail}
    (line,) = run("list")[1].splitlines()
    assert said in line
    assert "\x1b" not in line


def test_verify_of_an_installation_reads_the_chains(
    monkeypatch: pytest.MonkeyPatch, installation: Installation
) -> None:
    """`prizewire verify` has a line for each chain, with the broken record."""
    monkeypatch.setattr("prizewire_devstack.verification._checks", lambda api, service: [])
    monkeypatch.setattr("prizewire_devstack.verification.COMPARISONS", {})
    missing(installation.chains["payouts"])
    with Api(base_url="http://prizewire.test", token="token") as api:
        found = verify(api)
    assert {one.invariant for one in found.verdicts} == {CHAIN_READ}
    assert [(one.service, one.breaches) for one in found.broken] == [
        ("payouts", ("audit record 2 of payouts is missing before record 3",))
    ]
