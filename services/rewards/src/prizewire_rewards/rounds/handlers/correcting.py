"""Changes of booked rounds: voids, corrections, late money for waiting lines, and decisions about held prizes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from prizewire_contracts import ids
from prizewire_rewards.campaigns.domain.model import ACCEPTS_PRIZES, CampaignState, Delivery
from prizewire_rewards.errors import IllegalTransition, Refused
from prizewire_rewards.ledger.domain.accounts import Move, TransferType
from prizewire_rewards.ledger.domain.receivables import undo_debt
from prizewire_rewards.ledger.domain.records import step, with_releasers
from prizewire_rewards.prizes.domain.booking import pool_of, prize_move, reserve_of
from prizewire_rewards.prizes.domain.model import Line, Reward, RewardEventKind, Round, Settlement
from prizewire_rewards.prizes.domain.states import REWARD_EDGES, ROUND_EDGES, RewardState, RoundState
from prizewire_rewards.rounds.domain.corrections import Paid, Taken, pay_short, take_all_back, take_back
from prizewire_rewards.rounds.handlers.chunked import begin_paying
from prizewire_rewards.rounds.handlers.player_funds import PlayerFunds
from prizewire_rewards.rounds.handlers.round_changes import Booked, RoundChanges, release_whole
from prizewire_rewards.rounds.handlers.shortfalls import owe_shortfalls, request_cancels

CORRECTION = "rewards:correction"
_PAYS_CORRECTIONS = ACCEPTS_PRIZES | {CampaignState.ENDED}
"""States in which a correction may take more from the pool: an ended campaign still pays rounds settled before its end."""


def release(changes: RoundChanges, round_id: UUID, *, cause: str) -> bool:
    """Book a waiting round if its pool now covers it. Returns whether it was booked."""
    round_ = changes.rounds[round_id]
    campaign = changes.campaigns[round_.settlement.campaign]
    if (
        campaign.state not in _PAYS_CORRECTIONS
        or campaign.available < round_.wanted
        or round_.state is RoundState.BOOKING
    ):
        return False
    if round_.large:
        begin_paying(changes, round_, cause=cause)
    elif round_.state is RoundState.UNFUNDED:
        release_whole(changes, round_id, cause=cause)
    else:
        _release_short(changes, round_, cause=cause)
    return True


def _release_short(changes: RoundChanges, round_: Round, *, cause: str) -> None:
    settlement = round_.settlement
    budget = round_.short
    changes.keep(changes.dequeue(round_, state=round_.state))
    changes.grant(settlement.campaign, budget)
    waiting = [reward.id for reward in changes.rewards[settlement.round_id] if reward.missing]
    take = Move(TransferType.PRIZE_RESERVED, pool_of(settlement), reserve_of(settlement), budget)
    pay_lines(changes, settlement, budget=budget, before=[take], step_name="/released")
    changes.emit(settlement.round_id, RewardEventKind.RELEASED, cause=cause, only=waiting)
    changes.counts += Booked(rounds=1)


def pay_lines(
    changes: RoundChanges, settlement: Settlement, *, budget: int, before: Sequence[Move], step_name: str
) -> Paid:
    """Pay the missing amounts of a round's loaded prizes, after the moves ``before`` that bring the money into its reserve."""
    round_id = settlement.round_id
    paid = pay_short(
        changes.rewards[round_id], settlement=settlement, budget=budget, delivery=changes.delivery(settlement)
    )
    changes.rewards[round_id] = paid.rewards
    changes.post(settlement, [*before, *paid.moves], step_name=step_name)
    changes.counts += Booked(lines=len(paid.moves))
    return paid


