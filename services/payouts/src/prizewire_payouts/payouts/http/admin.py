"""`/api/admin/payouts`: payouts of everybody, and cancels by operators. Every cancel is audited."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import Provide
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from pydantic import BaseModel, ConfigDict, Field

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import BY_TIME_AND_ID, Action, RequiredKey, page_limit
from prizewire_chassis.http.answers import Items, PageOf
from prizewire_chassis.http.moments import MOMENT_SCHEMA, moment_of
from prizewire_contracts import text
from prizewire_payouts.http import Context, Reason
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.handlers.operators import announce_end, cancel_payout
from prizewire_payouts.payouts.http.answers import decision_answer, known_payout_answer
from prizewire_payouts.payouts.http.listing import (
    LISTING_REFUSALS,
    PAGE_MAX,
    ListingQuery,
    PayoutContext,
    filters_of,
    queue_page,
)
from prizewire_payouts.payouts.http.models import DecisionAnswer, KnownPayoutAnswer, QueuedAnswer
from prizewire_payouts.payouts.http.queue import QUEUE_REFUSALS, QueueQuery, queue_filters
from prizewire_payouts.payouts.storage.payouts import PayoutStorage
from prizewire_payouts.payouts.storage.queries import PayoutFilter, PayoutQueries
from prizewire_payouts.unit_of_work import UnitOfWork


def admin_controller(context: PayoutContext) -> type[Controller]:
    """The controller over this context."""

    class AdminController(Controller):
        path = "/api/admin/payouts"
        guards = [require(Role.OPERATOR, Role.APPROVER, Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @get(
            "/",
            summary="The queue: payouts of one player, or of everybody",
            description="Newest first without `sort`. With `state=held` it shows what waits for a person.",
            dependencies={
                "wanted": Provide(filters_of(context), sync_to_thread=False),
                "queue": Provide(queue_filters, sync_to_thread=False),
            },
            refusals={
                400: (*LISTING_REFUSALS[400], *QUEUE_REFUSALS[400], "page_invalid"),
                422: (*LISTING_REFUSALS[422], *QUEUE_REFUSALS[422]),
            },
        )
        async def list_payouts(
            self,
            wanted: ListingQuery,
            queue: QueueQuery,
            player: Annotated[
                str | None,
                QueryParameter(description="Whose payouts.", min_length=1, max_length=text.NAME_LENGTH_MAX),
            ] = None,
            page: Annotated[
                int | None,
                QueryParameter(
                    description="As earlier systems count, from 1. A cursor goes before it.",
                    schema_extra={"type": "integer", "minimum": 1, "maximum": PAGE_MAX},
                ),
            ] = None,
        ) -> PageOf[QueuedAnswer]:
            return await queue_page(context, wanted, queue, player=player, page=page, now=context.clock.now())

        @post(
            "/{payout_id:uuid}/cancel",
            status_code=202,
            summary="Ask for a payout to be cancelled",
            description="A payout out of a funding account whose request has not arrived here yet (404) is cancelled at "
            "`POST /api/payouts/create/{payout_id}/cancel`.",
            refusals={404: ("payout_not_found",), 409: ("not_cancellable",)},
        )
        async def cancel(
            self,
            payout_id: FromPath[UUID],
            data: JSONBody[Reason],
            request: Request[Principal, Any, Any],
            key: RequiredKey = None,
        ) -> Response[DecisionAnswer]:
            async def cancel(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, DecisionAnswer]:
                payout = await cancel_payout(
                    PayoutStorage(action.unit_of_work),
                    payout_id=payout_id,
                    by=action.actor.subject,
                    reason=data.reason,
                    now=action.now,
                )
                await record_decision(action, "payout.cancel_asked", payout, reason=data.reason)
                return 202, decision_answer(payout, approvers=())

            return await context.once(
                cancel,
                answers=DecisionAnswer,
                actor=request.user,
                route=f"POST /api/admin/payouts/{payout_id}/cancel",
                key=key,
                body=data.model_dump(),
            )

    return AdminController


async def record_decision(
    action: Action[UnitOfWork, UnitOfWork], name: str, payout: Payout, *, reason: str | None
) -> None:
    """Add an audit record of what the caller decided about a payout."""
    await action.record(
        name,
        target=str(payout.payout_id),
        reason=reason,
        detail={
            "state": str(payout.state),
            "amount": payout.amount.to_wire(),
            "asset": payout.amount.asset.code,
        },
        correlation_id=payout.correlation_id,
    )


class Announcement(BaseModel):
    """Why the end is announced again."""

    model_config = ConfigDict(extra="forbid")

    reason: text.Reason = Field(examples=["rewards' copy of the event was discarded by mistake"])


def announcing_controller(context: Context) -> type[Controller]:
    """The controller over this context."""

    class AnnouncingController(Controller):
        path = "/api/admin/payouts"
        guards = [require(Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @post(
            "/{payout_id:uuid}/announce",
            status_code=202,
            summary="Announce the end of a payout again",
            description="For a payout that has ended here while rewards has it open (`payouts_were_asked_for` of "
            "`prizewire verify`): the event of its end was lost or discarded. The same end is announced with a new version. "
            "Rewards takes it once; subscribers of webhooks get it again. Where rewards parks it with `version_gap`, discard it there and "
            "announce the end once more.",
            refusals={404: ("payout_not_found",), 409: ("not_ended", "attempt_unproved")},
        )
        async def announce(
            self,
            payout_id: FromPath[UUID],
            data: JSONBody[Announcement],
            request: Request[Principal, Any, Any],
            key: RequiredKey = None,
        ) -> Response[KnownPayoutAnswer]:
            async def announce(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, KnownPayoutAnswer]:
                payout = await announce_end(
                    PayoutStorage(action.unit_of_work), payout_id=payout_id, by=action.actor.subject
                )
                await action.record(
                    "payout.announced",
                    target=str(payout_id),
                    reason=data.reason,
                    detail={"state": str(payout.state)},
                    correlation_id=payout.correlation_id,
                )
                return 202, known_payout_answer(payout)

            return await context.once(
                announce,
                answers=KnownPayoutAnswer,
                actor=request.user,
                route=f"POST /api/admin/payouts/{payout_id}/announce",
                key=key,
                body=data.model_dump(),
            )

    return AnnouncingController


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
