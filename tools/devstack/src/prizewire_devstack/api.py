"""The services' HTTP interfaces as the command uses them: one origin, problem details turned into sentences."""

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

import httpx

from prizewire_devstack import tokens
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.home import Home

URL_VARIABLE: Final = "PRIZEWIRE_URL"
TOKEN_VARIABLE: Final = "PRIZEWIRE_TOKEN"  # noqa: S105 - the name of a variable
TIMEOUT_S: Final = 30.0
PAGE_LIMIT: Final = 200
SUBJECT: Final = "prizewire-command"


class ApiError(DevstackError):
    """A service refused a request. `code` is the stable code of its problem details."""

    def __init__(self, *, status: int, code: str, detail: str, path: str) -> None:
        super().__init__(f"{path} answered {status} ({code}): {detail}")
        self.status = status
        self.code = code


def _raise_for(answer: httpx.Response, path: str) -> None:
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
    )


class Api:
    """A client for one installation, local or not. Use as a context manager."""

    def __init__(self, *, base_url: str, token: str) -> None:
        self.base_url = base_url
        self._client = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_S,
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
        except httpx.TransportError as error:
            raise DevstackError(
                f"{self.base_url} does not answer ({type(error).__name__}): check that the stack runs with "
                "`prizewire status`."
            ) from error
        _raise_for(answer, path)
        return answer.json() if answer.content else None


def connect(*, roles: tuple[str, ...] = ("operator", "admin")) -> Api:
    """Reach the installation that PRIZEWIRE_URL and PRIZEWIRE_TOKEN name, else the local stack.

    Raises:
        NotRunningError: neither is there.
    """
    url, token = os.environ.get(URL_VARIABLE), os.environ.get(TOKEN_VARIABLE)
    if url is not None and token is not None:
        return Api(base_url=url, token=token)
    home = Home.default()
    run = home.running()
    local_token = tokens.issue(
        secret_file=Keyring(home=home).jwt_secret_file, subject=SUBJECT, roles=roles, now=datetime.now(UTC)
    )
    return Api(base_url=run.urls["gateway"], token=local_token)
