"""Entries over HTTP."""

from functools import partial
from typing import Annotated, Any, Self
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody
from pydantic import ConfigDict, Field, model_validator

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import BY_TIME_AND_ID, RequiredKey, page_limit
from prizewire_chassis.http.answers import AnswerModel, Id, Moment, PageOf
from prizewire_contracts import ids
from prizewire_contracts.text import Ascii, Name
from prizewire_rewards import metrics
from prizewire_rewards.entries.domain import Entry, EntryState
from prizewire_rewards.entries.handlers.entering import enter_by_player
from prizewire_rewards.entries.ports import EntryPorts
from prizewire_rewards.entries.storage import list_entries
from prizewire_rewards.http.bodies import AssetCode, Body, CorrelationId, Money, Player, PlayerFilter, only
from prizewire_rewards.http.codes import STATUSES
from prizewire_rewards.http.context import Amounts, Context, RewardsAction, player_of
from prizewire_rewards.payouts.ports import PayoutTools

_Context = Context[EntryPorts, PayoutTools]
_Action = RewardsAction[EntryPorts]


class EntryAnswer(AnswerModel):
    """A player's entry into a round. `from_topup` and `from_winnings` add up to `amount`; both are zero where it was refused."""

    entry_id: Id
    round_id: Id
    match_source: Annotated[str, Field(description="The game server's source.", examples=["/games/chess"])]
    match_id: Annotated[str, Field(description="The match by that source.", examples=["4711"])]
    player: Player
    asset: AssetCode
    amount: Annotated[Money, Field(description="The fee.", examples=["2.50"])]
    from_topup: Annotated[Money, Field(description="The part that top-ups paid.", examples=["2.00"])]
    from_winnings: Annotated[Money, Field(description="The part that winnings paid.", examples=["0.50"])]
    state: Annotated[EntryState, Field(examples=["paid"])]
    code: Annotated[
        str | None,
        Field(
            description="Why it was refused or not refunded, as a stable code.",
            examples=[None],
        ),
    ]
    correlation_id: CorrelationId
    entered_at: Annotated[Moment, Field(description="When the entry was first requested.")]


class ChangedEntryAnswer(AnswerModel):
    """An entry, for the comparison with the entry fee of its round."""

    entry_id: Id
    round_id: Id
    player: Player
    asset: AssetCode
    amount: Annotated[Money, Field(description="The fee.", examples=["2.50"])]
    state: Annotated[EntryState, Field(examples=["earned"])]
    changed_at: Annotated[Moment, Field(description="When it was created or last changed.")]


class EntryBody(Body):
    """The round that the player enters, by its id or by its match."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"match_source": "/games/arena", "match_id": "final-7"}],
            "oneOf": [
                only("round_id", without=("match_source", "match_id")),
                only("match_source", "match_id", without=("round_id",)),
            ],
        }
    )

    round_id: UUID | None = Field(
        None, description="The round's id.", examples=["5f0c1b0e-7f0a-5c7e-9a51-0f7a6f9f2b11"]
    )
    match_source: Ascii | None = Field(
        None, description="The game server's source.", examples=["/games/arena"]
    )
    match_id: Name | None = Field(None, description="The match by that source.", examples=["final-7"])

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        by_match = self.match_source is not None and self.match_id is not None
        halves = (self.match_source is None) != (self.match_id is None)
        if halves or (self.round_id is not None) == by_match:
            msg = "name either round_id, or match_source and match_id"
            raise ValueError(msg)
        return self


class EntryController(Controller):
    """Entries into rounds."""

    path = "/api/wallet/entries"
    tags = ["wallet"]  # noqa: RUF012 - Litestar reads a plain list

    @post(
        guards=[require(Role.PLAYER)],
        summary="Enter an open round and pay its fee",
        description="Takes the fee from top-ups first, then from winnings. A player who has entered already pays nothing "
        "more. A refusal here (`insufficient_balance`, `round_unknown`, `entry_not_offered`) is not final: the fee is still charged "
        "if the game server reports the player's entry, so that settlement publishes `round.entered`, and the wallet covers the "
        "fee by then. Each player pays at most once for a round. `GET /api/wallet/entries` shows whether an entry was paid.",
        refusals=STATUSES.refusals("round_unknown", "entry_not_offered", "insufficient_balance"),
    )
    async def enter(
        self,
        *,
        context: NamedDependency[_Context],
        data: JSONBody[EntryBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[EntryAnswer]:
        """Take the fee from top-ups first, then from winnings. A player who has entered already pays nothing more."""
        round_id = data.round_id or ids.round_id(source=data.match_source or "", match_id=data.match_id or "")

        async def enter(action: _Action) -> tuple[int, EntryAnswer]:
            entry, reached = await enter_by_player(
                round_id=round_id,
                player=request.user.player,
                ports=action.unit_of_work,
                tools=context.tools,
                now=action.now,
            )
            after_commit(action.tx, lambda: metrics.count_entries(reached))
            return 201, _entry(context.amounts, entry)

        return await context.once(
            enter,
            answers=EntryAnswer,
            actor=request.user,
            route="POST /api/wallet/entries",
            key=key,
            body=data.model_dump(mode="json"),
        )

    @get(guards=[require()], summary="Entries of a player, newest first")
    async def listing(
        self,
        *,
        context: NamedDependency[_Context],
        request: Request[Principal, Any, Any],
        player: PlayerFilter = None,
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int | None] = None,
    ) -> PageOf[EntryAnswer]:
        """Entries with the buckets that paid and their state. Operators and admins may name a player."""
        size = page_limit(limit)
        owner = player_of(request.user, player)
        before = BY_TIME_AND_ID.read(cursor)
        found = await context.read(lambda tx: list_entries(tx, player=owner, limit=size, before=before))
        return BY_TIME_AND_ID.page(
            found,
            limit=size,
            key=lambda one: (one.entered_at, one.id),
            show=partial(_entry, context.amounts),
        )


def _entry(amounts: Amounts, entry: Entry) -> EntryAnswer:
    return EntryAnswer(
        entry_id=entry.id,
        round_id=entry.round_id,
        match_source=entry.match_source,
        match_id=entry.match_id,
        player=entry.player,
        asset=entry.asset,
        amount=amounts.text(entry.asset, entry.amount),
        from_topup=amounts.text(entry.asset, entry.from_topup),
        from_winnings=amounts.text(entry.asset, entry.from_winnings),
        state=entry.state,
        code=entry.code,
        correlation_id=entry.correlation_id,
        entered_at=entry.entered_at,
    )
