"""The route table, and the gateway that serves it."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
import uvicorn
from litestar import post
from litestar.params import JSONBody

from prizewire_chassis.db.database import POOL_WAIT_S, TRANSACTION_MAX_S
from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.http.app import BODY_BYTES_MAX
from prizewire_chassis.http.protocol import limited_protocol
from prizewire_devstack.components import gateway
from prizewire_devstack.components.processes import Supervisor
from prizewire_devstack.ports import LOOPBACK, choose
from prizewire_devstack.routes import ROUTES, SERVICES, SERVICES_WITH_API, service_for
from prizewire_devstack.verification import CHECKS_WITHIN_S
from prizewire_devstack.waiting import eventually_sync

EXAMPLES = [
    ("GET", "/api/competitions", "settlement"),
    ("GET", "/api/rounds/1", "settlement"),
    ("POST", "/api/rounds/1/resolve", "settlement"),
    ("POST", "/api/matches", "settlement"),
    ("POST", "/api/matches/1/end", "settlement"),
    ("GET", "/api/source-tokens", "settlement"),
    ("POST", "/api/campaigns/1/fund", "rewards"),
    ("GET", "/api/wallet", "rewards"),
    ("GET", "/api/wallet/transactions", "rewards"),
    ("POST", "/api/wallet/payout-requests/1/cancel", "rewards"),
    ("GET", "/api/payouts/1", "payouts"),
    ("POST", "/api/payouts/create", "rewards"),
    ("GET", "/api/payouts/created", "payouts"),
    ("POST", "/api/funding-accounts/marketing/fund", "rewards"),
    ("POST", "/api/wallet/entries", "rewards"),
    ("GET", "/api/payout-methods", "payouts"),
    ("PUT", "/api/admin/payouts/1/approve", "payouts"),
    ("GET", "/api/transactions/my", "rewards"),
    ("GET", "/api/rewards", "rewards"),
    ("POST", "/api/claims/1/release", "rewards"),
    ("PUT", "/api/players/ann", "rewards"),
    ("POST", "/api/receivables/1/write-off", "rewards"),
    ("POST", "/api/imports/balances", "rewards"),
    ("POST", "/api/payments/webhook/stripe", "webhooks"),
    ("GET", "/api/webhooks/1/deliveries", "webhooks"),
    *(("GET", f"/api/services/{name}/lineage/1", name) for name in SERVICES_WITH_API),
    ("GET", "/api/services/signer/lineage/1", None),
    ("GET", "/api/walletful", None),
    ("GET", "/api", None),
    ("GET", "/metrics", None),
]


@pytest.mark.parametrize(("path", "service"), [(path, service) for _, path, service in EXAMPLES])
def test_the_table_names_the_service_of_a_path(path: str, service: str | None) -> None:
    """A path belongs to the route that equals or contains it."""
    assert service_for(path=path) == service


def test_a_route_comes_before_the_one_that_contains_it() -> None:
    """The first route that fits is the longest, so Caddy, which goes by order, and an Ingress, which goes by length,
    agree; and no path has two.
    """
    assert len({route.prefix for route in ROUTES}) == len(ROUTES)
    assert [
        (wide.prefix, narrow.prefix)
        for at, wide in enumerate(ROUTES)
        for narrow in ROUTES[at + 1 :]
        if (narrow.prefix + "/").startswith(wide.prefix + "/")
    ] == []


def test_a_route_waits_longer_than_its_service_takes() -> None:
    """The limit of a route is longer than a transaction of its service; longer work has a longer limit."""
    assert all(route.answer_within_s > POOL_WAIT_S + TRANSACTION_MAX_S for route in ROUTES)
    for name in SERVICES_WITH_API:
        limits = {route.prefix: route.answer_within_s for route in ROUTES}
        assert limits[f"/api/services/{name}/checks"] > CHECKS_WITHIN_S
        assert limits[f"/api/services/{name}/stuck-events"] > limits[f"/api/services/{name}"]


class _NamesItself(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        body = json.dumps({"port": self.connection.getsockname()[1], "path": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the names that the base class looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


@pytest.fixture(scope="module")
def upstreams() -> Iterator[dict[str, int]]:
    servers = {name: ThreadingHTTPServer((LOOPBACK, 0), _NamesItself) for name in SERVICES}
    for server in servers.values():
        Thread(target=server.serve_forever, daemon=True).start()
    yield {name: server.server_port for name, server in servers.items()}
    for server in servers.values():
        server.shutdown()


@pytest.fixture(scope="module")
def gateway_url(upstreams: dict[str, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory: Path = tmp_path_factory.mktemp("gateway")
    supervisor, port = Supervisor(), choose(taken=set())
    gateway.start(
        directory=directory,
        port=port,
        service_ports={name: [found] for name, found in upstreams.items()},
        supervisor=supervisor,
        log_file=directory / "gateway.log",
    )
    yield f"http://{LOOPBACK}:{port}"
    supervisor.stop_all()


@pytest.mark.parametrize(("method", "path", "service"), EXAMPLES)
def test_the_gateway_does_what_the_table_says(
    method: str, path: str, service: str | None, gateway_url: str, upstreams: dict[str, int]
) -> None:
    """Caddy routes as the table says, and answers 404 as problem details."""
    answer = httpx.request(method, gateway_url + path)
    if service is None:
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"
        assert answer.json()["instance"] == path
        assert answer.json()["detail"].startswith(
            f"No service serves {path}. GET /api/services/SERVICE/openapi.json"
        )
    else:
        assert answer.json() == {"port": upstreams[service], "path": path}


def test_a_method_that_is_too_long_is_refused(gateway_url: str) -> None:
    """With 400 and the code of a malformed request, on every path: the service is there. A shorter one reaches the service."""
    longest = "A" * gateway.METHOD_LENGTH_MAX
    for path in ("/api/wallet", "/nowhere", gateway.READY_PATH):
        answer = httpx.request(longest + "A", gateway_url + path)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
        assert answer.headers["content-type"] == "application/problem+json"
    assert httpx.request(longest, gateway_url + "/api/wallet").status_code == 501, "the answer of the service"


def test_a_path_that_json_would_escape_is_not_repeated(gateway_url: str) -> None:
    """The answer stays JSON."""
    for path in ("/no%22where", "/no%0Awhere", "/a{http.request.host}", "/" + "a" * 300):
        answer = httpx.get(gateway_url + path, timeout=600)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert answer.json()["detail"].startswith("No service serves this path. GET ")


def test_a_service_that_is_down_is_named(tmp_path: Path) -> None:
    """The gateway names the service, as problem details with a stable code."""
    taken: set[int] = set()
    supervisor, port = Supervisor(), choose(taken=taken)
    gateway.start(
        directory=tmp_path,
        port=port,
        service_ports={name: [choose(taken=taken)] for name in SERVICES},
        supervisor=supervisor,
        log_file=tmp_path / "gateway.log",
    )
    try:
        for method, path, service in (
            ("GET", "/api/wallet", "rewards"),
            ("POST", "/api/payouts/1", "payouts"),
            ("GET", "/api/services/webhooks/checks", "webhooks"),
        ):
            answer = httpx.request(method, f"http://{LOOPBACK}:{port}{path}", trust_env=False)
            assert answer.status_code == 502
            assert answer.headers["Content-Type"] == "application/problem+json"
            problem = answer.json()
            assert problem == {
                "type": "urn:prizewire:problem:service_unreachable",
                "title": "Not reachable",
                "status": 502,
                "code": "service_unreachable",
                "detail": f"{service} does not answer",
                "instance": path,
            }
        strange = httpx.get(f"http://{LOOPBACK}:{port}/api/payouts/%22", trust_env=False, timeout=600)
        assert (strange.status_code, strange.json()["code"]) == (502, "service_unreachable")
        assert "instance" not in strange.json()
    finally:
        supervisor.stop_all()


def test_a_service_that_is_frozen_is_named(tmp_path: Path) -> None:
    """It takes a request and never answers: 504 with a stable code, on each route after its own limit. A service
    beside it answers as before.
    """
    supervisor, port = Supervisor(), choose(taken=set())
    beside = ThreadingHTTPServer((LOOPBACK, 0), _NamesItself)
    Thread(target=beside.serve_forever, daemon=True).start()
    with socket.create_server((LOOPBACK, 0)) as frozen:
        service_ports = dict.fromkeys(SERVICES, (frozen.getsockname()[1],)) | {
            "payouts": [beside.server_port]
        }
        gateway.start(
            directory=tmp_path,
            port=port,
            service_ports=service_ports,
            supervisor=supervisor,
            log_file=tmp_path / "gateway.log",
            routes=[replace(route, answer_within_s=route.answer_within_s / 1000) for route in ROUTES],
        )
        try:
            with httpx.Client(base_url=f"http://{LOOPBACK}:{port}", trust_env=False, timeout=600) as client:
                for method, path, service, limit in (
                    ("GET", "/api/wallet", "rewards", "0.16"),
                    ("POST", "/api/rounds/1/resolve", "settlement", "0.16"),
                    ("GET", "/api/services/webhooks/checks", "webhooks", "0.61"),
                ):
                    answer = client.request(method, path)
                    assert answer.status_code == 504
                    assert answer.headers["Content-Type"] == "application/problem+json"
                    problem = answer.json()
                    assert (problem["code"], problem["status"]) == ("service_timeout", 504)
                    assert problem["type"] == "urn:prizewire:problem:service_timeout"
                    assert (problem["title"], problem["instance"]) == ("No answer in time", path)
                    assert problem["detail"] == f"{service} did not answer within {limit} s"
                assert client.get("/api/payouts/1").status_code == 200
        finally:
            supervisor.stop_all()
            beside.shutdown()


@post("/api/wallet")
async def _length(data: JSONBody[dict[str, str]]) -> dict[str, int]:
    return {"length": len(data["text"])}


class _InThread(uvicorn.Server):
    """A server that leaves the test run's signals alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def _service() -> Iterator[int]:
    """A service with one route, as services serve HTTP; the value is its port."""
    app = build_app(service="test", controllers=[_length], health=Health(), tokens=None)
    protocol = limited_protocol(header_s=60, body_s=60, connections_max=100)
    with socket.create_server((LOOPBACK, 0)) as listening:
        server = _InThread(uvicorn.Config(app, http=protocol, lifespan="off", log_config=None))
        thread = Thread(target=lambda: server.run(sockets=[listening]))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def test_a_large_body_gets_the_answer_of_its_service(tmp_path: Path) -> None:
    """The gateway passes on bodies, announced or in chunks. What the service refuses is refused with its code and limit."""
    supervisor, port = Supervisor(), choose(taken=set())
    with _service() as service:
        gateway.start(
            directory=tmp_path,
            port=port,
            service_ports=dict.fromkeys(SERVICES, (service,)),
            supervisor=supervisor,
            log_file=tmp_path / "gateway.log",
        )
        try:
            with httpx.Client(base_url=f"http://{LOOPBACK}:{port}", trust_env=False, timeout=600) as client:
                for length in (200 * 2**10, 2**20):
                    body = json.dumps({"text": "a" * length}).encode()
                    for content in (body, iter([body[:1000], body[1000:]])):
                        answer = client.post(
                            "/api/wallet", content=content, headers={"content-type": "application/json"}
                        )
                        if length < BODY_BYTES_MAX:
                            assert (answer.status_code, answer.json()) == (201, {"length": length})
                        else:
                            assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
                            assert f"{BODY_BYTES_MAX} bytes" in answer.json()["detail"]
        finally:
            supervisor.stop_all()


