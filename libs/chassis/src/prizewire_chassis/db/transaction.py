"""A transaction in which writes may wait for each other, to be sent together as one statement.

A batch that inserts into eight tables one after the other waits for eight answers in which nothing stands. Writes that
are handed to ``later`` are put into one statement (as ``WITH`` parts of it), and sent before whatever the transaction
does next: its next statement, or its commit. So nothing that follows can see the database without them.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["Conflict", "Transaction", "Write", "later", "send_now"]

_NAME: Final = re.compile(r"(?<!:):([a-z_]+)")
_BEGIN: Final = text("SELECT 1")
_PART: Final = re.compile(r"\{(\d)\}")


class Conflict(Exception):
    """Another transaction was first. It passes by itself, like the serialization failure whose SQLSTATE it bears: the
    work is to be done again over what stands there now.
    """

    sqlstate = "40001"


@dataclass(frozen=True, eq=False)
class Write:
    """A statement that changes one ``table`` and answers nothing, with parameters by name (``:name``).

    ``parts`` are statements of their own, of which a later one may read what an earlier one returns as ``{0}``. Rows
    come as arrays through ``unnest``, so that the text is always the same. Where one of the constraints ``raced``
    finds a row there already, another transaction was first.

    Writes that wait for each other see the database as it was before all of them, and triggers that fire after a
    statement see it as it is after all of them.
    """

    table: str
    parts: tuple[str, ...]
    raced: frozenset[str]
    names: tuple[str, ...] = field(init=False)

    def __init__(self, table: str, *parts: str, raced: Collection[str] = ()) -> None:
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "raced", frozenset(raced))
        names = dict.fromkeys(name for part in parts for name in _NAME.findall(part))
        object.__setattr__(self, "names", tuple(names))


@dataclass(slots=True)
class _Waiting:
    write: Write
    values: Mapping[str, Any]
    rows: int | None
    lost: Callable[[], Exception]


class Transaction(AsyncConnection):
    """A connection in a transaction of ``Database.transaction``."""

    __slots__ = ("_waiting",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: list[_Waiting] = []

    async def take(self, waiting: _Waiting) -> None:
        """Keep a write until the next statement; one of the same table goes first, since the order of parts is open."""
        if any(other.write.table == waiting.write.table for other in self._waiting):
            await self.send()
        self._waiting.append(waiting)

    async def send(self) -> None:
        """Send what waits, as one statement.

        Raises:
            DBAPIError: as any statement would.
            Conflict: another transaction was first.
            Exception: what the write with another number of rows than it must have asked for.
        """
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        statement = _statement(tuple((one.write, one.rows is not None) for one in waiting))
        values = [one.values[name] for one in waiting for name in one.write.names]
        connection: asyncpg.Connection[asyncpg.Record] = (
            await super().get_raw_connection()
        ).driver_connection
        if not connection.is_in_transaction():
            # SQLAlchemy begins with the first statement that it sends itself
            await super().execute(_BEGIN)
        try:
            counted = await connection.fetchrow(statement, *values)
        except asyncpg.UniqueViolationError as error:
            if any(error.constraint_name in one.write.raced for one in waiting):
                raise Conflict(f"another transaction was first: {error.constraint_name}") from error
            raise DBAPIError(f"writing by {error.constraint_name}", None, error) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            tables = ", ".join(one.write.table for one in waiting)
            raise DBAPIError(f"writing to {tables}", None, error) from error
        counts = iter(counted or ())
        for one in waiting:
            if one.rows is not None and next(counts) != one.rows:
                raise one.lost()

    async def execute(self, *args: Any, **kwargs: Any) -> Any:
        """As in the base class, after what waits."""
        if self._waiting:
            await self.send()
        return await super().execute(*args, **kwargs)

    async def get_raw_connection(self) -> Any:
        """As in the base class, after what waits."""
        await self.send()
        return await super().get_raw_connection()


def _lost() -> Exception:
    return Conflict("another transaction was first")


async def later(
    tx: AsyncConnection,
    write: Write,
    values: Mapping[str, Any],
    *,
    rows: int | None = None,
    lost: Callable[[], Exception] = _lost,
) -> None:
    """Hand in a write of this transaction. Where it must touch ``rows`` rows in its last part, which then says
    ``RETURNING``, any other number raises what ``lost`` makes, by default ``Conflict``, when it is sent.

    Raises:
        TypeError: ``tx`` is no transaction of ``Database.transaction``: nothing would ever send it.
    """
    if not isinstance(tx, Transaction):
        msg = f"a write can wait in a Transaction only, not in a {type(tx).__name__}"
        raise TypeError(msg)
    await tx.take(_Waiting(write, values, rows, lost))


async def send_now(tx: AsyncConnection) -> None:
    """Send what waits in this transaction: where a write that follows must find it."""
    if isinstance(tx, Transaction):
        await tx.send()


@lru_cache(maxsize=512)
def _statement(writes: tuple[tuple[Write, bool], ...]) -> str:
    """The text for these writes, with their parameters numbered; it selects a count for each that is watched."""
    parts: list[str] = []
    counts: list[str] = []
    number = 0
    for index, (write, watched) in enumerate(writes):
        numbers = {name: f"${number + place}" for place, name in enumerate(write.names, 1)}
        number += len(numbers)
        for place, part in enumerate(write.parts):
            bound = _NAME.sub(lambda found: numbers[found[1]], part)  # noqa: B023 - used at once
            named = _PART.sub(lambda found: f"w{index}_{found[1]}", bound)  # noqa: B023 - used at once
            parts.append(f"w{index}_{place} AS ({named})")
        if watched:
            counts.append(f"(SELECT count(*) FROM w{index}_{len(write.parts) - 1})")  # noqa: S608 - numbers
    return f"WITH {', '.join(parts)} SELECT {', '.join(counts) or '1'}"
