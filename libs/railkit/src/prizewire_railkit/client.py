"""HTTP calls to a provider. Each failure says whether the request may have had an effect.

Only two failures prove that it had none: the connection was never made, and an answer that the provider defines
as a refusal (429 among them). A time-out, a connection lost after sending, a 5xx and an answer that cannot be read
all leave the outcome unknown.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import Outcome, ProviderResult
from prizewire_contracts.traces import HEADER, carried_trace

ANSWER_BYTES_MAX = 4_000_000
"""The largest answer in bytes. A longer one counts as one that cannot be read."""
_RETRY_AFTER_S_MAX = 3_600
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class RailFault(Exception):
    """A call gave no usable answer. ``sent`` says whether the provider may have acted on the request.

    The message names the failure, never the request: it may hold personal details.
    """

    def __init__(self, *, code: PayoutCode, sent: bool, what: str, retry_after_s: int | None = None) -> None:
        super().__init__(what)
        self.code = code
        self.sent = sent
        self.retry_after_s = retry_after_s

    def result(self) -> ProviderResult:
        """The outcome of a payment request that failed with this fault."""
        return ProviderResult(
            outcome=Outcome.UNKNOWN if self.sent else Outcome.NO_EFFECT,
            code=self.code,
            retry_after_s=self.retry_after_s,
        )

    def look_up_result(self) -> ProviderResult:
        """The outcome of a look-up that failed with this fault: always unknown."""
        return ProviderResult(
            outcome=Outcome.UNKNOWN, code=PayoutCode.OUTCOME_UNKNOWN, retry_after_s=self.retry_after_s
        )


@dataclass(frozen=True, slots=True)
class RailAnswer:
    """An answer below 500 that could be read: its status and JSON object. The rail decides what a 4xx means."""

    status: int
    body: dict[str, Any] = field(repr=False)


class RailClient:
    """A client for one provider. ``headers`` may carry credentials: they are in no ``repr`` and no error."""

    def __init__(
        self,
        *,
        base_url: str,
        headers: Mapping[str, str],
        timeout_s: float,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._base_url = base_url
        # redirects are not followed: a payment is never sent to an address that the configuration does not name
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers=dict(headers),
            timeout=timeout_s,
            follow_redirects=False,
            transport=transport,
        )

    def __repr__(self) -> str:
        return f"RailClient({self._base_url})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> RailAnswer:
        """Send one request. It is never repeated here. It carries the trace of the running work, if there is one.

        Raises:
            RailFault: no connection, time-out, connection lost, 429, 3xx, 5xx, or an answer that is not a JSON object.
        """
        trace = carried_trace()
        try:
            response = await self._client.request(
                method,
                path,
                content=None if body is None else json.dumps(body).encode(),
                params=params,
                headers={
                    **({"content-type": "application/json"} if body is not None else {}),
                    **({} if trace is None else {HEADER: trace}),
                    **(headers or {}),
                },
            )
        except _NEVER_SENT as error:
            raise RailFault(
                code=PayoutCode.RAIL_UNAVAILABLE, sent=False, what=f"no connection: {type(error).__name__}"
            ) from None
        except httpx.HTTPError as error:
            raise RailFault(
                code=PayoutCode.OUTCOME_UNKNOWN, sent=True, what=f"answer lost: {type(error).__name__}"
            ) from None
        return _read(response)


def _read(response: httpx.Response) -> RailAnswer:
    status = response.status_code
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise RailFault(
            code=PayoutCode.RAIL_THROTTLED,
            sent=False,
            what="throttled",
            retry_after_s=_retry_after(response.headers.get("retry-after")),
        )
    if status >= 500 or 300 <= status < 400:
        raise RailFault(code=PayoutCode.OUTCOME_UNKNOWN, sent=True, what=f"answered {status}")
    if len(response.content) > ANSWER_BYTES_MAX:
        raise RailFault(code=PayoutCode.OUTCOME_UNKNOWN, sent=True, what="an answer too large to read")
    try:
        # numbers stay exact: an amount must not pass through a float
        parsed = json.loads(response.content, parse_float=str, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise RailFault(
            code=PayoutCode.OUTCOME_UNKNOWN, sent=True, what="an answer that is not JSON"
        ) from None
    if not isinstance(parsed, dict):
        raise RailFault(
            code=PayoutCode.OUTCOME_UNKNOWN, sent=True, what="an answer that is not a JSON object"
        )
    return RailAnswer(status, parsed)


def _no_number(name: str) -> None:
    """Refuse ``NaN`` and ``Infinity``, which Python reads although they are not JSON."""
    raise ValueError(name)


def _retry_after(value: str | None) -> int | None:
    if value is None or not value.isascii() or not value.isdigit():
        return None
    return min(int(value), _RETRY_AFTER_S_MAX)
