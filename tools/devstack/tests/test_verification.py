"""`prizewire verify`: one line for each invariant, and an exit code that says whether all hold."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from prizewire_devstack import agreement, verification
from prizewire_devstack.agreement import Mark, Memory
from prizewire_devstack.api import TOKEN_VARIABLE, URL_VARIABLE, Api
from prizewire_devstack.cli import verify as command
from prizewire_devstack.comparisons import COMPARISONS
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.routes import SERVICES_WITH_API
from prizewire_devstack.verification import Verdict, verify

CHECK = {"name": "sums", "ok": True, "breaches": [], "looked_at": 7}


class Installation:
    """Services with prepared answers: for each round those of settlement and, if any, of rewards; for each payout those of
    rewards and payouts, if any.
    """

    def __init__(self) -> None:
        self.checks: dict[str, Any] = {service: [dict(CHECK)] for service in SERVICES_WITH_API}
        self.down: set[str] = set()
        self.frozen: set[str] = set()
        self.frozen_asked: list[str] = []
        self.ended: dict[str, dict[str, Any]] = {}
        self.booked: dict[str, dict[str, Any] | None] = {}
        self.heads: dict[str, dict[str, Any] | None] = {}
        self.settled: dict[str, dict[str, Any] | None] = {}
        self.wanted: dict[str, dict[str, Any] | None] = {}
        self.taken: dict[str, dict[str, Any] | None] = {}
        self.entries: dict[str, dict[str, Any] | None] = {}
        self.terms: dict[str, dict[str, Any] | None] = {}
        self.asked: list[str] = []
        self.chains: dict[str, list[dict[str, Any]] | None] = {}
        self.published: dict[str, int] = {}
        self.page_limit = 200
        self.end("r1", days_ago=2)
        self.end("r2", days_ago=1)

    def end(self, name: str, *, days_ago: float, **changes: Any) -> None:
        """A round that ended so long ago, booked as it was settled; ``changes`` change its settlement."""
        at = datetime.now(UTC) - timedelta(days=days_ago)
        both = {
            "round_id": name,
            "settlement_version": 1,
            "campaign": "c",
            "asset": "EURC",
            "gross": "4.00",
            "prizes": 2,
            "prizes_total": "3.00",
        }
        marks = {"refused": False, "disowned": False}
        settled = {**both, "state": "FINALIZED", "ended_at": at.isoformat(), **marks, **changes}
        self.ended[name] = settled
        self.booked[name] = {**both, "state": "final", "final": True, "settled_at": at.isoformat()}
        self.book(name, days_ago=days_ago)

    def book(self, name: str, *, days_ago: float, **changes: Any) -> None:
        """The head of a round that rewards booked so long ago, as settlement settled it; ``changes`` change it in
        rewards.
        """
        both = {
            "round_id": name,
            "settlement_version": 1,
            "campaign": "c",
            "asset": "EURC",
            "gross": "4.00",
            "platform_fee": "1.00",
            "organizer_fee": "0.00",
            "organizer_player": None,
            "unclaimed": "0.00",
            "digest": "d",
        }
        at = datetime.now(UTC) - timedelta(days=days_ago)
        own = {"state": "final", "final": True, "lines_digest": "d", "changed_at": at.isoformat()}
        own["taken_back"] = "0.00"
        booked = {**both, **own, **changes}
        self.heads[name] = booked
        self.settled[name] = {**both, "state": "FINALIZED", "lowered": "0.00"}

    def pay(self, name: str, *, days_ago: float, **changes: Any) -> None:
        """A payout that was requested so long ago and is known to both; ``changes`` change it in rewards."""
        at = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat()
        both = {
            "payout_id": name,
            "player": "ann",
            "payee": None,
            "asset": "EURC",
            "pay_amount": "2.00",
            "requested_at": at,
        }
        self.wanted[name] = {**both, "state": "paid", "stored_at": at, **changes}
        self.taken[name] = {**both, "state": "paid", "stored_at": at}

    def enter(self, name: str, *, days_ago: float, **changes: Any) -> None:
        """An earned entry into the round ``name`` that is final; ``changes`` change it in rewards."""
        at = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat()
        both = {"round_id": name, "asset": "EURC"}
        entry = {"entry_id": f"e-{name}", "player": "ann", "amount": "2.00", "state": "earned"}
        self.entries[name] = {**both, **entry, "changed_at": at, **changes}
        self.terms[name] = {**both, "fee": "2.00", "state": "FINALIZED"}

    def page(self, of: dict[str, Any], at: str, query: httpx.QueryParams) -> httpx.Response:
        """A page of the items, newest first."""
        begin = query.get("since", query.get("from"))
        since = None if begin is None else datetime.fromisoformat(begin)
        there = [one for one in of.values() if one is not None]
        found = sorted(there, key=lambda one: str(one[at]), reverse=True)
        found = [one for one in found if since is None or datetime.fromisoformat(one[at]) >= since]
        start = int(query.get("cursor", 0))
        end = start + self.page_limit
        cursor = str(end) if end < len(found) else None
        return httpx.Response(200, json={"items": found[start:end], "next_cursor": cursor})

    def those(self, of: dict[str, Any], query: httpx.QueryParams) -> httpx.Response:
        """The items with these ids."""
        items = [one for name in query["ids"].split(",") if (one := of.get(name)) is not None]
        return httpx.Response(200, json={"items": items})

    def chain(self, service: str, *, head: bool) -> httpx.Response:
        """The audit chain of a service; callers are refused where it is None."""
        records = self.chains.get(service, [])
        if records is None:
            return httpx.Response(403, json={"code": "forbidden", "detail": "no admin"})
        if head:
            newest = self.published.get(service, len(records))
            body = {"service": service, "sequence": len(records), "hash": None, "published": newest}
            return httpx.Response(200, json=body)
        return httpx.Response(200, json={"items": records, "next_cursor": None})

    def answer(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params
        pages = {
            "rounds/ended": (self.ended, "ended_at"),
            "rewards/rounds/booked": (self.heads, "changed_at"),
            "rewards/rounds/entries": (self.entries, "changed_at"),
            "rewards/payouts/asked": (self.wanted, "stored_at"),
            "admin/payouts/known/changed": (self.taken, "stored_at"),
        }
        by_ids = {
            "rewards/rounds": self.booked,
            "rounds/settled": self.settled,
            "rounds/entry-terms": self.terms,
            "rewards/payouts": self.wanted,
            "admin/payouts/known": self.taken,
        }
        path = request.url.path.removeprefix("/api/")
        if path in pages:
            return self.page(*pages[path], query)
        if path in by_ids:
            if path == "rewards/rounds":
                self.asked += query["ids"].split(",")
            return self.those(by_ids[path], query)
        if path.endswith("/audit/published"):
            return httpx.Response(200, json={"items": [], "next_cursor": None})
        if path.endswith(("/audit", "/audit/head")):
            return self.chain(path.split("/")[1], head=path.endswith("/head"))
        kind, service, asked = path.split("/")
        assert kind == "services", request.url
        assert asked in {"checks", "codes"}, request.url
        if service in self.frozen:
            assert asked == "codes", "it was asked a long question before a short one"
            self.frozen_asked.append(service)
            raise httpx.ReadTimeout("nothing came", request=request)
        if service in self.down:
            return httpx.Response(502, json={"code": "service_unreachable", "detail": "away"})
        if asked == "codes":
            return httpx.Response(200, json=[])
        return httpx.Response(200, json={"checks": self.checks[service]})


def when(ended: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(str(ended["ended_at"]))


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch) -> Installation:
    made = Installation()
    client, slow_client = httpx.Client, httpx.AsyncClient

    def over_nothing(**options: Any) -> httpx.Client:
        return client(transport=httpx.MockTransport(made.answer), **options)

    def slowly_over_nothing(**options: Any) -> httpx.AsyncClient:
        return slow_client(transport=httpx.MockTransport(made.answer), **options)

    monkeypatch.setattr("prizewire_devstack.api.httpx.Client", over_nothing)
    monkeypatch.setattr("prizewire_devstack.api.httpx.AsyncClient", slowly_over_nothing)
    monkeypatch.setattr(agreement, "AGREED_DEADLINE_S", 0.01)
    monkeypatch.setattr(verification, "ANSWER_DEADLINE_S", 0.01)
    monkeypatch.setenv(URL_VARIABLE, "http://prizewire.test")
    monkeypatch.setenv(TOKEN_VARIABLE, "token")
    return made


@pytest.fixture
def api(installation: Installation) -> Iterator[Api]:
    with Api(base_url="http://prizewire.test", token="token") as made:
        yield made


@pytest.fixture
def run(installation: Installation) -> Callable[..., tuple[int, str]]:
    """Runs the command; returns exit code and output."""

    def invoke(*options: str) -> tuple[int, str]:
        done = CliRunner().invoke(command.command, list(options), standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return int(done.return_value), done.output

    return invoke


def test_everything_holds(run: Any) -> None:
    """A line for each invariant with the number of its items, and exit code 0."""
    code, said = run()
    assert code == 0
    lines = [line.split() for line in said.splitlines()]
    assert [line[:4] for line in lines[: len(SERVICES_WITH_API)]] == [
        [service, "sums", "ok", "7"] for service in SERVICES_WITH_API
    ]
    assert "prizes_are_those_settled" in said
    assert "14 invariants hold; 2 rounds that ended were compared, which are all." in said


def test_skipped_rounds_are_counted(run: Any, installation: Installation, tmp_path: Path) -> None:
    """The last line says how many rounds were compared and from which mark on; with --all there is none."""
    kept = ("--memory", str(tmp_path / "kept.json"))
    run(*kept)
    mark = when(installation.ended["r2"])
    code, said = run(*kept)
    assert code == 0
    assert (
        f"1 round that ended was compared; those that ended before {mark:%Y-%m-%dT%H:%M:%SZ} agreed in an "
        "earlier run and were not compared again"
    ) in said
    [found] = [
        one
        for one in json.loads(run(*kept, "--json")[1])["checks"]
        if one["invariant"] == "prizes_are_those_settled"
    ]
    assert (found["looked_at"], found["compared_since"]) == (1, mark.isoformat())
    assert "2 rounds that ended were compared, which are all." in run(*kept, "--all")[1]


def test_a_breach_is_printed_and_counted(run: Any, installation: Installation) -> None:
    """Its line says BREACH, the breach is printed below; the exit code is 1, in JSON too."""
    installation.checks["payouts"][0] |= {"ok": False, "breaches": ["payout 7 is paid twice"]}
    code, said = run()
    assert code == 1
    assert "BREACH" in said
    assert "payouts: sums: payout 7 is paid twice" in said
    code, said = run("--json")
    found = json.loads(said)
    assert (code, found["ok"]) == (1, False)
    assert {"service": "payouts", "invariant": "sums", "ok": False, "breaches": ["payout 7 is paid twice"],
            "looked_at": 7, "compared_since": None} in found["checks"]  # fmt: skip


def test_a_service_that_does_not_answer_fails_it(run: Any, installation: Installation) -> None:
    """Without its checks the result is not good."""
    installation.down.add("webhooks")
    code, said = run()
    assert code == 1
    assert "webhooks does not answer" in said
    installation.down.add("rewards")
    assert json.loads(run("--json")[1])["silent"] == ["rewards", "webhooks"]


def test_a_frozen_service_is_named_and_the_rest_is_checked(
    run: Any, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes requests and answers none, so it is asked once. Comparisons that need it are left out, and named."""
    monkeypatch.setattr(verification, "ANSWER_DEADLINE_S", 20.0)
    installation.frozen.add("payouts")
    code, said = run()
    assert code == 1
    assert installation.frozen_asked == ["payouts"]
    assert "payouts does not answer" in said
    assert "not compared: payouts_are_known, payouts_were_asked_for." in said
    found = json.loads(run("--json")[1])
    assert (found["silent"], found["ok"]) == (["payouts"], False)
    assert found["left_out"] == ["payouts_are_known", "payouts_were_asked_for"]
    assert {one["service"] for one in found["checks"]} == {
        "settlement", "rewards", "webhooks", "settlement and rewards",
    }  # fmt: skip


