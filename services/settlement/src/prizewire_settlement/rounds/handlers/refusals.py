"""What rewards reports about rounds: settlements that it can never book, and rounds that it disowned."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from prizewire_settlement.rounds.domain.changes import RoundChange
from prizewire_settlement.rounds.domain.model import Disownment, Refusal, Round, RoundState
from prizewire_settlement.rounds.ports import UnitOfWork


@dataclass(slots=True)
class RecordedRefusals:
    """The outcome of a batch of refusals: those that mark their rounds, and by index the reason why one does not apply."""

    refused: list[tuple[Round, Refusal]]
    mismatches: dict[int, str]


async def record_refusals(refusals: Sequence[Refusal], *, unit_of_work: UnitOfWork) -> RecordedRefusals:
    """Mark the rounds whose newest settlement is refused, and store every refusal.

    A refusal of a settlement that was superseded meanwhile, or of a voided round, is stored and marks nothing.
    """
    rounds = await unit_of_work.rounds({refusal.round_id for refusal in refusals})
    recorded = RecordedRefusals([], {})
    changes: list[RoundChange] = []
    for index, refusal in enumerate(refusals):
        current = rounds.get(refusal.round_id)
        if current is None or refusal.version > current.settlement_version:
            recorded.mismatches[index] = f"round {refusal.round_id} has no settlement {refusal.version}"
            continue
        moved = current
        if refusal.version == current.settlement_version and current.state is not RoundState.VOIDED:
            moved = replace(current, refused_at=refusal.at, updated_at=current.time_of_change(refusal.at))
            recorded.refused.append((moved, refusal))
        rounds[refusal.round_id] = moved
        changes.append(RoundChange(round=moved, refusal=refusal))
    await unit_of_work.save(changes)
    return recorded


async def record_disownments(
    disownments: Sequence[Disownment], *, unit_of_work: UnitOfWork
) -> list[tuple[Round | None, Disownment]]:
    """Mark disowned rounds, so that an admin may void them even where they are final, and store every disownment.

    Returns each with its round; None where settlement has no such round, which holds for most forged rounds. A round that
    is reported later is disowned from its first report on. A voided round stays as it is.
    """
    rounds = await unit_of_work.rounds({disownment.round_id for disownment in disownments})
    recorded: list[tuple[Round | None, Disownment]] = []
    changes: list[RoundChange] = []
    for disownment in disownments:
        current = rounds.get(disownment.round_id)
        if current is not None and current.disowned_at is None:
            at = disownment.at
            voided = current.state is RoundState.VOIDED
            current = replace(
                current,
                refused_at=None if voided else at,
                disowned_at=at,
                updated_at=current.time_of_change(at),
            )
            rounds[current.id] = current
            changes.append(RoundChange(round=current))
        recorded.append((current, disownment))
    await unit_of_work.save(changes, disownments=disownments)
    return recorded
