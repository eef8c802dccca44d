"""Claims over HTTP."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from pydantic import Field

from prizewire_chassis.auth import Principal, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import BY_TIME_AND_ID, RequiredKey, page_limit
from prizewire_chassis.http.answers import AnswerModel, Id, Moment, PageOf
from prizewire_money import AssetRegistry
from prizewire_rewards import metrics
from prizewire_rewards.claims.domain import (
    CLAIM_LIVE,
    HOLD_CLASSES,
    RULES,
    Claim,
    ClaimCode,
    ClaimState,
    RuleName,
    Verdict,
)
from prizewire_rewards.claims.handlers.claims import ClaimResult, claim, decide_claim
from prizewire_rewards.claims.ports import ClaimPorts
from prizewire_rewards.claims.storage import SqlClaims, list_claims
from prizewire_rewards.http.bodies import AssetCode, CorrelationId, DecisionBody, Money, Player
from prizewire_rewards.http.codes import STATUSES
from prizewire_rewards.http.context import OVERSEERS, Amounts, Context, Decided, RewardsAction
from prizewire_rewards.payouts.ports import PayoutTools

_Context = Context[ClaimPorts, PayoutTools]
_Action = RewardsAction[ClaimPorts]


class FindingAnswer(AnswerModel):
    """The finding of a risk rule."""

    rule: Annotated[RuleName, Field(examples=["amount"])]
    verdict: Annotated[Verdict, Field(description="The action that the rule requires.", examples=["hold"])]
    saw: Annotated[str, Field(description="The value that the rule checked.", examples=["2600.00 USDC"])]
    threshold: Annotated[
        str, Field(description="The values without a finding.", examples=["below 2500.00 USDC"])
    ]
    explanation: Annotated[
        str,
        Field(description="The purpose of the rule.", examples=["A person reviews large prizes."]),
    ]


class ClaimAnswer(AnswerModel):
    """A prize to be claimed. Operators and admins see its review; the claim's own player never does."""

    reward_id: Id
    round_id: Id
    campaign: Id
    player: Player
    asset: AssetCode
    amount: Annotated[Money, Field(examples=["2600.00"])]
    state: Annotated[ClaimState, Field(examples=["held"])]
    code: Annotated[
        ClaimCode | None,
        Field(
            description="Why it waits or ended without money. `corrected`: a correction of the result took the prize back. "
            "`refused`: it was reviewed and refused. Null while it is open, and once it was credited.",
            examples=["under_review"],
        ),
    ]
    deadline: Annotated[
        Moment | None,
        Field(
            description="When an open claim expires, or when a decision on a held one is due. Null once it has ended.",
            examples=["2026-05-04T12:00:00Z"],
        ),
    ]
    correlation_id: CorrelationId
    opened_at: Moment
    claimed_at: Annotated[
        Moment | None,
        Field(
            description="When it was claimed. Null before, and to the claim's player.",
            examples=["2026-05-01T12:30:00Z"],
        ),
    ]
    decided_at: Annotated[
        Moment | None,
        Field(description="Null without a decision, and to the claim's player.", examples=[None]),
    ]
    decided_by: Annotated[
        str | None,
        Field(
            description="A person, or the service where a rule decided. Null without a decision, and to the claim's player.",
            examples=[None],
        ),
    ]
    reason: Annotated[
        str | None,
        Field(
            description="The reason of the decision. Null without a decision, and to the claim's player.",
            examples=[None],
        ),
    ]
    findings: Annotated[
        list[FindingAnswer] | None,
        Field(description="The findings of the risk rules. Null to the claim's player."),
    ]


_DECISION = STATUSES.refusals("claim_unknown", "own_claim", "claim_not_held")


_EXPLANATIONS = {rule.name: rule.explanation for rule in RULES}


