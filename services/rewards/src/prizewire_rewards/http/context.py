"""What the controllers share: their surroundings, amounts on the wire, pages."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from litestar import Response
from litestar.params import HeaderParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.auth import Principal, Role
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.http import Problem, decode_cursor, encode_cursor
from prizewire_chassis.http.answers import AnswerModel, PageOf
from prizewire_chassis.idempotency import idempotent
from prizewire_money import Amount, Asset, InvalidAmount
from prizewire_rewards.errors import RewardsError
from prizewire_rewards.http.bodies import DecisionBody
from prizewire_rewards.http.codes import STATUS_OF

T = TypeVar("T")
Answer = TypeVar("Answer", bound=AnswerModel)

IdempotencyKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key", required=True)]
"""The header of every request that moves money. Without it the request is refused with ``idempotency_key_required``."""

OVERSEERS = (Role.OPERATOR, Role.ADMIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Everything a controller needs. ``release`` wakes the job that books waiting rounds, ``work_on`` the one that
    works on large ones; ``hasher`` makes hashes of what must not be stored.
    """

    db: Database
    ports_of: Callable[[AsyncConnection], Any]
    tools: Any
    clock: Clock
    audit: Audit
    release: Callable[[], None]
    work_on: Callable[[], None]
    hasher: Any

    async def read(self, question: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Ask in a transaction of its own."""
        async with self.db.transaction() as tx:
            return await question(tx)

    async def once(
        self,
        *,
        principal: Principal,
        route: str,
        key: str | None,
        body: dict[str, Any],
        work: Callable[[AsyncConnection, UUID], Awaitable[tuple[int, Answer]]],
        answers: type[Answer],
    ) -> Response[Answer]:
        """Do something that moves money at most once for this caller, route and key. ``work`` answers the status and
        the model ``answers``; what is stored under the key is its JSON.
        """

        async def attempt(tx: AsyncConnection) -> Response[Answer]:
            now = self.clock.now()

            async def do(identifier: UUID) -> tuple[int, Any]:
                status, made = await work(tx, identifier)
                return status, made.model_dump(mode="json")

            answer = await idempotent(
                tx, actor=principal.subject, route=route, key=key, body=body, now=now, work=do
            )
            headers = {"idempotency-replayed": "true"} if answer.replayed else {}
            shown = answers.model_validate(answer.body)
            return Response(shown, status_code=answer.status, headers=headers)

        return await self.attempt(attempt)

    async def decided(
        self,
        reward_id: UUID,
        *,
        on: str,
        release: bool,
        data: DecisionBody,
        principal: Principal,
        key: str | None,
        decide: Callable[[AsyncConnection], Awaitable[tuple[Answer, str | None]]],
        answers: type[Answer],
    ) -> Response[Answer]:
        """Let an operator release or reject ``on`` (a ``claim``, or a held ``reward``), once and audited. ``decide``
        answers what is shown of it (the model ``answers``), and its correlation id. What was rejected may pay rounds that wait.
        """
        what = "release" if release else "reject"

        async def work(tx: AsyncConnection, identifier: UUID) -> tuple[int, Answer]:
            del identifier  # what is decided on has an id already
            shown, correlation_id = await decide(tx)
            await self.audit.record(
                tx,
                actor=principal.subject,
                action=f"{on}.{what}",
                target=str(reward_id),
                reason=data.reason,
                correlation_id=correlation_id,
            )
            return 200, shown

        answer = await self.once(
            principal=principal,
            route=f"POST /api/{on}s/{{reward_id}}/{what}",
            key=key,
            body={"reward_id": str(reward_id), **data.model_dump(mode="json")},
            work=work,
            answers=answers,
        )
        if not release:
            self.release()
        return answer

    async def attempt(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run in a transaction that is tried again on conflicts, and say what a rule forbade as a problem."""
        try:
            return await self.db.run(work)
        except RewardsError as error:
            raise refused(error.code, error.detail, **error.members) from None

    def asset(self, code: str, *, status: int = 422) -> Asset:
        """An asset by its code. ``status`` is 404 where the path names it, and 400 where a filter does.

        Raises:
            Problem: ``asset_unknown``.
        """
        asset: Asset | None = self.tools.assets.get(code)
        if asset is None:
            raise Problem(status=status, code="asset_unknown", detail=f"there is no asset {code}")
        return asset

    def minor(self, asset: Asset, amount: str) -> int:
        """Minor units of a decimal text.

        Raises:
            Problem: with one of ``AMOUNT_CODES``: 400 where the text is no amount, 422 where the asset has no such one.
        """
        try:
            return Amount.parse(asset, amount).minor
        except InvalidAmount as error:
            raise refused(error.code, str(error)) from None

    def wire(self, asset: str, minor: int) -> str:
        """The decimal text of minor units."""
        known: Asset = self.tools.assets[asset]
        return known.render(minor)


def refused(code: str, detail: str, **members: Any) -> Problem:
    """The problem of a code, with its status in ``STATUS_OF``, 422 without one, and further ``members``."""
    return Problem(status=STATUS_OF.get(code, 422), code=code, detail=detail, **members)


def player_of(principal: Principal, player: str | None) -> str:
    """Whose things are meant: one's own, or, for operators and admins, anybody's.

    Raises:
        Problem: 403 ``forbidden``.
    """
    if player is None or player == principal.player:
        return principal.player
    if not principal.has(*OVERSEERS):
        raise Problem(status=403, code="forbidden", detail="a player sees only what is theirs")
    return player


def page_of(items: Sequence[T], *, limit: int, cursor: list[Any] | None) -> PageOf[T]:
    """A page; ``cursor`` is the sort key of its last row, used when the page is full."""
    full = len(items) == limit and cursor is not None
    return PageOf(items=list(items), next_cursor=encode_cursor(cursor) if full and cursor else None)


def time_cursor(cursor: str | None) -> tuple[datetime, UUID] | None:
    """A (time, id) sort key.

    Raises:
        Problem: 400 ``cursor_invalid``.
    """
    values = decode_cursor(cursor, length=2)
    if values is None:
        return None
    try:
        at, identifier = datetime.fromisoformat(values[0]), UUID(values[1])
    except (TypeError, ValueError, AttributeError):
        raise _cursor_invalid() from None
    if at.tzinfo is None:
        raise _cursor_invalid()
    return at, identifier


def _cursor_invalid() -> Problem:
    detail = "the cursor is not one that this route gave"
    return Problem(status=400, code="cursor_invalid", detail=detail)
