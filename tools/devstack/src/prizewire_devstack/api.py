"""The services' HTTP interfaces as the command uses them: one origin, problem details turned into sentences."""

import asyncio
import os
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from types import TracebackType
from typing import Any, Final, Self

import httpx

from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.home import HOME_VARIABLE, Home, Installation
from prizewire_devstack.routes import service_for

URL_VARIABLE: Final = "PRIZEWIRE_URL"
TOKEN_VARIABLE: Final = "PRIZEWIRE_TOKEN"  # noqa: S105 - the name of a variable
TIMEOUT_S: Final = 30.0
ALIVE_WITHIN_S: Final = 10.0
"""Seconds that a service may take to answer a request for which it needs no database."""
NOTICE_AFTER_S: Final = 2.0
"""Seconds without an answer after which a command says what it waits for."""
READY_PATH: Final = "/health/ready"
"""The gateway answers this path itself, or with an error: both are an answer."""
ALIVE_WHILE_BUSY_S: Final = 30.0
"""The same, while the service works on a long request."""
ASK_ALIVE_EVERY_S: Final = 5.0
"""Seconds between two such requests while a service works on a long request."""
PAGE_LIMIT: Final = 200
SUBJECT: Final = "prizewire-command"
ROLES: Final = ("operator", "admin")
"""The roles of the command's own tokens."""


NO_ANSWER: Final = frozenset({502, 503, 504})
"""Statuses of a service that could not process the request now."""
NOT_KNOWN: Final = frozenset({502, 504})
"""Statuses of a gateway. The service may have applied the request nevertheless."""
READING: Final = "GET"
LOCAL_ADVICE: Final = "see `prizewire status`"
REMOTE_ADVICE: Final = f"check that its services run, and that {URL_VARIABLE} is right"


