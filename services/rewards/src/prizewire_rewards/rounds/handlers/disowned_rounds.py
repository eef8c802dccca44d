"""Take back all money of rounds that two admins disowned, also of final ones."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from prizewire_rewards.errors import InvalidRequest
from prizewire_rewards.ledger.domain.transitions import step
from prizewire_rewards.prizes.domain.events import RewardEventKind
from prizewire_rewards.prizes.domain.model import Phase, Round, RoundWork, Settlement
from prizewire_rewards.prizes.domain.states import ROUND_EDGES, RoundState
from prizewire_rewards.rounds.domain.corrections import Shortfall, take_all_back
from prizewire_rewards.rounds.domain.disownments import FeesTakenBack, take_fees_back
from prizewire_rewards.rounds.handlers.chunked import expected_state
from prizewire_rewards.rounds.handlers.correcting import give_back, leave_queue
from prizewire_rewards.rounds.handlers.player_funds import PlayerFunds
from prizewire_rewards.rounds.handlers.round_changes import Booked, RoundChanges
from prizewire_rewards.rounds.handlers.shortfalls import owe_shortfalls, request_cancels

DISOWNMENT: Final = "rewards:disownment"


def has_something_to_take_back(round_: Round, pending: Sequence[RoundWork]) -> bool:
    """Whether a round has money to be taken back: a round that is voided, or will be by pending work, has none.

    Raises:
        InvalidRequest: ``round_busy``: lines of a final round are being booked, so its fees may still be in its reserve.
    """
    expected = expected_state(round_, pending)
    if expected.voided:
        return False
    if pending and expected.final and round_.state is not RoundState.UNFUNDED:
        round_id = round_.settlement.round_id
        raise InvalidRequest("round_busy", f"the lines of round {round_id} are being booked: try again")
    return True


def disown(changes: RoundChanges, round_: Round, *, funds: PlayerFunds, cause: str) -> None:
    """Give all money of a round of one part back to the pool, and void it."""
    settlement = round_.settlement
    round_id = settlement.round_id
    state = step(edges=ROUND_EDGES, was=round_.state, to=RoundState.VOIDED)
    taken = take_all_back(changes.rewards[round_id], settlement=settlement, winnings=funds.winnings)
    fees = _fees(round_, funds=funds)
    if round_.state is not RoundState.UNFUNDED:
        moves = [*taken.moves, *fees.moves]
        give_back(changes, settlement, before=moves, rest=taken.came_back + fees.came_back, step_name="/void")
    owe_disownment_shortfalls(
        changes, settlement, taken.shortfalls, of_fee=fees.shortfall, funds=funds, cause=cause
    )
    changes.rewards[round_id] = taken.rewards
    leave_queue(changes, round_, state=state, cause=cause)
    changes.emit(round_id, RewardEventKind.REVERSED, cause=cause, these=taken.reversed)
    changes.count(Booked(voided=1))


def disown_later(
    changes: RoundChanges, round_: Round, pending: Sequence[RoundWork], *, funds: PlayerFunds, cause: str
) -> None:
    """Add work that gives all money of a large round back after its pending work. Its fees go back into its reserve at
    once, so that no withdrawal of fees can take them.
    """
    settlement = round_.settlement
    if round_.state is RoundState.FINAL:
        fees = _fees(round_, funds=funds)
        changes.post(settlement, fees.moves, step_name="/void")
        owe_disownment_shortfalls(changes, settlement, (), of_fee=fees.shortfall, funds=funds, cause=cause)
        state = step(edges=ROUND_EDGES, was=round_.state, to=RoundState.BOOKING)
        changes.advance(replace(round_, state=state), cause=cause)
    version = expected_state(round_, pending).version
    changes.work_on(RoundWork(round_id=settlement.round_id, version=version, phase=Phase.VOID, cause=cause))


def owe_disownment_shortfalls(
    changes: RoundChanges,
    settlement: Settlement,
    of_prizes: Iterable[Shortfall],
    *,
    of_fee: Shortfall | None = None,
    funds: PlayerFunds,
    cause: str,
) -> None:
    """Request the cancellation of payouts that hold missing money, and open debts. The debt of an organizer's fee is
    separate, because a prize is compared with the debts of its player and round.
    """
    of_prizes = list(of_prizes)
    of_fees = [] if of_fee is None else [of_fee]
    request_cancels(
        changes,
        settlement,
        [*of_prizes, *of_fees],
        funds=funds,
        by=DISOWNMENT,
        what="was disowned",
        cause=cause,
    )
    reference = str(settlement.round_id)
    source = f"disownment/{reference}"
    owe_shortfalls(changes, settlement, of_prizes, source=source, reference=reference)
    owe_shortfalls(
        changes, settlement, of_fees, source=f"{source}/organizer-fee", reference=f"{reference}/organizer-fee"
    )


def _fees(round_: Round, *, funds: PlayerFunds) -> FeesTakenBack:
    """Take a round's fees back into its reserve. The fees of a round that is not final are in the reserve already."""
    if round_.state is RoundState.FINAL:
        return take_fees_back(round_.settlement, winnings=funds.winnings)
    return FeesTakenBack([], round_.settlement.platform_fee + round_.settlement.organizer_fee, None)
