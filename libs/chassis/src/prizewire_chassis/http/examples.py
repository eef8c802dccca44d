"""Answers by example, in the form in which Litestar takes them for the OpenAPI document."""

from typing import Any

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

__all__ = ["Responses", "answer", "page"]

Responses = dict[int, ResponseSpec]
"""What a route answers, by status."""


class _Whole(Example):
    """An example that keeps its null members: Litestar leaves them out, while the routes answer with them."""

    def to_schema(self) -> dict[str, Any]:
        """As JSON."""
        return {"summary": self.summary, "value": self.value}


def answer(
    value: Any, *, status: int = 200, description: str, also: tuple[str, Any] | None = None
) -> Responses:
    """The answer of a route by example; ``also`` is a second one, with what it is."""
    shown: list[Example] = [_Whole(summary=description, value=value)]
    if also is not None:
        shown.append(_Whole(summary=also[0], value=also[1]))
    return {
        status: ResponseSpec(dict[str, Any], generate_examples=False, description=description, examples=shown)
    }


def page(item: dict[str, Any], description: str, *, also: tuple[str, Any] | None = None) -> Responses:
    """A page of one item by example; ``also`` is another item of another page."""
    other = None if also is None else (also[0], {"items": [also[1]], "next_cursor": None})
    return answer({"items": [item], "next_cursor": None}, description=description, also=other)
