"""``/api/rewards/rounds`` and ``/api/rewards/payouts``: booked rounds, entries and requested payouts, for comparison with
other services.
"""

from datetime import datetime
from functools import partial
from typing import Annotated, Final
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from prizewire_chassis.auth import require
from prizewire_chassis.http import BY_TIME_AND_ID, page_limit
from prizewire_chassis.http.answers import Items, PageOf
from prizewire_chassis.http.moments import MOMENT_SCHEMA, moment_of
from prizewire_rewards.entries.domain import ChangedEntry
from prizewire_rewards.entries.http import ChangedEntryAnswer
from prizewire_rewards.entries.storage import changed_entries
from prizewire_rewards.http.context import OVERSEERS, Amounts, Context
from prizewire_rewards.payouts.domain.model import PayoutState, RequestedPayout
from prizewire_rewards.payouts.storage.views import changed_payouts, requested_payouts
from prizewire_rewards.prizes.domain.states import RoundState
from prizewire_rewards.rounds.domain.commands import BookedRound, RoundSums
from prizewire_rewards.rounds.http.answers import BookedRoundAnswer, RequestedPayoutAnswer, RoundAnswer
from prizewire_rewards.rounds.ports import RoundPorts, RoundTools
from prizewire_rewards.rounds.storage import changed_rounds, round_sums

_Context = Context[RoundPorts, RoundTools]

IDS_MAX: Final = 200
_UUID: Final = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_Ids = Annotated[
    str,
    QueryParameter(
        name="ids",
        pattern=f"^{_UUID}(,{_UUID}){{0,{IDS_MAX - 1}}}$",
        description=f"Ids, separated by commas; at most {IDS_MAX}.",
    ),
]
_Since = Annotated[
    str | None,
    QueryParameter(description="Only changes at this time or later.", schema_extra=dict(MOMENT_SCHEMA)),
]


class RoundController(Controller):
    """Sums of rounds."""

    path = "/api/rewards/rounds"
    tags = ["rewards"]  # noqa: RUF012 - Litestar reads a plain list

    @get(
        guards=[require(*OVERSEERS)],
        summary="Booked sums of rounds: state, settlement version, number and sum of their prizes",
    )
    async def sums(self, *, context: NamedDependency[_Context], ids: _Ids) -> Items[RoundAnswer]:
        """Rounds that were never booked are left out; reversed prizes do not count."""
        wanted = [UUID(one) for one in ids.split(",")]
        found = await context.read(lambda tx: round_sums(tx, wanted))
        return Items(items=[_round(context.amounts, sums) for sums in found])

    @get(
        "/booked",
        guards=[require(*OVERSEERS)],
        summary="Booked rounds, the last change first",
        refusals={400: ("period_invalid",)},
    )
    async def booked(
        self,
        *,
        context: NamedDependency[_Context],
        since: _Since = None,
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int | None] = None,
    ) -> PageOf[BookedRoundAnswer]:
        """A round that changes while the pages are read moves to the first page, and is not on a later page."""
        size = page_limit(limit)
        begin, before = _moment(since), BY_TIME_AND_ID.read(cursor)
        found = await context.read(lambda tx: changed_rounds(tx, since=begin, before=before, limit=size))
        return BY_TIME_AND_ID.page(
            found,
            limit=size,
            key=lambda one: (one.changed_at, one.round_id),
            show=partial(_booked, context.amounts),
        )

    @get(
        "/entries",
        guards=[require(*OVERSEERS)],
        summary="Entries into rounds, the last change first",
        refusals={400: ("period_invalid",)},
    )
    async def entries(
        self,
        *,
        context: NamedDependency[_Context],
        since: _Since = None,
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int | None] = None,
    ) -> PageOf[ChangedEntryAnswer]:
        """An entry that changes while the pages are read moves to the first page, and is not on a later page."""
        size = page_limit(limit)
        begin, before = _moment(since), BY_TIME_AND_ID.read(cursor)
        found = await context.read(lambda tx: changed_entries(tx, since=begin, before=before, limit=size))
        return BY_TIME_AND_ID.page(
            found,
            limit=size,
            key=lambda one: (one.changed_at, one.entry_id),
            show=partial(_entry, context.amounts),
        )


