"""Lists of payouts: one set of filters for players and staff."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
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
from prizewire_contracts import text
from prizewire_money import AssetRegistry
from prizewire_payouts.http import Context
from prizewire_payouts.methods.domain import Method, MethodUnreadable
from prizewire_payouts.methods.ports import MethodTypes, ShownDetails, Vault
from prizewire_payouts.methods.storage import MethodStorage
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.domain.states import CLOSING, NOT_ARRIVED_YET, PayoutNotFound, PayoutState
from prizewire_payouts.payouts.http.answers import detail_answer, payout_answer, queued_answer
from prizewire_payouts.payouts.http.models import PayoutAnswer, PayoutDetailAnswer, QueuedAnswer
from prizewire_payouts.payouts.http.queue import (
    QueueFilters,
    amount_range,
    check_order,
    cursor_of,
    order_of,
    sort_key,
)
from prizewire_payouts.payouts.storage.queries import PayoutFilter, PayoutQueries, StaffNotes
from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.unit_of_work import UnitOfWork

PAGE_MAX = 10_000


LISTING_REFUSALS: Refusals = {
    400: ("state_unknown", "asset_unknown", "rail_unknown", "period_invalid"),
    422: ("state_given_twice",),
}


_STATES = (*PayoutState, "closing")


_ONE_STATE = "|".join(_STATES)


_STATE_SCHEMA = {
    "type": "string",
    "pattern": f"^({_ONE_STATE})(,({_ONE_STATE}))*$",
    "examples": ["held,closing"],
}


_VISIBLE_PATTERN = "^[!-~]+$"


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutContext(Context):
    """The context of payouts' controllers, with the rails and assets that lists are filtered by. Details are opened with the vault, for
    masking only.
    """

    rails: Sequence[Rail]
    assets: AssetRegistry
    vault: Vault
    types: MethodTypes

    def shown(self, payout: Payout, method: Method | None) -> ShownDetails | None:
        """Where a payout is paid, masked; None where its details are not there."""
        if method is None:
            if payout.address is None:
                return None
            memo = {} if payout.memo is None else {"memo": payout.memo}
            return self.types.shown(
                method_type=payout.method_type, details={"address": payout.address, **memo}
            )
        try:
            details = self.vault.open(method=method).details
        except MethodUnreadable:
            return None
        return self.types.shown(method_type=method.type, details=details)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """The query parameters of a list of payouts, as they were sent. ``status`` is the name of earlier systems for
    ``states``.
    """

    states: str | None
    status: str | None
    asset: str | None
    rail: str | None
    method_id: UUID | None
    campaign: UUID | None
    competition: str | None
    source: str | None
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
        status: Annotated[
            str | None,
            QueryParameter(
                description="The name of earlier systems for `state`. Only one of the two is given.",
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
        campaign: Annotated[
            UUID | None, QueryParameter(description="Of prizes of one campaign, paid directly.")
        ] = None,
        competition: Annotated[
            str | None,
            QueryParameter(
                description="Of prizes of one competition, paid directly.",
                min_length=1,
                max_length=text.NAME_LENGTH_MAX,
            ),
        ] = None,
        source: Annotated[
            str | None,
            QueryParameter(
                description="Of prizes whose match one source reported, paid directly.",
                min_length=1,
                max_length=256,
                pattern=_VISIBLE_PATTERN,
                schema_extra={"pattern": _VISIBLE_PATTERN},
            ),
        ] = None,
        correlation_id: Annotated[
            str | None,
            QueryParameter(
                description="Of one match or payout.",
                min_length=1,
                max_length=128,
                pattern=_VISIBLE_PATTERN,
                schema_extra={"pattern": _VISIBLE_PATTERN},
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
            status=status,
            asset=asset,
            rail=rail,
            method_id=method_id,
            campaign=campaign,
            competition=competition,
            source=source,
            correlation_id=correlation_id,
            since=since,
            until=until,
            cursor=cursor,
            limit=limit,
        )

    return provide


async def own_page(context: PayoutContext, query: Filters, *, player: str) -> PageOf[PayoutAnswer]:
    """One page of a player's payouts, and of those paid to the player in another one's place, newest request first.

    Raises:
        Problem: see ``filter_of``.
    """
    wanted = replace(filter_of(context, query, player=None), person=player)

    async def read(unit_of_work: UnitOfWork) -> tuple[list[Payout], dict[UUID, StaffNotes]]:
        queries = PayoutQueries(unit_of_work)
        await check_rail(context, queries, query.rail)
        found = await queries.page(wanted)
        return found, await queries.notes(found)

    found, notes = await context.read(read)
    return BY_TIME_AND_ID.page(
        found,
        limit=wanted.limit,
        key=lambda payout: (payout.requested_at, payout.payout_id),
        show=lambda payout: payout_answer(payout, notes=notes[payout.payout_id]),
    )


async def queue_page(
    context: PayoutContext,
    query: Filters,
    queue: QueueFilters,
    *,
    player: str | None,
    page: int | None,
    now: datetime,
) -> PageOf[QueuedAnswer]:
    """One page of everybody's payouts, with who has approved each and who may not decide. ``page`` counts from 1, as earlier
    systems did.

    Raises:
        Problem: see ``filter_of``; 400 or 422 for what ``QUEUE_REFUSALS`` names.
    """
    wanted = filter_of(context, query, player=player, page=page, queue=queue)
    check_order(wanted)

    by = wanted.order.by

    async def read(unit_of_work: UnitOfWork) -> PageOf[QueuedAnswer]:
        queries = PayoutQueries(unit_of_work)
        await check_rail(context, queries, query.rail)
        found = await queries.page(wanted)
        notes = await queries.notes(found)
        methods = await MethodStorage(unit_of_work).find(
            {payout.method_id for payout in found if payout.method_id is not None}
        )
        return cursor_of(by).page(
            found,
            limit=wanted.limit,
            key=sort_key(by),
            show=lambda payout: queued_answer(
                payout,
                notes=notes[payout.payout_id],
                shown=context.shown(
                    payout, None if payout.method_id is None else methods.get(payout.method_id)
                ),
                now=now,
            ),
        )

    return await context.read(read)


def filter_of(
    context: PayoutContext,
    query: Filters,
    *,
    player: str | None,
    page: int | None = None,
    queue: QueueFilters | None = None,
) -> PayoutFilter:
    """Which payouts a request asks for.

    Raises:
        Problem: 400 ``state_unknown``, ``asset_unknown``, ``period_invalid``, ``cursor_invalid``, ``page_invalid``,
            ``limit_invalid`` or ``sort_unknown``; 422 ``state_given_twice``, ``amount_needs_asset`` or ``amount_invalid``.
    """
    queue = queue or QueueFilters()
    size = page_limit(query.limit)
    if page is not None and not 1 <= page <= PAGE_MAX:
        raise Problem(status=400, code="page_invalid", detail=f"page is between 1 and {PAGE_MAX}")
    if query.asset is not None and query.asset not in context.assets:
        raise Problem(status=400, code="asset_unknown", detail=context.assets.refusal_of(query.asset))
    if query.states is not None and query.status is not None:
        detail = "`status` is another name of `state`: give one of the two"
        raise Problem(status=422, code="state_given_twice", detail=detail)
    begin, end = period_of(query.since, query.until)
    order = order_of(queue.sort)
    least, most = amount_range(queue, None if query.asset is None else context.assets[query.asset])
    return PayoutFilter(
        states=_states(query.states if query.status is None else query.status),
        player=player,
        correlation_id=query.correlation_id,
        rail=query.rail,
        asset=query.asset,
        method_id=query.method_id,
        campaign=None if query.campaign is None else str(query.campaign),
        competition=query.competition,
        source=query.source,
        since=begin,
        until=end,
        payee=queue.payee,
        code=queue.code,
        batch_id=queue.batch,
        amount_from=None if least is None else least.minor,
        amount_to=None if most is None else most.minor,
        order=order,
        after=cursor_of(order.by).read(query.cursor),
        offset=0 if page is None or query.cursor is not None else (page - 1) * size,
        limit=size,
    )


async def check_rail(context: PayoutContext, queries: PayoutQueries, rail: str | None) -> None:
    """Whether there is or was a rail of this name.

    Raises:
        Problem: 400 ``rail_unknown``.
    """
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
            summary="Your payouts, and those paid to you in another player's place, newest first",
            dependencies={"wanted": Provide(filters_of(context), sync_to_thread=False)},
            refusals=LISTING_REFUSALS,
        )
        async def own(
            self, wanted: ListingQuery, request: Request[Principal, Any, Any]
        ) -> PageOf[PayoutAnswer]:
            return await own_page(context, wanted, player=request.user.player)

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
                if payout is None or not (staff or user.player in (payout.player, payout.payee)):
                    # the same answer for both, so that a player cannot find out ids of others
                    whose = "there is" if staff else "you have"
                    raise PayoutNotFound(f"{whose} no payout {payout_id}{NOT_ARRIVED_YET}")
                attempts = await queries.attempts(payout_id)
                retries = await queries.retries(payout_id)
                evidence = await queries.evidence(payout_id) if staff else []
                notes = (await queries.notes([payout]))[payout_id]
                methods = await MethodStorage(unit_of_work).find(
                    [payout.method_id] if payout.method_id is not None else []
                )
                return detail_answer(
                    payout,
                    attempts=attempts,
                    retries=retries,
                    notes=notes,
                    evidence=evidence,
                    shown=context.shown(payout, next(iter(methods.values()), None)),
                    for_staff=staff,
                )

            return await context.read(find)

    return PayoutsController
