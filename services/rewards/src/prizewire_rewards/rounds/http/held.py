"""``POST /api/rewards/{id}/release|reject``: operators decide about held prizes."""

from dataclasses import asdict
from functools import partial
from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from prizewire_chassis.auth import Principal, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import RequiredKey
from prizewire_rewards import metrics
from prizewire_rewards.http.bodies import DecisionBody
from prizewire_rewards.http.codes import STATUSES
from prizewire_rewards.http.context import OVERSEERS, Context, Decided, RewardsAction
from prizewire_rewards.rounds.handlers.held import reject_held, release_held
from prizewire_rewards.rounds.http.answers import DecidedRewardAnswer
from prizewire_rewards.rounds.ports import RoundPorts, RoundTools

_Context = Context[RoundPorts, RoundTools]
_Action = RewardsAction[RoundPorts]

_DECISION = STATUSES.refusals("reward_unknown", "own_reward", "reward_not_held", "round_busy")


class HeldController(Controller):
    """Held prizes: their money stays in the reserve until an operator decides."""

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
        context: NamedDependency[_Context],
        reward_id: FromPath[UUID],
        data: JSONBody[DecisionBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[DecidedRewardAnswer]:
        """The prize is paid like the others of its round. No one decides about their own prize."""
        return await _decide(context, reward_id, data, request.user, key, release=True)

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
        context: NamedDependency[_Context],
        reward_id: FromPath[UUID],
        data: JSONBody[DecisionBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[DecidedRewardAnswer]:
        """Its money goes back to the pool. No one decides about their own prize."""
        return await _decide(context, reward_id, data, request.user, key, release=False)


async def _decide(
    context: _Context, reward_id: UUID, data: DecisionBody, user: Principal, key: str | None, *, release: bool
) -> Response[DecidedRewardAnswer]:
    handler = release_held if release else reject_held

    async def decide(action: _Action) -> Decided[DecidedRewardAnswer]:
        done = await handler(
            reward_id,
            actor=user.subject,
            reason=data.reason,
            ports=action.unit_of_work,
            tools=context.tools,
            now=action.now,
        )
        count = partial(metrics.count_rounds, **asdict(done.booked), assets=context.tools.assets)
        after_commit(action.tx, count)
        reward = done.reward
        return Decided(
            answer=DecidedRewardAnswer(reward_id=reward.id, state=reward.state, note=reward.note),
            asset=done.asset,
            amount=context.amounts.text(done.asset, done.amount),
            correlation_id=done.correlation_id,
        )

    return await context.decide(
        decide,
        reward_id=reward_id,
        on="reward",
        release=release,
        data=data,
        answers=DecidedRewardAnswer,
        actor=user,
        key=key,
    )
