"""``/api/rounds/ended``: the rounds that ended, for whoever compares them with what was booked."""

from datetime import datetime
from typing import Annotated

from litestar import Controller, get
from litestar.params import FromQuery, QueryParameter

from prizewire_chassis.http import Page, Problem, encode_cursor, page_limit
from prizewire_settlement.entrypoints.answers import ended_json
from prizewire_settlement.entrypoints.http import examples
from prizewire_settlement.entrypoints.http.parts import HttpParts, place_of, readers

__all__ = ["ended_controller"]


def ended_controller(parts: HttpParts) -> type[Controller]:
    """Rounds in the order in which they ended."""

    class EndedController(Controller):
        path = "/api/rounds/ended"
        tags = ["rounds"]  # noqa: RUF012 - Litestar reads a plain list

        @get(
            "/",
            guards=[readers],
            summary="Settled rounds that are final or void, in the order in which they ended",
            responses=examples.ENDED,
        )
        async def ended(
            self,
            since: Annotated[
                datetime | None, QueryParameter(description="Only rounds that ended then or later.")
            ] = None,
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
        ) -> Page:
            size = page_limit(limit)
            if since is not None and since.tzinfo is None:
                detail = f"since: {since.isoformat()} has no offset; write Z or +00:00 behind it"
                raise Problem(status=400, code="invalid_request", detail=detail)
            async with parts.db.transaction() as tx:
                found = await parts.queries(tx).ended_page(since=since, after=place_of(cursor), limit=size)
            last = [found[-1].ended_at.isoformat(), str(found[-1].round.id)] if len(found) == size else None
            return {
                "items": [ended_json(one) for one in found],
                "next_cursor": encode_cursor(last) if last else None,
            }

    return EndedController
