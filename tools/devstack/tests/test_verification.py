"""`prizewire verify`: one line for each invariant, and an exit code that says whether all hold."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from prizewire_devstack import verification
from prizewire_devstack.api import TOKEN_VARIABLE, URL_VARIABLE, Api
from prizewire_devstack.cli import verify as command
from prizewire_devstack.routes import SERVICES_WITH_API
from prizewire_devstack.verification import Verdict, verify

CHECK = {"name": "sums", "ok": True, "breaches": [], "looked_at": 7}
ROUNDS = {"r1": ("3", ["1.00", "2.00"], "0.00"), "r2": ("5.50", ["5.50"], "0.00")}


class Installation:
    """Services that answer as they are told to."""

    def __init__(self) -> None:
        self.checks: dict[str, Any] = {service: [dict(CHECK)] for service in SERVICES_WITH_API}
        self.down: set[str] = set()
        self.owed = {name: list(lines) for name, (_, lines, _) in ROUNDS.items()}
        self.states: dict[str, list[str]] = {}
        self.lines_total: dict[str, int] = {}
        self.asked = 0

    def answer(self, request: httpx.Request) -> httpx.Response:
        match request.url.path.split("/")[2:]:
            case ["services", service, "checks"]:
                if service in self.down:
                    return httpx.Response(502, json={"code": "service_unreachable", "detail": "away"})
                return httpx.Response(200, json={"checks": self.checks[service]})
            case ["rounds"]:
                assert request.url.params["state"] == "FINALIZED"
                return httpx.Response(
                    200, json={"items": [{"id": name} for name in ROUNDS], "next_cursor": None}
                )
            case ["rounds", name]:
                net, lines, unclaimed = ROUNDS[name]
                total = self.lines_total.get(name, len(lines))
                settlement = {"net": net, "unclaimed": unclaimed, "lines_total": total}
                return httpx.Response(200, json={"settlement": settlement})
            case ["rewards"]:
                self.asked += 1
                name = request.url.params["round_id"]
                states = self.states.get(name, ["credited"] * len(self.owed[name]))
                items = [
                    {"amount": amount, "state": state}
                    for amount, state in zip(self.owed[name], states, strict=True)
                ]
                return httpx.Response(200, json={"items": items, "next_cursor": None})
        raise AssertionError(request.url)


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch) -> Installation:
    made = Installation()
    client = httpx.Client

    def over_nothing(**options: Any) -> httpx.Client:
        return client(transport=httpx.MockTransport(made.answer), **options)

    monkeypatch.setattr("prizewire_devstack.api.httpx.Client", over_nothing)
    monkeypatch.setattr(verification, "AGREED_DEADLINE_S", 0.01)
    monkeypatch.setenv(URL_VARIABLE, "http://prizewire.test")
    monkeypatch.setenv(TOKEN_VARIABLE, "token")
    return made


@pytest.fixture
def api(installation: Installation) -> Iterator[Api]:
    with Api(base_url="http://prizewire.test", token="token") as made:
        yield made


@pytest.fixture
def run(installation: Installation) -> Callable[..., tuple[int, str]]:
    """Runs the command; answers exit code and what it printed."""

    def invoke(*options: str) -> tuple[int, str]:
        done = CliRunner().invoke(command.command, list(options), standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return int(done.return_value), done.output

    return invoke


def test_everything_holds(run: Any) -> None:
    """A line for each invariant with what it looked at, and exit code 0."""
    code, said = run()
    assert code == 0
    lines = [line.split() for line in said.splitlines()]
    assert [line[:4] for line in lines[: len(SERVICES_WITH_API)]] == [
        [service, "sums", "ok", "7"] for service in SERVICES_WITH_API
    ]
    assert "prizes_are_those_settled" in said
    assert "5 invariants hold." in said


def test_a_breach_is_told_and_counted(run: Any, installation: Installation) -> None:
    """It stands on its line and is spelt out below; the exit code is 1, in JSON too."""
    installation.checks["payouts"][0] |= {"ok": False, "breaches": ["payout 7 is paid twice"]}
    code, said = run()
    assert code == 1
    assert "BREACH" in said
    assert "payouts: sums: payout 7 is paid twice" in said
    code, said = run("--json")
    found = json.loads(said)
    assert (code, found["ok"]) == (1, False)
    assert {"service": "payouts", "invariant": "sums", "ok": False, "breaches": ["payout 7 is paid twice"],
            "looked_at": 7} in found["checks"]  # fmt: skip


def test_a_service_that_does_not_answer_fails_it(run: Any, installation: Installation) -> None:
    """What was not looked at is not known to hold."""
    installation.down.add("webhooks")
    code, said = run()
    assert code == 1
    assert "webhooks does not answer" in said
    installation.down.add("rewards")
    assert json.loads(run("--json")[1])["silent"] == ["rewards", "webhooks"]


def test_settlement_and_rewards_must_agree(api: Api, installation: Installation) -> None:
    """Another sum, another number of prizes, or none at all is a breach; what a correction took back is no prize."""
    assert verify(api).good
    for owed, states in (
        (["1.00", "2.01"], ["credited", "credited"]),
        (["3.00"], ["credited"]),
        ([], []),
        (["1.00", "2.00"], ["credited", "reversed"]),
    ):
        installation.owed["r1"], installation.states["r1"] = owed, states
        found = verify(api)
        assert not found.good
        [broken] = found.broken
        assert broken.breaches[0].startswith("round r1: settled 2 prizes of 3.00, rewards has ")
    installation.owed["r1"] = ["1.00", "9.00", "2.00"]
    installation.states["r1"] = ["pending", "reversed", "held"]
    assert verify(api).good


def test_what_is_on_its_way_may_arrive(
    api: Api, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rewards is asked again for a while before it is a breach."""
    monkeypatch.setattr(verification, "AGREED_DEADLINE_S", 20.0)
    honest = installation.answer
    late = {"left": 2}

    def slowly(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/rewards") and late["left"]:
            late["left"] -= 1
            return httpx.Response(200, json={"items": [], "next_cursor": None})
        return honest(request)

    monkeypatch.setattr(installation, "answer", slowly)
    with Api(base_url="http://prizewire.test", token="token") as patient:
        assert verify(patient).good


def test_large_rounds_are_left_to_the_services(api: Api, installation: Installation) -> None:
    """They are not compared prize by prize, nor counted as looked at; none is with --rounds 0."""
    installation.lines_total["r2"] = verification.LINES_MAX + 1
    agreement = verify(api).verdicts[-1]
    assert (agreement.ok, agreement.looked_at) == (True, 1)
    installation.asked = 0
    assert all(one.service != verification.AGREEMENT for one in verify(api, rounds=0).verdicts)
    assert installation.asked == 0


def test_the_signer_is_read_by_its_metrics(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """It serves no checks; a gauge above zero is a breach, and silence is no good news."""
    said = {"text": 'prizewire_signer_breaches{invariant="limits_kept"} 0.0\nother{invariant="x"} 3.0\n'}
    monkeypatch.setattr(verification.httpx, "get", lambda *_, **__: httpx.Response(200, text=said["text"]))
    found = verify(api, signer_url="http://signer.test")
    assert Verdict(service="signer", invariant="limits_kept", ok=True) in found.verdicts
    assert found.good
    said["text"] = 'prizewire_signer_breaches{invariant="limits_kept"} 2.0\n'
    assert not verify(api, signer_url="http://signer.test").good
    monkeypatch.setattr(verification, "SIGNER_DEADLINE_S", 0.01)
    said["text"] = ""
    assert verify(api, signer_url="http://signer.test").silent == ("signer",)