class ApiError(DevstackError):
    """A service refused a request, or did not answer. `code` is the stable code of its problem details, `problem` all of
    them, and `service` the one whose path it is; None where no service serves it.
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
        method: str = READING,
    ) -> None:
        said = detail.strip().rstrip(".:") or "no reason was given"
        self.status = status
        self.code = code
        self.problem = problem or {}
        self.service = service_for(path=path)
        self.maybe_applied = status in NOT_KNOWN and method != READING
        """Whether the request may have been applied although there was no answer."""
        if self.maybe_applied:
            said += f"; it is unknown whether the {method} was applied"
        end = f": {advice}" if status in NO_ANSWER else ""
        super().__init__(self._sentence(path, said, end))

    def _sentence(self, path: str, said: str, end: str) -> str:
        return f"{path} answered {self.status} ({self.code}): {said}{end}."

    @property
    def unanswered(self) -> bool:
        """Whether the service could not process the request, so that a retry may help."""
        return self.status in NO_ANSWER


class SilentError(ApiError):
    """A service took a request and did not answer in time. Its status is that of a gateway in the same case."""

    def __init__(
        self, *, service: str, method: str, path: str, within_s: float, advice: str = LOCAL_ADVICE
    ) -> None:
        self.within_s = within_s
        detail = f"{service} did not answer {method} {path} within {within_s:g} s"
        super().__init__(
            status=504, code="service_timeout", detail=detail, path=path, advice=advice, method=method
        )

    def _sentence(self, path: str, said: str, end: str) -> str:
        del path
        return f"{said}{end}."


class NotAliveError(SilentError):
    """A service did not answer a small request, so that nothing else was sent to it."""

    def _sentence(self, path: str, said: str, end: str) -> str:
        del said
        return super()._sentence(
            path,
            f"{self.service} does not answer: it gave no answer to a small request within {self.within_s:g} s, and nothing else was sent to it",
            end,
        )


@contextmanager
def advising(what: str) -> Iterator[None]:
    """Add advice to an error of the block where it is unknown whether a request was applied.

    Raises:
        DevstackError: the error, followed by the sentence `what`.
    """
    try:
        yield
    except ApiError as error:
        if not error.maybe_applied:
            raise
        raise DevstackError(f"{error} {what}") from error


def _raise_for(answer: httpx.Response, path: str, *, advice: str, method: str = READING) -> None:
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
        method=method,
    )


@cache
def _trusted() -> ssl.SSLContext:
    """The authorities of TLS, loaded once: it takes a twentieth of a second."""
    return httpx.create_ssl_context()


def _sign_of_life(service: str) -> str:
    """A route for which a service needs no database."""
    return f"/api/services/{service}/codes"


class Api:
    """A client for one installation, local or not. Use as a context manager.

    `advice` ends the error message where no service answers. With `notice`, a service first gets a small request, once: one that does
    not answer it is found soon, and gets nothing else. `notice` gets a sentence where this takes a while.
    """

    def __init__(
        self,
        *,
        base_url: str,
        token: str,
        advice: str = LOCAL_ADVICE,
        timeout_s: float = TIMEOUT_S,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        self.base_url = base_url
        self._notice = notice
        self._answering: set[str] = set()
        self._advice = advice
        self._headers = {"Authorization": f"Bearer {token}"}
        self._timeout_s = timeout_s
        self._client = httpx.Client(
            base_url=base_url,
            headers=self._headers,
            timeout=timeout_s,
            verify=_trusted(),
            limits=httpx.Limits(max_connections=16),
        )

    def __enter__(self) -> Self:
        """Open a client whose connections stay open until the block ends."""
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
            DevstackError: no service answered.
        """
        return self._request("GET", path, query={name: v for name, v in query.items() if v is not None})

    def alive(self, service: str) -> None:
        """Return once a service answers a request for which it needs neither a database nor another service.

        Raises:
            SilentError: it did not within ``ALIVE_WITHIN_S``.
            ApiError: it is unavailable, or refused.
        """
        self._request(READING, _sign_of_life(service), timeout_s=ALIVE_WITHIN_S, check=False)
        self._answering.add(service)

    def _check(self, path: str) -> None:
        """Find out once for each service whether it answers at all.

        Raises:
            NotAliveError: the service of the path does not.
            ApiError: it is unavailable.
            DevstackError: nothing answers, not even the gateway.
        """
        service = service_for(path=path)
        if self._notice is None or service is None or service in self._answering:
            return
        waiting = threading.Timer(
            NOTICE_AFTER_S,
            self._notice,
            (f"{service} has not answered for {NOTICE_AFTER_S:g} s. Waiting {ALIVE_WITHIN_S:g} s at most.",),
        )
        waiting.daemon = True
        waiting.start()
        try:
            self.alive(service)
        except SilentError:
            self._check_gateway()
            raise NotAliveError(
                service=service,
                method=READING,
                path=_sign_of_life(service),
                within_s=ALIVE_WITHIN_S,
                advice=self._advice_about(service),
            ) from None
        except ApiError as error:
            # Such as a token that may not read this: a refusal is an answer.
            if error.unanswered:
                raise
            self._answering.add(service)
        finally:
            waiting.cancel()

    def _check_gateway(self) -> None:
        try:
            self._client.get(READY_PATH, timeout=ALIVE_WITHIN_S)
        except httpx.TransportError as error:
            raise self._unreached(error) from error

    def _advice_about(self, service: str) -> str:
        """What to do about a service that does not answer."""
        if self._advice != LOCAL_ADVICE:
            return self._advice
        return f"{LOCAL_ADVICE}, and start it again with `prizewire restart {service}`"

    def get_long(self, service: str, path: str, *, within_s: float) -> Any:
        """GET a document that takes a service long. Short requests check meanwhile that the service still answers.

        Raises:
            SilentError: it stopped answering, or the document took longer than ``within_s``.
            ApiError: the service refused.
            DevstackError: no service answered.
        """
        try:
            answer = asyncio.run(self._watched(service, path, within_s=within_s))
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self._unreached(error) from error
        return self._document(answer, path)

    async def _watched(self, service: str, path: str, *, within_s: float) -> httpx.Response:
        async with httpx.AsyncClient(
            base_url=self.base_url, headers=self._headers, timeout=within_s, verify=_trusted()
        ) as client:
            document = asyncio.create_task(client.get(path))
            try:
                while not (await asyncio.wait({document}, timeout=ASK_ALIVE_EVERY_S))[0]:
                    await self._still_alive(client, service, document)
                return await document
            except httpx.ReadTimeout:
                raise self._silent(service, READING, path, within_s) from None
            finally:
                document.cancel()
                with suppress(asyncio.CancelledError, httpx.HTTPError):
                    await document

    async def _still_alive(
        self, client: httpx.AsyncClient, service: str, document: asyncio.Task[httpx.Response]
    ) -> None:
        path = _sign_of_life(service)
        try:
            answer = await client.get(path, timeout=ALIVE_WHILE_BUSY_S)
        except httpx.ReadTimeout:
            if not document.done():
                raise self._silent(service, READING, path, ALIVE_WHILE_BUSY_S) from None
            return
        if answer.status_code in NO_ANSWER and not document.done():
            _raise_for(answer, path, advice=self._advice)

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, key: str | None = None) -> Any:
        """POST a document; `key` is the Idempotency-Key that a POST that moves money needs."""
        headers = {"Idempotency-Key": key} if key is not None else {}
        return self._request("POST", path, body=body, headers=headers)

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """PUT a document."""
        return self._request("PUT", path, body=body)

    def delete(self, path: str) -> Any:
        """DELETE a thing."""
        return self._request("DELETE", path)

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
        timeout_s: float | None = None,
        check: bool = True,
    ) -> Any:
        if check:
            self._check(path)
        within_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            answer = self._client.request(
                method, path, params=query, json=body, headers=headers, timeout=within_s
            )
        except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
            if (service := service_for(path=path)) is None:
                raise self._unreached(error) from error
            raise self._silent(service, method, path, within_s) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self._unreached(error) from error
        return self._document(answer, path, method=method)

    def _silent(self, service: str, method: str, path: str, within_s: float) -> SilentError:
        return SilentError(
            service=service, method=method, path=path, within_s=within_s, advice=self._advice_about(service)
        )

    def _unreached(self, error: Exception) -> DevstackError:
        return DevstackError(f"{self.base_url} does not answer ({type(error).__name__}): {self._advice}.")

    def _document(self, answer: httpx.Response, path: str, *, method: str = READING) -> Any:
        _raise_for(answer, path, advice=self._advice, method=method)
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            raise DevstackError(
                f"{self.base_url}{path} answered {answer.status_code} with a body that is no JSON: {self._advice}."
            ) from error


