"""The member ``method`` of a request: the details of its destination, of an installed method type."""

from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field

from prizewire_contracts.text import PRINTABLE_OR_EMPTY, Word
from prizewire_railkit.method_types import MALFORMED, MethodType
from prizewire_railkit.method_types.installed import installed_method_types
from prizewire_rewards.errors import RewardsError
from prizewire_rewards.http.bodies import Body
from prizewire_rewards.http.codes import STATUSES
from prizewire_rewards.payouts.domain.inline import InlineDestination
from prizewire_rewards.payouts.ports import PayoutTools

_TYPES: Final = installed_method_types()
_DETAIL: Final = {"maxLength": 256, "pattern": PRINTABLE_OR_EMPTY}
_Detail = Annotated[str, Field(max_length=256, pattern=PRINTABLE_OR_EMPTY)]
"""Sealed as it is sent, so never normalized here: the method type does."""
_DetailName = Annotated[str, Field(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
_DETAILS_MAX: Final = 32
INLINE_CODES: Final = tuple(
    sorted(
        {
            "method_type_unknown",
            "method_type_unserved",
            MALFORMED,
            *(code for one in _TYPES.values() for code in one.codes),
        }
    )
)
"""The codes, all of 422, with which ``method`` is refused: ours, and those that the installed types name."""


def _members(method_type: MethodType) -> dict[str, Any]:
    schema = method_type.details.model_json_schema()
    for member in schema["properties"].values():
        for one in (member, *member.get("anyOf", ())):
            if one.get("type") == "string":
                one |= {name: value for name, value in _DETAIL.items() if name not in one}
    known = ("type", "properties", "required", "additionalProperties")
    return {name: schema[name] for name in known if name in schema}


def _describe_types(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [
        {
            "title": name,
            "description": one.summary,
            "properties": {"type": {"const": name}, "details": _members(one)},
        }
        for name, one in sorted(_TYPES.items())
    ]


class InlineMethodBody(Body):
    """The destination of one payout, which is not registered. Its details are sealed on arrival: only the service payouts can
    read them afterwards.
    """

    model_config = ConfigDict(hide_input_in_errors=True, json_schema_extra=_describe_types)

    type: Word = Field(description="The method type.", examples=["stellar"])
    details: dict[_DetailName, _Detail | None] = Field(
        repr=False,
        max_length=_DETAILS_MAX,
        description="Where the money goes, as the type needs it.",
        examples=[{"address": "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"}],
    )


def read_inline(body: InlineMethodBody, *, tools: PayoutTools) -> InlineDestination:
    """The checked destination in a request.

    Raises:
        Problem: one of ``INLINE_CODES``.
    """
    given = {name: value for name, value in body.details.items() if value is not None}
    try:
        return tools.inline.read(method_type=body.type, details=given)
    except RewardsError as error:
        raise STATUSES.problem(error) from None


def marked(destination: InlineDestination) -> dict[str, str]:
    """What stands for a destination where bodies under one idempotency key are compared: never the details."""
    return {"type": destination.terms.type, "mark": destination.terms.mark}
