"""The steps of one correlation id from all services; a service that does not answer does not hide the others."""

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any, cast
from uuid import uuid4

import pytest
from click.testing import CliRunner
from rich.console import Console

from prizewire_contracts.ids import refusals_id
from prizewire_devstack import api as api_module
from prizewire_devstack import tracing
from prizewire_devstack.api import Api, ApiError, SilentError
from prizewire_devstack.cli import stuck as stuck_command
from prizewire_devstack.cli import trace as trace_command
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.game_server import local_correlation_id
from prizewire_devstack.routes import SERVICES_WITH_API
from prizewire_devstack.tracing import services_named, trace

RETRY = str(uuid4())
DETAIL = (
    "the correlation id differs from the one that the first event of this match came with, so it is refused"
)
STUCK = {
    "id": 12345,
    "state": "parked",
    "reason": "correlation_mismatch",
    "detail": DETAIL,
    "type": "prizewire.match.completed.v1",
    "subject": "cup [bold]final\x1b[2J",
}


REFUSED = {
    "at": "2026-11-21T12:00:00+00:00",
    "service": "signer",
    "kind": "signing.messages_refused",
    "id": "signer",
    "summary": "",
    "detail": {
        "kinds": [
            {
                "state": state,
                "reason": reason,
                "count": count,
                "first_at": "2026-11-21T11:00:00+00:00",
                "last_at": "2026-11-21T11:59:00+00:00",
                "place": "prizewire.signing.requests.v1/2/7",
                "detail": "not pinned",
            }
            for state, reason, count in (("dead", "key_not_trusted", 43), ("parked", "event_mismatch", 1))
        ]
    },
}


class Lineages:
    """Four services, each with its part of a lineage; those in `down` do not answer, one has a stuck event. `frozen`
    services take requests and do not answer. A replay or a discard is answered with `answer`.
    """

    def __init__(
        self,
        *down: str,
        frozen: tuple[str, ...] = (),
        stuck: str = "",
        known: bool = True,
        refused: bool = False,
        answer: dict[str, Any] | None = None,
    ) -> None:
        self.down = down
        self.rounds: list[dict[str, Any]] = []
        self.frozen = frozen
        self.answer = answer
        self.stuck = stuck
        self.known = known
        self.refused = refused

    def __enter__(self) -> "Lineages":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def alive(self, service: str) -> None:
        if service in self.frozen:
            raise SilentError(
                service=service, method="GET", path=f"/api/services/{service}/codes", within_s=10
            )
        self._reached(f"/api/services/{service}/codes")

    def post(self, path: str, body: object = None) -> dict[str, Any]:
        del body
        self._reached(path, method="POST")
        assert self.answer is not None
        return self.answer

    def get(self, path: str, **_: Any) -> dict[str, Any]:
        if path == "/api/rounds":
            return {"items": self.rounds}
        service = self._reached(path)
        if path.endswith(str(refusals_id("signer"))):
            return {"entries": [REFUSED] if self.refused else []}
        second = SERVICES_WITH_API.index(service)
        steps = [(service, second)] + ([("signer", 2)] if service == "payouts" else [])
        return {
            "entries": [
                {
                    "at": f"2026-11-21T12:00:0{at}+00:00",
                    "service": name,
                    "kind": "k",
                    "id": "1",
                    "summary": "",
                    "detail": {},
                }
                for name, at in steps
                if self.known
            ]
        }

    def items(self, path: str, **_: object) -> Iterator[dict[str, Any]]:
        if self._reached(path) == self.stuck:
            yield STUCK

    def _reached(self, path: str, *, method: str = "GET") -> str:
        service = path.split("/")[3]
        if service in self.frozen:
            assert method == "POST", "the long request came before the short one"
            raise SilentError(service=service, method=method, path=path, within_s=10)
        if service in self.down:
            raise ApiError(
                status=502, code="service_unreachable", detail=f"{service} does not answer", path=path
            )
        return service