class ClaimController(Controller):
    """Prizes to be claimed: players see their own, operators and admins all."""

    path = "/api/claims"
    tags = ["claims"]  # noqa: RUF012 - Litestar reads a plain list

    @get(guards=[require()], summary="Claims, newest first")
    async def listing(
        self,
        *,
        context: NamedDependency[_Context],
        request: Request[Principal, Any, Any],
        wanted: Annotated[ClaimState | None, QueryParameter(name="state")] = None,
        campaign: FromQuery[UUID | None] = None,
        player: FromQuery[str | None] = None,
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int | None] = None,
    ) -> PageOf[ClaimAnswer]:
        """The caller's prizes to be claimed; operators and admins see all, with the findings of the risk rules."""
        size = page_limit(limit)
        before = BY_TIME_AND_ID.read(cursor)
        overseer = request.user.has(*OVERSEERS)
        found = await context.read(
            lambda tx: list_claims(
                tx,
                player=player if overseer else request.user.player,
                campaign=campaign,
                state=wanted,
                limit=size,
                before=before,
            )
        )
        return BY_TIME_AND_ID.page(
            found,
            limit=size,
            key=lambda one: (one.opened_at, one.reward_id),
            show=lambda one: _shown(context.amounts, one, request.user),
        )

    @get(
        "/{reward_id:uuid}",
        guards=[require()],
        summary="One claim",
        refusals=STATUSES.refusals("claim_unknown"),
    )
    async def one(
        self,
        *,
        context: NamedDependency[_Context],
        reward_id: FromPath[UUID],
        request: Request[Principal, Any, Any],
    ) -> ClaimAnswer:
        """Its player sees state and deadline; operators and admins see each finding with its threshold."""
        return _shown(context.amounts, await _known(context, reward_id, request.user), request.user)

    @post(
        "/{reward_id:uuid}",
        guards=[require()],
        status_code=200,
        summary="Claim a prize",
        description="The prize is credited at once, or the claim is held for review. The answer is the same for every reason "
        "of a hold: state `held`, and the deadline of the decision. A second claim has no effect.",
        refusals=STATUSES.refusals("claim_unknown", "claim_expired", "claim_final"),
    )
    async def make(
        self,
        *,
        context: NamedDependency[_Context],
        reward_id: FromPath[UUID],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[ClaimAnswer]:
        """Claim one's own prize."""

        async def make(action: _Action) -> tuple[int, ClaimAnswer]:
            done = await claim(
                reward_id,
                player=request.user.player,
                ports=action.unit_of_work,
                tools=context.tools,
                now=action.now,
            )
            after_commit(action.tx, partial(_count, done, assets=context.amounts.assets, made=True))
            return 200, _for_player(context.amounts, done.claim)

        answer = await context.once(
            make,
            answers=ClaimAnswer,
            actor=request.user,
            route="POST /api/claims/{reward_id}",
            key=key,
            body={"reward_id": str(reward_id)},
        )
        context.release()
        return answer

    @post(
        "/{reward_id:uuid}/release",
        guards=[require(*OVERSEERS)],
        status_code=200,
        summary="Release a held claim",
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
    ) -> Response[ClaimAnswer]:
        """The prize is credited. No one decides their own claim."""
        return await _decide(context, reward_id, data, request.user, key, release=True)

    @post(
        "/{reward_id:uuid}/reject",
        guards=[require(*OVERSEERS)],
        status_code=200,
        summary="Refuse a held claim",
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
    ) -> Response[ClaimAnswer]:
        """The prize goes back to the pool. No one decides their own claim."""
        return await _decide(context, reward_id, data, request.user, key, release=False)


async def _decide(
    context: _Context, reward_id: UUID, data: DecisionBody, user: Principal, key: str | None, *, release: bool
) -> Response[ClaimAnswer]:
    async def decide(action: _Action) -> Decided[ClaimAnswer]:
        done = await decide_claim(
            reward_id,
            release=release,
            actor=user.subject,
            reason=data.reason,
            ports=action.unit_of_work,
            now=action.now,
        )
        after_commit(action.tx, partial(_count, done, assets=context.amounts.assets))
        answer = _for_operator(context.amounts, done.claim)
        return Decided(
            answer=answer,
            asset=answer.asset,
            amount=answer.amount,
            correlation_id=answer.correlation_id,
        )

    return await context.decide(
        decide,
        reward_id=reward_id,
        on="claim",
        release=release,
        data=data,
        answers=ClaimAnswer,
        actor=user,
        key=key,
    )


def _count(done: ClaimResult, *, assets: AssetRegistry, made: bool = False) -> None:
    if not done.changed:
        return
    metrics.CLAIMS_MADE.inc(int(made))
    metrics.CLAIMS.labels(done.claim.state).inc()
    metrics.count_paid(done.paid, assets=assets)
    metrics.RECEIVABLES_NETTED.inc(done.netted)
    for finding in done.findings:
        metrics.RISK_FINDINGS.labels(finding.rule, finding.verdict).inc()
    if done.claim.state is ClaimState.HELD:
        metrics.ABUSE_HOLDS.labels(HOLD_CLASSES[done.findings[0].rule]).inc()


async def _known(context: _Context, reward_id: UUID, user: Principal) -> Claim:
    found = await context.read(lambda tx: SqlClaims(tx).find(reward_id))
    if found is None or (found.player != user.player and not user.has(*OVERSEERS)):
        raise STATUSES.refuse("claim_unknown", f"there is no prize {reward_id} to be claimed")
    return found


def _shown(amounts: Amounts, one: Claim, user: Principal) -> ClaimAnswer:
    """Show a claim to the caller. An operator sees the claim of their own prize as any other player does."""
    overseer = user.has(*OVERSEERS) and one.player != user.player
    return _for_operator(amounts, one) if overseer else _for_player(amounts, one)


def _for_player(amounts: Amounts, one: Claim) -> ClaimAnswer:
    return ClaimAnswer(
        reward_id=one.reward_id,
        round_id=one.round_id,
        campaign=one.campaign,
        player=one.player,
        asset=one.asset,
        amount=amounts.text(one.asset, one.amount),
        state=one.state,
        code=one.code,
        deadline=one.deadline if one.state in CLAIM_LIVE else None,
        correlation_id=one.correlation_id,
        opened_at=one.opened_at,
        claimed_at=None,
        decided_at=None,
        decided_by=None,
        reason=None,
        findings=None,
    )


def _for_operator(amounts: Amounts, one: Claim) -> ClaimAnswer:
    return _for_player(amounts, one).model_copy(
        update={
            "claimed_at": one.claimed_at,
            "decided_at": one.decided_at,
            "decided_by": one.decided_by,
            "reason": one.reason,
            "findings": [
                FindingAnswer(
                    rule=finding.rule,
                    verdict=finding.verdict,
                    saw=finding.saw,
                    threshold=finding.threshold,
                    explanation=_EXPLANATIONS[finding.rule],
                )
                for finding in one.findings
            ],
        }
    )