def test_a_request_that_is_too_long_gets_the_answer_of_its_service(tmp_path: Path) -> None:
    """The gateway passes on long queries and headers, and then the refusal of the service, which is not lost by a reset."""
    supervisor, port = Supervisor(), choose(taken=set())
    with _service() as service:
        gateway.start(
            directory=tmp_path,
            port=port,
            service_ports=dict.fromkeys(SERVICES, (service,)),
            supervisor=supervisor,
            log_file=tmp_path / "gateway.log",
        )
        try:
            with httpx.Client(base_url=f"http://{LOOPBACK}:{port}", trust_env=False, timeout=600) as client:
                for length in (8_200, 20_000, 60_000):
                    long = client.get("/api/wallet?q=" + "a" * length)
                    assert (long.status_code, long.json()["code"]) == (414, "uri_too_long")
                for length in (20_000, 250_000):
                    long = client.get("/api/wallet", headers={"x-long": "a" * length})
                    assert (long.status_code, long.json()["code"]) == (431, "headers_too_large")
                assert long.headers["Content-Type"] == "application/problem+json"
        finally:
            supervisor.stop_all()


class _Replica(BaseHTTPRequestHandler):
    """A replica that records its requests: ready or not, and it may close connections without an answer."""

    protocol_version = "HTTP/1.1"
    server: "_Replicas"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        health = self.path == gateway.READY_PATH
        if not health:
            self.server.seen.append((self.command, body))
        if self.server.hangs_up and not health:
            self.close_connection = True
            return
        self.send_response(200 if self.server.ready or not health else 503)
        self.send_header("Content-Length", "0")
        if health:
            # or a request might use the connection of a health check after the listener was closed
            self.send_header("Connection", "close")
        self.end_headers()

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - the names that the base class looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


