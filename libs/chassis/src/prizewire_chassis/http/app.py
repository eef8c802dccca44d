"""The Litestar application of a service."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import structlog
from litestar import Litestar, MediaType, Request, Response, get
from litestar.config.cors import CORSConfig
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.middleware import DefineMiddleware
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.plugins.pydantic import PydanticPlugin
from litestar.types import ASGIApp, ControllerRouterHandler, Message, Receive, Scope, Send
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from prizewire_chassis.auth import OWN_PROOF, ApiTokens, TokenReader
from prizewire_chassis.db import is_transient, sqlstate
from prizewire_chassis.health import Health
from prizewire_chassis.http.document import DocumentPlugin, openapi_document
from prizewire_chassis.http.head import Application
from prizewire_chassis.http.headers import add_headers, request_id_of
from prizewire_chassis.http.intake import Intake, StrictRequest
from prizewire_chassis.http.invalid import invalid_request
from prizewire_chassis.http.limits import LimitedAuthentication, Limits
from prizewire_chassis.http.wrong_routes import wrong_method, wrong_path
from prizewire_chassis.logging import correlated, get_logger
from prizewire_chassis.metrics import HTTP_REQUESTS, HTTP_SECONDS
from prizewire_chassis.problems import Problem
from prizewire_chassis.tracing import Kind, Unit, child_of, new_trace, record, working
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.traces import HEADER, read_traceparent

BODY_BYTES_MAX = 1_000_000
"""The size limit of a body, in bytes, of routes without ``request_max_body_size``."""
_DATA_EXCEPTION = "22"
"""SQLSTATE class of invalid values, such as a NUL in a text or a number out of range (PostgreSQL, appendix A). asyncpg
raises it as well for values that it cannot encode.
"""
_NUMERIC_OUT_OF_RANGE = "22003"
_DISK_FULL = "53100"
UNAVAILABLE_RETRY_S = 5
"""The ``Retry-After`` of 503 ``unavailable``, in seconds."""
_CODE = "problem_code"
"""In the state of a request: the code with which it was refused."""
_TRACEPARENT = HEADER.encode()
_log = get_logger(__name__)
_NOT_FOUND = 404
_NO_METHOD = 405
_TOO_LARGE = 413
_CODES = {
    400: "invalid_request",
    401: "unauthenticated",
    403: "forbidden",
    _NOT_FOUND: "not_found",
    _NO_METHOD: "method_not_allowed",
    _TOO_LARGE: "body_too_large",
}


def build_app(
    *,
    service: str,
    controllers: Sequence[ControllerRouterHandler],
    health: Health,
    tokens: TokenReader | None,
    api_tokens: ApiTokens | None = None,
    limits: Limits | None = None,
    body_s: float | None = None,
    cors_origins: Sequence[str] = (),
) -> Litestar:
    """The application: ``controllers`` beside ``/health/live``, ``/health/ready``, ``/metrics`` and ``/schema``. The OpenAPI
    document is served under ``/api/services`` too, where a gateway reaches it.

    ``limits`` bound the requests of a minute, ``body_s`` the seconds that a body may take; None for no bound.
    ``cors_origins`` may read answers in a browser; without one, none may.

    Every failure is answered as problem details with a stable code; an unexpected one says nothing of its cause. Without
    ``tokens`` no caller is authenticated, so that guarded routes refuse every request.
    """

    @get("/health/live", include_in_schema=False)
    async def live() -> dict[str, str]:
        return {"status": "live", "service": service}

    @get("/health/ready", include_in_schema=False)
    async def ready() -> Response[dict[str, Any]]:
        failing = await health.failing()
        body = {"status": "not_ready" if failing else "ready", "service": service, "failing": failing}
        return Response(body, status_code=503 if failing else 200)

    @get("/metrics", include_in_schema=False, media_type=MediaType.TEXT)
    async def metrics() -> Response[bytes]:
        return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})

    @get(f"/api/services/{service}/openapi.json", include_in_schema=False, opt=OWN_PROOF)
    async def document(request: Request[Any, Any, Any]) -> dict[str, Any]:
        return openapi_document(request.app)

    authentication = (
        []
        if tokens is None
        else [DefineMiddleware(LimitedAuthentication, reader=tokens, api_tokens=api_tokens, limits=limits)]
    )
    return Application(
        route_handlers=[live, ready, metrics, document, *controllers],
        middleware=[
            DefineMiddleware(_Observed),
            DefineMiddleware(Intake, body_s=body_s),
            *authentication,
        ],
        before_send=[add_headers],
        request_class=StrictRequest,
        # None leaves it to each member of a body whether text of digits stands for a number
        plugins=[PydanticPlugin(validate_strict=None)],  # type: ignore[arg-type] # pydantic takes None
        cors_config=_cors(cors_origins),
        exception_handlers={
            Problem: _problem,
            ValidationException: _invalid,
            HTTPException: _http,
            Exception: _unexpected,
        },
        request_max_body_size=BODY_BYTES_MAX,
        openapi_config=OpenAPIConfig(
            title=f"Prizewire {service}",
            version="1",
            path="/schema",
            render_plugins=[DocumentPlugin()],
            use_handler_docstrings=True,
            components=Components(
                security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
            ),
            security=[{"bearer": []}],
        ),
        logging_config=None,
    )


def _cors(origins: Sequence[str]) -> CORSConfig | None:
    """Browser pages of these origins may call with a token, and read the headers about retries and limits."""
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "X-Request-Id"],
        expose_headers=[
            "Idempotency-Replayed",
            "RateLimit",
            "RateLimit-Policy",
            "Retry-After",
            "X-Request-Id",
        ],
        allow_credentials=False,
        max_age=600,
    )


class _Observed:
    """Counts and times requests by route template. Each request is a unit of work: it continues its caller's trace, and its log
    lines have the ids of request and trace.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500
        raised: str | None = None

        async def observe(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        received = traceparent_of(scope)
        unit = Unit(new_trace() if received is None else child_of(received), given=received is not None)
        started_ns = time.time_ns()
        with working(unit), correlated(request_id=request_id_of(scope)):
            try:
                await self._app(scope, receive, observe)
            except asyncio.CancelledError:
                # The process stops, and the request has not ended in time.
                detail = "the service stops now, and did not finish the request; send the same request again"
                status, raised = 503, "unavailable"
                raise _unavailable(detail) from None
            except Exception as error:
                # what a middleware inside raises is answered outside of this one
                status, raised = _outcome_of(error)
                raise
            finally:
                route = str(scope.get("path_template") or "unmatched")
                method = str(scope.get("method"))
                HTTP_REQUESTS.labels(method, route, str(status)).inc()
                HTTP_SECONDS.labels(method, route).observe(time.perf_counter() - started)
                structlog.contextvars.unbind_contextvars("correlation_id")
                if route.startswith("/api/"):
                    failed = raised or scope["state"].get(_CODE)
                    record(
                        f"{method} {route}",
                        kind=Kind.SERVER,
                        traceparent=unit.traceparent,
                        parent=received,
                        started_ns=started_ns,
                        attributes={
                            "http.request.method": method,
                            "http.route": route,
                            "http.response.status_code": status,
                            "prizewire.code": failed,
                        },
                        error=failed if status >= 500 else None,
                    )


def traceparent_of(scope: Scope) -> str | None:
    """The caller's traceparent, where it is valid and given once."""
    given = [value for name, value in scope["headers"] if name == _TRACEPARENT]
    return read_traceparent(given[0].decode("latin-1")) if len(given) == 1 else None


def _unavailable(detail: str) -> Problem:
    return Problem(
        status=503, code="unavailable", detail=detail, headers={"retry-after": str(UNAVAILABLE_RETRY_S)}
    )


def _render(request: Request[Any, Any, Any], problem: Problem) -> Response[dict[str, Any]]:
    request.scope["state"][_CODE] = str(problem.code)
    headers = dict(problem.headers)
    if problem.status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(
        problem.body(instance=request.url.path),
        status_code=problem.status,
        media_type="application/problem+json",
        headers=headers,
    )


def _problem(request: Request[Any, Any, Any], error: Problem) -> Response[dict[str, Any]]:
    return _render(request, error)


def _invalid(request: Request[Any, Any, Any], error: ValidationException) -> Response[dict[str, Any]]:
    return _render(request, invalid_request(request, error))


def _http(request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    code = _CODES.get(error.status_code, "http_error")
    detail = error.detail
    path, method = request.scope["path"], request.method
    allowed = (error.headers or {}).get("allow")
    if error.status_code == _NOT_FOUND:
        detail = wrong_path(request.app, path, method=method)
    if error.status_code == _NO_METHOD and allowed:
        detail = wrong_method(request.app, path, method=method, allowed=allowed.split(", "))
    if error.status_code == _TOO_LARGE and isinstance(request.route_handler, HTTPRouteHandler):
        limit = request.route_handler.resolve_request_max_body_size()
        detail = f"the body is larger than the {limit} bytes that this route takes"
    answer = _render(request, Problem(status=error.status_code, code=code, detail=detail))
    if allowed:
        answer.headers["allow"] = allowed
    return answer


def _outcome_of(error: Exception) -> tuple[int, str]:
    """The status and the code with which the exception handlers answer an error."""
    if isinstance(error, Problem):
        return error.status, str(error.code)
    if isinstance(error, HTTPException):
        return error.status_code, _CODES.get(error.status_code, "http_error")
    state = sqlstate(error) or ""
    if state == _DISK_FULL:
        return 503, "storage_full"
    if is_transient(error):
        return 503, "unavailable"
    if state.startswith(_DATA_EXCEPTION):
        return 400, "invalid_request"
    return 500, "internal_error"


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    state = sqlstate(error) or ""
    if state == _DISK_FULL:
        _log.error("the database's disk is full", path=request.url.path)
        detail = "the disk of the service's database is full; send the same request again once there is room"
        return _render(request, Problem(status=503, code="storage_full", detail=detail))
    if is_transient(error):
        _log.warning("request failed by a transient error", path=request.url.path, error=repr(error))
        detail = "the service cannot reach its database now; send the same request again"
        return _render(request, _unavailable(detail))
    if state.startswith(_DATA_EXCEPTION):
        _log.warning("the database refuses a value of the request", path=request.url.path, sqlstate=state)
        detail = (
            "the request has a value that cannot be stored: a character such as NUL, or a number out of range"
        )
        code = RefusalCode.NUMBER_OUT_OF_RANGE if state == _NUMERIC_OUT_OF_RANGE else "invalid_request"
        return _render(request, Problem(status=400, code=code, detail=detail))
    _log.error("request failed", path=request.url.path, exc_info=error)
    return _render(
        request,
        Problem(status=500, code="internal_error", detail="the service failed, and logged the failure"),
    )
