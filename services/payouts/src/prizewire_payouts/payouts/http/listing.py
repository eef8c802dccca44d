"""Lists of payouts: one set of filters for players and staff."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import BY_TIME_AND_ID, Problem, page_limit
from prizewire_chassis.http.answers import PageOf
from prizewire_chassis.http.moments import END_SCHEMA, MOMENT_SCHEMA, period_of
from prizewire_chassis.http.refusals import Refusals
from prizewire_money import AssetRegistry
from prizewire_payouts.http import Context
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.domain.states import CLOSING, NOT_ARRIVED_YET, PayoutNotFound, PayoutState
from prizewire_payouts.payouts.http.answers import (
    PayoutAnswer,
    PayoutDetailAnswer,
    detail_answer,
    payout_answer,
)
from prizewire_payouts.payouts.storage.queries import PayoutFilter, PayoutQueries
from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.unit_of_work import UnitOfWork

PAGE_MAX = 10_000


LISTING_REFUSALS: Refusals = {400: ("state_unknown", "asset_unknown", "rail_unknown", "period_invalid")}


_STATES = (*PayoutState, "closing")


_ONE_STATE = "|".join(_STATES)


_STATE_SCHEMA = {
    "type": "string",
    "pattern": f"^({_ONE_STATE})(,({_ONE_STATE}))*$",
    "examples": ["held,closing"],
}


_CORRELATION_PATTERN = "^[!-~]+$"


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutContext(Context):
    """The context of payouts' controllers, with the rails and assets that lists are filtered by."""

    rails: Sequence[Rail]
    assets: AssetRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """The query parameters of a list of payouts, as they were sent."""

    states: str | None
    asset: str | None
    rail: str | None
    method_id: UUID | None
    correlation_id: str | None
    since: str | None
    until: str | None
    cursor: str | None
    limit: int | None


def filters_of(context: PayoutContext) -> Callable[..., Filters]:
    """The provider of ``ListingQuery``, whose parameters name the assets and rails that there are."""
    assets = {"type": "string", "enum": sorted(context.assets)}
    rails = {"type": "string", "enum": sorted(rail.name for rail in context.rails)}

    def provide(
        *,
        states: Annotated[
            str | None,
            QueryParameter(
                name="state",
                description="States, separated by commas. `closing` stands for all of `closing_…`.",
                schema_extra=_STATE_SCHEMA,
            ),
        ] = None,
        asset: Annotated[
            str | None, QueryParameter(description="An asset's code.", schema_extra=assets)
        ] = None,
        rail: Annotated[
            str | None,
            QueryParameter(
                description="A rail that is configured, or one that payouts were routed to before.",
                schema_extra=rails,
            ),
        ] = None,
        method_id: Annotated[UUID | None, QueryParameter(description="To one payout method.")] = None,
        correlation_id: Annotated[
            str | None,
            QueryParameter(
                description="Of one match or payout.",
                min_length=1,
                max_length=128,
                pattern=_CORRELATION_PATTERN,
                schema_extra={"pattern": _CORRELATION_PATTERN},
            ),
        ] = None,
        since: Annotated[
            str | None,
            QueryParameter(
                name="from",
                description="Requested at this moment or later. A date is its beginning in UTC.",
                schema_extra=dict(MOMENT_SCHEMA),
            ),
        ] = None,
        until: Annotated[
            str | None,
            QueryParameter(
                name="to",
                description="Requested earlier than this moment, which is after `from`. A date is its beginning in UTC.",
                schema_extra=dict(END_SCHEMA),
            ),
        ] = None,
        cursor: Annotated[str | None, QueryParameter()] = None,
        limit: Annotated[int | None, QueryParameter()] = None,
    ) -> Filters:
        return Filters(
            states=states,
            asset=asset,
            rail=rail,
            method_id=method_id,
            correlation_id=correlation_id,
            since=since,
            until=until,
            cursor=cursor,
            limit=limit,
        )

    return provide


