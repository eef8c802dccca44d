"""``HEAD`` on every ``GET`` route (RFC 9110, section 9.3.2): the headers of the same answer, without its content."""

from typing import cast

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.routes import HTTPRoute
from litestar.types import (
    HTTPScope,
    LifeSpanReceive,
    LifeSpanScope,
    LifeSpanSend,
    Message,
    Receive,
    Send,
    WebSocketScope,
)


class Application(Litestar):
    """A Litestar application that answers ``HEAD`` wherever it answers ``GET``. Its ``Allow`` headers name every method of
    a path, also where several controllers serve it.
    """

    async def __call__(
        self,
        scope: HTTPScope | WebSocketScope | LifeSpanScope,
        receive: Receive | LifeSpanReceive,
        send: Send | LifeSpanSend,
    ) -> None:
        """Handle a request."""
        if scope["type"] != ScopeType.HTTP:
            await super().__call__(scope, receive, send)
            return
        request = cast("HTTPScope", scope)
        without_content = request["method"] == "HEAD"
        if without_content:
            request["method"] = "GET"

        async def pass_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [
                    (name, self._allow(value, request.get("path_template")) if name == b"allow" else value)
                    for name, value in message["headers"]
                ]
                message = {**message, "headers": headers}
            elif message["type"] == "http.response.body" and without_content:
                message = {**message, "body": b""}
            await send(message)  # type: ignore[arg-type]  # an HTTP scope comes with an HTTP sender

        await super().__call__(scope, receive, pass_on)

    def _allow(self, allowed: bytes, path: str | None) -> bytes:
        """Every method of ``path``. A refused method has no path: Litestar then names them all itself."""
        methods = {method.strip() for method in allowed.decode().split(",")}
        for route in self.routes:
            if isinstance(route, HTTPRoute) and route.path_format == path:
                methods |= route.methods
        return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set()))).encode()
