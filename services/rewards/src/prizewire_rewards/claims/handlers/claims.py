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
from prizewire_rewards.claims.handlers.docket import Docket
from prizewire_rewards.claims.ports import ClaimPorts
from prizewire_rewards.errors import InvalidRequest, NotFound
from prizewire_rewards.ledger.domain.events import Event
from prizewire_rewards.ledger.domain.transitions import Transition, step
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
class Claimed:
    """What became of a claim, with the debts that were netted and the rules that found something, for metrics."""

    claim: Claim
    netted: int = 0
    findings: tuple[Finding, ...] = ()
    changed: bool = True


@dataclass(frozen=True, slots=True)
class Ended:
    """What a job ended: claims by the state that they reached, and the campaign that they are of."""

    campaign: UUID
    claims: Sequence[Claim]


async def open_claims(
    rewards: Sequence[Reward], *, settlement: Settlement, campaign: Campaign, ports: ClaimPorts, now: datetime
) -> list[Event]:
    """Open a claim for each prize that has become claimable, or open it again for one that a correction took back and
    gave again; answers what to tell. The caller holds the round's lock, and publishes.
    """
    deadline = now + timedelta(seconds=campaign.settings.claim.expires_s)
    known: dict[UUID, Claim] = {}
    if settlement.settlement_version > 1:
        known = await ports.claims.lock([reward.id for reward in rewards])
    new: list[Claim] = []
    again: list[Claim] = []
    history: list[Transition] = []
    for reward in rewards:
        was = known.get(reward.id)
        if was is not None and was.state in CLAIM_LIVE:
            continue
        opened = _opened(reward, settlement=settlement, campaign=campaign, deadline=deadline, now=now)
        if was is None:
            new.append(opened)
        else:
            step(edges=CLAIM_EDGES, was=was.state, to=ClaimState.OPEN)
            again.append(
                replace(
                    opened,
                    opened_at=was.opened_at,
                    version=was.version + 1,
                    settings_version=was.settings_version,
                )
            )
        before = "" if was is None else was.state
        history.append(
            Transition(
                "claim", reward.id, before, opened.state, f"round/{reward.round_id}", opened.correlation_id
            )
        )
    if new:
        await ports.claims.add(new)
    if again:
        await ports.claims.save(again)
    if history:
        await ports.history.add(history, now=now)
    return [ClaimMoved(claim=opened, actor=SYSTEM) for opened in (*new, *again)]


async def close_claims(rewards: Sequence[Reward], *, ports: ClaimPorts, now: datetime) -> list[Event]:
    """End the claims of prizes that a correction has taken back whole; answers what to tell. Money, prizes and caps are
    the caller's, who holds the rounds' locks; claims that have ended already stay as they are.
    """
    found = await ports.claims.lock([reward.id for reward in rewards if reward.state is RewardState.REVERSED])
    closed: list[Claim] = []
    history: list[Transition] = []
    for was in found.values():
        if was.state not in CLAIM_LIVE:
            continue
        state = step(edges=CLAIM_EDGES, was=was.state, to=ClaimState.REJECTED)
        closed.append(
            replace(
                was,
                state=state,
                decided_at=now,
                decided_by=SYSTEM,
                reason=CORRECTED,
                version=was.version + 1,
            )
        )
        history.append(
            Transition("claim", was.reward_id, was.state, state, f"round/{was.round_id}", was.correlation_id)
        )
    if closed:
        await ports.claims.save(closed)
        await ports.history.add(history, now=now)
    return [ClaimMoved(claim=one, actor=SYSTEM, code=CORRECTED) for one in closed]