def run(monkeypatch: pytest.MonkeyPatch, services: Lineages, *arguments: str) -> tuple[int, str, str]:
    """Run `trace` or `stuck` against these services: exit code, standard output, standard error."""
    command, *rest = arguments
    module = trace_command if command == "trace" else stuck_command
    monkeypatch.setattr(module, "connect", lambda: services)
    found = CliRunner().invoke(module.command, rest, standalone_mode=False)
    if found.exception is not None:
        raise found.exception
    return int(found.return_value or 0), found.stdout, found.stderr


def test_a_trace_is_in_the_order_of_time_and_names_the_signer() -> None:
    """The signer serves no lineage itself; payouts serves its part."""
    steps = trace(cast("Api", Lineages()), "c-1")
    assert [step.service for step in steps] == ["settlement", "rewards", "payouts", "signer", "webhooks"]
    assert services_named(steps) == ("settlement", "rewards", "payouts", "webhooks", "signer")


class UnorderedTimes(Lineages):
    """Settlement's second step has a time before that of its first. Its last has no fraction of a second."""

    def get(self, path: str, **_: Any) -> dict[str, Any]:
        entries = super().get(path)["entries"]
        if path.split("/")[3] == "settlement":
            times = ("12:00:02.5", "12:00:00", "12:00:03")
            entries = [
                {**entries[0], "at": f"2026-11-21T{at}+00:00", "id": str(number)}
                for number, at in enumerate(times)
            ]
        return {"entries": entries}


def test_a_trace_keeps_the_order_of_each_service() -> None:
    """A service knows the order of its steps also where their times do not show it."""
    steps = trace(cast("Api", UnorderedTimes()), "c-1")
    assert [step.id for step in steps if step.service == "settlement"] == ["0", "1", "2"]
    assert [step.service for step in steps] == [
        "rewards",
        "payouts",
        "signer",
        "settlement",
        "settlement",
        "settlement",
        "webhooks",
    ]


def test_an_unavailable_service_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other services' steps are shown, the missing service is named, and the exit code is 1."""
    code, out, err = run(monkeypatch, Lineages("rewards"), "trace", "c-1")
    assert code == 1
    assert all(name in out for name in ("settlement", "payouts", "signer", "webhooks"))
    assert "rewards does not answer" in err
    assert "prizewire status" in err
    code, out, _ = run(monkeypatch, Lineages("rewards"), "trace", "c-1", "--json")
    assert (code, json.loads(out)["silent"]) == (1, ["rewards"])


@pytest.mark.parametrize("command", [("trace", "c-1"), ("stuck", "list")])
def test_a_frozen_service_does_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """It is named as one that does not answer; if no service answers, the error is about the installation."""
    code, out, err = run(monkeypatch, Lineages(frozen=("rewards",), stuck="payouts"), *command)
    assert (code, "payouts/12345" in out) == (1, True)
    assert "rewards does not answer" in err
    with pytest.raises(DevstackError, match="None of settlement, rewards, payouts, webhooks"):
        run(monkeypatch, Lineages(frozen=SERVICES_WITH_API), *command)


class OneMatch(Lineages):
    """Services that know a single correlation id: that of a match of the local game server."""

    def get(self, path: str, **_: Any) -> dict[str, Any]:
        self.known = path.endswith(local_correlation_id("cup-1"))
        return super().get(path)


