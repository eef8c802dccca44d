"""Handlers of claims: open them when prizes are final, claim, apply the risk rules, decide, and expire."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from prizewire_rewards.campaigns.domain.model import Campaign
from prizewire_rewards.campaigns.domain.settings import AtDeadline, RiskThresholds
from prizewire_rewards.claims.domain import (
    CLAIM_EDGES,
    CLAIM_LIVE,
    CLAIM_SYSTEM,
    Claim,
    ClaimCode,
    ClaimMoved,
    ClaimState,
    Facts,
    Finding,
    Verdict,
    assess,
    merge_findings,
    verdict_of,
)
from prizewire_rewards.claims.handlers.deciding import ClaimDecisions
from prizewire_rewards.claims.ports import ClaimPorts
from prizewire_rewards.errors import InvalidRequest, NotFound
from prizewire_rewards.ledger.domain.records import Transition, step
from prizewire_rewards.ledger.handlers import UnitOfWork
from prizewire_rewards.payouts.ports import PayoutTools
from prizewire_rewards.prizes.domain.model import Reward, Settlement
from prizewire_rewards.prizes.domain.paid import PaidPrizes
from prizewire_rewards.prizes.domain.states import RewardState

SYSTEM = CLAIM_SYSTEM
CORRECTED = ClaimCode.CORRECTED
DEADLINE_PASSED = "deadline_passed"
AT_ONCE_MAX = 200
"""Claims that a job ends in one transaction, so that others wait only briefly for the lock of the campaign."""
SHARING_MAX = 10
"""The most other winners that a finding of collusion names."""


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """A claim after a decision, with the number of credits that debts were recovered from, the findings, and paid prizes, for metrics."""

    claim: Claim
    netted: int = 0
    findings: tuple[Finding, ...] = ()
    changed: bool = True
    paid: tuple[PaidPrizes, ...] = ()


@dataclass(frozen=True, slots=True)
class EndedClaims:
    """Claims that a job ended, their campaign, and paid prizes for metrics."""

    campaign: UUID
    claims: Sequence[Claim]
    paid: tuple[PaidPrizes, ...] = ()


async def open_claims(
    rewards: Sequence[Reward],
    *,
    settlement: Settlement,
    campaign: Campaign,
    uow: UnitOfWork,
    ports: ClaimPorts,
) -> None:
    """Open a claim for each prize that became claimable. A closed claim of the prize, which a correction took back and
    gave again, is reopened. The caller holds the round's lock.
    """
    deadline = uow.now + timedelta(seconds=campaign.settings.claim.expires_s)
    known: dict[UUID, Claim] = {}
    if settlement.settlement_version > 1:
        known = await ports.claims.lock([reward.id for reward in rewards])
    new: list[Claim] = []
    reopened: list[Claim] = []
    for reward in rewards:
        was = known.get(reward.id)
        if was is not None and was.state in CLAIM_LIVE:
            continue
        opened = _opened(reward, settlement=settlement, campaign=campaign, deadline=deadline, now=uow.now)
        if was is None:
            new.append(opened)
        else:
            step(edges=CLAIM_EDGES, was=was.state, to=ClaimState.OPEN)
            opened = replace(
                opened,
                opened_at=was.opened_at,
                version=was.version + 1,
                settings_version=was.settings_version,
            )
            reopened.append(opened)
        uow.transitions.append(
            Transition(
                "claim",
                reward.id,
                was="" if was is None else was.state,
                to=opened.state,
                cause=f"round/{reward.round_id}",
                correlation_id=opened.correlation_id,
            )
        )
    if new:
        await ports.claims.add(new)
    if reopened:
        await ports.claims.save(reopened)
    uow.events.extend(ClaimMoved(claim=opened, actor=SYSTEM) for opened in (*new, *reopened))


async def close_claims(rewards: Sequence[Reward], *, uow: UnitOfWork, ports: ClaimPorts) -> None:
    """End the claims of prizes that a correction has taken back completely. The caller holds the rounds' locks and changes
    money, prizes and caps. Ended claims stay unchanged.
    """
    found = await ports.claims.lock([reward.id for reward in rewards if reward.state is RewardState.REVERSED])
    closed: list[Claim] = []
    for was in found.values():
        if was.state not in CLAIM_LIVE:
            continue
        state = step(edges=CLAIM_EDGES, was=was.state, to=ClaimState.REJECTED)
        closed.append(
            replace(
                was,
                state=state,
                decided_at=uow.now,
                decided_by=SYSTEM,
                reason=CORRECTED,
                version=was.version + 1,
            )
        )
        uow.transitions.append(
            Transition(
                "claim",
                was.reward_id,
                was=was.state,
                to=state,
                cause=f"round/{was.round_id}",
                correlation_id=was.correlation_id,
            )
        )
    if closed:
        await ports.claims.save(closed)
        uow.events.extend(ClaimMoved(claim=one, actor=SYSTEM, code=CORRECTED) for one in closed)


async def claim(
    reward_id: UUID, *, player: str, ports: ClaimPorts, tools: PayoutTools, now: datetime
) -> ClaimResult:
    """Claim a prize for its player: it is credited, held for a person, or refused. A second claim has no effect.

    Raises:
        NotFound: ``claim_unknown``; also for the claim of another player.
        InvalidRequest: ``claim_expired``: the deadline has passed; ``claim_final``: the claim was refused.
    """
    await ports.claims.lock_player(player)
    found = await ports.claims.find(reward_id)
    if found is None or found.player != player:
        raise _unknown(reward_id)
    decisions = await ClaimDecisions.open([found], ports=ports, now=now)
    wanted = decisions.claims[reward_id]
    if wanted.state in (ClaimState.HELD, ClaimState.APPROVED):
        return ClaimResult(wanted, changed=False)
    if wanted.state is ClaimState.EXPIRED or (wanted.state is ClaimState.OPEN and now >= wanted.deadline):
        raise InvalidRequest("claim_expired", "the prize was not claimed in time")
    if wanted.state is not ClaimState.OPEN:
        raise InvalidRequest("claim_final", f"the claim is {wanted.state} and cannot be made again")
    findings = await _judge(wanted, decisions=decisions, ports=ports, tools=tools, now=now)
    verdict = verdict_of(findings)
    if verdict is Verdict.REJECT:
        ended = decisions.refuse(wanted, actor=SYSTEM, reason=findings[0].rule, findings=findings)
    elif verdict is Verdict.HOLD:
        review_s = max(settings.claim.review_deadline_s for settings in decisions.terms(wanted))
        deadline = now + timedelta(seconds=review_s)
        ended = decisions.hold(wanted, actor=SYSTEM, deadline=deadline, findings=findings)
    else:
        ended = decisions.approve(wanted, actor=SYSTEM)
    netted = await decisions.save(ports=ports)
    return ClaimResult(ended, netted, findings, paid=decisions.paid)


async def _judge(
    wanted: Claim, *, decisions: ClaimDecisions, ports: ClaimPorts, tools: PayoutTools, now: datetime
) -> tuple[Finding, ...]:
    """Apply the campaign's rules, with the thresholds of the claim's opening and with those in force."""
    wrote = decisions.wrote_settings(wanted.player)
    found: list[tuple[Finding, ...]] = []
    for settings in decisions.terms(wanted):
        facts = await _facts(wanted, risk=settings.risk, ports=ports, tools=tools, now=now)
        facts = replace(facts, wrote_settings=wrote)
        found.append(assess(facts=facts, thresholds=settings.risk, now=now))
    return merge_findings(found)


async def _facts(
    wanted: Claim, *, risk: RiskThresholds, ports: ClaimPorts, tools: PayoutTools, now: datetime
) -> Facts:
    """Load only the facts that the rules with these thresholds need."""
    recent = 0
    if risk.velocity is not None:
        since = now - timedelta(seconds=risk.velocity.window_s)
        recent = await ports.claims.recent(
            wanted.player, excluding=wanted.reward_id, since=since, limit=risk.velocity.count
        )
    known = None
    if risk.new_account_s is not None or risk.kyc_above is not None:
        known = await ports.players.get(wanted.player)
    sharing = (
        await ports.claims.sharing(wanted, limit=max(SHARING_MAX, risk.collusion_winners))
        if risk.collusion_winners is not None
        else []
    )
    return Facts(
        asset=tools.assets[wanted.asset],
        amount=wanted.amount,
        recent=recent,
        registered_at=None if known is None else known.registered_at,
        kyc_state=None if known is None else known.kyc_state,
        sharing=sharing,
    )


async def decide_claim(
    reward_id: UUID,
    *,
    release: bool,
    actor: str,
    reason: str,
    ports: ClaimPorts,
    now: datetime,
) -> ClaimResult:
    """Release or refuse a held claim, as an operator decided.

    Raises:
        NotFound: ``claim_unknown``.
        InvalidRequest: ``own_claim``: the operator may not decide their own claim; ``claim_not_held``.
    """
    found = await ports.claims.find(reward_id)
    if found is None:
        raise _unknown(reward_id)
    if found.player == actor:
        raise InvalidRequest(
            "own_claim", f"{actor} won this prize: another operator has to decide this claim"
        )
    decisions = await ClaimDecisions.open([found], ports=ports, now=now)
    wanted = decisions.claims[reward_id]
    if wanted.state is not ClaimState.HELD:
        raise InvalidRequest("claim_not_held", f"claim {reward_id} is {wanted.state}, not held")
    if release:
        ended = decisions.approve(wanted, actor=actor, reason=reason)
    else:
        ended = decisions.refuse(wanted, actor=actor, reason=reason)
    netted = await decisions.save(ports=ports)
    return ClaimResult(ended, netted, paid=decisions.paid)


async def expire_due(*, ports: ClaimPorts, now: datetime) -> EndedClaims | None:
    """Return prizes of one campaign that were not claimed in time to its pool, at most ``AT_ONCE_MAX``; None when none are
    due. A player's claim at the same time is either applied first, or refused because the prize has expired.
    """
    found = await ports.claims.due(ClaimState.OPEN, now=now, limit=AT_ONCE_MAX)
    if not found:
        return None
    decisions = await ClaimDecisions.open(found, ports=ports, now=now)
    ended = [
        decisions.expire(one, actor=SYSTEM)
        for one in decisions.claims.copy().values()
        if one.state is ClaimState.OPEN and one.deadline <= now
    ]
    await decisions.save(ports=ports)
    return EndedClaims(decisions.campaign.id, ended)


async def pass_deadlines(*, ports: ClaimPorts, now: datetime) -> EndedClaims | None:
    """Decide held claims of one campaign whose deadline has passed; None when there are none. A claim is released if the
    settings at its opening and those in force both release it and its player never wrote settings of the campaign.
    Otherwise it is refused.
    """
    found = await ports.claims.due(ClaimState.HELD, now=now, limit=AT_ONCE_MAX)
    if not found:
        return None
    decisions = await ClaimDecisions.open(found, ports=ports, now=now)

    def decide(one: Claim) -> Claim:
        release = not decisions.wrote_settings(one.player) and all(
            settings.claim.at_deadline is AtDeadline.RELEASE for settings in decisions.terms(one)
        )
        end = decisions.approve if release else decisions.refuse
        return end(one, actor=SYSTEM, reason=DEADLINE_PASSED)

    ended = [
        decide(one)
        for one in decisions.claims.copy().values()
        if one.state is ClaimState.HELD and one.deadline <= now
    ]
    await decisions.save(ports=ports)
    return EndedClaims(decisions.campaign.id, ended, decisions.paid)


def _opened(
    reward: Reward, *, settlement: Settlement, campaign: Campaign, deadline: datetime, now: datetime
) -> Claim:
    return Claim(
        reward_id=reward.id,
        round_id=reward.round_id,
        campaign=settlement.campaign,
        player=reward.line.player,
        asset=settlement.asset,
        amount=reward.line.amount,
        correlation_id=settlement.correlation_id,
        state=ClaimState.OPEN,
        deadline=deadline,
        opened_at=now,
        settings_version=campaign.settings_version,
    )


def _unknown(reward_id: UUID) -> NotFound:
    return NotFound("claim_unknown", f"there is no prize {reward_id} to be claimed")
