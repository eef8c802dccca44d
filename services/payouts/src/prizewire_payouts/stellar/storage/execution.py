"""What all parts of the Stellar execution share: database, outbox, messages, limits, and whom to report progress to."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database, after_commit
from prizewire_chassis.outbox import Outbox
from prizewire_payouts.execution import OnProgress
from prizewire_payouts.stellar.domain.model import ChainAsset
from prizewire_payouts.stellar.messages import SignerMessages

P = ParamSpec("P")
R = TypeVar("R")


class ExecutionStep(StrEnum):
    """The steps of the execution, one job each."""

    LEASE = "lease"
    BUILD = "build"
    SEND = "send"
    CONFIRM = "confirm"
    RESOLVE = "resolve"
    EXPIRE = "expire"


@dataclass(slots=True)
class JobWaker:
    """Wakes a step's job in this process, once a transaction that made work for it has committed. It only saves time:
    every job finds its work in the rows.
    """

    _wakers: dict[ExecutionStep, Callable[[], None]] = field(default_factory=dict)

    def register(self, step: ExecutionStep, wake: Callable[[], None]) -> None:
        """``wake`` is called for ``step`` from now on."""
        self._wakers[step] = wake

    def after(self, tx: AsyncConnection, step: ExecutionStep) -> None:
        """Wake the job of ``step`` after this transaction."""
        wake = self._wakers.get(step)
        if wake is not None:
            after_commit(tx, wake)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Built once by ``build_stellar``. ``assets`` are those configured for the chain, by code. A transaction that pays is
    signed by its channel and ``treasury``, one that voids its slot by the channel alone. ``digests_max`` is how many
    revisions of one slot may be signed before the slot is voided.
    """

    rail: str
    network: str
    treasury: str
    channels: tuple[str, ...]
    assets: dict[str, ChainAsset]
    db: Database
    outbox: Outbox
    clock: Clock
    messages: SignerMessages
    on_progress: OnProgress
    linger: timedelta
    poll: timedelta
    digests_max: int
    waker: JobWaker

    async def report(self, tx: AsyncConnection, payout_ids: Sequence[UUID], *, now: datetime) -> None:
        """Report progress for these payouts, if there are any."""
        if payout_ids:
            await self.on_progress(tx, payout_ids, now)


class _Stored(Protocol):
    @property
    def execution(self) -> Execution:
        """The execution whose rows are stored."""
        ...


S = TypeVar("S", bound=_Stored)


def in_transaction(
    method: Callable[Concatenate[S, AsyncConnection, P], Awaitable[R]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Makes a method over a transaction one that runs in a transaction of its own, again where the database reports a
    conflict.
    """

    @wraps(method)
    async def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.execution.db.run(lambda tx: method(self, tx, *args, **kwargs))

    return run
