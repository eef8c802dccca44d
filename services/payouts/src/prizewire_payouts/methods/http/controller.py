"""`/api/payout-methods`: where a player's prizes go."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID, uuid4

from litestar import Controller, Request, Response, delete, get, post
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import Problem
from prizewire_chassis.http.answers import Items
from prizewire_chassis.http.refusals import Refusals
from prizewire_contracts.text import NAME_LENGTH_MAX, PRINTABLE_OR_EMPTY, Name, Word
from prizewire_payouts.errors import MethodError
from prizewire_payouts.http.members import ADDRESS_EXAMPLE
from prizewire_payouts.http.parts import HttpParts, Key, Work, act, problem
from prizewire_payouts.methods.domain import read_details
from prizewire_payouts.methods.handlers import make_default, register, remove
from prizewire_payouts.methods.http.answers import MethodAnswer, method_answer
from prizewire_payouts.metrics import METHODS
from prizewire_payouts.payouts.domain.model import Method, MethodState
from prizewire_payouts.payouts.ports import Store

_Detail = Annotated[str, Field(max_length=256, pattern=PRINTABLE_OR_EMPTY)]
"""Sealed and hashed, so never changed."""
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


def methods_controller(parts: HttpParts) -> type[Controller]:
    """The controller over these parts."""
    notes = _Notes(parts)

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
            self, data: JSONBody[NewMethod], request: Request[Principal, Any, Any], key: Key = None
        ) -> Response[MethodAnswer]:
            player = _player(request.user, data.player)
            try:
                terms = read_details(
                    method_type=data.type,
                    details=data.details.model_dump(exclude_none=True),
                    address_kind=parts.address_kind,
                )
            except MethodError as error:
                raise problem(error) from None
            # what is kept of the request is a keyed mark of the details, never a hash that could be guessed
            mark = parts.vault.destination_mac(method_type=terms.type, details=terms.details).hex()
            body = {"type": data.type, "details": mark, "default": data.default, "player": player}

            async def work(
                tx: AsyncConnection, store: Store, identifier: UUID | None
            ) -> tuple[int, MethodAnswer]:
                found = await register(
                    store,
                    method_id=identifier or uuid4(),
                    player=player,
                    terms=terms,
                    default=data.default,
                    vault=parts.vault,
                    actor=request.user.subject,
                    now=parts.clock.now(),
                )
                if found.is_new or found.confirmed:
                    change = "registered" if found.is_new else "confirmed"
                    await notes.audit(tx, request.user, found.method, change)
                return 201 if found.is_new else 200, method_answer(
                    found.method, destination=notes.destination(found.method)
                )

            return await act(
                parts,
                MethodAnswer,
                actor=request.user,
                route="POST /api/payout-methods",
                key=key,
                body=body,
                key_required=False,
                work=work,
            )

        @get("/", summary="A player's payout methods, newest first")
        async def list_methods(
            self, request: Request[Principal, Any, Any], player: _Player = None
        ) -> Items[MethodAnswer]:
            owner = _player(request.user, player)
            staff = request.user.has(*_STAFF)
            async with parts.db.transaction() as tx:
                store = parts.store(tx)
                known = await store.lock_player_methods(owner)
                methods = [one for one in reversed(known) if one.state is MethodState.ACTIVE]
                shared = await store.shared_destinations([one.destination_mac for one in methods])
            items = [
                method_answer(
                    method,
                    destination=notes.destination(method),
                    shared_with=shared.get(method.destination_mac, 1) - 1 if staff else None,
                )
                for method in methods
            ]
            return Items(items=items)

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
        ) -> Response[MethodAnswer]:
            owner = _player(request.user, player)

            async def work(tx: AsyncConnection, store: Store, _: UUID | None) -> tuple[int, MethodAnswer]:
                method = await make_default(
                    store,
                    method_id=method_id,
                    player=owner,
                    actor=request.user.subject,
                    now=parts.clock.now(),
                )
                await notes.audit(tx, request.user, method, "defaulted")
                return 200, method_answer(method, destination=notes.destination(method))

            return await notes.act(request, f"POST /api/payout-methods/{method_id}/default", work)

        @delete("/{method_id:uuid}", status_code=200, summary="Remove a method", refusals=_NOT_OWN)
        async def remove_method(
            self,
            method_id: FromPath[UUID],
            request: Request[Principal, Any, Any],
            player: _Player = None,
        ) -> Response[MethodAnswer]:
            owner = _player(request.user, player)

            async def work(tx: AsyncConnection, store: Store, _: UUID | None) -> tuple[int, MethodAnswer]:
                method = await remove(
                    store,
                    method_id=method_id,
                    player=owner,
                    actor=request.user.subject,
                    now=parts.clock.now(),
                )
                await notes.audit(tx, request.user, method, "removed")
                return 200, method_answer(method, destination=notes.destination(method))

            return await notes.act(request, f"DELETE /api/payout-methods/{method_id}", work)

    return MethodsController


@dataclass(frozen=True, slots=True)
class _Notes:
    """What the routes have in common."""

    parts: HttpParts

    def destination(self, method: Method) -> str:
        """Where a method leads, in clear: for masking only."""
        details = self.parts.vault.open(method=method).details
        return str(details.get("address") or details.get("account") or "")

    async def act(
        self, request: Request[Principal, Any, Any], route: str, work: Work[MethodAnswer]
    ) -> Response[MethodAnswer]:
        return await act(
            self.parts,
            MethodAnswer,
            actor=request.user,
            route=route,
            key=None,
            body={},
            key_required=False,
            work=work,
        )

    async def audit(self, tx: AsyncConnection, actor: Principal, method: Method, change: str) -> None:
        after_commit(tx, METHODS.labels(change).inc)
        await self.parts.audit.record(
            tx,
            actor=actor.subject,
            action=f"payout_method.{change}",
            target=str(method.method_id),
            detail={"player": method.player, "type": method.type, "registered_by": method.registered_by},
        )


def _player(principal: Principal, wanted: str | None) -> str:
    """Whose methods are meant.

    Raises:
        Problem: 403 when a player names somebody else.
    """
    if wanted is None or wanted == principal.subject:
        return principal.player
    if not principal.has(*_STAFF):
        raise Problem(status=403, code="forbidden", detail="a player's methods are the player's own")
    return wanted