def test_a_service_that_freezes_while_it_is_compared_is_named(
    run: Any, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results from before are shown."""
    original = installation.answer

    def freezing(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/rewards/rounds/booked":
            raise httpx.ReadTimeout("nothing came", request=request)
        return original(request)

    monkeypatch.setattr(installation, "answer", freezing)
    code, said = run()
    found = json.loads(run("--json")[1])
    assert code == 1
    assert "rewards does not answer" in said
    assert found["silent"] == ["rewards"]
    assert [one["invariant"] for one in found["checks"][-2:]] == [
        "audit.chain_read",
        "prizes_are_those_settled",
    ]
    assert found["left_out"] == list(COMPARISONS)[1:]


def test_a_service_that_fails_while_it_is_compared_hides_nothing(
    run: Any, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison is a breach, and the others are made."""
    original = installation.answer

    def failing(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/rewards/rounds/booked":
            return httpx.Response(500, json={"code": "internal_error", "detail": "the service failed"})
        return original(request)

    monkeypatch.setattr(installation, "answer", failing)
    code, said = run()
    assert code == 1
    assert "settlement and rewards: rounds_were_settled: not compared, since" in said
    found = json.loads(run("--json")[1])
    assert [one["invariant"] for one in found["checks"] if not one["ok"]] == ["rounds_were_settled"]
    assert {one["invariant"] for one in found["checks"]} >= COMPARISONS.keys()


def test_an_installation_that_hangs_as_a_whole_is_an_error(run: Any, installation: Installation) -> None:
    """No service has an answer."""
    installation.frozen.update(SERVICES_WITH_API)
    with pytest.raises(DevstackError, match="None of settlement, rewards, payouts, webhooks answers"):
        run()


def test_a_young_installation_is_compared_as_a_whole(
    run: Any, installation: Installation, tmp_path: Path
) -> None:
    """All its rounds are too young to be skipped, so no mark is stored."""
    for name in ("r1", "r2"):
        installation.end(name, days_ago=0)
    kept = ("--memory", str(tmp_path / "kept.json"))
    for _ in range(2):
        assert "2 rounds that ended were compared, which are all." in run(*kept)[1]
    installation.end("r1", days_ago=1)
    for said in (
        "2 rounds that ended were compared, which are all.",
        "1 round that ended was compared; those",
    ):
        assert said in run(*kept)[1]


@pytest.mark.parametrize("options", [(), ("--all",)])
def test_a_named_memory_of_another_installation_is_refused(
    run: Any, installation: Installation, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """The file stays as it is, so the other installation's next run skips what agreed."""
    file = tmp_path / "kept.json"
    run("--memory", str(file))
    kept = file.read_bytes()
    installation.ended.clear()
    installation.booked.clear()
    installation.end("other", days_ago=9)
    installation.end("young", days_ago=0)
    with pytest.raises(DevstackError, match="is of another installation: this one does not have r2"):
        run("--memory", str(file), *options)
    assert file.read_bytes() == kept


def test_no_round_is_skipped_by_the_memory_of_another_installation(
    api: Api, installation: Installation, tmp_path: Path
) -> None:
    """A round that is older than the mark of the other installation is compared. The file in the state directory of a local
    stack gets the marks of this one.
    """
    file = tmp_path / "verified.json"
    verify(api, memory=Memory(file))
    installation.ended.clear()
    installation.booked.clear()
    installation.end("other", days_ago=9)
    installation.end("forged", days_ago=8)
    known = installation.booked["forged"]
    assert known is not None
    known |= {"prizes_total": "900.00"}
    for distrusted in (("prizes_are_those_settled",), ()):
        found = verify(api, memory=Memory(file))
        assert found.distrusted == distrusted
        [broken] = found.broken
        assert broken.breaches[0].startswith("round forged: settled 2 prizes")


def test_a_frozen_signer_is_named(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not asked repeatedly."""
    asked = []

    def frozen(url: str, **_: Any) -> httpx.Response:
        asked.append(url)
        raise httpx.ReadTimeout("nothing came")

    monkeypatch.setattr(verification.httpx, "get", frozen)
    assert verify(api, signer_url="http://signer.test").silent == ("signer",)
    assert len(asked) == 1


def test_a_service_that_answers_in_a_moment_is_asked_again(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its database was restarted, so its first answers are 503."""
    monkeypatch.setattr(verification, "ANSWER_DEADLINE_S", 20.0)
    original = installation.answer
    refusals = [httpx.Response(503, json={"code": "unavailable", "detail": "away"})] * 2

    def later(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/services/settlement/checks" and refusals:
            return refusals.pop()
        return original(request)

    monkeypatch.setattr(installation, "answer", later)
    with Api(base_url="http://prizewire.test", token="token") as patient:
        assert verify(patient).good
    assert refusals == []


@pytest.mark.parametrize(
    ("settled", "booked", "said"),
    [
        ({}, {"prizes_total": "2.99"}, "prizes_total differs"),
        ({}, {"prizes": 3}, "prizes differs"),
        ({}, {"asset": "USDC"}, "asset differs"),
        ({}, {"gross": "5.00"}, "gross differs"),
        ({}, {"campaign": "x"}, "campaign differs"),
        ({"settlement_version": 2}, {}, "settlement_version differs"),
        ({}, None, "rewards has nothing"),
        ({}, {"final": False}, "does not know that they are final"),
        ({}, {"state": "booking"}, "still booking"),
        ({"refused": True}, None, "refused settlement 1 for good: resettle it, or void it"),
        ({"refused": True, "disowned": True}, {"state": "voided"}, "settlement has it as final: void it"),
        ({"state": "VOIDED"}, {}, "settlement voided it"),
        ({}, {"state": "voided", "prizes": 0, "prizes_total": "0.00"}, "prizes differs"),
    ],
)
def test_settlement_and_rewards_must_agree(
    api: Api, installation: Installation, settled: dict[str, Any], booked: dict[str, Any] | None, said: str
) -> None:
    """Each difference in a round that ended is a breach that names the round."""
    assert verify(api).good
    installation.end("r1", days_ago=2, **settled)
    known = installation.booked["r1"]
    installation.booked["r1"] = None if booked is None or known is None else {**known, **booked}
    [broken] = verify(api).broken
    assert broken.breaches[0].startswith("round r1: ")
    assert said in broken.breaches[0]


def test_void_rounds_hold_nothing(api: Api, installation: Installation) -> None:
    """A void round was never booked, or its money was given back."""
    for name, booked in (("r1", None), ("r2", {"state": "voided"})):
        installation.end(name, days_ago=1, state="VOIDED")
        known = installation.booked[name]
        installation.booked[name] = None if booked is None or known is None else {**known, **booked}
    assert verify(api).good


def test_a_late_event_is_no_breach(
    api: Api, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rewards is asked again for a while before it is a breach."""
    monkeypatch.setattr(agreement, "AGREED_DEADLINE_S", 20.0)
    original = installation.answer
    late = {"left": 2}

    def slowly(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/rewards/rounds") and late["left"]:
            late["left"] -= 1
            return httpx.Response(200, json={"items": []})
        return original(request)

    monkeypatch.setattr(installation, "answer", slowly)
    with Api(base_url="http://prizewire.test", token="token") as patient:
        assert verify(patient).good


def test_a_large_round_has_time_to_be_booked(api: Api, installation: Installation, tmp_path: Path) -> None:
    """While it is being booked it is no breach, and no mark passes it."""
    installation.end("r3", days_ago=0, prizes=5_000)
    known = installation.booked["r3"]
    assert known is not None
    known["state"] = "booking"
    memory = Memory(tmp_path / "kept.json")
    assert verify(api, memory=memory).good
    kept = memory.read("prizes_are_those_settled")
    assert kept is not None
    assert kept.sound_until < when(installation.ended["r3"])


def test_a_large_round_that_rewards_does_not_know_is_a_breach_at_once(
    api: Api, installation: Installation
) -> None:
    """Only a round that is being booked has time."""
    installation.end("r3", days_ago=0, prizes=5_000)
    installation.booked["r3"] = None
    [broken] = verify(api).broken
    assert "rewards has nothing" in broken.breaches[0]


def test_no_breach_is_forgotten_behind_newer_rounds(
    api: Api, installation: Installation, tmp_path: Path
) -> None:
    """Two unpaid rounds, then hundreds of newer ones in small pages: reported by each run until they are solved, then skipped."""
    installation.page_limit = 7
    for name in ("r1", "r2"):
        installation.booked[name] = None
    for number in range(300):
        installation.end(f"n{number}", days_ago=0.9 - number / 1000)
    memory = Memory(tmp_path / "kept.json")
    for _ in range(2):
        found = verify(api, memory=memory)
        [broken] = found.broken
        assert [breach.split(":")[0] for breach in broken.breaches] == ["round r2", "round r1"]
        assert broken.looked_at == 302
    installation.end("r1", days_ago=2)
    [broken] = verify(api, memory=memory).broken
    assert [breach.split(":")[0] for breach in broken.breaches] == ["round r2"]
    installation.end("r2", days_ago=1)
    assert verify(api, memory=memory).good
    installation.asked.clear()
    [held] = [
        one for one in verify(api, memory=memory).verdicts if one.invariant == "prizes_are_those_settled"
    ]
    assert held.looked_at == 1
    assert set(installation.asked) == {"n299"}
    installation.end("r1", days_ago=0, settlement_version=2)
    assert [one.breaches[0].split(":")[0] for one in verify(api, memory=memory).broken] == ["round r1"]


@pytest.mark.parametrize(
    ("booked", "settled", "said"),
    [
        ({}, None, "settlement never settled the round"),
        ({"settlement_version": 2}, {}, "settlement has only version 1"),
        ({"digest": "x"}, {}, "says otherwise (digest differs)"),
        ({"lines_digest": "x"}, {}, "its prizes are not the settled lines (lines_digest differs)"),
        ({"lines_digest": None}, {}, "work on its prizes has been left since"),
        ({"gross": "3000.00"}, {}, "gross differs"),
        ({"campaign": "x"}, {}, "campaign differs"),
        ({"asset": "USDC"}, {}, "asset differs"),
        ({"platform_fee": "0.50"}, {}, "platform_fee differs"),
        ({"organizer_player": "mallory"}, {}, "organizer_player differs"),
        ({"organizer_fee": "1.00"}, {}, "organizer_fee differs"),
        ({"unclaimed": "1.00"}, {}, "unclaimed differs"),
        ({"taken_back": "10.00"}, {"lowered": "9.00"}, "its corrections took back 10.00"),
        ({"taken_back": "10.00"}, {"lowered": "9.00", "settlement_version": 2}, "took back 10.00"),
        ({}, {"state": "SETTLED"}, "settlement has it as SETTLED"),
        ({}, {"state": "SETTLED", "settlement_version": 2}, "settlement has it as SETTLED"),
        ({"state": "voided"}, {}, "settlement has it as FINALIZED"),
        ({"state": "voided", "settlement_version": 2}, {}, "settlement has it as FINALIZED"),
    ],
)
def test_rewards_books_what_settlement_settled(
    api: Api, installation: Installation, booked: dict[str, Any], settled: dict[str, Any] | None, said: str
) -> None:
    """A round that settlement does not know, or has with other values, is a breach, even if settlement does not list it as ended."""
    assert verify(api).good
    installation.book("forged", days_ago=3, **booked)
    known = installation.settled["forged"]
    installation.settled["forged"] = None if settled is None or known is None else {**known, **settled}
    [broken] = verify(api).broken
    assert broken.invariant == "rounds_were_settled"
    assert broken.breaches[0].startswith("round forged: ")
    assert said in broken.breaches[0]


def test_a_disowned_round_is_no_breach(api: Api, installation: Installation) -> None:
    """Settlement never settled it, and nothing of it is booked any more."""
    installation.book("forged", days_ago=3, state="voided")
    installation.settled["forged"] = None
    assert verify(api).good


@pytest.mark.parametrize("version", [1, 2])
def test_a_disowned_round_that_settlement_voided_is_no_breach(
    api: Api, installation: Installation, version: int
) -> None:
    """This holds even if rewards booked a forged version that settlement never had."""
    installation.end("r1", days_ago=2, state="VOIDED", disowned=True)
    installation.book("r1", days_ago=2, state="voided", settlement_version=version)
    booked, settled = installation.booked["r1"], installation.settled["r1"]
    assert booked is not None
    assert settled is not None
    booked |= {"state": "voided", "settlement_version": version}
    settled |= {"state": "VOIDED"}
    assert verify(api).good


def test_prizes_that_are_being_booked_are_no_breach(api: Api, installation: Installation) -> None:
    """The lines of a large round are booked in chunks, for some minutes at most."""
    installation.book("r1", days_ago=0, lines_digest=None)
    assert verify(api).good


def test_a_later_settlement_is_on_its_way(api: Api, installation: Installation) -> None:
    """A booked round that settlement has resettled since is no breach."""
    installation.book("r1", days_ago=3)
    known = installation.settled["r1"]
    assert known is not None
    known |= {"settlement_version": 2, "digest": "other"}
    assert verify(api).good


@pytest.mark.parametrize(
    ("asked", "taken", "invariants", "said"),
    [
        ({"state": "requested"}, None, ["payouts_are_known"], "look on the ledger whether it was paid"),
        (None, {}, ["payouts_were_asked_for"], "rewards never asked for it"),
        ({"pay_amount": "3.00"}, {}, ["payouts_are_known", "payouts_were_asked_for"], "pay_amount differs"),
        ({"player": "bob"}, {}, ["payouts_are_known", "payouts_were_asked_for"], "player differs"),
        ({"payee": "bob"}, {}, ["payouts_are_known", "payouts_were_asked_for"], "payee differs"),
        ({"asset": "USDC"}, {}, ["payouts_are_known", "payouts_were_asked_for"], "asset differs"),
        *[
            ({"state": ended}, {"state": "held"}, ["payouts_are_known"], "payouts has it as held")
            for ended in ("paid", "failed", "rejected", "cancelled", "returned")
        ],
        *[
            (
                {"state": "requested"},
                {"state": ended},
                ["payouts_were_asked_for"],
                "rewards has it as requested",
            )
            for ended in ("paid", "failed", "rejected", "cancelled", "returned")
        ],
        ({"state": "paid"}, {"state": "returned"}, ["payouts_were_asked_for"], "rewards has it as paid"),
    ],
)
def test_rewards_and_payouts_must_agree(
    api: Api,
    installation: Installation,
    asked: dict[str, Any] | None,
    taken: dict[str, Any] | None,
    invariants: list[str],
    said: str,
) -> None:
    """Each payout is known to both, with the same payee and amount."""
    installation.pay("p0", days_ago=1)
    assert verify(api).good
    installation.pay("p1", days_ago=1)
    for side, changes in ((installation.wanted, asked), (installation.taken, taken)):
        known = side["p1"]
        side["p1"] = None if changes is None or known is None else {**known, **changes}
    broken = verify(api).broken
    assert [one.invariant for one in broken] == invariants
    for one in broken:
        assert one.breaches[0].startswith("payout p1: ")
        assert said in one.breaches[0]


@pytest.mark.parametrize(
    ("entry", "terms", "said"),
    [
        ({}, None, "settlement does not know round r1"),
        ({"state": "paid"}, None, "settlement does not know round r1"),
        ({"amount": "900.00"}, {}, "settlement asks for 2.00 EURC"),
        ({"asset": "USDC"}, {}, "settlement asks for 2.00 EURC"),
        ({}, {"fee": None, "asset": None}, "settlement asks for no fee"),
        ({}, {"state": "OPEN"}, "settlement has round r1 as OPEN"),
        ({"state": "paid"}, {"state": "OPEN"}, None),
        ({"state": "refused"}, None, None),
        ({"state": "refunded"}, None, None),
        ({"state": "closed"}, {"state": "VOIDED"}, None),
    ],
)
def test_entries_are_into_rounds_of_settlement(
    api: Api,
    installation: Installation,
    entry: dict[str, Any],
    terms: dict[str, Any] | None,
    said: str | None,
) -> None:
    """An entry has the fee of its round; an entry without a fee needs no round."""
    installation.enter("r0", days_ago=1)
    assert verify(api).good
    installation.enter("r1", days_ago=1, **entry)
    known = installation.terms["r1"]
    installation.terms["r1"] = None if terms is None or known is None else {**known, **terms}
    broken = verify(api).broken
    assert [one.invariant for one in broken] == ([] if said is None else ["entries_are_into_rounds"])
    if said is not None:
        assert said in broken[0].breaches[0]


def test_a_payout_may_be_on_its_way(api: Api, installation: Installation, tmp_path: Path) -> None:
    """For a while an unknown payout is no breach, and no mark passes it; the same holds for an end or a return that rewards
    does not know yet.
    """
    installation.pay("p1", days_ago=0, state="requested")
    installation.taken["p1"] = None
    installation.pay("p2", days_ago=1)
    returned = installation.taken["p2"]
    assert returned is not None
    returned |= {"state": "returned", "stored_at": datetime.now(UTC).isoformat()}
    installation.pay("p3", days_ago=0, state="cancel_requested")
    memory = Memory(tmp_path / "kept.json")
    assert verify(api, memory=memory).good
    kept, asked = memory.read("payouts_are_known"), installation.wanted["p1"]
    assert kept is not None
    assert asked is not None
    assert kept.sound_until < datetime.fromisoformat(asked["stored_at"])


def test_forged_things_stay_breaches_until_they_are_mended(
    api: Api, installation: Installation, tmp_path: Path
) -> None:
    """Also behind hundreds of newer ones; items that agreed before are skipped."""
    installation.page_limit = 7
    installation.book("forged", days_ago=2)
    installation.settled["forged"] = None
    installation.pay("lost", days_ago=2, state="requested")
    installation.taken["lost"] = None
    for number in range(150):
        installation.book(f"n{number}", days_ago=0.9 - number / 1000)
        installation.pay(f"p{number}", days_ago=0.9 - number / 1000)
    memory = Memory(tmp_path / "kept.json")
    for _ in range(2):
        found = verify(api, memory=memory)
        assert [one.breaches[0].split(":")[0] for one in found.broken] == ["round forged", "payout lost"]
    installation.book("forged", days_ago=2)
    installation.pay("lost", days_ago=2)
    assert verify(api, memory=memory).good
    looked = {one.invariant: one.looked_at for one in verify(api, memory=memory).verdicts}
    assert {
        looked[name] for name in ("rounds_were_settled", "payouts_are_known", "payouts_were_asked_for")
    } == {1}


def test_a_full_comparison_keeps_the_marks_of_comparisons_left_out(tmp_path: Path) -> None:
    """With `--all`, a comparison that was left out because a service did not answer keeps its mark."""
    mark = Mark(sound_until=datetime.now(UTC), known="r1")
    before = Memory(tmp_path / "kept.json")
    for name in ("compared", "left out", "not sound"):
        before.keep(name, mark)
    ignoring = Memory(tmp_path / "kept.json", ignored=True)
    assert ignoring.read("compared") is None
    assert ignoring.read("not sound") is None
    newer = Mark(sound_until=datetime.now(UTC), known="r2")
    ignoring.keep("compared", newer)
    ignoring.keep("not sound", None)
    after = Memory(tmp_path / "kept.json")
    assert [after.read(name) for name in ("compared", "left out", "not sound")] == [newer, mark, None]


def test_the_command_stores_its_marks(run: Any, installation: Installation, tmp_path: Path) -> None:
    """The named file stores the marks; without it, and with `--all`, everything is compared; an invalid file is refused."""
    kept = tmp_path / "kept.json"
    assert run("--memory", str(kept))[0] == 0
    installation.asked.clear()
    run("--memory", str(kept))
    assert installation.asked == ["r2", "r2"], "to recognize the installation, and to compare"
    installation.asked.clear()
    run("--memory", str(kept), "--all")
    run()
    assert installation.asked == ["r2", *["r2", "r1"] * 2], (
        "recognized first, also where everything is compared"
    )
    kept.write_text("{}")
    with pytest.raises(DevstackError, match="delete it"):
        run("--memory", str(kept))


def test_the_signer_is_read_by_its_metrics(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """It serves no checks; a gauge above zero is a breach, and a signer without an answer is reported."""
    audited = 'prizewire_invariant_breaches{name="audit.chain"} 0.0\n'
    kept = 'prizewire_invariant_breaches{name="requests_answered"} 0.0\nother{name="x"} 3.0\n'
    said = {"text": kept + audited}
    monkeypatch.setattr(verification.httpx, "get", lambda *_, **__: httpx.Response(200, text=said["text"]))
    found = verify(api, signer_url="http://signer.test")
    assert Verdict(service="signer", invariant="requests_answered", ok=True) in found.verdicts
    assert found.good
    parked = 'prizewire_invariant_breaches{name="events.none_is_parked"} 1.0\n'
    said["text"] += parked
    [broken] = verify(api, signer_url="http://signer.test").broken
    assert broken.invariant == "events.none_is_parked"
    said["text"] = 'prizewire_invariant_breaches{name="requests_answered"} 2.0\n' + audited
    assert not verify(api, signer_url="http://signer.test").good
    monkeypatch.setattr(verification, "SIGNER_DEADLINE_S", 0.01)
    for looked_at_in_part in ("", kept, audited):
        said["text"] = looked_at_in_part
        assert verify(api, signer_url="http://signer.test").silent == ("signer",)