def test_a_match_is_found_by_its_own_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trace names the correlation id of the match."""
    code, out, err = run(monkeypatch, OneMatch(), "trace", "cup-1")
    assert (code, err) == (0, "")
    assert out.startswith(f"Match cup-1 has the correlation id {local_correlation_id('cup-1')}.\n")


@pytest.mark.parametrize("given", ["", " ", "a b", "a\n", "x" * 129, "\u2028"])
def test_a_text_that_is_no_id_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """With a stable code, before any service is asked."""
    with pytest.raises(DevstackError, match=r"is no id \(id_invalid\): give a correlation id") as caught:
        run(monkeypatch, Lineages(known=False), "trace", given)
    assert "/api/" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("given", ["../../x", "cup/1", "..", "."])
def test_an_id_that_no_path_can_name_is_looked_up_as_a_match(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    """No service is asked for a path that it reads as another one. A correlation id of such a form is refused with its code."""

    class Strict(OneMatch):
        def get(self, path: str, **query: Any) -> dict[str, Any]:
            assert path.startswith("/api/rounds") or path.endswith(local_correlation_id(given))
            return super().get(path, **query)

    code, out, err = run(monkeypatch, Strict(), "trace", given)
    assert (code, out) == (1, "")
    assert f"No service knows the id {given}, as" in err
    one = Strict()
    one.rounds = [{"correlation_id": "a/b"}]
    with pytest.raises(DevstackError, match=r"'a/b' cannot be part of a path \(id_not_in_path\)"):
        run(monkeypatch, one, "trace", given)


@pytest.mark.parametrize("lost", [{"down": "rewards"}, {"frozen": "rewards"}, {"down": "settlement"}])
def test_a_match_is_shown_although_one_service_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, lost: dict[str, str]
) -> None:
    """The steps of the others are printed, the silent service is named and asked once, and the exit code is 1."""
    services = OneMatch(*[lost["down"]] if "down" in lost else [], frozen=(lost.get("frozen", ""),))
    asked: list[str] = []
    alive = services.alive
    monkeypatch.setattr(services, "alive", lambda service: (asked.append(service), alive(service))[1])
    code, out, err = run(monkeypatch, services, "trace", "cup-1")
    silent = next(iter(lost.values()))
    assert code == 1
    assert out.startswith(f"Match cup-1 has the correlation id {local_correlation_id('cup-1')}.\n")
    assert all(name in out for name in ("settlement", "payouts", "signer", "webhooks") if name != silent)
    assert f"{silent} does not answer" in err
    assert asked.count(silent) == 1
    code, out, err = run(monkeypatch, services, "trace", "cup-2")
    assert (code, out, f"{silent} does not answer" in err) == (1, "", True)


def test_a_match_of_another_source_is_found_by_its_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """The round of the match has the correlation id; a match id of several sources is refused with what to do."""
    one = OneMatch()
    one.rounds = [{"correlation_id": local_correlation_id("cup-1")}]
    code, out, err = run(monkeypatch, one, "trace", "other-1")
    assert (code, err) == (0, "")
    assert out.startswith(f"Match other-1 has the correlation id {local_correlation_id('cup-1')}.\n")
    one.rounds *= 2
    with pytest.raises(DevstackError, match="Several sources have a match other-1"):
        run(monkeypatch, one, "trace", "other-1")


def test_an_id_that_is_neither_match_nor_correlation_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says as what the id was looked for."""
    code, out, err = run(monkeypatch, OneMatch(), "trace", "cup-2")
    assert (code, out) == (1, "")
    assert "knows the id cup-2, as a correlation id, a payout or a match" in err


class OneRetry(Lineages):
    """Services that know a single correlation id, of a payout that another payout retries."""

    def get(self, path: str, **_: Any) -> dict[str, Any]:
        if path == f"/api/payouts/{RETRY}":
            return {"correlation_id": "c-1"}
        if path.startswith("/api/payouts/"):
            raise ApiError(status=404, code="payout_not_found", detail="there is none", path=path)
        self.known = path.endswith("/c-1")
        return super().get(path)


def test_a_payout_is_found_by_its_own_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """A payout that retries another has the correlation id of the first one: the trace names it. Another id is unknown."""
    code, out, err = run(monkeypatch, OneRetry(), "trace", RETRY)
    assert (code, err) == (0, "")
    assert out.startswith(f"Payout {RETRY} has the correlation id c-1.\n")
    assert run(monkeypatch, OneRetry(), "trace", str(uuid4()))[0] == 1


