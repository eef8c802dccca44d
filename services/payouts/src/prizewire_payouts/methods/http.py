"""`/api/payout-methods`: the payout methods of players. Answers never show details in full."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter
from pydantic import BaseModel, ConfigDict, Field

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import Action, OptionalKey
from prizewire_chassis.http.answers import AnswerModel, Id, Items, Moment
from prizewire_chassis.http.refusals import Refusals
from prizewire_contracts.text import NAME_LENGTH_MAX, PRINTABLE_OR_EMPTY, Name, Word
from prizewire_payouts.errors import DetailsError
from prizewire_payouts.http import ADDRESS_EXAMPLE, STAFF, STATUSES, Context, player_of
from prizewire_payouts.methods.adapters import InstalledTypes
from prizewire_payouts.methods.domain import Method, MethodState, MethodUnreadable
from prizewire_payouts.methods.handlers import make_default, register, remove
from prizewire_payouts.methods.ports import ShownDetails, Vault
from prizewire_payouts.methods.storage import MethodStorage
from prizewire_payouts.metrics import METHODS
from prizewire_payouts.unit_of_work import UnitOfWork
from prizewire_railkit.method_types.installed import installed_method_types

_DETAIL = {"maxLength": 256, "pattern": PRINTABLE_OR_EMPTY}
_Detail = Annotated[str, Field(max_length=256, pattern=PRINTABLE_OR_EMPTY)]
"""Encrypted and hashed as it is sent, so never normalized."""
_DetailName = Annotated[str, Field(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
_DETAILS_MAX = 32
_Player = Annotated[
    str | None,
    QueryParameter(
        description="Whose method. Staff who are no players must name it.",
        min_length=1,
        max_length=NAME_LENGTH_MAX,
    ),
]
_OF_PLAYER = ("player_required",)
_NOT_OWN: Refusals = {404: ("method_not_found",), 409: ("method_removed",), 422: _OF_PLAYER}


def _describe_types(schema: dict[str, Any]) -> None:
    InstalledTypes(installed_method_types()).describe(schema, text=_DETAIL)


class NewMethod(BaseModel):
    """A payout method to register. Registering the same destination again makes no second one."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, json_schema_extra=_describe_types)

    type: Word = Field(description="The method type.", examples=["stellar"])
    details: dict[_DetailName, _Detail | None] = Field(
        repr=False,
        max_length=_DETAILS_MAX,
        description="Where the method leads, as its type needs it.",
        examples=[{"address": ADDRESS_EXAMPLE}],
    )
    default: bool = Field(
        False, strict=True, description="Whether prizes go there from now on.", examples=[True]
    )
    player: Name | None = Field(
        None,
        description="Whose method it is. Null: your own; staff who are no players must name it.",
        examples=[None],
    )


class MethodAnswer(AnswerModel):
    """A payout method of a player."""

    id: Id
    version: Annotated[int, Field(description="Counts the changes of its standing, from 1.", examples=[1])]
    player: Annotated[str, Field(examples=["ana"])]
    type: Annotated[str, Field(examples=["stellar"])]
    state: Annotated[MethodState, Field(examples=["active"])]
    is_default: Annotated[bool, Field(description="Whether prizes go there.", examples=[True])]
    verified: Annotated[
        bool, Field(description="Whether its owner was proved by a code or a signature.", examples=[False])
    ]
    destination: (
        Annotated[
            str,
            Field(
                description="Address or account, masked. Null where the stored details cannot be read: nothing is paid to such a method.",
                examples=["GA5Z…KZVN"],
            ),
        ]
        | None
    )
    memo: Annotated[str, Field(description="The memo, masked.", examples=["77…"])] | None
    registered_by: Annotated[
        Literal["player", "staff"],
        Field(
            description="Who registered the destination. A payout to a method of the staff waits for an approver.",
            examples=["player"],
        ),
    ]
    registered_at: Moment
    usable_from: Moment
    shared_with: Annotated[
        int | None,
        Field(
            description="How many other players have an active method with the same destination. Null for players, and "
            "outside the list.",
            examples=[0],
        ),
    ]


