"""``POST /api/rewards/{id}/release|reject``: operators decide on prizes that a rule keeps back."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Principal, require
from prizewire_rewards.entrypoints.http.bodies import DecisionBody
from prizewire_rewards.entrypoints.http.examples import prizes as examples
from prizewire_rewards.entrypoints.http.front import OVERSEERS, Front, IdempotencyKey
from prizewire_rewards.handlers.held import reject_held, release_held

__all__ = ["HeldController"]


class HeldController(Controller):
    """Prizes whose money stays reserved until somebody has decided."""

    path = "/api/rewards"
    tags = ["rewards"]  # noqa: RUF012 - Litestar reads a plain list

    @post(
        "/{reward_id:uuid}/release",
        guards=[require(*OVERSEERS)],
        status_code=200,
        summary="Release a held prize",
        responses=examples.REWARD_RELEASED,
    )
    async def release(
        self,
        *,
        front: NamedDependency[Front],
        reward_id: FromPath[UUID],
        data: JSONBody[DecisionBody],
        request: Request[Principal, Any, Any],
        key: IdempotencyKey = None,
    ) -> Response[dict[str, Any]]:
        """Let it go the way of the others of its round. Nobody decides on their own prize."""
        return await _decide(front, reward_id, data, request.user, key, release=True)

    @post(
        "/{reward_id:uuid}/reject",
        guards=[require(*OVERSEERS)],
        status_code=200,
        summary="Refuse a held prize",
        responses=examples.REWARD_REJECTED,
    )
    async def reject(
        self,
        *,
        front: NamedDependency[Front],
        reward_id: FromPath[UUID],
        data: JSONBody[DecisionBody],
        request: Request[Principal, Any, Any],
        key: IdempotencyKey = None,
    ) -> Response[dict[str, Any]]:
        """Give its money back to the pool. Nobody decides on their own prize."""
        answer = await _decide(front, reward_id, data, request.user, key, release=False)
        front.release()
        return answer


async def _decide(
    front: Front, reward_id: UUID, data: DecisionBody, user: Principal, key: str | None, *, release: bool
) -> Response[dict[str, Any]]:
    what = "release" if release else "reject"
    decide = release_held if release else reject_held

    async def work(tx: AsyncConnection, identifier: UUID) -> tuple[int, dict[str, Any]]:
        del identifier  # what is decided on has an id already
        reward, _ = await decide(
            reward_id,
            actor=user.subject,
            reason=data.reason,
            work=front.works.of(tx),
            tools=front.tools,
            now=front.clock.now(),
        )
        await front.audit.record(
            tx,
            actor=user.subject,
            action=f"reward.{what}",
            target=str(reward_id),
            reason=data.reason,
        )
        return 200, {"reward_id": str(reward.id), "state": reward.state, "note": reward.note}

    return await front.once(
        principal=user,
        route=f"POST /api/rewards/{{reward_id}}/{what}",
        key=key,
        body={"reward_id": str(reward_id), **data.model_dump(mode="json")},
        work=work,
    )
