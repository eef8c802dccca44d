"""`/api/payout-methods`: the payout methods of players. Answers never show details in full."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter
from pydantic import BaseModel, ConfigDict, Field

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import Action, OptionalKey, Problem
from prizewire_chassis.http.answers import AnswerModel, Id, Items, Moment
from prizewire_chassis.http.refusals import Refusals
from prizewire_contracts.text import NAME_LENGTH_MAX, PRINTABLE_OR_EMPTY, Name, Word
from prizewire_payouts.http import ADDRESS_EXAMPLE, STATUSES, Context
from prizewire_payouts.methods.domain import Method, MethodError, MethodState, mask, read_details
from prizewire_payouts.methods.handlers import make_default, register, remove
from prizewire_payouts.methods.ports import AddressCheck, Vault
from prizewire_payouts.methods.storage import MethodStorage
from prizewire_payouts.metrics import METHODS
from prizewire_payouts.unit_of_work import UnitOfWork

_Detail = Annotated[str, Field(max_length=256, pattern=PRINTABLE_OR_EMPTY)]
"""Encrypted and hashed as it is sent, so never normalized."""
_Player = Annotated[
    str | None,
    QueryParameter(
        description="Whose method, where staff acts for a player.",
        min_length=1,
        max_length=NAME_LENGTH_MAX,
    ),
]
_STAFF = (Role.OPERATOR, Role.ADMIN)
_NOT_OWN: Refusals = {404: ("method_not_found",), 409: ("method_removed",)}


class MethodDetails(BaseModel):
    """Where a method leads: address and memo for ``stellar``, account for ``fake``."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    address: _Detail | None = Field(
        None,
        description="A Stellar account (G…) or muxed account (M…).",
        repr=False,
        examples=[ADDRESS_EXAMPLE],
    )
    memo: _Detail | None = Field(
        None, description="Text of 1 to 28 bytes that must stand on the payment.", repr=False, examples=["77"]
    )
    account: _Detail | None = Field(None, description="The account at the rail.", repr=False, examples=[None])


class NewMethod(BaseModel):
    """A payout method to register. Registering the same destination again makes no second one."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    type: Word = Field(description="`stellar` or `fake`.", examples=["stellar"])
    details: MethodDetails = Field(repr=False)
    default: bool = Field(
        False, strict=True, description="Whether prizes go there from now on.", examples=[True]
    )
    player: Name | None = Field(
        None,
        description="Whose method it is, where staff acts for a player. Null: your own.",
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
        bool, Field(description="Whether a rail has confirmed the destination.", examples=[False])
    ]
    destination: Annotated[str, Field(description="Address or account, masked.", examples=["GA5Z…KZVN"])]
    memo: Annotated[str, Field(description="The memo, masked.", examples=["77…"])] | None
    registered_by: Annotated[
        Literal["player", "staff"],
        Field(
            description="Who registered the destination. A payout to a method of the staff waits for an approver.",
            examples=["player"],
        ),
    ]
    registered_at: Moment
    shared_with: Annotated[
        int | None,
        Field(
            description="How many other players have an active method with the same destination. Null for players, and "
            "outside the list.",
            examples=[0],
        ),
    ]


def method_answer(method: Method, *, destination: str, shared_with: int | None = None) -> MethodAnswer:
    """A method; ``destination`` is its address or account in clear, which is masked here."""
    return MethodAnswer(
        id=method.method_id,
        version=method.version,
        player=method.player,
        type=method.type,
        state=method.state,
        is_default=method.is_default,
        verified=method.verified,
        destination=mask(destination),
        memo=None if method.memo is None else mask(method.memo),
        registered_by="staff" if method.by_staff else "player",
        registered_at=method.registered_at,
        shared_with=shared_with,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodContext(Context):
    """The context of the controller of payout methods: details are opened with the vault, for masking only."""

    vault: Vault
    address_kind: AddressCheck

    def show(self, method: Method, *, shared_with: int | None = None) -> MethodAnswer:
        """A method as it is answered, with its destination masked."""
        details = self.vault.open(method=method).details
        destination = str(details.get("address") or details.get("account") or "")
        return method_answer(method, destination=destination, shared_with=shared_with)


def methods_controller(context: MethodContext) -> type[Controller]:
    """The controller over this context."""

    class MethodsController(Controller):
        path = "/api/payout-methods"
        guards = [require(Role.PLAYER, *_STAFF)]  # noqa: RUF012 - Litestar reads a plain list
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
                422: (
                    "method_type_unknown",
                    "details_malformed",
                    "address_invalid",
                    "address_not_supported",
                    "address_not_allowed",
                    "memo_too_long",
                    "memo_not_possible",
                    "account_invalid",
                ),
            },
        )
        async def create(
            self, data: JSONBody[NewMethod], request: Request[Principal, Any, Any], key: OptionalKey = None
        ) -> Response[MethodAnswer]:
            player = _player(request.user, data.player)
            try:
                terms = read_details(
                    method_type=data.type,
                    details=data.details.model_dump(exclude_none=True),
                    address_kind=context.address_kind,
                )
            except MethodError as error:
                raise STATUSES.problem(error) from None
            # the stored request holds a keyed hash of the details: a plain hash could be guessed
            mac = context.vault.destination_mac(method_type=terms.type, details=terms.details).hex()

            async def create(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, MethodAnswer]:
                found = await register(
                    MethodStorage(action.unit_of_work),
                    method_id=action.id,
                    player=player,
                    terms=terms,
                    default=data.default,
                    vault=context.vault,
                    actor=action.actor.subject,
                    now=action.now,
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

        @get("/", summary="A player's payout methods, newest first")
        async def list_methods(
            self, request: Request[Principal, Any, Any], player: _Player = None
        ) -> Items[MethodAnswer]:
            owner = _player(request.user, player)

            async def read(unit_of_work: UnitOfWork) -> tuple[list[Method], dict[bytes, int]]:
                storage = MethodStorage(unit_of_work)
                known = await storage.of_player(owner)
                active = [one for one in reversed(known) if one.state is MethodState.ACTIVE]
                return active, await storage.players_of_destinations([one.destination_mac for one in active])

            methods, players = await context.read(read)
            staff = request.user.has(*_STAFF)
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
            owner = _player(request.user, player)

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
            owner = _player(request.user, player)

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


def _player(principal: Principal, wanted: str | None) -> str:
    """The player of a request.

    Raises:
        Problem: 403 when a player names another player.
    """
    if wanted is None or wanted == principal.subject:
        return principal.player
    if not principal.has(*_STAFF):
        raise Problem(status=403, code="forbidden", detail="a player's methods are the player's own")
    return wanted
