"""What the routes of rounds and matches use."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.inbox import BatchProcessor, ConsumerSpec
from prizewire_settlement.rounds.handlers.unit_of_work import UnitOfWork
from prizewire_settlement.rounds.ports import Queries


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundContext:
    """``spec`` is the consumer of match events: reports over HTTP are processed by it too."""

    db: Database
    clock: Clock
    audit: Audit
    processor: BatchProcessor
    spec: ConsumerSpec
    unit_of_work: Callable[[AsyncConnection], UnitOfWork]
    queries: Callable[[AsyncConnection], Queries]
    lines_per_part: int
