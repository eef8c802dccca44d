"""``/api/wallet/entries``: entry fees that players pay by themselves."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import page_limit
from prizewire_chassis.http.answers import PageOf
from prizewire_contracts import ids
from prizewire_rewards import metrics
from prizewire_rewards.domain.entries import Entry
from prizewire_rewards.entrypoints.answers.entries import EntryAnswer
from prizewire_rewards.entrypoints.http.codes import refusing
from prizewire_rewards.entrypoints.http.front import Front, IdempotencyKey, page_of, player_of, time_cursor
from prizewire_rewards.entrypoints.http.money_bodies import EntryBody
from prizewire_rewards.entrypoints.http.parameters import PlayerFilter
from prizewire_rewards.handlers.entries import enter_by_player


class EntryController(Controller):
    """Entries into rounds."""

    path = "/api/wallet/entries"
    tags = ["wallet"]  # noqa: RUF012 - Litestar reads a plain list

    @post(
        guards=[require(Role.PLAYER)],
        summary="Enter an open round and pay its fee",
        refusals=refusing("round_unknown", "entry_not_offered", "insufficient_balance"),
    )
    async def enter(
        self,
        *,
        front: NamedDependency[Front],
        data: JSONBody[EntryBody],
        request: Request[Principal, Any, Any],
        key: IdempotencyKey = None,
    ) -> Response[EntryAnswer]:
        """Take the fee from top-ups first, then from winnings. Who is in already pays nothing more."""
        round_id = data.round_id or ids.round_id(source=data.match_source or "", match_id=data.match_id or "")

        async def work(tx: AsyncConnection, identifier: UUID) -> tuple[int, EntryAnswer]:
            del identifier  # a player enters a round once, whatever the key
            entry, reached = await enter_by_player(
                round_id=round_id,
                player=request.user.player,
                work=front.works.of(tx),
                now=front.clock.now(),
            )
            after_commit(tx, lambda: metrics.count_entries(reached))
            return 201, _entry(front, entry)

        return await front.once(
            principal=request.user,
            route="POST /api/wallet/entries",
            key=key,
            body=data.model_dump(mode="json"),
            work=work,
            answers=EntryAnswer,
        )

    @get(guards=[require()], summary="Entries of a player, newest first")
    async def listing(
        self,
        *,
        front: NamedDependency[Front],
        request: Request[Principal, Any, Any],
        player: PlayerFilter = None,
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int | None] = None,
    ) -> PageOf[EntryAnswer]:
        """What was paid out of which bucket, and what became of it; operators and admins name a player."""
        size = page_limit(limit)
        owner = player_of(request.user, player)
        before = time_cursor(cursor)
        found = await front.read(
            lambda queries: queries.round_entries(player=owner, limit=size, before=before)
        )
        last = [found[-1].entered_at.isoformat(), str(found[-1].id)] if found else None
        return page_of([_entry(front, entry) for entry in found], limit=size, cursor=last)


def _entry(front: Front, entry: Entry) -> EntryAnswer:
    return EntryAnswer(
        entry_id=entry.id,
        round_id=entry.round_id,
        match_source=entry.match_source,
        match_id=entry.match_id,
        player=entry.player,
        asset=entry.asset,
        amount=front.wire(entry.asset, entry.amount),
        from_topup=front.wire(entry.asset, entry.from_topup),
        from_winnings=front.wire(entry.asset, entry.from_winnings),
        state=entry.state,
        code=entry.code,
        correlation_id=entry.correlation_id,
        entered_at=entry.entered_at,
    )