async def claim(
    reward_id: UUID, *, player: str, ports: ClaimPorts, tools: PayoutTools, now: datetime
) -> Claimed:
    """A player claims a prize: it is credited, held for a person, or refused. Claiming again has no further effect.

    Raises:
        NotFound: ``claim_unknown``; also for another player's.
        InvalidRequest: ``claim_expired``: the deadline has passed; ``claim_final``: it was refused.
    """
    await ports.claims.queue(player)
    found = await ports.claims.find(reward_id)
    if found is None or found.player != player:
        raise _unknown(reward_id)
    docket = await Docket.open([found], ports=ports, now=now)
    wanted = docket.claims[reward_id]
    if wanted.state in (ClaimState.HELD, ClaimState.APPROVED):
        return Claimed(wanted, changed=False)
    if wanted.state is ClaimState.EXPIRED or (wanted.state is ClaimState.OPEN and now >= wanted.deadline):
        raise InvalidRequest("claim_expired", "the prize was not claimed in time")
    if wanted.state is not ClaimState.OPEN:
        raise InvalidRequest("claim_final", f"the claim is {wanted.state}")
    findings = await _judge(wanted, docket=docket, ports=ports, tools=tools, now=now)
    verdict = verdict_of(findings)
    if verdict is Verdict.REJECT:
        ended = docket.refuse(wanted, actor=SYSTEM, reason=findings[0].rule, findings=findings)
    elif verdict is Verdict.HOLD:
        review_s = max(settings.claim.review_deadline_s for settings in docket.terms(wanted))
        deadline = now + timedelta(seconds=review_s)
        ended = docket.hold(wanted, actor=SYSTEM, deadline=deadline, findings=findings)
    else:
        ended = docket.approve(wanted, actor=SYSTEM)
    netted = await docket.save(ports=ports, tools=tools)
    return Claimed(ended, netted, findings)


async def _judge(
    wanted: Claim, *, docket: Docket, ports: ClaimPorts, tools: PayoutTools, now: datetime
) -> tuple[Finding, ...]:
    """Ask the campaign's rules, with the thresholds of the claim's opening and with those in force."""
    wrote = docket.wrote_settings(wanted.player)
    found: list[tuple[Finding, ...]] = []
    for settings in docket.terms(wanted):
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
    tools: PayoutTools,
    now: datetime,
) -> Claimed:
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
    docket = await Docket.open([found], ports=ports, now=now)
    wanted = docket.claims[reward_id]
    if wanted.state is not ClaimState.HELD:
        raise InvalidRequest("claim_not_held", f"the claim is {wanted.state}")
    if release:
        ended = docket.approve(wanted, actor=actor, reason=reason)
    else:
        ended = docket.refuse(wanted, actor=actor, reason=reason)
    netted = await docket.save(ports=ports, tools=tools)
    return Claimed(ended, netted)


async def expire_due(*, ports: ClaimPorts, tools: PayoutTools, now: datetime) -> Ended | None:
    """Return prizes that nobody claimed in time to their pool: those of one campaign, so many at once; None when none
    are due. A claim that is made at the same moment either came first, or finds the prize expired.
    """
    found = await ports.claims.due(ClaimState.OPEN, now=now, limit=AT_ONCE_MAX)
    if not found:
        return None
    docket = await Docket.open(found, ports=ports, now=now)
    ended = [
        docket.expire(one, actor=SYSTEM)
        for one in docket.claims.copy().values()
        if one.state is ClaimState.OPEN and one.deadline <= now
    ]
    await docket.save(ports=ports, tools=tools)
    return Ended(docket.campaign.id, ended)


async def pass_deadlines(*, ports: ClaimPorts, tools: PayoutTools, now: datetime) -> Ended | None:
    """Do with held claims that nobody decided in time as their campaign says; None when there are none. Released is what
    its settings released when the claim was opened and release now, unless its player wrote settings of the campaign.
    """
    found = await ports.claims.due(ClaimState.HELD, now=now, limit=AT_ONCE_MAX)
    if not found:
        return None
    docket = await Docket.open(found, ports=ports, now=now)

    def decide(one: Claim) -> Claim:
        release = not docket.wrote_settings(one.player) and all(
            settings.claim.at_deadline is AtDeadline.RELEASE for settings in docket.terms(one)
        )
        end = docket.approve if release else docket.refuse
        return end(one, actor=SYSTEM, reason=DEADLINE_PASSED)

    ended = [
        decide(one)
        for one in docket.claims.copy().values()
        if one.state is ClaimState.HELD and one.deadline <= now
    ]
    await docket.save(ports=ports, tools=tools)
    return Ended(docket.campaign.id, ended)


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
