"""The same promises for each screening service, and how the settings name one."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from prizewire_contracts.screening import (
    ScreeningAnswer,
    ScreeningQuestion,
    ScreeningService,
    ScreeningVerdict,
)
from prizewire_money import Amount
from prizewire_payouts.screening.adapters import HttpScreening, load_screening
from prizewire_payouts.screening.handlers import as_stored
from prizewire_railkit import RailClient, RailMisconfigured
from services.payouts.tests.fakes import FakeScreening
from services.payouts.tests.rig import EURC, START

SECRET = "account of ana"
QUESTION = ScreeningQuestion(
    question_id=UUID(int=7),
    payout_id=UUID(int=1),
    method_type="fake",
    details={"account": SECRET},
    payee="ana",
    amount=Amount(EURC, 1250),
)


@dataclass
class Stage:
    """A service with the way to prepare its next answer."""

    service: ScreeningService
    answers: Callable[[ScreeningVerdict, str | None], None]
    seen: list[dict[str, Any]]


def _fake() -> Stage:
    service = FakeScreening()

    def answers(verdict: ScreeningVerdict, reason: str | None) -> None:
        service.silent = verdict is ScreeningVerdict.UNANSWERED
        service.prepared[QUESTION.payout_id] = ScreeningAnswer(
            verdict=verdict, reference="R-1", reason=reason
        )

    return Stage(service, answers, [])


def http(handler: Callable[[httpx.Request], httpx.Response]) -> HttpScreening:
    client = RailClient(
        base_url="https://screening.example",
        headers={"authorization": "Bearer t0ken"},
        timeout_s=1,
        transport=httpx.MockTransport(handler),
    )
    return HttpScreening(client, path="/v1/check")


def _http() -> Stage:
    body: dict[str, Any] = {}
    seen: list[dict[str, Any]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(
            {"path": request.url.path, "headers": request.headers, "body": json.loads(request.content)}
        )
        return httpx.Response(200 if body else 503, json=body)

    def answers(verdict: ScreeningVerdict, reason: str | None) -> None:
        body.clear()
        if verdict is not ScreeningVerdict.UNANSWERED:
            body.update({"verdict": verdict, "reference": "R-1", "reason": reason})

    return Stage(http(handler), answers, seen)


@pytest.fixture(params=[_fake, _http], ids=["fake", "http"])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    made: Stage = request.param()
    yield made
    await made.service.close()


@pytest.mark.parametrize("verdict", list(ScreeningVerdict))
async def test_each_verdict_is_answered(stage: Stage, verdict: ScreeningVerdict) -> None:
    """With a reference where something is said; the reason of a hit is kept."""
    reason = "on list X" if verdict is ScreeningVerdict.HIT else None
    stage.answers(verdict, reason)
    answer = await stage.service.screen(QUESTION, now=START)
    assert answer.verdict is verdict
    if verdict is not ScreeningVerdict.UNANSWERED:
        assert (answer.reference, answer.reason) == ("R-1", reason)


async def test_neither_question_nor_answer_shows_details() -> None:
    """``repr`` is what logs and errors show."""
    assert SECRET not in repr(QUESTION)
    assert "on list" not in repr(
        ScreeningAnswer(verdict=ScreeningVerdict.HIT, reference="R", reason="on list")
    )


async def test_what_is_asked_over_http() -> None:
    """The documented body, with the bearer token and a key for repetitions."""
    stage = _http()
    stage.answers(ScreeningVerdict.CLEAR, None)
    await stage.service.screen(QUESTION, now=START)
    (seen,) = stage.seen
    assert seen["path"] == "/v1/check"
    assert seen["headers"]["authorization"] == "Bearer t0ken"
    assert seen["headers"]["idempotency-key"] == str(QUESTION.question_id)
    assert seen["body"] == {
        "v": 1,
        "question_id": str(QUESTION.question_id),
        "payout_id": str(QUESTION.payout_id),
        "destination": {"type": "fake", "details": {"account": SECRET}},
        "payee": "ana",
        "amount": "12.50",
        "asset": "EURC",
    }


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, b"{}"),
        (200, b'{"verdict": "clear"}'),
        (200, b'{"verdict": "CLEAR", "reference": "R"}'),
        (200, b'{"verdict": "unanswered", "reference": "R"}'),
        (200, b'{"verdict": ["clear"], "reference": "R"}'),
        (200, b'{"verdict": "hit", "reference": 1}'),
        (200, b'{"verdict": "hit", "reference": "R", "reason": 1}'),
        (200, b"clear"),
        (204, b""),
        (302, b'{"verdict": "clear", "reference": "R"}'),
        (401, b'{"verdict": "clear", "reference": "R"}'),
        (429, b'{"verdict": "clear", "reference": "R"}'),
        (500, b'{"verdict": "clear", "reference": "R"}'),
    ],
)
async def test_anything_unclear_is_unanswered(status: int, content: bytes) -> None:
    """So that no money passes by it."""
    service = http(lambda _request: httpx.Response(status, content=content))
    answer = await service.screen(QUESTION, now=START)
    assert answer.verdict is ScreeningVerdict.UNANSWERED


@pytest.mark.parametrize("reference", [None, "", "a b", "x" * 129, "é"])
def test_an_answer_without_a_usable_reference_counts_as_none(reference: str | None) -> None:
    """An approval counts for the reference: without one, nothing could be approved."""
    for verdict in (ScreeningVerdict.CLEAR, ScreeningVerdict.HIT):
        answer = ScreeningAnswer(verdict=verdict, reference=reference)
        stored = as_stored(payout_id=UUID(int=1), answer=answer, now=START)
        assert (stored.verdict, stored.reference) == ("unanswered", None)


def test_the_settings_name_the_service(tmp_path: Path) -> None:
    """By its entry point and a file of options; wrong ones are refused in a sentence without the token."""
    token, options = tmp_path / "token", tmp_path / "screening.yaml"
    token.write_text("t0ken")
    token.chmod(0o600)

    def load(text: str, environment: str = "production", name: str = "http") -> ScreeningService | None:
        options.write_text(text)
        return load_screening(name=name, options_file=options, environment=environment)

    good = f"url: https://screening.example/v1\ntoken: {{file: {token}}}\n"
    assert load_screening(name="", options_file=None, environment="production") is None
    assert isinstance(load(good), HttpScreening)
    assert isinstance(load(good.replace("https", "http"), "development"), HttpScreening)
    for text, name, said in (
        (good.replace("https", "http"), "http", "must read https"),
        (good + "more: 1\n", "http", "unknown option 'more'"),
        ("url: https://a\n", "http", "token is missing"),
        (good, "moon", "no installed package"),
        (good, "", "without PAYOUTS_SCREENING_SERVICE"),
        ("[", "http", "is no YAML"),
    ):
        with pytest.raises(RailMisconfigured, match=said) as refused:
            load(text, name=name)
        assert "t0ken" not in str(refused.value)