def installation() -> tuple[Home, Installation] | None:
    """The state directory that PRIZEWIRE_HOME names with the installation that it has the keys of; None where its stack is local."""
    if not os.environ.get(HOME_VARIABLE):
        return None
    home = Home.default()
    found = home.installation()
    return None if found is None else (home, found)


def remote(*, roles: tuple[str, ...] = ROLES) -> tuple[str, str] | None:
    """Address and token of another installation, where the environment or the state directory names one; None means the local
    stack. A token that the state directory's key signs has `roles`.

    Raises:
        DevstackError: it names only one of the two, so the installation is not certain.
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
    if (found := installation()) is not None:
        home, place = found
        return place.gateway, Keyring(home=home).token(*roles, subject=SUBJECT)
    return None


def connect(*, roles: tuple[str, ...] = ROLES, timeout_s: float = TIMEOUT_S) -> Api:
    """Reach the installation that PRIZEWIRE_URL and PRIZEWIRE_TOKEN name, else the local stack.

    Raises:
        NotRunningError: the variables are not set, and there is no local stack.
        DevstackError: only one of the two variables is set.
    """
    if (named := remote(roles=roles)) is not None:
        return Api(
            base_url=named[0], token=named[1], advice=REMOTE_ADVICE, timeout_s=timeout_s, notice=say_on_stderr
        )
    home = Home.default()
    run = home.running()
    local_token = Keyring(home=home).token(*roles, subject=SUBJECT)
    return Api(base_url=run.urls["gateway"], token=local_token, timeout_s=timeout_s, notice=say_on_stderr)


def say_on_stderr(sentence: str) -> None:
    """Print a sentence beside the command's own output."""
    sys.stderr.write(f"prizewire: {sentence}\n")
