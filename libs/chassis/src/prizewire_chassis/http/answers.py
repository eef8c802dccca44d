"""What routes answer: models with a description and an example of each member, from which the OpenAPI document is made."""

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

_Item = TypeVar("_Item")
Id = Annotated[UUID, Field(examples=["6f9619ff-8b86-4011-b42d-00c04fc964ff"])]
"""A UUID."""
Moment = Annotated[datetime, Field(examples=["2026-05-01T12:00:00Z"])]
"""A point in time (RFC 3339, UTC)."""


def _open(schema: dict[str, Any]) -> None:
    """Answers may get new members, so their schema does not exclude them."""
    schema.pop("additionalProperties", None)


class AnswerModel(BaseModel):
    """Base of all answers. A member that has no value is ``null``; it is never left out.

    Clients must accept members that they do not know: new ones may come at any time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_open)


class PageOf(AnswerModel, Generic[_Item]):
    """One page of a list. ``next_cursor`` is null on the last page."""

    items: list[_Item]
    next_cursor: Annotated[
        str | None, Field(description="Send it as `cursor` to get the next page.", examples=[None])
    ]


class Items(AnswerModel, Generic[_Item]):
    """A whole list, which is short by nature."""

    items: list[_Item]
