"""The client of the services, when a service takes a request and never answers."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from prizewire_devstack import api as api_module
from prizewire_devstack.api import (
    TOKEN_VARIABLE,
    URL_VARIABLE,
    Api,
    ApiError,
    NotAliveError,
    SilentError,
    advising,
)
from prizewire_devstack.cli import apply as apply_command
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.ports import LOOPBACK, choose

LIFE: Final = "/api/services/rewards/codes"
CHECKS: Final = "/api/services/rewards/checks"
SOON_S: Final = 0.05
LONG_S: Final = 120.0
"""Longer than the test may take: a call that ends earlier did not wait for it."""


class Service(ThreadingHTTPServer):
    """Answers every path with an empty document, except those in `hanging`, which wait until `thawed`. `asked` counts the
    liveness requests; after `answer_after` of them, everything is thawed.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.hanging: set[str] = set()
        self.statuses: dict[str, int] = {}
        self.thawed = Event()
        self.asked = 0
        self.paths: list[str] = []
        self.answer_after: int | None = None


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        self.server.paths.append(path)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if path in self.server.hanging:
            self.server.thawed.wait()
        elif path == LIFE:
            self.server.asked += 1
            if self.server.asked == self.server.answer_after:
                self.server.thawed.set()
        body = json.dumps({"items": []}).encode()
        self.send_response(self.server.statuses.get(path, 200))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the names that the base class looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    Thread(target=made.serve_forever, kwargs={"poll_interval": SOON_S}, daemon=True).start()
    yield made
    made.thawed.set()
    made.shutdown()
    made.server_close()


