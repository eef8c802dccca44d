"""The services' HTTP interfaces as the command uses them: one origin, problem details turned into sentences."""

import os
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self

import httpx

from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.home import Home

URL_VARIABLE: Final = "PRIZEWIRE_URL"
TOKEN_VARIABLE: Final = "PRIZEWIRE_TOKEN"  # noqa: S105 - the name of a variable
TIMEOUT_S: Final = 30.0
PAGE_LIMIT: Final = 200
SUBJECT: Final = "prizewire-command"


NO_ANSWER: Final = frozenset({502, 503, 504})
"""Statuses that say: nobody could look at the request now."""
LOCAL_ADVICE: Final = "see `prizewire status`"
REMOTE_ADVICE: Final = f"see whether its services run, and whether {URL_VARIABLE} is right"


class ApiError(DevstackError):
    """A service refused a request, or did not answer. `code` is the stable code of its problem details, and `problem` all
    of them.
    """

    def __init__(
        self,
        *,
        status: int,
        code: str,
        detail: str,
        path: str,
        advice: str = LOCAL_ADVICE,
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        said = detail.strip().rstrip(".:") or "no reason was given"
        end = f": {advice}" if status in NO_ANSWER else ""
        super().__init__(f"{path} answered {status} ({code}): {said}{end}.")
        self.status = status
        self.code = code
        self.problem = problem or {}

    @property
    def unanswered(self) -> bool:
        """Whether the service could not look at the request, so that asking later may help."""
        return self.status in NO_ANSWER


def _raise_for(answer: httpx.Response, path: str, *, advice: str) -> None:
    if answer.is_success:
        return
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    raise ApiError(
        status=answer.status_code,
        code=str(problem.get("code", "unknown")),
        detail=str(problem.get("detail", answer.text[:200])),
        path=path,
        advice=advice,
        problem=problem,
    )


class Api:
    """A client for one installation, local or not. Use as a context manager.

    `advice` is said where nobody answers.
    """

    def __init__(
        self, *, base_url: str, token: str, advice: str = LOCAL_ADVICE, timeout_s: float = TIMEOUT_S
    ) -> None:
        self.base_url = base_url
        self._advice = advice
        self._client = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout_s,
            limits=httpx.Limits(max_connections=16),
        )

    def __enter__(self) -> Self:
        """Keep connections open until the block is left."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, **query: str | int | None) -> Any:
        """GET a document.

        Raises:
            ApiError: the service refused.
            DevstackError: nobody answered.
        """
        return self._request("GET", path, query={name: v for name, v in query.items() if v is not None})

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, key: str | None = None) -> Any:
        """POST a document; `key` is the Idempotency-Key that a POST that moves money needs."""
        headers = {"Idempotency-Key": key} if key is not None else {}
        return self._request("POST", path, body=body, headers=headers)

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """PUT a document."""
        return self._request("PUT", path, body=body)

    def delete(self, path: str) -> None:
        """DELETE a thing."""
        self._request("DELETE", path)

    def items(self, path: str, **query: str | int | None) -> Iterator[dict[str, Any]]:
        """Every item of a paged list."""
        cursor: str | None = None
        while True:
            page = self.get(path, limit=PAGE_LIMIT, cursor=cursor, **query)
            yield from page["items"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        try:
            answer = self._client.request(method, path, params=query, json=body, headers=headers)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise DevstackError(
                f"{self.base_url} does not answer ({type(error).__name__}): {self._advice}."
            ) from error
        _raise_for(answer, path, advice=self._advice)
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            raise DevstackError(
                f"{self.base_url}{path} answered {answer.status_code} with something else than JSON: {self._advice}."
            ) from error


def remote() -> tuple[str, str] | None:
    """Address and token of another installation, where the environment names one; None means the local stack.

    Raises:
        DevstackError: it names only one of the two, so that which installation is meant is not certain.
    """
    url, token = os.environ.get(URL_VARIABLE), os.environ.get(TOKEN_VARIABLE)
    if url and token:
        return url, token
    if url or token:
        given, missing = (URL_VARIABLE, TOKEN_VARIABLE) if url else (TOKEN_VARIABLE, URL_VARIABLE)
        raise DevstackError(
            f"{given} is set and {missing} is not: set both to reach another installation, or neither for the "
            "local stack."
        )
    return None


def connect(*, roles: tuple[str, ...] = ("operator", "admin"), timeout_s: float = TIMEOUT_S) -> Api:
    """Reach the installation that PRIZEWIRE_URL and PRIZEWIRE_TOKEN name, else the local stack.

    Raises:
        NotRunningError: neither is there.
        DevstackError: only one of the two variables is set.
    """
    if (named := remote()) is not None:
        return Api(base_url=named[0], token=named[1], advice=REMOTE_ADVICE, timeout_s=timeout_s)
    home = Home.default()
    run = home.running()
    local_token = Keyring(home=home).token(*roles, subject=SUBJECT)
    return Api(base_url=run.urls["gateway"], token=local_token, timeout_s=timeout_s)