class _Replicas(ThreadingHTTPServer):
    ready = True
    hangs_up = False

    def __init__(self, port: int) -> None:
        super().__init__((LOOPBACK, port), _Replica)
        self.seen: list[tuple[str, bytes]] = []
        Thread(target=self.serve_forever, daemon=True).start()


@contextmanager
def _two_replicas(directory: Path) -> Iterator[tuple[httpx.Client, _Replicas, _Replicas]]:
    supervisor, port = Supervisor(), choose(taken=set())
    replicas = (_Replicas(0), _Replicas(0))
    with pytest.MonkeyPatch.context() as patched:
        # a replica of a test is slow where the machine is, and is not away
        patched.setitem(gateway._BALANCED["health_checks"]["active"], "timeout", "60s")
        gateway.start(
            directory=directory,
            port=port,
            service_ports=dict.fromkeys(SERVICES, tuple(one.server_port for one in replicas)),
            supervisor=supervisor,
            log_file=directory / "gateway.log",
        )
    try:
        with httpx.Client(base_url=f"http://{LOOPBACK}:{port}", trust_env=False, timeout=600) as client:
            yield client, *replicas
    finally:
        supervisor.stop_all()
        for one in replicas:
            one.shutdown()
            one.server_close()


def test_requests_are_divided_among_replicas_that_are_ready(tmp_path: Path) -> None:
    """A replica that is not ready gets none, until it is ready again."""
    with _two_replicas(tmp_path) as (client, first, second):

        def used() -> set[int]:
            first.seen.clear()
            second.seen.clear()
            for _ in range(4):
                assert client.post("/api/wallet", content=b"x").status_code == 200
            return {number for number, one in enumerate((first, second)) if one.seen}

        assert used() == {0, 1}
        first.ready = False
        eventually_sync(lambda: used() == {1}, deadline_s=600)
        first.ready = True
        eventually_sync(lambda: used() == {0, 1}, deadline_s=600)


