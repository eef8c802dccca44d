"""Claims: opened when their prizes are final, claimed, judged by the risk rules, decided by operators, expired."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from prizewire_rewards.campaigns.domain.model import Campaign
from prizewire_rewards.campaigns.domain.settings import AtDeadline, RiskThresholds
from prizewire_rewards.claims.domain.claims import (
    CLAIM_EDGES,
    CLAIM_LIVE,
    CLAIM_SYSTEM,
    Claim,
    ClaimCode,
    ClaimMoved,
    ClaimState,
)
from prizewire_rewards.claims.domain.risk import Facts, Finding, Verdict, assess, together, verdict_of
from prizewire_rewards.claims.handlers.deciding import ClaimDecisions
from prizewire_rewards.claims.ports import ClaimPorts
from prizewire_rewards.errors import InvalidRequest, NotFound
from prizewire_rewards.ledger.domain.transitions import step
from prizewire_rewards.ledger.handlers.unit_of_work import UnitOfWork
from prizewire_rewards.payouts.ports import PayoutTools
from prizewire_rewards.prizes.domain.model import Reward, Settlement
from prizewire_rewards.prizes.domain.states import RewardState

SYSTEM = CLAIM_SYSTEM
CORRECTED = ClaimCode.CORRECTED
DEADLINE_PASSED = "deadline_passed"
AT_ONCE_MAX = 200
"""Claims that a job ends in one transaction, so that nobody waits long for their campaign."""
SHARING_MAX = 10
"""Other winners that an operator is told of."""


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """What became of a claim, with the debts that were netted and the rules that found something, for metrics."""

    claim: Claim
    netted: int = 0
    findings: tuple[Finding, ...] = ()
    changed: bool = True


@dataclass(frozen=True, slots=True)
class EndedClaims:
    """What a job ended: claims by the state that they reached, and the campaign that they are of."""

    campaign: UUID
    claims: Sequence[Claim]


async def open_claims(
    rewards: Sequence[Reward],
    *,
    settlement: Settlement,
    campaign: Campaign,
    uow: UnitOfWork,
    ports: ClaimPorts,
) -> None:
    """Open a claim for each prize that has become claimable, or open it again for one that a correction took back and
    gave again. The caller holds the round's lock.
    """
    deadline = uow.now + timedelta(seconds=campaign.settings.claim.expires_s)
    known: dict[UUID, Claim] = {}
    if settlement.settlement_version > 1:
        known = await ports.claims.lock([reward.id for reward in rewards])
    new: list[Claim] = []
    again: list[Claim] = []
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
            again.append(opened)
        uow.transition(
            "claim",
            reward.id,
            was="" if was is None else was.state,
            to=opened.state,
            cause=f"round/{reward.round_id}",
            correlation_id=opened.correlation_id,
        )
    if new:
        await ports.claims.add(new)
    if again:
        await ports.claims.save(again)
    uow.emit(*(ClaimMoved(claim=opened, actor=SYSTEM) for opened in (*new, *again)))


async def close_claims(rewards: Sequence[Reward], *, uow: UnitOfWork, ports: ClaimPorts) -> None:
    """End the claims of prizes that a correction has taken back whole. Money, prizes and caps are the caller's, who holds
    the rounds' locks; claims that have ended already stay as they are.
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
        uow.transition(
            "claim",
            was.reward_id,
            was=was.state,
            to=state,
            cause=f"round/{was.round_id}",
            correlation_id=was.correlation_id,
        )
    if closed:
        await ports.claims.save(closed)
        uow.emit(*(ClaimMoved(claim=one, actor=SYSTEM, code=CORRECTED) for one in closed))


async def claim(
    reward_id: UUID, *, player: str, ports: ClaimPorts, tools: PayoutTools, now: datetime
) -> ClaimResult:
    """A player claims a prize: it is credited, held for a person, or refused. Claiming again has no further effect.

    Raises:
        NotFound: ``claim_unknown``; also for another player's.
        InvalidRequest: ``claim_expired``: the deadline has passed; ``claim_final``: it was refused.
    """
    await ports.claims.queue(player)
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
        raise InvalidRequest("claim_final", f"the claim is {wanted.state}")
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
    return ClaimResult(ended, netted, findings)


async def _judge(
    wanted: Claim, *, decisions: ClaimDecisions, ports: ClaimPorts, tools: PayoutTools, now: datetime
) -> tuple[Finding, ...]:
    """Ask the campaign's rules, with the thresholds of the claim's opening and with those in force."""
    wrote = decisions.wrote_settings(wanted.player)
    found: list[tuple[Finding, ...]] = []
    for settings in decisions.terms(wanted):
        facts = await _facts(wanted, risk=settings.risk, ports=ports, tools=tools, now=now)
        facts = replace(facts, wrote_settings=wrote)
        found.append(assess(facts=facts, thresholds=settings.risk, now=now))
    return together(found)


async def _facts(
    wanted: Claim, *, risk: RiskThresholds, ports: ClaimPorts, tools: PayoutTools, now: datetime
) -> Facts:
    """Gather only what the rules with these thresholds ask for."""
    recent = 0
    if risk.velocity is not None:
        since = now - timedelta(seconds=risk.velocity.window_s)
        recent = await ports.claims.recent(
            wanted.player, but=wanted.reward_id, since=since, limit=risk.velocity.count
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
    """An operator releases or refuses a held claim.

    Raises:
        NotFound: ``claim_unknown``.
        InvalidRequest: ``own_claim``: nobody decides their own; ``claim_not_held``.
    """
    found = await ports.claims.find(reward_id)
    if found is None:
        raise _unknown(reward_id)
    if found.player == actor:
        raise InvalidRequest("own_claim", "somebody else must decide this claim")
    decisions = await ClaimDecisions.open([found], ports=ports, now=now)
    wanted = decisions.claims[reward_id]
    if wanted.state is not ClaimState.HELD:
        raise InvalidRequest("claim_not_held", f"the claim is {wanted.state}")
    if release:
        ended = decisions.approve(wanted, actor=actor, reason=reason)
    else:
        ended = decisions.refuse(wanted, actor=actor, reason=reason)
    netted = await decisions.save(ports=ports)
    return ClaimResult(ended, netted)


async def expire_due(*, ports: ClaimPorts, now: datetime) -> EndedClaims | None:
    """Return prizes that nobody claimed in time to their pool: those of one campaign, so many at once; None when none
    are due. A claim that is made at the same moment either came first, or finds the prize expired.
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
    """Do with held claims that nobody decided in time as their campaign says; None when there are none. Released is what
    its settings released when the claim was opened and release now, unless its player wrote settings of the campaign.
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
    return EndedClaims(decisions.campaign.id, ended)


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