def test_one_service_that_is_asked_alone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One service without an answer is not reported as an installation without an answer."""
    code, _, err = run(monkeypatch, Lineages(frozen=("rewards",)), "stuck", "list", "--service", "rewards")
    assert (code, "rewards does not answer" in err) == (1, True)


def test_a_replay_that_is_refused_again_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """The output has the detail that the list shows."""
    answer = {"state": "parked", "reason": "handler_error", "detail": "no \x1b place", "released": 0}
    code, out, _ = run(monkeypatch, Lineages(answer=answer), "stuck", "replay", "rewards/7")
    assert (code, out) == (1, "rewards/7 was refused again: handler_error: no \\x1b place\n")


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            {"type": "prizewire.match.corrected.v1", "subject": "cup-1", "correlation_id": "c-1"},
            (
                "Money may wait for events of the type prizewire.match.corrected.v1. It is unknown whether money waits for this "
                "one: check its subject cup-1; `prizewire trace c-1` shows its other events."
            ),
        ),
        (
            {"type": None, "subject": None, "correlation_id": None},
            (
                "The type of this event is unreadable, so money may wait for it. It is unknown whether money waits for this "
                "one: it names no subject. `prizewire stuck show settlement/4` shows its message."
            ),
        ),
        (
            {"type": "prizewire.match.corrected.v1", "subject": "", "correlation_id": "c 1"},
            "it names no subject. `prizewire stuck show settlement/4` shows its message and `prizewire trace 'c 1'` shows its other events.",
        ),
    ],
)
def test_a_discard_prints_advice_about_money(
    monkeypatch: pytest.MonkeyPatch, event: dict[str, Any], said: str
) -> None:
    """The advice depends on the type of the event, and names what to check."""
    answer = {"state": "discarded", "holds_money": True, "versions_skipped": 0, "released": 0, **event}
    discard = ("stuck", "discard", "settlement/4", "--reason", "disowned")
    assert said in run(monkeypatch, Lineages(answer=answer), *discard)[1]
    assert "oney" not in run(monkeypatch, Lineages(answer={**answer, "holds_money": False}), *discard)[1]


@pytest.mark.parametrize("what", [("replay",), ("discard", "--reason", "r")])
def test_an_unanswered_request_is_followed_by_advice(
    monkeypatch: pytest.MonkeyPatch, what: tuple[str, ...]
) -> None:
    """A service that froze during a request may have applied it."""
    with pytest.raises(DevstackError) as caught:
        run(monkeypatch, Lineages(frozen=("rewards",)), "stuck", what[0], "rewards/7", *what[1:])
    assert "it is unknown whether the POST was applied" in str(caught.value)
    assert "`prizewire stuck show rewards/7` shows the state of the event" in str(caught.value)


def test_stuck_events_of_the_others_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of stuck events names services without an answer, and does not report them as empty."""
    code, out, err = run(monkeypatch, Lineages("webhooks", stuck="rewards"), "stuck", "list")
    assert (code, "rewards/12345" in out) == (1, True)
    assert "webhooks does not answer" in err
    code, out, _ = run(monkeypatch, Lineages("webhooks"), "stuck", "list")
    assert (code, out) == (1, "")
    assert run(monkeypatch, Lineages(), "stuck", "list")[:2] == (0, "Nothing is stuck.\n")


def test_refusals_of_the_signer_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signer serves no HTTP: its sums by kind come from payouts, which stores them; without payouts they are missing."""
    code, out, _ = run(monkeypatch, Lineages(refused=True), "stuck", "list")
    assert code == 0
    for text in (
        "signer",
        "key_not_trusted",
        "43 messages",
        "prizewire.signing.requests.v1/2/7",
        "event_mismatch",
    ):
        assert text in out
    code, out, _ = run(
        monkeypatch, Lineages(refused=True), "stuck", "list", "--service", "signer", "--state", "parked"
    )
    assert (code, "event_mismatch" in out, "key_not_trusted" in out) == (0, True, False)
    code, out, _ = run(monkeypatch, Lineages(refused=True), "stuck", "list", "--json")
    assert [item["count"] for item in json.loads(out)["items"]] == [43, 1]
    code, _, err = run(monkeypatch, Lineages("payouts"), "stuck", "list")
    assert (code, "payouts, signer (asked through payouts) do not answer" in err) == (1, True)


def test_a_refusal_is_not_reported_as_a_missing_answer() -> None:
    """A 403 is raised as a refusal."""

    class Forbidden(Lineages):
        def _reached(self, path: str, *, method: str = "GET") -> str:
            raise ApiError(status=403, code="forbidden", detail="operators only", path=path)

    with pytest.raises(ApiError, match="403"):
        tracing.lineage(cast("Api", Forbidden()), "c-1")


def test_a_whole_trace_is_refused_where_a_part_is_missing() -> None:
    """The function returns all steps or raises an error."""
    with pytest.raises(DevstackError, match="payouts, webhooks do not answer"):
        trace(cast("Api", Lineages("payouts", "webhooks")), "c-1")


def test_a_trace_names_what_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace shows stuck events with their reasons, even without any steps."""
    code, out, _ = run(monkeypatch, Lineages(stuck="rewards"), "trace", "c-1")
    assert code == 0
    assert "Stuck: rewards/12345 is parked (correlation_mismatch)" in out
    code, out, _ = run(monkeypatch, Lineages(stuck="settlement", known=False), "trace", "c-1")
    assert (code, "settlement/12345" in out) == (0, True)
    assert run(monkeypatch, Lineages(known=False), "trace", "c-1")[0] == 1


