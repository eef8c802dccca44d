"""Parameters that several routes take, with what they accept as JSON Schema."""

from typing import Annotated, Final

from litestar.params import PathParameter, QueryParameter
from pydantic import TypeAdapter

from prizewire_contracts.text import Name

ASSET_PATTERN: Final = r"^[A-Z][A-Z0-9]{0,11}$"

PlayerFilter = Annotated[
    str | None,
    QueryParameter(name="player", description="Only this player's. Without it, the caller's own."),
]
"""Whose things are meant. Only operators and admins may name another player."""
PlayerInPath = Annotated[
    str,
    PathParameter(name="player", schema_extra=TypeAdapter(Name).json_schema()),
]
"""A player. A route that writes refuses what is not a player's name."""
AssetInPath = Annotated[
    str,
    PathParameter(name="asset", description="An asset's code.", schema_extra={"pattern": ASSET_PATTERN}),
]