class AskedPayoutController(Controller):
    """Requested payouts."""

    path = "/api/rewards/payouts"
    tags = ["rewards"]  # noqa: RUF012 - Litestar reads a plain list

    @get(guards=[require(*OVERSEERS)], summary="Requested payouts, by their ids")
    async def known(self, *, context: NamedDependency[_Context], ids: _Ids) -> Items[RequestedPayoutAnswer]:
        """Unknown payouts are left out."""
        wanted = [UUID(one) for one in ids.split(",")]
        found = await context.read(lambda tx: requested_payouts(tx, wanted))
        return Items(items=[_requested(context.amounts, one) for one in found])

    @get(
        "/asked",
        guards=[require(*OVERSEERS)],
        summary="Requested payouts, the last change first",
        refusals={400: ("period_invalid",)},
    )
    async def asked(
        self,
        *,
        context: NamedDependency[_Context],
        since: _Since = None,
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int | None] = None,
    ) -> PageOf[RequestedPayoutAnswer]:
        """A payout that changes while the pages are read moves to the first page, and is not on a later page."""
        size = page_limit(limit)
        begin, before = _moment(since), BY_TIME_AND_ID.read(cursor)
        found = await context.read(lambda tx: changed_payouts(tx, since=begin, before=before, limit=size))
        return BY_TIME_AND_ID.page(
            found,
            limit=size,
            key=lambda one: (one.stored_at, one.payout_id),
            show=partial(_requested, context.amounts),
        )


def _moment(since: str | None) -> datetime | None:
    return None if since is None else moment_of(since, name="since")


def _booked(amounts: Amounts, found: BookedRound) -> BookedRoundAnswer:
    def wire(amount: int) -> str:
        return amounts.text(found.asset, amount)

    return BookedRoundAnswer(
        round_id=found.round_id,
        settlement_version=found.settlement_version,
        state=RoundState(found.state),
        final=found.final,
        campaign=found.campaign,
        asset=found.asset,
        gross=wire(found.gross),
        platform_fee=wire(found.platform_fee),
        organizer_fee=wire(found.organizer_fee),
        organizer_player=found.organizer_player,
        unclaimed=wire(found.unclaimed),
        digest=found.digest,
        lines_digest=found.lines_digest,
        taken_back=wire(found.taken_back),
        changed_at=found.changed_at,
    )


def _entry(amounts: Amounts, found: ChangedEntry) -> ChangedEntryAnswer:
    return ChangedEntryAnswer(
        entry_id=found.entry_id,
        round_id=found.round_id,
        player=found.player,
        asset=found.asset,
        amount=amounts.text(found.asset, found.amount),
        state=found.state,
        changed_at=found.changed_at,
    )


def _requested(amounts: Amounts, found: RequestedPayout) -> RequestedPayoutAnswer:
    return RequestedPayoutAnswer(
        payout_id=found.payout_id,
        player=found.player,
        payee=found.payee,
        asset=found.asset,
        pay_amount=amounts.text(found.asset, found.amount),
        state=PayoutState(found.state),
        requested_at=found.requested_at,
        changed_at=found.changed_at,
        stored_at=found.stored_at,
    )


def _round(amounts: Amounts, sums: RoundSums) -> RoundAnswer:
    return RoundAnswer(
        round_id=sums.round_id,
        settlement_version=sums.settlement_version,
        state=RoundState(sums.state),
        final=sums.final,
        campaign=sums.campaign,
        asset=sums.asset,
        gross=amounts.text(sums.asset, sums.gross),
        waits_for=amounts.text(sums.asset, sums.waits_for),
        prizes=sums.prizes,
        prizes_total=amounts.text(sums.asset, sums.prizes_total),
        settled_at=sums.settled_at,
    )