def test_values_to_copy_are_never_cut_at_80_columns() -> None:
    """Reference, state, reason and type stay whole; the sentence fills its lines; control characters are escaped."""
    console = Console(width=80, file=StringIO())
    item = {"ref": "settlement/12345", "service": "settlement", **STUCK}
    with console.capture() as printed:
        stuck_command.render(console, [item, {**item, "subject": None, "type": None}])
    lines = printed.get().splitlines()
    assert lines[0] == "settlement/12345  parked  correlation_mismatch  match.completed.v1"
    assert lines[1].startswith("    cup [bold]final\\x1b[2J: the correlation id differs")
    assert max(map(len, lines)) <= 80
    assert len(lines) == 6


def test_the_days_of_a_trace_are_shown() -> None:
    """A prize may wait for weeks: the time of day alone is not enough."""
    console = Console(width=80, file=StringIO())
    moments = ("2026-11-20T23:59:58.120Z", "2026-11-20T23:59:59.000Z", "2026-11-22T00:00:01.500Z")
    steps = [
        tracing.Step(at=at, service="rewards", kind="round", id=str(n), summary="", detail={})
        for n, at in enumerate(moments)
    ]
    with console.capture() as printed:
        tracing.render(console, steps)
    assert [line.split()[0] for line in printed.get().splitlines()] == [
        "2026-11-20",
        "23:59:58.120",
        "23:59:59.000",
        "2026-11-22",
        "00:00:01.500",
    ]


@pytest.mark.parametrize("status", [502, 503, 504])
def test_an_empty_answer_says_where_to_look(status: int) -> None:
    """An empty answer has a message with a reason and advice."""
    error = ApiError(status=status, code="unknown", detail="", path="/api/rewards")
    assert str(error) == (
        f"/api/rewards answered {status} (unknown): no reason was given: {api_module.LOCAL_ADVICE}."
    )
    assert "status" not in str(
        ApiError(status=404, code="not_found", detail="no such thing", path="/api/rewards")
    )


HASH = "9f" * 32


@pytest.mark.parametrize("width", [40, 80, 160])
def test_what_an_operator_copies_is_whole(width: int) -> None:
    """A transaction hash and a rail's reference are never cut nor divided, on a narrow terminal too. Ids are shortened."""
    reference = "fake-68d057bb-ae02-582a-b4ab-4b1da0531787"
    summaries = (
        f"payout f30d90c6-2222-4222-8222-222222222222 of ada: paid over stellar: {HASH}",
        f"payout of chiyo: paid over fake: {reference}",
    )
    steps = [
        tracing.Step(
            at="2026-11-20T23:59:58.120Z",
            service="payouts",
            kind="payout.paid",
            id="1",
            summary=one,
            detail={},
        )
        for one in summaries
    ]
    console = Console(width=width, file=StringIO())
    with console.capture() as printed:
        tracing.render(console, steps)
    words = printed.get().split()
    assert {HASH, reference, "f30d90c6…"} <= set(words)


def test_a_long_step_goes_on_below_itself() -> None:
    """The lines of a summary begin in one column, and a detail does so too."""
    step = tracing.Step(
        at="2026-11-20T23:59:58.120Z", service="a", kind="b", id="1", summary="word " * 30, detail={"c": "d"}
    )
    console = Console(width=80, file=StringIO())
    with console.capture() as printed:
        tracing.render(console, [step], verbose=True)
    _, first, *rest = printed.get().splitlines()
    column = first.index("word")
    assert len(rest) > 2
    assert all(line[:column].isspace() and line[column] != " " for line in rest)
