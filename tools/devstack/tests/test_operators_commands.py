"""`prizewire campaigns`, `rounds`, `claims` and `payouts evidence`: what they request, what they print, and their exit codes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from prizewire_devstack.api import ApiError
from prizewire_devstack.cli import campaigns, claims, deciding, evidence, rounds
from prizewire_devstack.cli.main import group
from prizewire_devstack.errors import DevstackError

CAMPAIGN, ROUND, HELD, DECIDED, PAYOUT, EVIDENCE = (str(uuid4()) for _ in range(6))
MOMENT = "2026-11-20T12:00:00Z"

A_CAMPAIGN: dict[str, Any] = {
    "id": CAMPAIGN, "name": "cup", "state": "exhausted", "asset": "USDC", "delivery": "wallet", "available": "3.00",
    "reserved": "97.00", "funded": "100.00", "missing": "97.00", "unfunded_rounds": 1, "low_water": "10.00",
    "created_at": MOMENT,
}  # fmt: skip
A_ROUND: dict[str, Any] = {
    "id": ROUND, "state": "SETTLED", "competition": "cup", "rule_version": 2, "source": "/game", "match_id": "m-1",
    "correlation_id": "c-1", "settlement_version": 1, "waiting_since": None, "refused_at": MOMENT, "final_at": "2026-12-24T18:00:00Z",
    "waiting": {"missing": [2], "parts": 3}, "refused": {"code": "campaign_ended", "detail": "it has ended"},
    "lines": [{"place": 1, "player": "ada", "amount": "50.00"}],
}  # fmt: skip
BOOKED: dict[str, Any] = {
    "round_id": ROUND, "state": "unfunded", "campaign": CAMPAIGN, "asset": "USDC", "waits_for": "50.00",
}  # fmt: skip
A_CLAIM: dict[str, Any] = {
    "reward_id": HELD, "state": "held", "code": "under_review", "amount": "5.00", "asset": "USDC", "player": "ada",
    "campaign": CAMPAIGN, "correlation_id": "c-1", "claimed_at": MOMENT, "deadline": MOMENT, "decided_by": None,
    "reason": None,
    "findings": [{"rule": "velocity", "verdict": "hold", "saw": "6", "explanation": "Many claims are reviewed."}],
}  # fmt: skip
A_REVIEW: dict[str, Any] = {
    "payout_id": PAYOUT, "state": "unknown", "amount": "5.00", "asset": "EURC", "rail": "manual",
    "evidence": [
        {"evidence_id": EVIDENCE, "finding": "paid", "reference": "17", "filed_by": "kim", "state": "filed", "decided_by": None}
    ],
}  # fmt: skip


class StubApi:
    """The services as the commands see them; it notes each request that changes something, and each filter."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.campaigns = [A_CAMPAIGN]
        self.later: list[dict[str, Any]] = []
        """What the campaign is at each later look; the last stays."""
        self.down: set[str] = set()
        """Parts of paths that are not answered."""

    def items(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        self.asked.append((path, {name: value for name, value in query.items() if value is not None}))
        yield from {
            campaigns.PATH: self.campaigns,
            rounds.PATH: [A_ROUND],
            claims.PATH: [A_CLAIM],
        }[path]

    def get(self, path: str, **query: Any) -> Any:
        self._reached(path)
        if path == rounds.BOOKED:
            assert query == {"ids": ROUND}
            return {"items": [BOOKED]}
        if path.endswith("balance-sheet"):
            return {"campaign": CAMPAIGN, "asset": "USDC", "available": "3.00", "wallets": "40.00"}
        if self.later and path == f"{campaigns.PATH}/{CAMPAIGN}":
            return self.later.pop(0) if len(self.later) > 1 else self.later[0]
        if path == evidence.PATH:
            return {"items": [A_REVIEW]}
        return {CAMPAIGN: A_CAMPAIGN, ROUND: A_ROUND, HELD: A_CLAIM}[path.rpartition("/")[2]]

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> Any:
        self.asked.append((path, body))
        assert key or path.endswith(("pause", "activate", "end")), "a request that moves money needs its key"
        self._reached(path, method="POST")
        if DECIDED in path:
            problem = {"detail": "the claim was approved"}
            raise ApiError(status=409, code="claim_not_held", detail="", path=path, problem=problem)
        if path.startswith(campaigns.PATH):
            return self.campaigns[0]
        return A_REVIEW if path.startswith(evidence.PATH) else {**A_ROUND, "state": "approved"}

    def _reached(self, path: str, *, method: str = "GET") -> None:
        if any(part in path for part in self.down):
            raise ApiError(
                status=502, code="service_unreachable", detail="it does not answer", path=path, method=method
            )


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> StubApi:
    found = StubApi()

    @contextmanager
    def connected(*_: Any, **__: Any) -> Iterator[StubApi]:
        yield found

    for module in (campaigns, rounds, claims, evidence):
        monkeypatch.setattr(module, "connect", connected)
    for module in (campaigns, rounds, deciding, evidence):
        monkeypatch.setattr(module, "connect_as", connected)
    return found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(group, arguments, standalone_mode=False)


def test_campaigns_show_what_their_pools_lack(made: StubApi) -> None:
    """The list and the page have the pool, the number of rounds that wait, and the missing amount."""
    listed = run("campaigns", "list").stdout
    for text in (CAMPAIGN, "exhausted", "3.00", "97.00"):
        assert text in listed
    assert run("campaigns", "list", "--state", "active").stdout == "There are no such campaigns.\n"
    shown = run("campaigns", "show", CAMPAIGN).stdout
    for text in ("97.00 USDC", "10.00 USDC", "wallets", "40.00 USDC"):
        assert text in shown
    assert shown.count("available") == 1
    assert json.loads(run("campaigns", "show", CAMPAIGN, "--json").stdout)["campaign"]["id"] == CAMPAIGN


def test_a_campaign_is_found_by_its_name(made: StubApi) -> None:
    """Each command takes the name of a campaign. An unknown name and one that several campaigns have are refused."""
    assert CAMPAIGN in run("campaigns", "show", "cup").stdout
    run("campaigns", "pause", "cup")
    assert made.asked[-1] == (f"{campaigns.PATH}/{CAMPAIGN}/pause", None)
    assert "There is no campaign 'cups'" in str(run("campaigns", "show", "cups").exception)
    made.campaigns = [A_CAMPAIGN, {**A_CAMPAIGN, "id": ROUND}]
    assert f"its id, {CAMPAIGN}, {ROUND}" in str(
        run("campaigns", "fund", "cup", "1.00", "--reference", "r").exception
    )
    assert made.asked[-1] == (campaigns.PATH, {})


def test_funding_waits_for_the_rounds_that_it_covers(made: StubApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is the campaign after its rounds were booked. After the deadline, and without an answer, it says what happens."""
    made.campaigns = [covered := {**A_CAMPAIGN, "missing": "0.00", "available": "100.00"}]
    made.later = [covered, {**covered, "state": "active", "unfunded_rounds": 0, "available": "3.00"}]
    done = ("campaigns", "fund", "cup", "97.00", "--reference", "bank-17")
    assert run(*done).stdout == f"{CAMPAIGN}  active, available 3.00 USDC, no round waits  cup\n"
    monkeypatch.setattr(campaigns, "BOOKED_WITHIN_S", 0)
    made.later = [covered]
    assert "1 round waits and will be booked now" in run(*done).stdout
    made.campaigns = [{**covered, "state": "paused"}]
    made.later = []
    assert "1 round waits until the campaign is active" in run("campaigns", "pause", "cup").stdout


def test_money_that_was_booked_is_reported_also_without_a_later_answer(made: StubApi) -> None:
    """The request was applied: a service that then does not answer makes no failure of it."""
    made.campaigns = [{**A_CAMPAIGN, "missing": "0.00"}]
    made.later = [{**A_CAMPAIGN, "missing": "0.00"}]
    asked_once = made.post

    def post(*arguments: Any, **named: Any) -> Any:
        answer = asked_once(*arguments, **named)
        made.down = {campaigns.PATH}
        return answer

    made.post = post  # type: ignore[method-assign] # the service ends after its answer
    done = run("campaigns", "fund", CAMPAIGN, "97.00", "--reference", "bank-17")
    assert (done.exception, "1 round waits and will be booked now" in done.stdout) == (None, True)


def test_a_campaign_is_funded_paused_activated_and_ended(made: StubApi) -> None:
    """Funding names amount and reference, under a key of its own; the answer says how many rounds still wait."""
    done = run("campaigns", "fund", CAMPAIGN, "97.00", "--reference", "bank-17")
    assert made.asked == [(f"{campaigns.PATH}/{CAMPAIGN}/fund", {"amount": "97.00", "reference": "bank-17"})]
    assert "1 round waits, 97.00 USDC missing" in done.stdout
    for verb in ("pause", "activate", "end"):
        run("campaigns", verb, CAMPAIGN)
        assert made.asked[-1] == (f"{campaigns.PATH}/{CAMPAIGN}/{verb}", None)
    assert isinstance(run("campaigns", "fund", CAMPAIGN, "1.00").exception, Exception)


def test_rounds_are_listed_shown_and_decided(made: StubApi) -> None:
    """Filters go to the service; the page says which parts are missing and why rewards refuses; decisions name a reason."""
    listed = run("rounds", "list", "--refused", "--competition", "cup").stdout
    assert made.asked == [(rounds.PATH, {"refused": "true", "competition": "cup"})]
    assert ROUND in listed
    shown = run("rounds", "show", ROUND).stdout
    for text in ("2 of 3", "campaign_ended: it has ended", "50.00", "2026-12-24T18:00Z"):
        assert text in shown
    assert f"50.00 USDC: `prizewire campaigns show {CAMPAIGN}` shows its pool" in " ".join(shown.split())
    assert "50.00 USDC" in listed
    run("rounds", "resettle", ROUND, "--reason", "the rule is mended")
    assert made.asked[-1] == (f"{rounds.PATH}/{ROUND}/resettle", {"reason": "the rule is mended"})
    run("rounds", "void", ROUND, "--reason", "never played")
    assert made.asked[-1] == (f"{rounds.PATH}/{ROUND}/resolve", {"reason": "never played", "void": True})


def test_rounds_are_shown_although_rewards_does_not_answer(made: StubApi) -> None:
    """What rounds wait for is then unknown: the command says so, with exit code 1."""
    made.down = {rounds.BOOKED}
    for command in (("list",), ("show", ROUND), ("show", ROUND, "--json")):
        done = run("rounds", *command)
        assert (done.return_value, ROUND in done.stdout) == (1, True)
        assert "It is unknown which rounds wait for money." in done.stderr


def test_claims_are_listed_with_rules_and_decided_one_by_one(made: StubApi) -> None:
    """Each claim gets its own answer; a refusal makes the exit code 1 and does not stop the others."""
    assert "velocity" in run("claims", "list", "--state", "held").stdout
    assert made.asked == [(claims.PATH, {"state": "held"})]
    assert "saw 6. Many claims are reviewed." in run("claims", "show", HELD).stdout
    done = run("claims", "reject", DECIDED, HELD, "--reason", "the same person")
    assert done.return_value == 1
    assert f"{DECIDED}  refused, claim_not_held: the claim was approved" in done.stdout
    assert made.asked[-1] == (f"{claims.PATH}/{HELD}/reject", {"reason": "the same person"})
    assert run("claims", "release", HELD, "--reason", "identity seen").return_value == 0


def test_each_outcome_is_printed_where_one_has_no_answer(made: StubApi) -> None:
    """What was decided before is printed; the one without an answer says how to see its state; later ones are not sent."""
    lost, later = str(uuid4()), str(uuid4())
    made.down = {lost}
    done = run("claims", "reject", DECIDED, HELD, lost, later, "--reason", "the same person")
    refused, decided, unknown, not_sent = done.stdout.splitlines()
    assert (done.return_value, decided) == (1, f"{HELD}  approved")
    assert refused.startswith(f"{DECIDED}  refused, claim_not_held: ")
    assert unknown.startswith(f"{lost}  no answer, service_unreachable: ")
    assert "it is unknown whether the POST was applied" in unknown
    assert unknown.endswith(f"`prizewire claims show {lost}` shows its state.")
    assert not_sent.startswith(f"{later}  not sent: ")
    assert made.asked[-1][0] == f"{claims.PATH}/{lost}/reject"
    items = json.loads(run("claims", "reject", HELD, lost, "--reason", "r", "--json").stdout)["items"]
    assert [(one["claim"], one["code"]) for one in items] == [(HELD, None), (lost, "service_unreachable")]


def test_each_outcome_is_printed_where_the_gateway_is_gone(
    made: StubApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error without a code of a service is an outcome too."""
    first = made.post

    def post(path: str, body: Any = None, *, key: str | None = None) -> Any:
        if len(made.asked) == 1:
            raise DevstackError("http://127.0.0.1:1 does not answer (ConnectError): see `prizewire status`.")
        return first(path, body, key=key)

    monkeypatch.setattr(made, "post", post)
    done = run("claims", "release", HELD, PAYOUT, "--reason", "r")
    assert done.return_value == 1
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
        f"{HELD}  approved",
        f"{PAYOUT}  no answer",
    ]


def test_evidence_is_filed_confirmed_and_refused(made: StubApi) -> None:
    """Filing and confirming repeat finding and reference; the list shows what waits for another person."""
    assert f"{EVIDENCE} paid (17) by kim, waits for another person" in run(
        "payouts", "evidence", "list"
    ).stdout.replace("\n", " ")
    said = ("--finding", "paid", "--reference", "17")
    run("payouts", "evidence", "file", PAYOUT, *said, "--note", "statement")
    assert made.asked[-1] == (
        f"{evidence.PATH}/{PAYOUT}/evidence",
        {"finding": "paid", "reference": "17", "note": "statement"},
    )
    run("payouts", "evidence", "confirm", PAYOUT, EVIDENCE, *said)
    assert made.asked[-1] == (
        f"{evidence.PATH}/{PAYOUT}/evidence/{EVIDENCE}/confirm",
        {"finding": "paid", "reference": "17"},
    )
    run("payouts", "evidence", "refuse", PAYOUT, EVIDENCE, "--reason", "another payment")
    assert made.asked[-1][1] == {"reason": "another payment"}
