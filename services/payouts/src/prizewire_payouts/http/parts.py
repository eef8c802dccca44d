"""What the controllers share: their parts, how requests are done once, how errors are answered."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from uuid import UUID

from litestar import Response
from litestar.params import HeaderParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.auth import Principal
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.http import Problem
from prizewire_chassis.http.answers import AnswerModel
from prizewire_chassis.idempotency import idempotent
from prizewire_contracts.parties import PartyRole
from prizewire_money import AssetRegistry
from prizewire_payouts.approval.domain import ApprovalPolicy
from prizewire_payouts.errors import (
    ApprovalRefused,
    CancelRefused,
    IllegalTransition,
    MethodError,
    NotEnded,
    PauseRefused,
    PayoutError,
    PayoutNotFound,
    ReviewNotFound,
    ReviewRefused,
)
from prizewire_payouts.payouts.ports import AddressCheck, Rail, Store, Vault

A = TypeVar("A", bound=AnswerModel)
Work = Callable[[AsyncConnection, Store, UUID | None], Awaitable[tuple[int, A]]]
"""(transaction, store, id that follows from the key) → HTTP status and answer."""
Key = Annotated[str | None, HeaderParameter(name="Idempotency-Key", required=False)]
RequiredKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key", required=True)]
"""None reaches the route, which then refuses with ``idempotency_key_required``."""

_STATUS: dict[type[PayoutError], int] = {
    PayoutNotFound: 404,
    ReviewNotFound: 404,
    ReviewRefused: 409,
    ApprovalRefused: 409,
    CancelRefused: 409,
    NotEnded: 409,
    IllegalTransition: 409,
    PauseRefused: 422,
    MethodError: 422,
}
_STATUS_BY_CODE = {
    "method_not_found": 404,
    "pause_not_found": 404,
    **{f"approver_is_{role.value}": 403 for role in PartyRole},
    "decider_is_party": 403,
    "same_person": 403,
    "evidence_not_found": 404,
    "evidence_incomplete": 422,
    "method_removed": 409,
    "too_many_methods": 409,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpParts:
    """What the controllers work with."""

    db: Database
    store: Callable[[AsyncConnection], Store]
    audit: Audit
    clock: Clock
    vault: Vault
    policy: ApprovalPolicy
    rails: Sequence[Rail]
    assets: AssetRegistry
    address_kind: AddressCheck


async def act(
    parts: HttpParts,
    model: type[A],
    *,
    actor: Principal,
    route: str,
    key: str | None,
    body: Mapping[str, Any],
    key_required: bool,
    work: Work[A],
) -> Response[A]:
    """Do ``work`` in one transaction, once for each idempotency key; without a key, where none is required, at
    each call. ``model`` is what it answers; a repeated request gets the stored answer.

    Raises:
        Problem: what the domain refused, with its code.
    """

    async def run(tx: AsyncConnection) -> Response[A]:
        store = parts.store(tx)
        if key is None and not key_required:
            status, made = await work(tx, store, None)
            return Response(made, status_code=status)

        async def once(identifier: UUID) -> tuple[int, Any]:
            status, made = await work(tx, store, identifier)
            return status, made.model_dump(mode="json")

        found = await idempotent(
            tx,
            actor=actor.subject,
            route=route,
            key=key,
            body=dict(body),
            now=parts.clock.now(),
            work=once,
        )
        headers = {"idempotency-replayed": "true"} if found.replayed else {}
        return Response(model.model_validate(found.body), status_code=found.status, headers=headers)

    try:
        return await parts.db.run(run)
    except PayoutError as error:
        raise problem(error) from None


def problem(error: PayoutError) -> Problem:
    """A refusal of the domain as an answer."""
    status = _STATUS_BY_CODE.get(error.code) or _STATUS.get(type(error), 409)
    return Problem(status=status, code=error.code, detail=str(error))