def void(changes: RoundChanges, round_id: UUID, *, cause: str) -> None:
    """Give all money of a round back to the pool. Only a disownment takes a final round back.

    Raises:
        IllegalTransition: the round is final or voided.
    """
    round_ = changes.rounds[round_id]
    if round_.state is RoundState.FINAL:
        raise IllegalTransition(was=round_.state, to=RoundState.VOIDED)
    settlement = round_.settlement
    state = step(edges=ROUND_EDGES, was=round_.state, to=RoundState.VOIDED)
    taken = take_all_back(changes.rewards[round_id], settlement=settlement, winnings={})
    if round_.state is not RoundState.UNFUNDED:
        rest = settlement.platform_fee + settlement.organizer_fee + taken.came_back
        give_back(changes, settlement, before=taken.moves, rest=rest, step_name="/void")
    changes.rewards[round_id] = taken.rewards
    leave_queue(changes, round_, state=state, cause=cause)
    changes.emit(round_id, RewardEventKind.REVERSED, cause=cause, these=taken.reversed)
    changes.counts += Booked(voided=1)


def give_back(
    changes: RoundChanges, settlement: Settlement, *, before: Sequence[Move], rest: int, step_name: str
) -> None:
    """Move ``rest``, the money in a round's reserve that no prize or fee needs, back to the pool."""
    moves = list(before)
    if rest:
        moves.append(Move(TransferType.PRIZE_RELEASED, reserve_of(settlement), pool_of(settlement), rest))
        changes.grant(settlement.campaign, -rest)
    changes.post(settlement, moves, step_name=step_name)


def leave_queue(changes: RoundChanges, round_: Round, *, state: RoundState, cause: str) -> None:
    """Move a round to a state in which it does not wait for money."""
    if round_.queue_position is None:
        changes.advance(replace(round_, state=state), cause=cause)
        return
    changes.advance(changes.dequeue(round_, state=state), cause=cause)
    changes.reopen_if_paid(round_.settlement.campaign)


def check_correction(round_: Round | None, settlement: Settlement, *, version: int, final: bool) -> Round:
    """Check that a correction fits the round. ``version`` and ``final`` are those of the round after its pending work.

    Raises:
        Refused: the correction does not fit.
    """
    if round_ is None:
        raise Refused("illegal_transition", f"round {settlement.round_id} has not been settled")
    if round_.state is RoundState.VOIDED:
        raise Refused("illegal_transition", f"round {settlement.round_id} was voided")
    if settlement.settlement_version != version + 1:
        raise Refused(
            "event_mismatch",
            f"the correction has version {settlement.settlement_version}, but the settlement has version {version}",
        )
    known = round_.settlement
    same = replace(
        settlement,
        settlement_version=known.settlement_version,
        unclaimed=known.unclaimed,
        parts=known.parts,
        lines_total=known.lines_total,
        digest=known.digest,
        final=known.final,
        final_at=known.final_at,
        parties=known.parties,
    )
    if same != known:
        raise Refused(
            "event_mismatch", "a correction may change lines and the unclaimed amount, and nothing else"
        )
    if final and not settlement.final:
        raise Refused("event_mismatch", "the round is final, but its correction is not")
    return round_


def correct(
    changes: RoundChanges,
    settlement: Settlement,
    lines: Sequence[Line],
    *,
    cause: str,
    funds: PlayerFunds,
    held: Mapping[int, str] | None = None,
) -> None:
    """Change a round of one part to its corrected lines, and move only the differences. ``held`` are lines of new players
    that a rule holds.
    """
    round_id = settlement.round_id
    was = changes.rounds[round_id]
    settlement = continued(settlement, was.settlement)
    funded = was.state is not RoundState.UNFUNDED
    by_player = {line.player: line for line in lines}
    before = {reward.line.player: reward for reward in changes.rewards[round_id]}
    taken = take_from_players(
        changes, settlement, changes.rewards[round_id], by_player, funds=funds, funded=funded, cause=cause
    )
    changes.rewards[round_id] = taken.rewards
    codes = held or {}
    for line in lines:
        if line.player not in before:
            changes.add_rewards([new_reward(settlement, line, note=codes.get(line.line), funded=funded)])
    changes.rewards[round_id].sort(key=lambda reward: reward.line.line)
    _cancel_receivables(changes, settlement, funds=funds)
    round_ = replace(was, settlement=settlement)
    if funded:
        round_ = _pay(changes, round_, taken=taken, cause=cause)
    changes.keep(round_)
    if taken.reversed:
        changes.emit(round_id, RewardEventKind.REVERSED, cause=cause, these=taken.reversed)
    changed = [
        reward.id
        for reward in changes.rewards[round_id]
        if reward.line.line > 0 and differs(before.get(reward.line.player), reward)
    ]
    changes.emit(round_id, RewardEventKind.ALLOCATED, cause=cause, only=changed)
    kept = [
        reward.id
        for reward in changes.rewards[round_id]
        if reward.state is RewardState.HELD and reward.id in set(changed)
    ]
    if kept:
        changes.emit(round_id, RewardEventKind.HELD, cause=cause, only=kept)
    changes.counts += Booked(corrected=1)


