"""What rewards says to settlement: which campaigns there are, which settlements it can never book, and which rounds it
disowned.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from prizewire_settlement.rounds.domain.model import Disownment, Refusal, Round
from prizewire_settlement.rounds.domain.states import RoundState
from prizewire_settlement.rounds.domain.steps import Step
from prizewire_settlement.rounds.ports import Changes, RoundStore


@dataclass(slots=True)
class Taken:
    """What became of a batch of refusals: those that mark their rounds, and by index why one does not fit."""

    refused: list[tuple[Round, Refusal]]
    misfits: dict[int, str]


async def take_refusals(refusals: Sequence[Refusal], *, store: RoundStore) -> Taken:
    """Mark the rounds whose newest settlement is refused, and remember every refusal.

    A refusal of a settlement that was superseded meanwhile, or of a voided round, is remembered and marks nothing.
    """
    rounds = await store.rounds({refusal.round_id for refusal in refusals})
    taken = Taken([], {})
    changes = Changes()
    for index, refusal in enumerate(refusals):
        current = rounds.get(refusal.round_id)
        if current is None or refusal.version > current.settlement_version:
            taken.misfits[index] = f"round {refusal.round_id} has no settlement {refusal.version}"
            continue
        moved = current
        if refusal.version == current.settlement_version and current.state is not RoundState.VOIDED:
            moved = replace(current, refused_at=refusal.at, updated_at=refusal.at)
            taken.refused.append((moved, refusal))
        rounds[refusal.round_id] = moved
        changes.take(Step(round=moved, refusal=refusal))
    if changes.rounds:
        await store.save(changes)
    return taken


async def take_disownments(
    disownments: Sequence[Disownment], *, store: RoundStore
) -> list[tuple[Round | None, Disownment]]:
    """Mark disowned rounds, so that an admin may void them even where they are final, and remember every disownment.

    Answers each with its round; None where settlement has no such round, as of most forged ones. One that is reported
    later is disowned from its first report on. A voided round stays as it is.
    """
    rounds = await store.rounds({disownment.round_id for disownment in disownments})
    taken: list[tuple[Round | None, Disownment]] = []
    changes = Changes(disownments=list(disownments))
    for disownment in disownments:
        current = rounds.get(disownment.round_id)
        if current is not None and current.disowned_at is None:
            at = disownment.at
            voided = current.state is RoundState.VOIDED
            current = replace(current, refused_at=None if voided else at, disowned_at=at, updated_at=at)
            rounds[current.id] = current
            changes.take(Step(round=current))
        taken.append((current, disownment))
    await store.save(changes)
    return taken
