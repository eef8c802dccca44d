"""Large rounds: their money moves at once; their lines are booked in chunks by the work that is added here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from prizewire_rewards.errors import Refused
from prizewire_rewards.ledger.domain.accounts import Move, TransferType
from prizewire_rewards.ledger.domain.records import step
from prizewire_rewards.prizes.domain.booking import pool_of, reserve_of
from prizewire_rewards.prizes.domain.model import Phase, Round, RoundWork, Settlement
from prizewire_rewards.prizes.domain.states import ROUND_EDGES, RoundState
from prizewire_rewards.rounds.handlers.round_changes import Booked, RoundChanges, reserve_or_queue


@dataclass(frozen=True, slots=True)
class ExpectedState:
    """The state of a round after its pending work is done."""

    version: int
    final: bool
    voided: bool


def expected_state(round_: Round, pending: Sequence[RoundWork]) -> ExpectedState:
    """Compute the state of a round after its pending work."""
    heads = [task.head for task in pending if task.head is not None]
    return ExpectedState(
        version=max([round_.settlement.settlement_version, *(head.settlement_version for head in heads)]),
        final=round_.settlement.final or any(task.phase is Phase.MATURE for task in pending),
        voided=round_.state is RoundState.VOIDED or any(task.phase is Phase.VOID for task in pending),
    )


def settle_in_chunks(changes: RoundChanges, settlement: Settlement, *, cause: str) -> None:
    """Take the gross prize of a new large round from the pool, or queue the round; add work for its lines."""
    changes.rewards[settlement.round_id] = []
    covered = reserve_or_queue(changes, settlement, cause=cause, into=RoundState.BOOKING)
    task = RoundWork(
        round_id=settlement.round_id,
        version=settlement.settlement_version,
        phase=Phase.LIST,
        cause=cause,
        announced=covered,
    )
    changes.work.append(task)
    if covered:
        _take_gross(changes, settlement)
        changes.work.append(_paying(settlement, cause=cause, announced=False))


def _take_gross(changes: RoundChanges, settlement: Settlement) -> None:
    pool, reserve = pool_of(settlement), reserve_of(settlement)
    moves = [Move(TransferType.PRIZE_RESERVED, pool, reserve, settlement.gross)]
    if settlement.unclaimed:
        moves.append(Move(TransferType.PRIZE_UNCLAIMED, reserve, pool, settlement.unclaimed))
    changes.post(settlement, moves)


def _paying(settlement: Settlement, *, cause: str, announced: bool) -> RoundWork:
    return RoundWork(
        round_id=settlement.round_id,
        version=settlement.settlement_version,
        phase=Phase.PAY,
        cause=cause,
        budget=settlement.net - settlement.unclaimed,
        fees=True,
        announced=announced,
    )


def begin_paying(changes: RoundChanges, round_: Round, *, cause: str) -> None:
    """Take the money that a large round waited for from the pool, and add work that pays its lines."""
    settlement = round_.settlement
    changes.counts += Booked(rounds=1)
    state = step(edges=ROUND_EDGES, was=round_.state, to=RoundState.BOOKING)
    changes.advance(changes.dequeue(round_, state=state), cause=cause)
    if round_.state is RoundState.UNFUNDED:
        changes.grant(settlement.campaign, settlement.gross - settlement.unclaimed)
        _take_gross(changes, settlement)
        changes.work.append(_paying(settlement, cause=cause, announced=True))
        return
    changes.grant(settlement.campaign, round_.short)
    take = Move(TransferType.PRIZE_RESERVED, pool_of(settlement), reserve_of(settlement), round_.short)
    changes.post(settlement, [take], step_name="/released")
    task = _paying(settlement, cause=cause, announced=True)
    changes.work.append(replace(task, budget=round_.short, fees=False))


def finalize_later(
    changes: RoundChanges, round_: Round, pending: Sequence[RoundWork], *, version: int, cause: str
) -> None:
    """Add work that makes the prizes of a large round payable after its pending work.

    Raises:
        Refused: its settlement has, or will have, another version, or it was voided.
    """
    expected = expected_state(round_, pending)
    if expected.voided:
        raise Refused("illegal_transition", f"round {round_.settlement.round_id} was voided")
    if expected.version != version:
        raise Refused(
            "event_mismatch",
            f"version {version} cannot become final: the settlement has version {expected.version}",
        )
    if not expected.final:
        changes.work.append(
            RoundWork(
                round_id=round_.settlement.round_id,
                version=version,
                phase=Phase.MATURE,
                cause=cause,
                fees=True,
            )
        )


def void_later(changes: RoundChanges, round_: Round, pending: Sequence[RoundWork], *, cause: str) -> None:
    """Add work that gives all money of a large round back to the pool after its pending work. Nothing is added where such
    work is pending already: settlement also voids a round that was disowned.

    Raises:
        Refused: the round is or will be final.
    """
    expected = expected_state(round_, pending)
    if expected.voided:
        return
    if expected.final and round_.state is not RoundState.UNFUNDED:
        raise Refused(
            "illegal_transition", f"round {round_.settlement.round_id} is final and cannot be voided"
        )
    changes.work.append(
        RoundWork(
            round_id=round_.settlement.round_id, version=expected.version, phase=Phase.VOID, cause=cause
        )
    )
