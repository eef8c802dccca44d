"""`/api/admin/payouts/known`: payouts by their ids or last change, for whoever compares them with what was asked for."""

from typing import Annotated, Final
from uuid import UUID

from litestar import Controller, get
from litestar.params import FromQuery, QueryParameter

from prizewire_chassis.auth import Role, require
from prizewire_chassis.http import encode_cursor, page_limit
from prizewire_chassis.http.answers import Items, PageOf
from prizewire_chassis.http.moments import MOMENT_SCHEMA, moment_of
from prizewire_payouts.http.parts import HttpParts
from prizewire_payouts.payouts.http.answers import KnownPayoutAnswer, known_payout_answer
from prizewire_payouts.payouts.http.listing import cursor_place
from prizewire_payouts.payouts.ports import PayoutFilter

IDS_MAX: Final = 200
_UUID: Final = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_Ids = Annotated[
    str,
    QueryParameter(
        name="ids",
        pattern=f"^{_UUID}(,{_UUID}){{0,{IDS_MAX - 1}}}$",
        description=f"Payout ids, separated by commas; at most {IDS_MAX}.",
    ),
]
_Since = Annotated[
    str | None,
    QueryParameter(
        description="Only what was stored then or later, by the database's clock.",
        schema_extra=dict(MOMENT_SCHEMA),
    ),
]


def known_controller(parts: HttpParts) -> type[Controller]:
    """The controller over these parts."""

    class KnownController(Controller):
        path = "/api/admin/payouts/known"
        guards = [require(Role.OPERATOR, Role.APPROVER, Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @get(
            "/",
            summary="Payouts by their ids: payee, amount and state",
            description="Payouts that are not known are left out.",
        )
        async def known(self, ids: _Ids) -> Items[KnownPayoutAnswer]:
            wanted = PayoutFilter(ids=tuple({UUID(one) for one in ids.split(",")}), limit=IDS_MAX)
            async with parts.db.transaction() as tx:
                found = await parts.store(tx).list_payouts(wanted)
            return Items(items=[known_payout_answer(payout) for payout in found])

        @get(
            "/changed",
            summary="Payouts, the last change first",
            description="By the time at which the database stored the change. A payout that changes while the pages are "
            "read comes to the front, and is not met again.",
            refusals={400: ("period_invalid",)},
        )
        async def changed(
            self,
            *,
            since: _Since = None,
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
        ) -> PageOf[KnownPayoutAnswer]:
            size, before = page_limit(limit), cursor_place(cursor)
            begin = None if since is None else moment_of(since, name="since")
            async with parts.db.transaction() as tx:
                found = await parts.store(tx).list_stored(since=begin, before=before, limit=size)
            following = None
            if len(found) == size:
                last = found[-1]
                following = encode_cursor([last.stored_at.isoformat(), str(last.payout.payout_id)])
            items = [known_payout_answer(one.payout, stored_at=one.stored_at) for one in found]
            return PageOf(items=items, next_cursor=following)

    return KnownController
