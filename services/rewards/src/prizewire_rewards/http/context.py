"""The context of all controllers, amounts as text, and who may see what is another player's."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from litestar import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Principal, Role
from prizewire_chassis.http import Action, HttpContext, Problem
from prizewire_chassis.http.answers import AnswerModel
from prizewire_money import Amount, Asset, AssetRegistry, InvalidAmount
from prizewire_rewards.http.bodies import DecisionBody
from prizewire_rewards.http.codes import STATUSES


@dataclass(frozen=True, slots=True)
class Amounts:
    """Reads and writes decimal amounts of the configured assets."""

    assets: AssetRegistry

    def asset(self, code: str, *, status: int = 422) -> Asset:
        """An asset by its code. ``status`` is 404 where the path names it, and 400 where a filter does.

        Raises:
            Problem: ``asset_unknown``.
        """
        asset = self.assets.get(code)
        if asset is None:
            raise Problem(status=status, code="asset_unknown", detail=self.assets.refusal_of(code))
        return asset

    def parse(self, code: str, amount: str, *, field: str = "amount") -> Amount:
        """An amount of the asset ``code``. ``field`` is the member of the request that has the text.

        Raises:
            Problem: as ``asset`` and ``minor``.
        """
        asset = self.asset(code)
        return Amount(asset, self.minor(asset, amount, field=field))

    def minor(self, asset: Asset, amount: str, *, field: str) -> int:
        """Minor units of a decimal text. ``field`` is the member of the request that has the text.

        Raises:
            Problem: with one of ``AMOUNT_CODES``: 400 where the text is no amount, 422 where the asset does not allow it.
        """
        try:
            return Amount.parse(asset, amount).minor
        except InvalidAmount as error:
            errors = [{"field": field, "message": str(error)}]
            raise STATUSES.refuse(error.code, f"{field}: {error}", errors=errors) from None

    def text(self, asset: str, minor: int) -> str:
        """The decimal text of minor units."""
        return self.assets[asset].render(minor)


Ports = TypeVar("Ports")


Tools = TypeVar("Tools")


Model = TypeVar("Model", bound=AnswerModel)


OVERSEERS = (Role.OPERATOR, Role.ADMIN)


RewardsAction = Action[Ports, AsyncConnection]
"""An action of a context, for handlers that need ``Ports``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided(Generic[Model]):
    """What came of a decision about a held prize: the answer, and what its audit record says. ``amount`` is a decimal text."""

    answer: Model
    asset: str
    amount: str
    correlation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Context(HttpContext[Ports, AsyncConnection], Generic[Ports, Tools]):
    """What all controllers share. Each feature names the ports and the tools that its handlers need.

    Listings are functions over a connection, so the queries are the connection itself.
    """

    tools: Tools
    amounts: Amounts
    release: Callable[[], None]
    """Wakes the job that books waiting rounds."""
    work_on: Callable[[], None]
    """Wakes the job that works on large rounds."""
    hash_fact: Callable[[str, str], str]
    """The keyed hash of a fact's raw value, by the fact's name and the value. The raw value must not be stored."""

    async def decide(
        self,
        do: Callable[[RewardsAction[Ports]], Awaitable[Decided[Model]]],
        *,
        reward_id: UUID,
        on: str,
        release: bool,
        data: DecisionBody,
        answers: type[Model],
        actor: Principal,
        key: str | None,
    ) -> Response[Model]:
        """Release or reject a held prize, once and audited. ``on`` names it in the route and in the audit: ``claim`` or ``reward``.

        A rejected prize may pay for rounds that wait for money, so the job that books them is woken.

        Raises:
            Problem: as ``once``.
        """
        decision = "release" if release else "reject"

        async def decide(action: RewardsAction[Ports]) -> tuple[int, Model]:
            done = await do(action)
            await action.record(
                f"{on}.{decision}",
                target=str(reward_id),
                reason=data.reason,
                detail={"asset": done.asset, "amount": done.amount},
                correlation_id=done.correlation_id,
            )
            return 200, done.answer

        answer = await self.once(
            decide,
            answers=answers,
            actor=actor,
            route=f"POST /api/{on}s/{{reward_id}}/{decision}",
            key=key,
            body={"reward_id": str(reward_id), **data.model_dump(mode="json")},
        )
        if not release:
            self.release()
        return answer


def player_of(principal: Principal, player: str | None) -> str:
    """The player that a request is about: the caller, or for operators and admins the named ``player``.

    Raises:
        Problem: 403 ``forbidden``.
    """
    if player is None or player == principal.player:
        return principal.player
    if not principal.has(*OVERSEERS):
        raise Problem(
            status=403, code="forbidden", detail="only operators and admins may name another player"
        )
    return player