def continued(settlement: Settlement, known: Settlement) -> Settlement:
    """The settlement of a correction, with the finality and the releasers of the known one."""
    return replace(
        settlement,
        final=known.final,
        final_at=known.final_at,
        parties=with_releasers(settlement.parties, known.parties),
    )


def differs(before: Reward | None, now: Reward) -> bool:
    """Whether a correction changed the amount, the state or the missing amount of a prize."""
    if before is None or before.line.line < 0:
        return True
    return (before.line.amount, before.state, before.short) != (now.line.amount, now.state, now.short)


def new_reward(settlement: Settlement, line: Line, *, note: str | None, funded: bool) -> Reward:
    """The prize of a player who had none in this round."""
    return Reward(
        ids.reward_id(round_id=settlement.round_id, player=line.player),
        settlement.round_id,
        line,
        RewardState.UNFUNDED,
        None,
        note=note,
        short=line.amount if funded else 0,
        version=settlement.settlement_version,
    )


def take_from_players(
    changes: RoundChanges,
    settlement: Settlement,
    rewards: Sequence[Reward],
    lines: Mapping[str, Line],
    *,
    funds: PlayerFunds,
    funded: bool,
    cause: str,
) -> Taken:
    """Take excess amounts back, request the cancellation of payouts that hold them, and open debts for the rest."""
    round_id = settlement.round_id
    taken = take_back(rewards, lines=lines, settlement=settlement, winnings=funds.winnings, funded=funded)
    changes.post(settlement, taken.moves)
    if taken.shortfalls:
        request_cancels(
            changes,
            settlement,
            taken.shortfalls,
            funds=funds,
            by=CORRECTION,
            what="was corrected",
            cause=cause,
        )
        source = f"correction/{round_id}/{settlement.settlement_version}"
        owe_shortfalls(changes, settlement, taken.shortfalls, source=source, reference=str(round_id))
    return taken


def _cancel_receivables(changes: RoundChanges, settlement: Settlement, *, funds: PlayerFunds) -> None:
    """Cancel receivables for restored prizes: their players still have the money."""
    if not funds.owed:
        return
    rewards = changes.rewards[settlement.round_id]
    for place, reward in enumerate(rewards):
        rewards[place] = cancel_receivables(changes, reward, funds=funds)


def cancel_receivables(changes: RoundChanges, reward: Reward, *, funds: PlayerFunds) -> Reward:
    """Cancel what the player of a restored prize owes for it. The missing amount of the prize shrinks by the same amount."""
    for debt in funds.owed.get(reward.line.player, ()):
        amount = min(reward.missing, debt.unpaid)
        if not amount:
            continue
        transfer_id = reward.transfer_id
        for undone in undo_debt(debt, amount):
            moved = changes.undo(undone)
            transfer_id = transfer_id or moved
        state = reward.state
        if state is RewardState.UNFUNDED:
            state = step(edges=REWARD_EDGES, was=state, to=RewardState.CREDITED)
        reward = reward._replace(state=state, short=reward.missing - amount, transfer_id=transfer_id)
    return reward


