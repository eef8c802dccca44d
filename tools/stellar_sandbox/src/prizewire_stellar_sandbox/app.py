"""The composition root and the HTTP routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from litestar import Litestar, Request, get, post, route
from litestar.config.cors import CORSConfig
from litestar.exceptions import HTTPException
from litestar.handlers import asgi
from litestar.response import Response
from litestar.types import Receive, Scope, Send
from stellar_sdk import StrKey

from prizewire_stellar_sandbox.core.model import AccountId
from prizewire_stellar_sandbox.faults import Faults, UnknownFault
from prizewire_stellar_sandbox.friendbot import Friendbot, NotFunded
from prizewire_stellar_sandbox.node import Node
from prizewire_stellar_sandbox.rpc.jsonrpc import answer
from prizewire_stellar_sandbox.rpc.methods import Methods
from prizewire_stellar_sandbox.views import account_view, funding_view, ledger_summary, payment_view

_BODY_BYTES_MAX: Final = 512 * 1024
"""The real RPC's default limit for a request."""

_PAYMENTS_MAX: Final = 10_000
OnFailure = Callable[[BaseException | None], None]

_PAYMENT_KINDS: Final = ("payment", "create_account", "account_merge")


class Sandbox:
    """A node with everything around it.

    ``on_failure`` is called when closing ledgers comes to an unexpected end (a full disk, say): a network that
    closes no ledgers must not keep answering.
    """

    def __init__(self, *, node: Node, base_url: str, on_failure: OnFailure) -> None:
        self.node = node
        self.faults = Faults()
        self.friendbot = Friendbot(node)
        methods = Methods(node=node, faults=self.faults, friendbot_url=f"{base_url}/friendbot")
        self.methods = dict(methods.table())
        self._on_failure = on_failure

    @asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncGenerator[None]:
        """Close ledgers and serve friendbot while the application runs."""
        tasks = [asyncio.create_task(work) for work in (self.node.run(), self.friendbot.run())]
        for task in tasks:
            task.add_done_callback(self._ended)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self._on_failure(task.exception())

    async def rpc(self, scope: Scope, receive: Receive, send: Send) -> None:
        """JSON-RPC over POST."""
        if scope.get("method") != "POST":
            await _reply(send, 405, b"", allow=True)
            return
        body = b""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message["body"]
            if len(body) > _BODY_BYTES_MAX:
                await _reply(send, 413, b"")
                return
            if not message["more_body"]:
                break
        sends = b'"sendTransaction"' in body
        content = answer(body, self.methods)
        if sends and self.faults.hits("lose_answer"):
            # A body shorter than announced: the server closes the connection on it.
            await _reply(send, 200, b"", length=1)
            return
        await _reply(send, 204 if content is None else 200, content or b"")


async def _reply(
    send: Send, status: int, body: bytes, *, length: int | None = None, allow: bool = False
) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body) if length is None else length).encode()),
    ]
    if allow:
        headers.append((b"allow", b"POST"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if length is None:
        await send({"type": "http.response.body", "body": body, "more_body": False})


def create_app(*, node: Node, base_url: str, on_failure: OnFailure) -> Litestar:
    """The application, ready for an ASGI server.

    Args:
        node: the network. The caller that opened it closes it, after the application has ended.
        base_url: the address for clients; getNetwork returns friendbot's address with it.
        on_failure: see :class:`Sandbox`.
    """
    sandbox = Sandbox(node=node, base_url=base_url, on_failure=on_failure)

    @asgi(["/", "/rpc"], copy_scope=False)
    async def rpc(scope: Scope, receive: Receive, send: Send) -> None:
        await sandbox.rpc(scope, receive, send)

    return Litestar(
        route_handlers=[rpc, *_friendbot_routes(sandbox), *_sandbox_routes(sandbox)],
        lifespan=[sandbox.lifespan],
        cors_config=CORSConfig(allow_origins=["*"]),
        openapi_config=None,
    )


def _friendbot_routes(sandbox: Sandbox) -> list[Any]:
    @route("/friendbot", http_method=["GET", "POST"], status_code=200)
    async def friendbot(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        """Create or fill up an account."""
        addr = request.query_params.get("addr")
        if addr is None and request.method == "POST":
            addr = (await request.form()).get("addr")
        try:
            account_id = StrKey.decode_ed25519_public_key(addr or "")
        except ValueError:
            return _problem("addr is not the address of an account")
        try:
            funding = await sandbox.friendbot.fund(account_id)
        except NotFunded as error:
            return _problem(str(error))
        return Response(funding_view(sandbox.node, funding))

    return [friendbot]


def _problem(detail: str) -> Response[dict[str, Any]]:
    content = {
        "type": "https://stellar.org/horizon-errors/bad_request",
        "title": "Bad Request",
        "status": 400,
        "detail": detail,
    }
    return Response(content, status_code=400, media_type="application/problem+json")


def _sandbox_routes(sandbox: Sandbox) -> list[Any]:
    """The routes that a real node does not have: views for people and tests, and the fault switches."""

    @get("/sandbox/ledger")
    async def ledger() -> dict[str, Any]:
        return ledger_summary(sandbox.node)

    @get("/sandbox/accounts/{account:str}")
    async def account(account: str) -> dict[str, Any]:
        shown = account_view(sandbox.node, _account_id(account))
        if shown is None:
            raise HTTPException(status_code=404, detail=f"no account {account}")
        return shown

    @get("/sandbox/payments")
    async def payments(
        account: str | None = None,
        after: int = 0,
        limit: int = 1000,
        kind: str = "payment",
    ) -> dict[str, Any]:
        kinds = _PAYMENT_KINDS if kind == "all" else (kind,)
        if not set(kinds) <= set(_PAYMENT_KINDS):
            raise HTTPException(status_code=400, detail=f"kind is one of all, {', '.join(_PAYMENT_KINDS)}")
        found = sandbox.node.storage.history.payments(
            account_id=None if account is None else _account_id(account),
            after=after,
            kinds=kinds,
            limit=max(1, min(limit, _PAYMENTS_MAX)),
        )
        return {
            "payments": [payment_view(payment) for payment in found],
            "next": found[-1].id if found else after,
        }

    @get("/sandbox/faults")
    async def show_faults() -> dict[str, int]:
        return sandbox.faults.left()

    @post("/sandbox/faults", status_code=200)
    async def arm_faults(data: dict[str, Any]) -> dict[str, int]:
        try:
            sandbox.faults.arm(data)
        except UnknownFault as error:
            raise HTTPException(status_code=400, detail=str(error)) from error
        return sandbox.faults.left()

    return [ledger, account, payments, show_faults, arm_faults]


def _account_id(text: str) -> AccountId:
    try:
        return StrKey.decode_ed25519_public_key(text)
    except ValueError as error:
        raise HTTPException(status_code=400, detail=f"{text} is not the address of an account") from error
