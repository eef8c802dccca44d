"""Problem details (RFC 9457) with stable codes."""

from collections.abc import Mapping
from typing import Any

TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "Conflict",
    413: "Too large",
    415: "Unsupported media type",
    422: "Cannot be done",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available",
}
"""The statuses in words."""


class Problem(Exception):
    """An answer that is not a success. ``code`` is stable; ``detail`` is a sentence for people; ``extra`` holds
    further members of the answer, ``headers`` further headers.
    """

    def __init__(
        self, *, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers or {}
        self.extra = extra

    def body(self, *, instance: str) -> dict[str, Any]:
        """The JSON of the answer."""
        return {
            "type": f"urn:prizewire:problem:{self.code}",
            "title": TITLES.get(self.status, "Problem"),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "instance": instance,
            **self.extra,
        }
