"""The context of controllers: reads in a transaction, and actions that are done once and audited."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID, uuid4

from litestar import Response
from litestar.params import HeaderParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.auth import Principal
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.http.answers import AnswerModel
from prizewire_chassis.http.error_statuses import ErrorStatuses
from prizewire_chassis.idempotency import Answer, idempotent

UnitOfWork = TypeVar("UnitOfWork")
Queries = TypeVar("Queries")
T = TypeVar("T")
Model = TypeVar("Model", bound=AnswerModel)

RequiredKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key", required=True)]
"""The header of a request that moves money. Without it the request is refused with ``idempotency_key_required``."""
OptionalKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key", required=False)]
"""The header of a request that may be sent without it, and then has its effect at each call."""
REPLAYED_HEADER = "idempotency-replayed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Generic[UnitOfWork, Queries]):
    """One request that changes something, inside its transaction ``tx``.

    ``id`` follows from caller, route and idempotency key; without a key it is random. ``now`` is the time at which the
    transaction began.
    """

    tx: AsyncConnection
    unit_of_work: UnitOfWork
    queries: Queries
    actor: Principal
    id: UUID
    now: datetime
    audit: Audit

    async def record(
        self,
        action: str,
        *,
        target: str,
        reason: str | None = None,
        detail: Mapping[str, Any] | None = None,
        correlation_id: str | None = None,
    ) -> None:
        """Add an audit record in the caller's name. Call it late in the transaction (see ``Audit.record``).

        Raises:
            Problem: 503 ``audit_chain_broken``.
        """
        await self.audit.record(
            self.tx,
            actor=self.actor.subject,
            action=action,
            target=target,
            reason=reason,
            detail=detail,
            correlation_id=correlation_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpContext(Generic[UnitOfWork, Queries]):
    """What the controllers of a service share.

    ``unit_of_work`` makes what handlers work with over a transaction, ``queries`` what listings read with. Both may be the
    same function. A service that needs more adds fields in a subclass.
    """

    db: Database
    clock: Clock
    audit: Audit
    errors: ErrorStatuses
    unit_of_work: Callable[[AsyncConnection], UnitOfWork]
    queries: Callable[[AsyncConnection], Queries]

    async def read(self, question: Callable[[Queries], Awaitable[T]]) -> T:
        """Answer ``question`` in a transaction of its own.

        Raises:
            Problem: a domain error, with its status.
        """
        try:
            async with self.db.transaction() as tx:
                return await question(self.queries(tx))
        except self.errors.errors as error:
            raise self.errors.problem(error) from None

    async def change(
        self, do: Callable[[Action[UnitOfWork, Queries]], Awaitable[T]], *, actor: Principal
    ) -> T:
        """Do ``do`` in one transaction, at each call. It is tried again where the database reports a conflict.

        Raises:
            Problem: a domain error, with its status; nothing is changed.
        """

        async def run(tx: AsyncConnection) -> T:
            return await do(self._action(tx, actor=actor, identifier=uuid4()))

        return await self._run(run)

    async def once(
        self,
        do: Callable[[Action[UnitOfWork, Queries]], Awaitable[tuple[int, Model]]],
        *,
        answers: type[Model],
        actor: Principal,
        route: str,
        key: str | None,
        body: Mapping[str, Any],
        key_required: bool = True,
        shown_once: Mapping[str, str] | None = None,
    ) -> Response[Model]:
        """Do ``do`` in one transaction, once for each caller, ``route`` and idempotency ``key``, and store its answer. A
        repeated request gets the stored answer with ``Idempotency-Replayed: true``. Without a key, where ``key_required``
        is false, it is done at each call.

        ``do`` returns the HTTP status and the answer, a model ``answers``. ``body`` is the request's JSON: another body
        under the same key is refused. ``shown_once`` are members of the answer that hold secrets: ``do`` leaves them null,
        they are never stored, and they are null in the answer of a repeated request.

        Raises:
            Problem: a domain error, with its status; nothing is changed or stored. 400 ``idempotency_key_required`` or
                ``idempotency_key_invalid``; 409 ``idempotency_conflict``.
        """

        async def run(tx: AsyncConnection) -> Answer:
            async def work(identifier: UUID) -> tuple[int, Any]:
                status, made = await do(self._action(tx, actor=actor, identifier=identifier))
                return status, made.model_dump(mode="json")

            if key is None and not key_required:
                status, made = await work(uuid4())
                return Answer(status, made, replayed=False)
            return await idempotent(
                tx,
                actor=actor.subject,
                route=route,
                key=key,
                body=dict(body),
                now=self.clock.now(),
                work=work,
            )

        answer = await self._run(run)
        secrets = {name: None if answer.replayed else text for name, text in (shown_once or {}).items()}
        return Response(
            answers.model_validate({**answer.body, **secrets}),
            status_code=answer.status,
            headers={REPLAYED_HEADER: "true"} if answer.replayed else {},
        )

    def _action(
        self, tx: AsyncConnection, *, actor: Principal, identifier: UUID
    ) -> Action[UnitOfWork, Queries]:
        return Action(
            tx=tx,
            unit_of_work=self.unit_of_work(tx),
            queries=self.queries(tx),
            actor=actor,
            id=identifier,
            now=self.clock.now(),
            audit=self.audit,
        )

    async def _run(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        try:
            return await self.db.run(work)
        except self.errors.errors as error:
            raise self.errors.problem(error) from None
