"""Batches of rows that a job claims. A row that the job cannot process is postponed, so that the others go on.

A job runs its work by ``Batches.run``. The storage that claims the rows asks ``batch_of`` how many it may claim, and which it
must leave out. After a failure it claims one row at a time, and reads its key before anything else of it: the driver itself may
fail on a row, by a JSON document that Python cannot read.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database, is_transient
from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import ROWS_POSTPONED

POSTPONED_FIRST: Final = timedelta(minutes=1)
POSTPONED_MAX: Final = timedelta(hours=1)
_BATCH: Final = "prizewire.batch"
_log = get_logger(__name__)
T = TypeVar("T")


@dataclass(slots=True)
class Batch:
    """What one transaction claims. ``without`` are the keys of rows that it leaves out. Where it is ``alone``, it claims one
    row, by ``claim``.
    """

    without: list[Any] = field(default_factory=list)
    alone: bool = False
    size: int = 0
    key: Any = None

    def limit(self, limit: int) -> int:
        """How many rows to claim, where the caller wants ``limit``."""
        self.size = 1 if self.alone else limit
        return self.size

    async def claim(self, tx: AsyncConnection, query: TextClause, values: Mapping[str, Any]) -> list[Any]:
        """The key of the one row to process, which ``query`` returns and locks; no key where there is no such row."""
        self.key = (await tx.execute(query, values)).scalar_one_or_none()
        return [] if self.key is None else [self.key]


def batch_of(tx: AsyncConnection) -> Batch:
    """The batch of this transaction; one that leaves nothing out where the transaction is not of ``Batches``."""
    found: Batch | None = tx.info.get(_BATCH)
    return Batch() if found is None else found


@dataclass(frozen=True, slots=True)
class _Postponed:
    failures: int
    until: datetime


class Batches:
    """The batches of one job in one process.

    A row that fails alone is left out for ``POSTPONED_FIRST``, then twice as long each time, up to ``POSTPONED_MAX``. Nothing
    is written: the row stays as it is and due, and a new process tries it again.
    """

    def __init__(self, job: str, *, db: Database, clock: Clock) -> None:
        self._job = job
        self._db = db
        self._clock = clock
        self._postponed: dict[Any, _Postponed] = {}

    async def run(self, work: Callable[[AsyncConnection], Awaitable[T]], *, seeking: bool = False) -> list[T]:
        """Run ``work`` in a transaction. Where it fails and a retry would not help, run it for one row at a time.

        Returns the results of the transactions that committed: usually one; none where each row was postponed. Then there may
        be more rows behind them.

        Raises:
            Exception: a transient error, or one that came before a row was claimed, if nothing was committed before it.
        """
        batch = self._batch()
        try:
            return [await self._in_transaction(work, batch, seeking=seeking)]
        except Exception as error:
            if is_transient(error) or not batch.size:
                raise
            _log.warning("a batch failed", job=self._job, error=type(error).__name__)
        results: list[T] = []
        for _ in range(batch.size):
            one = self._batch(alone=True)
            try:
                result = await self._in_transaction(work, one, seeking=seeking)
            except Exception as error:
                if is_transient(error) or one.key is None:
                    if results:
                        break  # the caller must get what is committed
                    raise
                self.postpone(one.key, error)
            else:
                results.append(result)
                if one.key is None:
                    break
        return results

    async def _in_transaction(
        self, work: Callable[[AsyncConnection], Awaitable[T]], batch: Batch, *, seeking: bool
    ) -> T:
        async def claiming(tx: AsyncConnection) -> T:
            batch.key = None
            info = tx.info  # on a lost connection `tx.info` raises
            info[_BATCH] = batch
            try:
                return await work(tx)
            finally:
                info.pop(_BATCH, None)

        return await self._db.run(claiming, seeking=seeking)

    def _batch(self, *, alone: bool = False) -> Batch:
        now = self._clock.now()
        self._postponed = {
            key: one for key, one in self._postponed.items() if now < one.until + POSTPONED_MAX
        }
        without = [key for key, one in self._postponed.items() if now < one.until]
        ROWS_POSTPONED.labels(self._job).set(len(without))
        return Batch(without=without, alone=alone)

    def postpone(self, key: Any, error: Exception) -> None:
        """Leave a row out that was claimed, and whose work failed after its claim was committed."""
        known = self._postponed.get(key)
        failures = 1 if known is None else known.failures + 1
        until = self._clock.now() + min(POSTPONED_MAX, POSTPONED_FIRST * 2 ** min(failures - 1, 10))
        self._postponed[key] = _Postponed(failures, until)
        ROWS_POSTPONED.labels(self._job).set(len(self._postponed))
        _log.error(
            "row postponed",
            job=self._job,
            row=str(key),
            reason=getattr(error, "code", None) or type(error).__name__,
            failures=failures,
            until=until.isoformat(),
            exc_info=error,
        )