def _pay(changes: RoundChanges, round_: Round, *, taken: Taken, cause: str) -> Round:
    """Pay missing amounts out of the money that came back and out of the pool. The rest of it stays in the pool."""
    settlement = round_.settlement
    round_id = settlement.round_id
    needed = sum(reward.missing for reward in changes.rewards[round_id])
    budget = min(needed, taken.came_back + available_for_correction(changes, round_))
    paid = pay_short(
        changes.rewards[round_id], settlement=settlement, budget=budget, delivery=changes.delivery(settlement)
    )
    changes.rewards[round_id] = paid.rewards
    from_pool = budget - paid.left - taken.came_back
    moves = list(paid.moves)
    if from_pool > 0:
        moves.insert(
            0, Move(TransferType.PRIZE_RESERVED, pool_of(settlement), reserve_of(settlement), from_pool)
        )
    elif from_pool < 0:
        moves.append(
            Move(TransferType.PRIZE_RELEASED, reserve_of(settlement), pool_of(settlement), -from_pool)
        )
    if from_pool:
        changes.grant(settlement.campaign, from_pool)
    changes.post(settlement, moves)
    return settle_shortage(changes, round_, short=paid.short, cause=cause)


def available_for_correction(changes: RoundChanges, round_: Round) -> int:
    """The amount that a correction of this round may take from the pool: 0 while other rounds wait for the pool."""
    campaign = changes.campaigns[round_.settlement.campaign]
    alone = campaign.queued == (0 if round_.queue_position is None else 1)
    return campaign.available if alone and campaign.state in _PAYS_CORRECTIONS else 0


def settle_shortage(changes: RoundChanges, round_: Round, *, short: int, cause: str) -> Round:
    """Queue a booked round whose lines are short, or take it out of the queue. The caller stores the returned round."""
    if short:
        if round_.queue_position is None:
            round_ = changes.queue(round_, cause=cause)
        return replace(round_, short=short)
    if round_.queue_position is not None:
        round_ = changes.dequeue(round_, state=round_.state)
        changes.reopen_if_paid(round_.settlement.campaign)
    return round_


def decide_held(changes: RoundChanges, reward: Reward, *, released: bool, actor: str, cause: str) -> None:
    """Release a held prize, so that it is paid like the others of its round, or give its money back to the pool.

    Raises:
        IllegalTransition: the prize is not held.
    """
    round_ = changes.rounds[reward.round_id]
    settlement = round_.settlement
    place = next(at for at, one in enumerate(changes.rewards[reward.round_id]) if one.id == reward.id)
    amount, line = reward.booked, reward.line
    if released:
        claim = changes.delivery(settlement) is Delivery.CLAIM
        move = prize_move(settlement, player=line.player, line=line.line, amount=amount, claim=claim)
        changes.rewards[reward.round_id][place] = reward._replace(note=None)
        changes.post(settlement, [move], step_name=f"/held/{reward.id}", released_by=actor)
        changes.emit(reward.round_id, RewardEventKind.RELEASED, cause=cause, only=[reward.id])
        return
    state = step(edges=REWARD_EDGES, was=reward.state, to=RewardState.REJECTED)
    move = Move(TransferType.PRIZE_RELEASED, reserve_of(settlement), pool_of(settlement), amount, line.line)
    [transfer_id] = changes.post(settlement, [move], step_name=f"/held/{reward.id}")
    changes.grant(settlement.campaign, -amount)
    rejected = reward._replace(state=state, short=0, transfer_id=transfer_id)
    changes.rewards[reward.round_id][place] = rejected
    if reward.short:
        changes.keep(settle_shortage(changes, round_, short=round_.short - reward.short, cause=cause))
    changes.emit(reward.round_id, RewardEventKind.REVERSED, cause=cause, these=[rejected])