@pytest.fixture
def api(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(api_module, "ASK_ALIVE_EVERY_S", SOON_S)
    with Api(base_url=f"http://{LOOPBACK}:{service.server_port}", token="t", timeout_s=LONG_S) as made:
        yield made


def impatient(service: Service) -> Api:
    return Api(base_url=f"http://{LOOPBACK}:{service.server_port}", token="t", timeout_s=SOON_S)


def test_a_frozen_service_is_named_and_no_gateway(service: Service) -> None:
    """The error names the service of the path; a reading request changes nothing."""
    service.hanging.add("/api/wallet")
    with impatient(service) as api, pytest.raises(SilentError) as caught:
        api.get("/api/wallet")
    assert str(caught.value) == (
        "rewards did not answer GET /api/wallet within 0.05 s: see `prizewire status`, and start it again with `prizewire restart rewards`."
    )
    assert (caught.value.service, caught.value.unanswered, caught.value.maybe_applied) == (
        "rewards", True, False,
    )  # fmt: skip


def test_a_request_to_a_frozen_service_may_be_applied(service: Service) -> None:
    """The error says so, and ends with the advice."""
    service.hanging.add("/api/campaigns")
    with impatient(service) as api, pytest.raises(DevstackError) as caught, advising("Send it again."):
        api.post("/api/campaigns", {})
    assert str(caught.value) == (
        "rewards did not answer POST /api/campaigns within 0.05 s; it is unknown whether the POST was applied: "
        "see `prizewire status`, and start it again with `prizewire restart rewards`. Send it again."
    )


@pytest.mark.parametrize(("status", "known"), [(502, False), (504, False), (503, True), (409, True)])
def test_after_a_gateways_answer_it_is_unknown_whether_a_post_was_applied(
    service: Service, api: Api, status: int, *, known: bool
) -> None:
    """The service may have applied it; a service that answers itself did not."""
    service.statuses["/api/campaigns"] = status
    with pytest.raises(ApiError) as caught:
        api.post("/api/campaigns", {})
    assert caught.value.maybe_applied is not known
    assert ("it is unknown whether the POST was applied" in str(caught.value)) is not known
    service.statuses["/api/wallet"] = status
    with pytest.raises(ApiError) as caught:
        api.get("/api/wallet")
    assert not caught.value.maybe_applied


def test_without_a_connection_no_service_is_named() -> None:
    """A refused connection is the installation's, not a service's."""
    with (
        Api(base_url=f"http://{LOOPBACK}:{choose(taken=set())}", token="t") as api,
        pytest.raises(DevstackError, match=r"does not answer \(ConnectError") as caught,
    ):
        api.get("/api/wallet")
    assert not isinstance(caught.value, ApiError)


def test_a_service_answers_that_it_is_alive(
    service: Service, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The liveness request has a short limit, however long other requests may take."""
    api.alive("rewards")
    monkeypatch.setattr(api_module, "ALIVE_WITHIN_S", SOON_S)
    service.hanging.add(LIFE)
    with pytest.raises(SilentError, match="rewards did not answer"):
        api.alive("rewards")


def test_a_frozen_service_is_found_before_a_request(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command says what it waits for, then names the service and what to do. What it would have changed was not sent."""
    monkeypatch.setattr(api_module, "ALIVE_WITHIN_S", 1.0)
    monkeypatch.setattr(api_module, "NOTICE_AFTER_S", SOON_S)
    service.hanging.add(LIFE)
    noticed: list[str] = []
    posted = f"http://{LOOPBACK}:{service.server_port}"
    with (
        Api(base_url=posted, token="t", timeout_s=LONG_S, notice=noticed.append) as api,
        pytest.raises(NotAliveError) as caught,
    ):
        api.post("/api/campaigns", {})
    assert str(caught.value) == (
        "rewards does not answer: it gave no answer to a small request within 1 s, and nothing else was sent to it: see `prizewire "
        "status`, and start it again with `prizewire restart rewards`."
    )
    assert (caught.value.unanswered, caught.value.maybe_applied) == (True, False)
    assert noticed == ["rewards has not answered for 0.05 s. Waiting 1 s at most."]
    assert "/api/campaigns" not in service.paths


def test_a_frozen_gateway_is_not_taken_for_a_service(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the gateway does not answer either, the error is about it."""
    monkeypatch.setattr(api_module, "ALIVE_WITHIN_S", SOON_S)
    service.hanging |= {LIFE, api_module.READY_PATH}
    address = f"http://{LOOPBACK}:{service.server_port}"
    with (
        Api(base_url=address, token="t", notice=lambda _: None) as api,
        pytest.raises(DevstackError, match=f"{address} does not answer") as caught,
    ):
        api.get("/api/wallet")
    assert not isinstance(caught.value, ApiError)


@pytest.mark.parametrize("status", [200, 403])
def test_a_service_that_answers_is_asked_once(service: Service, status: int) -> None:
    """A refusal is an answer too."""
    service.statuses[LIFE] = status
    with Api(base_url=f"http://{LOOPBACK}:{service.server_port}", token="t", notice=lambda _: None) as api:
        api.get("/api/wallet")
        api.get("/api/wallet")
    assert service.paths == [LIFE, "/api/wallet", "/api/wallet"]


def test_a_document_that_takes_long_is_waited_for(service: Service, api: Api) -> None:
    """The client waits as long as the service answers other requests."""
    service.hanging.add(CHECKS)
    service.answer_after = 3
    assert api.get_long("rewards", CHECKS, within_s=LONG_S) == {"items": []}
    assert service.asked >= 3


def test_the_wait_ends_if_a_service_freezes_over_a_long_document(
    service: Service, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client stops waiting when the service answers no other request."""
    monkeypatch.setattr(api_module, "ALIVE_WHILE_BUSY_S", SOON_S)
    service.hanging |= {CHECKS, LIFE}
    with pytest.raises(SilentError, match="rewards did not answer"):
        api.get_long("rewards", CHECKS, within_s=LONG_S)


def test_the_wait_ends_if_a_service_ends_over_a_long_document(service: Service, api: Api) -> None:
    """The gateway reports it for the liveness request first."""
    service.hanging.add(CHECKS)
    service.statuses[LIFE] = 502
    with pytest.raises(ApiError, match="answered 502"):
        api.get_long("rewards", CHECKS, within_s=LONG_S)


def test_a_long_document_has_an_end(service: Service, api: Api) -> None:
    """The wait ends even if the service answers all other requests."""
    service.hanging.add(CHECKS)
    with pytest.raises(SilentError, match=r"within 0\.2 s"):
        api.get_long("rewards", CHECKS, within_s=0.2)


def test_declarations_may_be_applied_again(
    service: Service, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service froze during one of them."""
    monkeypatch.setenv(URL_VARIABLE, f"http://{LOOPBACK}:{service.server_port}")
    monkeypatch.setenv(TOKEN_VARIABLE, "t")
    service.statuses["/api/competitions/cup"] = 404
    service.statuses["/api/competitions"] = 504
    file = tmp_path / "cup.yaml"
    campaign = "6f9619ff-8b86-4011-b42d-00c04fc964ff"
    file.write_text(json.dumps({"competitions": [{"id": "cup", "campaign": campaign}]}))
    done = CliRunner().invoke(apply_command.command, [str(file)], standalone_mode=False)
    assert isinstance(done.exception, DevstackError)
    assert "it is unknown whether the POST was applied" in str(done.exception)
    assert "apply the file again: what is applied already does not change" in str(done.exception)
