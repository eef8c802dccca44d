"""What every part of the Stellar adapters shares: database, outbox, keys, limits, and who is told of news."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database, after_commit
from prizewire_chassis.inbox import Incoming
from prizewire_chassis.outbox import Outbox
from prizewire_contracts.trust import MessageKey
from prizewire_payouts.stellar.domain.model import ChainAsset

OnProgress = Callable[[AsyncConnection, Sequence[UUID], datetime], Awaitable[None]]
"""(transaction, payout ids, now): there is news of these payouts; called in the transaction that stores the news."""
OnSignerWord = Callable[[AsyncConnection, Incoming], Awaitable[bool]]
"""(transaction, event): the signer closed a payout or refused to. False where there is no such payout;
``event.value`` is its text as it stood on Kafka."""


class Step(StrEnum):
    """The steps of the execution, one job each."""

    LEASE = "lease"
    BUILD = "build"
    SEND = "send"
    CONFIRM = "confirm"
    RESOLVE = "resolve"
    EXPIRE = "expire"


@dataclass(slots=True)
class Bells:
    """Wakes a step's job in this process, once a transaction that made work for it has committed. Only a short cut:
    every job finds its work in the rows anyway.
    """

    _ring: dict[Step, Callable[[], None]] = field(default_factory=dict)

    def hang(self, step: Step, ring: Callable[[], None]) -> None:
        """``ring`` is called for ``step`` from now on."""
        self._ring[step] = ring

    def after(self, tx: AsyncConnection, step: Step) -> None:
        """Wake ``step`` after this transaction."""
        ring = self._ring.get(step)
        if ring is not None:
            after_commit(tx, ring)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Built once by ``build_stellar``. ``assets`` are those configured for the chain, by code; a transaction that pays
    is signed by its channel and ``treasury``, one that voids its slot by the channel alone. ``digests_max`` is how
    many revisions of one slot may be signed before it is voided.
    """

    rail: str
    network: str
    treasury: str
    channels: tuple[str, ...]
    assets: dict[str, ChainAsset]
    db: Database
    outbox: Outbox
    clock: Clock
    key: MessageKey = field(repr=False)
    on_progress: OnProgress
    linger: timedelta
    poll: timedelta
    digests_max: int
    bells: Bells
