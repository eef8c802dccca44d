"""The client answers the one question that matters: may the request have had an effect?"""

import traceback
from collections.abc import Callable

import httpx
import pytest

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import Outcome
from prizewire_railkit import RailClient, RailFault

Answer = Callable[[httpx.Request], httpx.Response]


def client(answer: Answer) -> RailClient:
    return RailClient(
        base_url="http://rail.invalid",
        headers={"authorization": "Bearer hush", "x-api-key": "hush too"},
        timeout_s=1,
        transport=httpx.MockTransport(answer),
    )


def raising(error: Exception) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "outcome", "code"),
    [
        (raising(httpx.ConnectError("x")), Outcome.NO_EFFECT, PayoutCode.RAIL_UNAVAILABLE),
        (raising(httpx.ConnectTimeout("x")), Outcome.NO_EFFECT, PayoutCode.RAIL_UNAVAILABLE),
        (raising(httpx.ReadTimeout("x")), Outcome.UNKNOWN, PayoutCode.OUTCOME_UNKNOWN),
        (raising(httpx.WriteError("x")), Outcome.UNKNOWN, PayoutCode.OUTCOME_UNKNOWN),
        (raising(httpx.RemoteProtocolError("x")), Outcome.UNKNOWN, PayoutCode.OUTCOME_UNKNOWN),
        (lambda _: httpx.Response(500, json={}), Outcome.UNKNOWN, PayoutCode.OUTCOME_UNKNOWN),
        (lambda _: httpx.Response(503), Outcome.UNKNOWN, PayoutCode.OUTCOME_UNKNOWN),
        (
            lambda _: httpx.Response(302, headers={"location": "/"}),
            Outcome.UNKNOWN,
            PayoutCode.OUTCOME_UNKNOWN,
        ),
        (lambda _: httpx.Response(200, text="<html>"), Outcome.UNKNOWN, PayoutCode.OUTCOME_UNKNOWN),
        (lambda _: httpx.Response(200, json=[1]), Outcome.UNKNOWN, PayoutCode.OUTCOME_UNKNOWN),
        (lambda _: httpx.Response(204), Outcome.UNKNOWN, PayoutCode.OUTCOME_UNKNOWN),
        (lambda _: httpx.Response(200, content=b'{"a": NaN}'), Outcome.UNKNOWN, PayoutCode.OUTCOME_UNKNOWN),
        (
            lambda _: httpx.Response(200, content=b'{"a": "' + b" " * 4_000_000 + b'"}'),
            Outcome.UNKNOWN,
            PayoutCode.OUTCOME_UNKNOWN,
        ),
        (lambda _: httpx.Response(200, content=b"[" * 200_000), Outcome.UNKNOWN, PayoutCode.OUTCOME_UNKNOWN),
        (lambda _: httpx.Response(300, json={}), Outcome.UNKNOWN, PayoutCode.OUTCOME_UNKNOWN),
        (raising(httpx.PoolTimeout("x")), Outcome.NO_EFFECT, PayoutCode.RAIL_UNAVAILABLE),
        (raising(httpx.UnsupportedProtocol("x")), Outcome.NO_EFFECT, PayoutCode.RAIL_UNAVAILABLE),
        (raising(httpx.ReadError("x")), Outcome.UNKNOWN, PayoutCode.OUTCOME_UNKNOWN),
        (raising(httpx.WriteTimeout("x")), Outcome.UNKNOWN, PayoutCode.OUTCOME_UNKNOWN),
        (raising(httpx.DecodingError("x")), Outcome.UNKNOWN, PayoutCode.OUTCOME_UNKNOWN),
        (lambda _: httpx.Response(429, json={}), Outcome.NO_EFFECT, PayoutCode.RAIL_THROTTLED),
    ],
)
async def test_faults_map_to_what_they_prove(answer: Answer, outcome: Outcome, code: PayoutCode) -> None:
    """Only a connection never made and a defined refusal prove that nothing happened."""
    async with client(answer) as rail:
        with pytest.raises(RailFault) as caught:
            await rail.call("POST", "/payments", body={"to": "ana"})
    result = caught.value.result()
    assert (result.outcome, result.code) == (outcome, code)
    assert caught.value.look_up_result().outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("99999", 3600), ("soon", None), ("-1", None), ("²", None), ("\u0667", None)],
)
async def test_retry_after_is_bounded(header: str, seconds: int | None) -> None:
    """A throttled call says how long to wait, within an hour; nonsense is ignored."""
    answer = httpx.Response(429, headers={b"retry-after": header.encode()})
    async with client(lambda _: answer) as rail:
        with pytest.raises(RailFault) as caught:
            await rail.call("GET", "/")
    assert caught.value.retry_after_s == seconds


async def test_a_redirect_is_not_followed() -> None:
    """A payment is sent once, to the address of the configuration, whatever the provider answers."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        if len(asked) == 1:
            return httpx.Response(307, headers={"location": "http://elsewhere.invalid/pay"})
        return httpx.Response(200, json={})

    async with client(answer) as rail:
        with pytest.raises(RailFault) as caught:
            await rail.call("POST", "/payments", body={})
    assert caught.value.sent
    assert asked == ["http://rail.invalid/payments"]


async def test_amounts_never_become_floats() -> None:
    """A decimal number in an answer stays the text it was."""
    async with client(lambda _: httpx.Response(200, content=b'{"amount": 0.10}')) as rail:
        assert (await rail.call("GET", "/")).body == {"amount": "0.10"}


async def test_a_client_error_is_the_rails_to_judge() -> None:
    """A 4xx with a readable body comes back whole: only the rail knows what it means."""
    async with client(lambda _: httpx.Response(422, json={"error": "no such account"})) as rail:
        answer = await rail.call("POST", "/payments", body={})
    assert (answer.status, answer.body) == (422, {"error": "no such account"})


@pytest.mark.parametrize("error", [httpx.ReadTimeout, httpx.ConnectError])
async def test_credentials_and_details_are_not_shown(error: type[httpx.RequestError]) -> None:
    """Neither the client nor its faults repeat headers, bodies or addresses, nor lead to the error that does."""
    hidden = ("hush", "DE00", "k-77")

    def fails(request: httpx.Request) -> httpx.Response:
        raise error(f"{request.url} {request.headers} {request.content!r}", request=request)

    body, params = {"iban": hidden[1]}, {"key": hidden[2]}
    async with client(fails) as rail:
        with pytest.raises(RailFault) as caught:
            await rail.call("POST", "/payments", body=body, params=params)
        shown = repr(rail) + str(rail) + "".join(traceback.format_exception(caught.value))
    assert [secret for secret in hidden if secret in shown] == []


async def test_an_answer_does_not_show_its_body() -> None:
    """What a provider answers may name a person; a repr of it, as a log would write, does not."""
    async with client(lambda _: httpx.Response(200, json={"name": "Ana Example"})) as rail:
        assert "Ana" not in repr(await rail.call("GET", "/"))
