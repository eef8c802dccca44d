"""How the changes of rounds are stored together, with what follows from them: recovered debts, direct payouts, claims and
events.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from prizewire_rewards.campaigns.domain.model import Campaign, Delivery, check_level
from prizewire_rewards.claims.handlers.claims import close_claims, open_claims
from prizewire_rewards.ledger.domain.records import Event, Transition
from prizewire_rewards.ledger.handlers import UnitOfWork, open_receivables
from prizewire_rewards.payouts.domain.model import Origin, Payout, PayoutRequested
from prizewire_rewards.payouts.handlers.requests import DirectPrize, request_direct
from prizewire_rewards.payouts.handlers.terms import NO_PAYOUT_METHOD
from prizewire_rewards.payouts.ports import PayoutTools
from prizewire_rewards.prizes.domain.model import Reward, RewardsMoved, Round
from prizewire_rewards.prizes.domain.states import RewardState
from prizewire_rewards.prizes.handlers import count_paid, recount
from prizewire_rewards.rounds.handlers.round_changes import Booked, PendingEvent, RoundChanges
from prizewire_rewards.rounds.ports import RoundPorts


async def save_changes(changes: RoundChanges, *, ports: RoundPorts, tools: PayoutTools) -> Booked:
    """Store all changes and events, recover debts from the credits, and request the payouts of direct prizes."""
    uow, now = changes.uow, changes.uow.now
    paid = await count_paid(changes.credited, ports=ports)
    rounds, rewards = changes.rounds, changes.rewards
    changes.events += update_levels(changes.campaigns, changes.moved_campaigns)
    if changes.moved_campaigns:
        # Before debts are recovered: recovered money is added to the stored pools.
        await ports.campaigns.save([changes.campaigns[key] for key in sorted(changes.moved_campaigns)])
    if changes.receivables:
        await ports.receivables.save(changes.receivables)
    if changes.debts:
        await open_receivables(changes.debts, uow=uow, ports=ports)
    if changes.direct:
        payouts = await _pay_direct_prizes(changes, ports=ports, tools=tools)
    else:
        payouts = {}
        await uow.recover_debts()
    uow.events += build_events(changes.events, payouts, rounds=rounds, rewards=rewards)
    await _store_rounds(changes, ports=ports)
    changed = {key: rewards.get(key, ()) for key in sorted(changes.changed - changes.new)}
    if changed:
        await recount_changed(changed, rounds=rounds, campaigns=changes.campaigns, ports=ports, now=now)
    if payouts:
        await ports.payouts.add(list(payouts.values()), now=now)
    if changes.payouts:
        await ports.payouts.save(changes.payouts, now=now)
    for round_id, opened in changes.claims.items():
        claimable = [reward for reward in rewards[round_id] if reward.id in opened]
        head = rounds[round_id].settlement
        campaign = changes.deliveries[head.campaign]
        await open_claims(claimable, settlement=head, campaign=campaign, uow=uow, ports=ports)
    if changed:
        await close_lost_claims(changed, rounds=rounds, deliveries=changes.deliveries, uow=uow, ports=ports)
    await uow.save()
    return changes.counts + Booked(
        payouts=len(payouts),
        netted=uow.recoveries,
        owed=len(changes.debts),
        work=len(changes.work),
        paid=paid,
    )


async def _pay_direct_prizes(
    changes: RoundChanges, *, ports: RoundPorts, tools: PayoutTools
) -> dict[UUID, Payout]:
    """Recover debts from the credits, and request payouts of the remaining amounts of direct prizes. The prizes get their
    payouts, or the note that their player has no payout method. Returns the payouts by reward id.
    """
    uow = changes.uow
    await uow.post()  # before the next read, so that one statement stores pools and transfers
    direct = {
        (one.cause, one.credit.ordinal): (changes.direct[one.cause], one.credit)
        for one in uow.credits
        if one.cause in changes.direct and one.credit.ordinal
    }
    players = {credit.account.owner for _, credit in direct.values()}
    assignments = await ports.assignments.in_force(players, now=uow.now) if players else {}
    paid = {player: assignments[player].payee if player in assignments else player for player in players}
    methods = await ports.methods.defaults(set(paid.values())) if players else {}
    by_line = {
        round_id: {reward.line.line: reward for reward in changes.rewards[round_id]}
        for round_id in {settlement.round_id for settlement, _ in direct.values()}
    }
    prizes: dict[tuple[str, int], DirectPrize] = {}
    without_method: dict[tuple[str, int], UUID] = {}
    for key, (settlement, credit) in direct.items():
        reward = by_line[settlement.round_id][credit.ordinal]
        method = methods.get(paid[credit.account.owner])
        if method is None:
            without_method[key] = reward.id
            continue
        prizes[key] = DirectPrize(
            Origin(settlement.campaign, settlement.competition, settlement.match_source),
            settlement.round_id,
            reward.id,
            reward.next_payout_ordinal,
            settlement.correlation_id,
            method,
            assignments.get(credit.account.owner),
        )
    remainders = await uow.recover_debts(leaving=prizes.keys())
    left = {(credited.cause, credited.credit.ordinal): amount for credited, amount in remainders}
    payouts = request_direct(remainders, prizes, uow=uow, tools=tools) if prizes else {}
    noted = {reward_id for key, reward_id in without_method.items() if left[key]}
    for found in changes.rewards.values():
        for place, reward in enumerate(found):
            if reward.id in payouts:
                found[place] = reward._replace(
                    payout_id=payouts[reward.id].id, payout_ordinal=reward.next_payout_ordinal, note=None
                )
            elif reward.id in noted:
                found[place] = reward._replace(note=NO_PAYOUT_METHOD)
    uow.transitions += [
        Transition(
            "payout",
            payout.id,
            was="",
            to=payout.state,
            cause=f"round/{payout.round_id}",
            correlation_id=payout.correlation_id,
        )
        for payout in payouts.values()
    ]
    return payouts


async def _store_rounds(changes: RoundChanges, *, ports: RoundPorts) -> None:
    """Store rounds, prizes and work on them."""
    now = changes.uow.now
    if changes.new:
        added = [changes.rounds[key] for key in changes.new]
        rewards = [reward for key in changes.new for reward in changes.rewards.get(key, ())]
        await ports.rounds.add(added, rewards, now=now)
    changed = changes.changed - changes.new
    added_later = {reward.id for reward in changes.added}
    if changed:
        saved = [changes.rounds[key] for key in changed]
        moved = [reward for key in changed for reward in changes.rewards.get(key, ())]
        if added_later:
            fresh = [reward for reward in moved if reward.id in added_later]
            await ports.rounds.add_rewards(
                fresh, assets={r.settlement.round_id: r.settlement.asset for r in saved}
            )
            moved = [reward for reward in moved if reward.id not in added_later]
        await ports.rounds.save(saved, moved, now=now)
    if changes.work:
        await ports.rounds.add_work(changes.work, now=now)


Changed = Mapping[UUID, Sequence[Reward]]
"""Loaded prizes of rounds that existed before the transaction, by round."""


async def close_lost_claims(
    changed: Changed,
    *,
    rounds: Mapping[UUID, Round],
    deliveries: Mapping[UUID, Campaign],
    uow: UnitOfWork,
    ports: RoundPorts,
) -> None:
    """End the claims of prizes that a correction or a disownment took back. Nothing else takes claimable prizes back."""
    for round_id, rewards in changed.items():
        head = rounds[round_id].settlement
        if head.final and deliveries[head.campaign].delivery is Delivery.CLAIM:
            lost = [reward for reward in rewards if reward.state is RewardState.REVERSED]
            if lost:
                await close_claims(lost, uow=uow, ports=ports)


async def recount_changed(
    changed: Changed,
    *,
    rounds: Mapping[UUID, Round],
    campaigns: Mapping[UUID, Campaign],
    ports: RoundPorts,
    now: datetime,
) -> None:
    """Count prizes of locked campaigns with caps with their present amounts."""
    for round_id, rewards in changed.items():
        head = rounds[round_id].settlement
        campaign = campaigns.get(head.campaign)
        if campaign is not None and campaign.capped:
            await recount(rewards, settlement=head, campaign=campaign, ports=ports, now=now)


def update_levels(campaigns: MutableMapping[UUID, Campaign], moved: Iterable[UUID]) -> list[Event]:
    """Update the levels of changed pools. Returns the events about low pools."""
    events: list[Event] = []
    for key in sorted(moved):
        campaigns[key], low = check_level(campaigns[key])
        if low is not None:
            events.append(low)
    return events


def build_events(
    pending: Iterable[PendingEvent | Event],
    payouts: Mapping[UUID, Payout],
    *,
    rounds: dict[UUID, Round],
    rewards: dict[UUID, list[Reward]],
) -> list[Event]:
    """Build the events in their order, and count the events of rounds. Events about ``payouts`` (by reward id) follow those
    about the prizes that they pay.
    """
    events: list[Event] = []
    requested: dict[UUID, list[PayoutRequested]] = defaultdict(list)
    for reward_id, payout in payouts.items():
        if payout.round_id is not None:
            requested[payout.round_id].append(PayoutRequested(payout=payout, reward_ids=(reward_id,)))
    for one in pending:
        if not isinstance(one, PendingEvent):
            events.append(one)
            continue
        events.extend(_reward_events(one, rounds=rounds, rewards=rewards))
        events.extend(replace(event, cause=one.cause) for event in requested.pop(one.round_id, ()))
    return events


def _reward_events(
    one: PendingEvent, *, rounds: dict[UUID, Round], rewards: dict[UUID, list[Reward]]
) -> Iterable[RewardsMoved]:
    settlement = rounds[one.round_id].settlement
    parts: defaultdict[int, list[Reward]] = defaultdict(list)
    if one.these is not None:
        concerned = one.these
    elif one.only is not None:
        concerned = [reward for reward in rewards[one.round_id] if reward.id in one.only]
    elif settlement.settlement_version > 1:
        concerned = [reward for reward in rewards[one.round_id] if reward.line.line > 0]
    else:
        concerned = rewards[one.round_id]
    for reward in concerned:
        parts[reward.line.part].append(reward)
    for part in range(1, settlement.parts + 1) if one.every else sorted(parts):
        round_ = rounds[one.round_id]
        rounds[one.round_id] = replace(round_, version=round_.version + 1)
        yield RewardsMoved(
            settlement=settlement,
            part=part,
            rewards=parts[part],
            what=one.what,
            version=round_.version + 1,
            cause=one.cause,
        )
