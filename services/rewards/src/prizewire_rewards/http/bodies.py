"""Shared parts of request bodies. Unknown members are refused: a misspelt member must not be ignored where money moves."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic.config import JsonDict

from prizewire_contracts.text import PRINTABLE, Reason
from prizewire_rewards.http.members import DECIMAL

Code = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{0,11}$")]


DECIMAL_LENGTH_MAX: Final = 40


Decimal = Annotated[
    str,
    StringConstraints(min_length=1, max_length=DECIMAL_LENGTH_MAX, pattern=PRINTABLE),
    WithJsonSchema({"type": "string", "pattern": DECIMAL, "maxLength": DECIMAL_LENGTH_MAX}),
]
"""An amount. The pattern is only documented: a text that is no amount is refused by ``Amounts.minor``, with its own code."""


class Body(BaseModel):
    """The base of all bodies."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


def only(*names: str, without: tuple[str, ...]) -> JsonDict:
    """JSON Schema of an object that has values for ``names`` and no values for ``without``."""
    kinds: JsonDict = {
        **{name: {"not": {"type": "null"}} for name in names},
        **{name: {"type": "null"} for name in without},
    }
    return {"required": list(names), "properties": kinds}


RepeatedReference = Annotated[
    bool,
    Field(
        strict=True,
        description="True: this is another payment under a used reference. Else such a request is refused with "
        "`reference_used`.",
        examples=[False],
    ),
]


class DecisionBody(Body):
    """The reason for a decision about a claim or a held prize. It is for the audit and not shown to the player."""

    reason: Reason = Field(examples=["identity seen on 2024-04-22"])
