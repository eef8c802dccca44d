"""Parameters of several routes, with their JSON Schema."""

from typing import Annotated, Final

from litestar.params import PathParameter, QueryParameter
from pydantic import TypeAdapter

from prizewire_contracts.text import Name

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
