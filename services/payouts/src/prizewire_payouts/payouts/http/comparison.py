"""`/api/admin/payouts/known`: payouts by their ids or last change, which `prizewire verify` compares with rewards."""

from typing import Annotated, Final
from uuid import UUID

from litestar import Controller, get
from litestar.params import FromQuery, QueryParameter

from prizewire_chassis.auth import Role, require
from prizewire_chassis.http import BY_TIME_AND_ID, page_limit
from prizewire_chassis.http.answers import Items, PageOf
from prizewire_chassis.http.moments import MOMENT_SCHEMA, moment_of
from prizewire_payouts.http.context import Context
from prizewire_payouts.payouts.http.answers import KnownPayoutAnswer, known_payout_answer
from prizewire_payouts.payouts.storage.queries import PayoutFilter, PayoutQueries

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


def known_controller(context: Context) -> type[Controller]:
    """The controller over this context."""

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
            found = await context.read(lambda unit_of_work: PayoutQueries(unit_of_work).page(wanted))
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
            size, before = page_limit(limit), BY_TIME_AND_ID.read(cursor)
            begin = None if since is None else moment_of(since, name="since")
            found = await context.read(
                lambda unit_of_work: PayoutQueries(unit_of_work).changed_page(
                    since=begin, before=before, limit=size
                )
            )
            return BY_TIME_AND_ID.page(
                found,
                limit=size,
                key=lambda one: (one.stored_at, one.payout.payout_id),
                show=lambda one: known_payout_answer(one.payout, stored_at=one.stored_at),
            )

    return KnownController
