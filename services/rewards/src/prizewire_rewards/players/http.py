"""Facts of players over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Controller, Request, delete, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody
from pydantic import Field

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Problem
from prizewire_chassis.http.answers import AnswerModel, Moment
from prizewire_contracts.envelope import Timestamp
from prizewire_contracts.text import EventReason, is_name
from prizewire_rewards.http.bodies import Body, Player, PlayerInPath
from prizewire_rewards.http.codes import STATUSES
from prizewire_rewards.http.context import OVERSEERS, Context, RewardsAction
from prizewire_rewards.ledger.ports import Tools
from prizewire_rewards.players.domain import KycState, PlayerFacts
from prizewire_rewards.players.handlers import forget_player, set_facts
from prizewire_rewards.players.ports import PlayerPorts
from prizewire_rewards.players.storage import SqlPlayers

_Context = Context[PlayerPorts, Tools]
_Action = RewardsAction[PlayerPorts]

At = Annotated[
    Moment | None, Field(description="When this fact was reported. Null if it never was.", examples=[None])
]


class PlayerAnswer(AnswerModel):
    """Facts of a player. Device and address are not shown, only whether they are known."""

    player: Player
    registered_at: Annotated[
        Moment | None,
        Field(description="When the account was made.", examples=["2026-01-05T10:00:00Z"]),
    ]
    registered_at_told: At
    kyc_state: Annotated[
        KycState | None,
        Field(description="How far the player's identity was checked.", examples=["verified"]),
    ]
    kyc_state_told: At
    device_known: Annotated[bool, Field(examples=[True])]
    device_told: At
    address_known: Annotated[bool, Field(examples=[False])]
    address_told: At


Identifier = EventReason
"""A raw identifier. It is hashed unchanged, because game servers hash the same text."""


class PlayerBody(Body):
    """Facts of a player. A fact that is left out stays as it is."""

    registered_at: Timestamp | None = Field(
        None, description="When the account was made.", examples=["2024-01-05T10:00:00Z"]
    )
    kyc_state: Literal["none", "pending", "verified", "rejected"] | None = Field(
        None, description="How far the player's identity was checked.", examples=["verified"]
    )
    device: Identifier | None = Field(
        None, description="A device's identifier. Only its keyed hash is kept.", examples=["device-4711"]
    )
    address: Identifier | None = Field(
        None, description="An address. Only its keyed hash is kept.", examples=["1 Main Street, Springfield"]
    )


class PlayerController(Controller):
    """Facts for risk rules."""

    path = "/api/players"
    tags = ["players"]  # noqa: RUF012 - Litestar reads a plain list

    @get(
        "/{player:str}",
        guards=[require(*OVERSEERS)],
        summary="Facts of a player",
        refusals=STATUSES.refusals("player_unknown"),
    )
    async def one(self, *, context: NamedDependency[_Context], player: PlayerInPath) -> PlayerAnswer:
        """Each fact with the time at which it was reported. Device and address are not shown, only whether they are known."""
        facts = await context.read(lambda tx: SqlPlayers(tx).get(player))
        if facts is None:
            raise STATUSES.refuse("player_unknown", f"there are no facts of a player {player}")
        return _shown(facts)

    @put(
        "/{player:str}",
        guards=[require(Role.ADMIN)],
        summary="Set facts of a player",
        refusals={400: ("player_invalid",), **STATUSES.refusals("own_facts")},
    )
    async def tell(
        self,
        *,
        context: NamedDependency[_Context],
        player: PlayerInPath,
        data: JSONBody[PlayerBody],
        request: Request[Principal, Any, Any],
    ) -> PlayerAnswer:
        """Store these facts as reported now. Raw values of device and address are hashed and not stored. A person may not set
        facts of their own player id.
        """
        if not is_name(player):
            raise Problem(
                status=400,
                code="player_invalid",
                detail="a player's name must have 1 to 128 visible characters",
            )

        async def change(action: _Action) -> PlayerAnswer:
            known = await set_facts(
                _facts(context, player, data, now=action.now),
                actor=request.user.subject,
                ports=action.unit_of_work,
                now=action.now,
            )
            await action.record(
                "player.told",
                target=player,
                detail={"facts": sorted(data.model_fields_set), "kyc_state": data.kyc_state},
            )
            return _shown(known)

        return await context.change(change, actor=request.user)

    @delete(
        "/{player:str}",
        guards=[require(Role.ADMIN)],
        summary="Erase the facts of a player",
        refusals=STATUSES.refusals("player_unknown", "own_facts"),
    )
    async def forget(
        self,
        *,
        context: NamedDependency[_Context],
        player: PlayerInPath,
        request: Request[Principal, Any, Any],
    ) -> None:
        """Erase the facts. Prizes, transfers and decisions stay: they show what was paid, and why. A person may not erase
        facts of their own player id.
        """

        async def change(action: _Action) -> None:
            await forget_player(player, actor=request.user.subject, ports=action.unit_of_work)
            await action.record("player.forgotten", target=player)

        await context.change(change, actor=request.user)


def _facts(context: _Context, player: str, data: PlayerBody, *, now: datetime) -> PlayerFacts:
    return PlayerFacts(
        player=player,
        registered_at=data.registered_at,
        registered_at_told=now if data.registered_at is not None else None,
        kyc_state=KycState(data.kyc_state) if data.kyc_state is not None else None,
        kyc_state_told=now if data.kyc_state is not None else None,
        device_hash=context.hash_fact("device", data.device) if data.device is not None else None,
        device_hash_told=now if data.device is not None else None,
        address_hash=context.hash_fact("address", data.address) if data.address is not None else None,
        address_hash_told=now if data.address is not None else None,
    )


def _shown(facts: PlayerFacts) -> PlayerAnswer:
    return PlayerAnswer(
        player=facts.player,
        registered_at=facts.registered_at,
        registered_at_told=facts.registered_at_told,
        kyc_state=facts.kyc_state,
        kyc_state_told=facts.kyc_state_told,
        device_known=facts.device_hash is not None,
        device_told=facts.device_hash_told,
        address_known=facts.address_hash is not None,
        address_told=facts.address_hash_told,
    )
