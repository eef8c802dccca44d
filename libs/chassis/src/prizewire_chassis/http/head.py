"""``HEAD`` on every ``GET`` route (RFC 9110, section 9.3.2): the headers of the same answer, without its content."""

from typing import cast

from litestar import Litestar
from litestar.enums import ScopeType
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

__all__ = ["Application"]


class Application(Litestar):
    """A Litestar application that answers ``HEAD`` wherever it answers ``GET``, and says so in ``Allow``."""

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
                headers = [(name, _with_head(name, value)) for name, value in message["headers"]]
                message = {**message, "headers": headers}
            elif message["type"] == "http.response.body" and without_content:
                message = {**message, "body": b""}
            await send(message)  # type: ignore[arg-type]  # an HTTP scope comes with an HTTP sender

        await super().__call__(scope, receive, pass_on)


def _with_head(name: bytes, value: bytes) -> bytes:
    if name.lower() != b"allow":
        return value
    methods = {method.strip() for method in value.split(b",")}
    return b", ".join(sorted(methods | ({b"HEAD"} if b"GET" in methods else set())))
