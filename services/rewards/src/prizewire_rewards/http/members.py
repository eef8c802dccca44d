"""Types of members that several answers have."""

from typing import Annotated, Final

from pydantic import Field

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