def test_a_replica_that_takes_no_connection_costs_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that was not sent goes to another replica with its body, also before the next health check."""
    monkeypatch.setitem(gateway._BALANCED["health_checks"]["active"], "interval", "1h")
    with _two_replicas(tmp_path) as (client, first, second):
        first.shutdown()
        first.server_close()
        bodies = [f"body {number}".encode() for number in range(8)]
        assert [client.post("/api/wallet", content=body).status_code for body in bodies] == [200] * len(
            bodies
        )
        assert second.seen == [("POST", body) for body in bodies]


def test_a_post_that_was_sent_is_not_sent_to_another_replica(tmp_path: Path) -> None:
    """Its replica may have applied it: the client learns that the outcome is unknown."""
    with _two_replicas(tmp_path) as (client, first, second):
        for hangs_up, status in (
            (False, 200),
            (True, 502),
        ):  # the second time over connections that were used before
            first.hangs_up = second.hangs_up = hangs_up
            for body in (b"one", b"", b"two", b""):
                first.seen.clear()
                second.seen.clear()
                assert client.post("/api/wallet", content=body).status_code == status
                assert first.seen + second.seen == [("POST", body)]


@pytest.mark.parametrize("header", ["Idempotency-Key", "X-Idempotency-Key"])
def test_an_idempotency_key_repeats_no_request(tmp_path: Path, header: str) -> None:
    """A request without a body that its replica took is sent once, also where the replicas answered over connections before."""
    with _two_replicas(tmp_path) as (client, first, second):
        for method in ("POST", "PUT", "DELETE"):
            first.hangs_up = second.hangs_up = False
            for _ in range(4):
                assert client.get("/api/wallet").status_code == 200
            first.hangs_up = second.hangs_up = True
            first.seen.clear()
            second.seen.clear()
            assert client.request(method, "/api/wallet", headers={header: "once"}).status_code == 502
            assert first.seen + second.seen == [(method, b"")]


def test_a_get_is_tried_on_another_replica_and_not_for_ever(tmp_path: Path) -> None:
    """A GET that one replica does not answer is answered by the other. If none answers, it was sent three times at most."""
    with _two_replicas(tmp_path) as (client, first, second):
        assert client.get("/api/wallet").status_code == 200
        first.hangs_up = True
        assert {client.get("/api/wallet").status_code for _ in range(4)} == {200}
        assert first.seen
        second.hangs_up = True
        first.seen.clear()
        second.seen.clear()
        assert client.get("/api/wallet").status_code == 502
        assert len(first.seen + second.seen) == 1 + gateway.TRIES_AGAIN == 3
        assert first.seen
        assert second.seen
