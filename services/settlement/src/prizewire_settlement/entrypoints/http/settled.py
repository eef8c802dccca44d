"""``/api/rounds/settled``: what was settled of rounds, for whoever compares it with what was booked."""

from typing import Annotated, Final
from uuid import UUID

from litestar import Controller, get
from litestar.params import QueryParameter

from prizewire_chassis.http.answers import Items
from prizewire_settlement.entrypoints.http.parts import HttpParts, readers
from prizewire_settlement.entrypoints.settled_answers import SettledAnswer, settled_answer

ROUNDS_MAX: Final = 200
_UUID: Final = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
RoundIds = Annotated[
    str,
    QueryParameter(
        name="ids",
        pattern=f"^{_UUID}(,{_UUID}){{0,{ROUNDS_MAX - 1}}}$",
        description=f"Round ids, separated by commas; at most {ROUNDS_MAX}.",
    ),
]


def ids_of(text: str) -> list[UUID]:
    """The ids that a ``RoundIds`` names, each once."""
    return sorted({UUID(one) for one in text.split(",")})


def settled_controller(parts: HttpParts) -> type[Controller]:
    """Rounds by their ids, in whatever state they are."""

    class SettledController(Controller):
        path = "/api/rounds/settled"
        tags = ["rounds"]  # noqa: RUF012 - Litestar reads a plain list

        @get(
            "/",
            guards=[readers],
            summary="What was settled of rounds: state, settlement version, figures, digest of the lines",
            description="Rounds that are not known or were never settled are left out.",
        )
        async def settled(self, ids: RoundIds) -> Items[SettledAnswer]:
            async with parts.db.transaction() as tx:
                found = await parts.queries(tx).settled(ids_of(ids))
            return Items(items=[settled_answer(one) for one in found])

    return SettledController
