"""`prizewire payouts` and `prizewire rails`: what they ask, what they print, and their exit codes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from prizewire_devstack.api import TOKEN_VARIABLE, URL_VARIABLE, ApiError
from prizewire_devstack.cli import pauses, payouts, rails
from prizewire_devstack.cli.main import group

HELD, PAID, LARGE, PAUSE = (str(uuid4()) for _ in range(4))


def payout(payout_id: str, state: str, **members: Any) -> dict[str, Any]:
    return {
        "payout_id": payout_id, "state": state, "code": None, "reason": None, "asset": "EURC", "pay_amount": "12.50",
        "player": "ada", "method_id": str(uuid4()), "method_type": "fake", "rail": "fake", "campaign": str(uuid4()),
        "competition": "cup", "correlation_id": "m-1", "requested_at": "2026-11-20T12:00:00Z", "paid_at": None,
        "tx_hash": None, "provider_ref": None, "approvers_needed": 1, "approvers": ["kim"], **members,
    }  # fmt: skip


class StubApi:
    """Payouts as the command sees it; it notes each request."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.payouts = {
            HELD: payout(HELD, "held", code="above_automatic_limit"),
            PAID: payout(PAID, "paid", provider_ref="fake-1", paid_at="2026-11-20T12:01:00Z"),
            LARGE: payout(LARGE, "held", approvers_needed=2, code="above_automatic_limit"),
        }
        self.rails: list[dict[str, Any]] = []
        self.pauses: list[dict[str, Any]] = []

    def items(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        self.asked.append(("GET", path, {name: value for name, value in query.items() if value is not None}))
        yield from self.payouts.values()

    def get(self, path: str) -> Any:
        if path == rails.PATH:
            return {"items": self.rails}
        if path == pauses.PATH:
            return {"items": self.pauses}
        found = self.payouts[path.rpartition("/")[2]]
        attempts = [
            {"attempt_no": 1, "rail": "fake", "state": "paid", "code": None, "provider_ref": "fake-1"}
        ]
        return {**found, "parties": [{"role": "filer", "subject": "olga"}], "attempt_list": attempts}

    def put(self, path: str, body: Any) -> Any:
        self.asked.append(("PUT", path, body))
        *_, payout_id, verb = path.split("/")
        found = self.payouts[payout_id]
        if found["state"] != "held":
            problem = {"detail": "the payout is paid: only a held one is decided on"}
            raise ApiError(status=409, code="not_held", detail=problem["detail"], path=path, problem=problem)
        if verb == "reject" or found["approvers_needed"] == 1:
            found |= {"state": "approved" if verb == "approve" else "rejected", "code": None}
        return found

    def post(self, path: str, body: Any, *, key: str) -> Any:
        self.asked.append(("POST", path, body))
        assert key
        if path == pauses.PATH:
            self.pauses.append(
                {
                    "id": PAUSE,
                    **body,
                    "paused_by": "olga",
                    "paused_at": "2026-11-20T12:00:00Z",
                    "value_checked": False,
                }
            )
            return self.pauses[-1]
        return {}

    def delete(self, path: str) -> Any:
        self.asked.append(("DELETE", path, None))
        return self.pauses.pop()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> StubApi:
    found = StubApi()

    @contextmanager
    def connected(**_: Any) -> Iterator[StubApi]:
        yield found

    monkeypatch.setattr(payouts, "connect", connected)
    monkeypatch.setattr(payouts, "connect_as", lambda _, roles: connected())
    monkeypatch.setattr(rails, "connect", connected)
    return found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(group, arguments, standalone_mode=False)


def test_the_list_asks_for_what_was_named(made: StubApi) -> None:
    """Filters go to the service; each payout is a line with its whole id, state, amount and rail."""
    done = run("payouts", "list", "--state", "held", "--player", "ada", "--rail", "fake")
    assert made.asked == [("GET", payouts.PATH, {"state": "held", "player": "ada", "rail": "fake"})]
    for shown in (HELD, PAID, "held, above_automatic_limit", "12.50 EURC", "2026-11-20T12:00"):
        assert shown in done.stdout
    short = run("payouts", "list", "--limit", "2")
    assert LARGE not in short.stdout
    assert "Only the first 2 are shown: repeat the command with a larger --limit" in short.stdout
    found = json.loads(run("payouts", "list", "--limit", "2", "--json").stdout)
    assert ([one["payout_id"] for one in found["items"]], found["more"]) == ([HELD, PAID], True)
    made.payouts.clear()
    assert run("payouts", "list").stdout == "There are no such payouts.\n"


def test_one_payout_is_shown_with_its_attempts(made: StubApi) -> None:
    """The page names who may not decide, each attempt, and the reference that proves the payment."""
    shown = run("payouts", "show", PAID).stdout
    for text in (PAID, "12.50 EURC to ada", "olga (filer)", "attempt 1", "fake-1", "cup"):
        assert text in shown
    assert json.loads(run("payouts", "show", PAID, "--json").stdout)["payout_id"] == PAID
    assert "is not a valid UUID" in str(run("payouts", "show", "12").exception)


def test_a_payout_that_waits_says_for_what(made: StubApi) -> None:
    """The page has the masked destination, the gates with their reasons, who has approved of how many, the pause, and evidence with what it says."""
    paused = {"scope": "asset", "value": "EURC", "paused_by": "nik", "reason": "bank holiday"}
    made.payouts[LARGE] |= {
        "destination": "GA5Z…KZVN", "gates": [{"code": "new_destination", "reason": "registered an hour ago"}],
        "pause": paused, "paused": True, "state": "pending",
    }  # fmt: skip
    filed = {
        "evidence_id": HELD,
        "state": "filed",
        "finding": "paid",
        "reference": "STMT-17",
        "filed_by": "pat",
        "decided_by": None,
        "note": "line 3, code AC04",
    }
    made.payouts[LARGE] |= {"evidence": [filed]}
    made.payouts[PAID] |= {"evidence": [{**filed, "state": "confirmed", "decided_by": "piet"}]}
    shown = run("payouts", "show", LARGE).stdout
    for text in (
        "GA5Z…KZVN", "gate new_destination", "registered an hour ago", "1 of 2: kim", "asset EURC, by nik: bank holiday",
        "pending, above_automatic_limit, paused", "paid, STMT-17, by pat (line 3, code AC04): waits for another person",
    ):  # fmt: skip
        assert text in shown
    assert json.loads(run("payouts", "show", LARGE, "--json").stdout)["evidence"] == [filed]
    assert "by pat (line 3, code AC04): confirmed by piet" in run("payouts", "show", PAID).stdout


def test_pauses_are_set_listed_and_lifted(made: StubApi) -> None:
    """A pause is set with a reason, its id is listed, and the id lifts it; `rails list` names pauses of assets too."""
    assert run("payouts", "pauses").stdout == "No payouts are paused.\n"
    done = run("payouts", "pause", "player", "ada", "--reason", "asked to wait")
    assert made.asked[-1] == (
        "POST",
        pauses.PATH,
        {"scope": "player", "value": "ada", "reason": "asked to wait"},
    )
    assert f"{PAUSE}  paused: player ada, by olga: asked to wait" in done.stdout
    assert "look whether ada is written as it should be" in done.stdout
    assert PAUSE in run("payouts", "pauses").stdout
    made.rails = [{"name": "one", "assets": [], "method_types": [], "paused": False}]
    assert "Paused: player ada, by olga: asked to wait." in run("rails", "list").stdout
    assert "resumed: player ada, paused by olga: asked to wait" in run("payouts", "resume", PAUSE).stdout
    assert made.asked[-1] == ("DELETE", f"{pauses.PATH}/{PAUSE}", None)
    assert "reason" in str(run("payouts", "pause", "rail", "fake").exception)


def test_the_commands_own_name_that_may_not_decide_says_how_to_name_another(
    made: StubApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the command applied, the command's own name may not approve: on the local stack the refusal names --by."""

    def refuse(path: str, body: Any) -> Any:
        problem = {"detail": "prizewire-command is the rule writer of this payout"}
        raise ApiError(status=403, code="approver_is_rule_writer", detail="", path=path, problem=problem)

    monkeypatch.setattr(made, "put", refuse)
    assert "--by names another person" in run("payouts", "approve", HELD).stdout


def test_each_decision_has_its_line(made: StubApi) -> None:
    """A refusal of one payout stops none of the others: it is a line with its code, and the exit code is 1."""
    done = run("payouts", "approve", HELD, PAID, LARGE, HELD, "--note", "checked")
    assert [path for _, path, _ in made.asked] == [
        f"{payouts.PATH}/{one}/approve" for one in (HELD, PAID, LARGE)
    ]
    assert done.stdout.splitlines() == [
        f"{HELD}  approved",
        f"{PAID}  refused, not_held: the payout is paid: only a held one is decided on",
        f"{LARGE}  held, above_automatic_limit, approved by 1 of 2",
    ]
    assert done.return_value == 1
    again = run("payouts", "reject", LARGE, "--reason", "wrong person", "--json")
    assert made.asked[-1] == ("PUT", f"{payouts.PATH}/{LARGE}/reject", {"reason": "wrong person"})
    assert json.loads(again.stdout) == {"items": [{"payout_id": LARGE, "code": None, "detail": "rejected"}]}
    assert again.return_value == 0


def test_a_retry_names_reason_and_method(made: StubApi) -> None:
    """The reason is required; another method is named by its id."""
    method = str(uuid4())
    done = run("payouts", "retry", PAID, "--reason", "another account", "--method", method)
    assert made.asked == [
        ("POST", f"{payouts.PATH}/{PAID}/retry", {"reason": "another account", "method_id": method})
    ]
    assert done.return_value == 0
    assert "reason" in str(run("payouts", "retry", PAID).exception)


def test_a_person_is_named_on_the_local_stack_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere the token says who decides, and a second name for that person would be ignored."""
    monkeypatch.setenv(URL_VARIABLE, "http://127.0.0.1:1")
    monkeypatch.setenv(TOKEN_VARIABLE, "some-token")
    done = run("payouts", "approve", HELD, "--by", "kim")
    assert "--by is for the local stack" in str(done.exception)


def test_rails_are_listed_with_what_stops_them(made: StubApi) -> None:
    """A rail that is off, paused or behind an open circuit says so, and the exit code is 1."""
    common = {"provider": "fake", "type": "fake", "assets": ["EURC", "USDC"], "method_types": ["fake"]}
    cost = [{"asset": "EURC", "fixed": "0.10", "share": "0.005"}]
    made.rails = [
        {
            "name": "one",
            **common,
            "circuit": "closed",
            "paused": False,
            "off": None,
            "preference": 7,
            "cost": cost,
        }
    ]
    done = run("rails", "list")
    assert done.return_value == 0
    assert "EURC USDC" in done.stdout
    assert "ready" in done.stdout
    assert "0.10+0.005·EURC" in done.stdout
    made.rails += [
        {"name": "two", **common, "circuit": "open", "paused": False, "off": None},
        {"name": "three", **common, "circuit": "closed", "paused": True, "off": None},
        {
            "name": "four",
            **common,
            "circuit": "closed",
            "paused": False,
            "off": "no legal approval is in force",
        },
    ]
    done = run("rails", "list")
    assert done.return_value == 1
    for said in ("circuit open", "paused", "off: no legal approval is in force"):
        assert said in done.stdout
    assert len(json.loads(run("rails", "list", "--json").stdout)["items"]) == 4