async def page_of(
    context: PayoutContext, query: Filters, *, player: str | None, page: int | None = None
) -> PageOf[PayoutAnswer]:
    """One page, newest request first; of one player, or of everybody. ``page`` counts from 1, as earlier systems did.

    Raises:
        Problem: 400 ``state_unknown``, ``asset_unknown``, ``rail_unknown``, ``period_invalid``, ``cursor_invalid``,
            ``page_invalid`` or ``limit_invalid``.
    """
    size = page_limit(query.limit)
    if page is not None and not 1 <= page <= PAGE_MAX:
        raise Problem(status=400, code="page_invalid", detail=f"page is between 1 and {PAGE_MAX}")
    if query.asset is not None and query.asset not in context.assets:
        raise Problem(status=400, code="asset_unknown", detail=context.assets.refusal_of(query.asset))
    begin, end = period_of(query.since, query.until)
    wanted = PayoutFilter(
        states=_states(query.states),
        player=player,
        correlation_id=query.correlation_id,
        rail=query.rail,
        asset=query.asset,
        method_id=query.method_id,
        since=begin,
        until=end,
        before=BY_TIME_AND_ID.read(query.cursor),
        offset=0 if page is None or query.cursor is not None else (page - 1) * size,
        limit=size,
    )

    async def read(unit_of_work: UnitOfWork) -> list[Payout]:
        queries = PayoutQueries(unit_of_work)
        await _check_rail(context, queries, query.rail)
        return await queries.page(wanted)

    return BY_TIME_AND_ID.page(
        await context.read(read),
        limit=size,
        key=lambda payout: (payout.requested_at, payout.payout_id),
        show=payout_answer,
    )


async def _check_rail(context: PayoutContext, queries: PayoutQueries, rail: str | None) -> None:
    configured = [one.name for one in context.rails]
    if rail is not None and rail not in configured and not await queries.has_rail(rail):
        detail = f"there is no rail {rail}: use one of {', '.join(configured)}"
        raise Problem(status=400, code="rail_unknown", detail=detail)


def _states(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    found: list[str] = []
    for name in text.split(","):
        if name not in _STATES:
            detail = (
                f"there is no state {name!r}: use one or more of {', '.join(_STATES)}, with commas between"
            )
            raise Problem(status=400, code="state_unknown", detail=detail)
        found.extend(CLOSING if name == "closing" else (name,))
    return tuple(dict.fromkeys(found))


ListingQuery = NamedDependency[Filters]
"""The query parameters of a list of payouts, read by what ``filters_of`` returns."""


_STAFF = (Role.OPERATOR, Role.APPROVER, Role.ADMIN)


def payouts_controller(context: PayoutContext) -> type[Controller]:
    """The controller over this context."""

    class PayoutsController(Controller):
        path = "/api/payouts"
        guards = [require(Role.PLAYER, *_STAFF)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts"]  # noqa: RUF012 - Litestar reads a plain list

        @get(
            "/",
            summary="Your payouts, newest first",
            dependencies={"wanted": Provide(filters_of(context), sync_to_thread=False)},
            refusals=LISTING_REFUSALS,
        )
        async def own(
            self, wanted: ListingQuery, request: Request[Principal, Any, Any]
        ) -> PageOf[PayoutAnswer]:
            return await page_of(context, wanted, player=request.user.player)

        @get(
            "/{payout_id:uuid}",
            summary="One payout with its attempts and proof",
            refusals={404: ("payout_not_found",)},
        )
        async def one(
            self, payout_id: FromPath[UUID], request: Request[Principal, Any, Any]
        ) -> PayoutDetailAnswer:
            user = request.user
            staff = user.has(*_STAFF)

            async def find(unit_of_work: UnitOfWork) -> PayoutDetailAnswer:
                queries = PayoutQueries(unit_of_work)
                payout = await queries.find(payout_id)
                if payout is None or not (staff or payout.player == user.player):
                    # the same answer for both, so that a player cannot find out ids of others
                    raise PayoutNotFound(f"you have no payout {payout_id}{NOT_ARRIVED_YET}")
                attempts = await queries.attempts(payout_id)
                return detail_answer(payout, attempts=attempts, for_staff=staff)

            return await context.read(find)

    return PayoutsController
