"""``POST /api/rewards/{id}/release|reject``: operators decide on prizes that a rule keeps back."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Principal, require
from prizewire_rewards.http.bodies import DecisionBody
from prizewire_rewards.http.codes import refusing
from prizewire_rewards.http.context import OVERSEERS, Front, IdempotencyKey
from prizewire_rewards.rounds.handlers.held import reject_held, release_held
from prizewire_rewards.rounds.http.answers import DecidedRewardAnswer

_DECISION = refusing("reward_unknown", "own_reward", "reward_not_held", "round_busy")


class HeldController(Controller):
    """Prizes whose money stays reserved until somebody has decided."""

    path = "/api/rewards"
    tags = ["rewards"]  # noqa: RUF012 - Litestar reads a plain list

    @post(
        "/{reward_id:uuid}/release",
        guards=[require(*OVERSEERS)],
        status_code=200,
        summary="Release a held prize",
        refusals=_DECISION,
    )
    async def release(
        self,
        *,
        front: NamedDependency[Front],
        reward_id: FromPath[UUID],
        data: JSONBody[DecisionBody],
        request: Request[Principal, Any, Any],
        key: IdempotencyKey = None,
    ) -> Response[DecidedRewardAnswer]:
        """Let it go the way of the others of its round. Nobody decides on their own prize."""
        return await _decide(front, reward_id, data, request.user, key, release=True)

    @post(
        "/{reward_id:uuid}/reject",
        guards=[require(*OVERSEERS)],
        status_code=200,
        summary="Refuse a held prize",
        refusals=_DECISION,
    )
    async def reject(
        self,
        *,
        front: NamedDependency[Front],
        reward_id: FromPath[UUID],
        data: JSONBody[DecisionBody],
        request: Request[Principal, Any, Any],
        key: IdempotencyKey = None,
    ) -> Response[DecidedRewardAnswer]:
        """Give its money back to the pool. Nobody decides on their own prize."""
        return await _decide(front, reward_id, data, request.user, key, release=False)


async def _decide(
    front: Front, reward_id: UUID, data: DecisionBody, user: Principal, key: str | None, *, release: bool
) -> Response[DecidedRewardAnswer]:
    handler = release_held if release else reject_held

    async def decide(tx: AsyncConnection) -> tuple[DecidedRewardAnswer, str | None]:
        reward, _ = await handler(
            reward_id,
            actor=user.subject,
            reason=data.reason,
            ports=front.ports_of(tx),
            tools=front.tools,
            now=front.clock.now(),
        )
        return DecidedRewardAnswer(reward_id=reward.id, state=reward.state, note=reward.note), None

    return await front.decided(
        reward_id,
        on="reward",
        release=release,
        data=data,
        principal=user,
        key=key,
        decide=decide,
        answers=DecidedRewardAnswer,
    )
