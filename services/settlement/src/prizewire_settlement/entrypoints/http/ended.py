"""``/api/rounds/ended``: the rounds that ended, to compare them with what was booked."""

from typing import Annotated

from litestar import Controller, get
from litestar.params import FromQuery, QueryParameter

from prizewire_chassis.http import encode_cursor, page_limit
from prizewire_chassis.http.answers import PageOf
from prizewire_chassis.http.moments import MOMENT_SCHEMA, moment_of
from prizewire_settlement.entrypoints.answers import EndedAnswer, ended_answer
from prizewire_settlement.entrypoints.http.parts import HttpParts, place_of, readers


def ended_controller(parts: HttpParts) -> type[Controller]:
    """Rounds that ended, the last one first."""

    class EndedController(Controller):
        path = "/api/rounds/ended"
        tags = ["rounds"]  # noqa: RUF012 - Litestar reads a plain list

        @get(
            "/",
            guards=[readers],
            summary="Settled rounds that are final or void, the one that ended last first",
            refusals={400: ("period_invalid",)},
        )
        async def ended(
            self,
            since: Annotated[
                str | None,
                QueryParameter(
                    description="Only rounds that ended then or later.",
                    schema_extra=dict(MOMENT_SCHEMA),
                ),
            ] = None,
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
        ) -> PageOf[EndedAnswer]:
            size = page_limit(limit)
            begin = None if since is None else moment_of(since, name="since")
            async with parts.db.transaction() as tx:
                found = await parts.queries(tx).ended_page(since=begin, before=place_of(cursor), limit=size)
            last = [found[-1].ended_at.isoformat(), str(found[-1].round.id)] if len(found) == size else None
            return PageOf(
                items=[ended_answer(one) for one in found],
                next_cursor=encode_cursor(last) if last else None,
            )

    return EndedController
