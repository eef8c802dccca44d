"""What the routes of rounds and matches share."""

from dataclasses import dataclass

from prizewire_chassis.http import Action, HttpContext
from prizewire_chassis.inbox import BatchProcessor, ConsumerSpec
from prizewire_settlement.rounds.ports import Queries, UnitOfWork

RoundAction = Action[UnitOfWork, Queries]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundContext(HttpContext[UnitOfWork, Queries]):
    """``spec`` is the consumer of match events: reports over HTTP are processed by it too."""

    processor: BatchProcessor
    spec: ConsumerSpec
    lines_per_part: int