def method_answer(
    method: Method, *, shown: ShownDetails | None, shared_with: int | None = None
) -> MethodAnswer:
    """A method, with its details masked; ``shown`` is None where they cannot be read."""
    return MethodAnswer(
        id=method.method_id,
        version=method.version,
        player=method.owner,
        type=method.type,
        state=method.state,
        is_default=method.is_default,
        verified=method.verified,
        destination=None if shown is None else shown.destination,
        memo=None if shown is None else shown.memo,
        registered_by="staff" if method.by_staff else "player",
        registered_at=method.registered_at,
        usable_from=method.usable_from,
        shared_with=shared_with,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodContext(Context):
    """The context of the controller of payout methods: details are opened with the vault, for masking only. ``served`` are the rail
    types that pay to each method type. Nothing is paid to a new method before ``cool_down`` is over.
    """

    vault: Vault
    types: InstalledTypes
    served: Mapping[str, tuple[str, ...]]
    cool_down: timedelta = timedelta()

    def show(self, method: Method, *, shared_with: int | None = None) -> MethodAnswer:
        """A method as it is answered, with its destination masked."""
        try:
            details = self.vault.open(method=method).details
        except MethodUnreadable:
            shown = None
        else:
            shown = self.types.shown(method_type=method.type, details=details)
        return method_answer(method, shown=shown, shared_with=shared_with)


def methods_controller(context: MethodContext) -> type[Controller]:
    """The controller over this context."""

    class MethodsController(Controller):
        path = "/api/payout-methods"
        guards = [require(Role.PLAYER, *STAFF)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payout methods"]  # noqa: RUF012 - Litestar reads a plain list

        @post(
            "/",
            summary="Register a payout method; the first one becomes the default",
            responses={
                200: ResponseSpec(
                    MethodAnswer,
                    description="The destination was registered before.",
                    generate_examples=False,
                )
            },
            refusals={
                409: ("too_many_methods",),
                422: [*context.types.codes(), "method_type_unserved", *_OF_PLAYER],
            },
        )
        async def create(
            self, data: JSONBody[NewMethod], request: Request[Principal, Any, Any], key: OptionalKey = None
        ) -> Response[MethodAnswer]:
            player = player_of(request.user, data.player, what="payout methods")
            try:
                terms = context.types.read(
                    method_type=data.type,
                    details={name: value for name, value in data.details.items() if value is not None},
                )
            except DetailsError as error:
                raise STATUSES.problem(error) from None
            # the stored request holds a keyed hash of the details: a plain hash could be guessed
            mac = context.vault.destination_mac(method_type=terms.type, details=terms.details).hex()

            async def create(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, MethodAnswer]:
                found = await register(
                    MethodStorage(action.unit_of_work),
                    method_id=action.id,
                    player=player,
                    terms=terms,
                    rail_types=context.served.get(terms.type, ()),
                    default=data.default,
                    vault=context.vault,
                    actor=action.actor.subject,
                    now=action.now,
                    cool_down=context.cool_down,
                )
                if found.is_new or found.confirmed:
                    await _record(action, found.method, "registered" if found.is_new else "confirmed")
                return 201 if found.is_new else 200, context.show(found.method)

            return await context.once(
                create,
                answers=MethodAnswer,
                actor=request.user,
                route="POST /api/payout-methods",
                key=key,
                body={"type": data.type, "details": mac, "default": data.default, "player": player},
                key_required=False,
            )

        @get("/", summary="A player's payout methods, newest first", refusals={422: _OF_PLAYER})
        async def list_methods(
            self, request: Request[Principal, Any, Any], player: _Player = None
        ) -> Items[MethodAnswer]:
            owner = player_of(request.user, player, what="payout methods")

            async def read(unit_of_work: UnitOfWork) -> tuple[list[Method], dict[bytes, int]]:
                storage = MethodStorage(unit_of_work)
                known = await storage.of_player(owner)
                active = [one for one in reversed(known) if one.state is MethodState.ACTIVE]
                return active, await storage.players_of_destinations([one.destination_mac for one in active])

            methods, players = await context.read(read)
            staff = request.user.has(*STAFF)
            return Items(
                items=[
                    context.show(
                        method, shared_with=players.get(method.destination_mac, 1) - 1 if staff else None
                    )
                    for method in methods
                ]
            )

        @post(
            "/{method_id:uuid}/default",
            status_code=200,
            summary="Make this the default method",
            refusals=_NOT_OWN,
        )
        async def set_default(
            self,
            method_id: FromPath[UUID],
            request: Request[Principal, Any, Any],
            player: _Player = None,
        ) -> MethodAnswer:
            owner = player_of(request.user, player, what="payout methods")

            async def change(action: Action[UnitOfWork, UnitOfWork]) -> MethodAnswer:
                method = await make_default(
                    MethodStorage(action.unit_of_work),
                    method_id=method_id,
                    player=owner,
                    actor=action.actor.subject,
                    now=action.now,
                )
                await _record(action, method, "defaulted")
                return context.show(method)

            return await context.change(change, actor=request.user)

        @delete("/{method_id:uuid}", status_code=200, summary="Remove a method", refusals=_NOT_OWN)
        async def remove_method(
            self,
            method_id: FromPath[UUID],
            request: Request[Principal, Any, Any],
            player: _Player = None,
        ) -> MethodAnswer:
            owner = player_of(request.user, player, what="payout methods")

            async def change(action: Action[UnitOfWork, UnitOfWork]) -> MethodAnswer:
                method = await remove(
                    MethodStorage(action.unit_of_work),
                    method_id=method_id,
                    player=owner,
                    actor=action.actor.subject,
                    now=action.now,
                )
                await _record(action, method, "removed")
                return context.show(method)

            return await context.change(change, actor=request.user)

    return MethodsController


async def _record(action: Action[UnitOfWork, UnitOfWork], method: Method, change: str) -> None:
    """Count a change of a method once it is committed, and add its audit record."""
    after_commit(action.tx, METHODS.labels(change).inc)
    await action.record(
        f"payout_method.{change}",
        target=str(method.method_id),
        detail={"player": method.player, "type": method.type, "registered_by": method.registered_by},
    )
