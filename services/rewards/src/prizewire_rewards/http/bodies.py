"""Shared parts of requests and answers. Unknown members of a body are refused: a misspelt member must not be ignored where money moves."""

from typing import Annotated, Final

from litestar.params import PathParameter, QueryParameter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, WithJsonSchema
from pydantic.config import JsonDict

from prizewire_contracts.text import PRINTABLE, Name, Reason

DECIMAL: Final = r"^(0|[1-9][0-9]*)(\.[0-9]+)?$"
"""An amount, as a regular expression for Python and JSON Schema."""


Money = Annotated[
    str,
    Field(
        pattern=DECIMAL,
        description="Decimal text in units of the asset, with exactly the asset's decimals.",
        examples=["42.50"],
    ),
]
"""An amount of money."""


SignedMoney = Annotated[
    str,
    Field(
        pattern=rf"^-?{DECIMAL.removeprefix('^')}",
        description="As an amount; it may be negative.",
        examples=["-42.50"],
    ),
]
"""An amount of money that may be negative."""


AssetCode = Annotated[
    str, Field(pattern=r"^[A-Z][A-Z0-9]{0,11}$", description="The asset's code.", examples=["USDC"])
]
"""An asset."""


Player = Annotated[str, Field(description="The player's id.", examples=["ann"])]
"""A player."""


Person = Annotated[str, Field(description="The subject of this person's token.", examples=["ada"])]
"""A person who acted over HTTP."""


CorrelationId = Annotated[
    str,
    Field(
        description="The same in all services for everything with the same origin.",
        examples=["811124b0-535e-549c-908c-5154aa27f6f1"],
    ),
]
"""A correlation id. It is not always a UUID."""


ASSET_PATTERN: Final = r"^[A-Z][A-Z0-9]{0,11}$"


PlayerFilter = Annotated[
    str | None,
    QueryParameter(name="player", description="The player. Without it, the caller."),
]
"""The player that a listing is about. Only operators and admins may name another player."""


PlayerInPath = Annotated[
    str,
    PathParameter(name="player", schema_extra=TypeAdapter(Name).json_schema()),
]
"""A player. A route that writes refuses an invalid name."""


AssetInPath = Annotated[
    str,
    PathParameter(name="asset", description="An asset's code.", schema_extra={"pattern": ASSET_PATTERN}),
]


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
