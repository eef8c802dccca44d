"""A transaction that reads through the driver directly, and that can send several writes as one statement.

A batch that inserts into eight tables one after the other waits for eight empty answers. Writes that are given to ``later``
are joined to one statement (each is a part of its ``WITH``). It is sent before the next statement or the commit of the
transaction, so that every later statement sees its changes.
"""

import re
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

_NAME: Final = re.compile(r"(?<!:):([a-z_]+)")
_PART: Final = re.compile(r"\{(\d)\}")


class Conflict(Exception):
    """Another transaction changed the same rows first. It is transient and has the SQLSTATE of a serialization failure: the
    whole work must be done again over the new state.
    """

    sqlstate = "40001"


@dataclass(frozen=True, eq=False)
class Write:
    """A statement that changes one ``table`` and returns nothing, with parameters by name (``:name``).

    ``parts`` are statements, of which a later one may read the result of an earlier one as ``{0}``. Rows are arrays for
    ``unnest``, so that the text is always the same. A violation of one of the constraints ``raced`` means that another
    transaction inserted the row first.

    Writes that are sent as one statement all see the database as it was before them. Triggers that fire after a statement
    see it as it is after all of them.
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


class Row(asyncpg.Record):  # type: ignore[misc] # asyncpg has no types
    """A row of the driver's, whose columns can also be read as attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


@dataclass(frozen=True, eq=False)
class Read:
    """A statement that returns rows, with parameters by name (``:name``), for reads in every batch: the driver alone takes a
    third of the processor time that it takes under SQLAlchemy.
    """

    text: str
    names: tuple[str, ...] = field(init=False)

    def __init__(self, text: str) -> None:
        names = tuple(dict.fromkeys(_NAME.findall(text)))
        numbers = {name: f"${number}" for number, name in enumerate(names, 1)}
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "text", _NAME.sub(lambda found: numbers[found[1]], text))


@dataclass(slots=True)
class _Waiting:
    write: Write
    values: Mapping[str, Any]
    rows: int | None
    lost: Callable[[], Exception]


@contextmanager
def _as_dbapi_error(doing: str) -> Iterator[None]:
    """Raise the driver's errors as SQLAlchemy's, without the values of the statement."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DBAPIError(doing, None, error) from error


class Transaction(AsyncConnection):
    """A connection in a transaction of ``Database.transaction``."""

    __slots__ = ("_driver", "_waiting")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._driver: asyncpg.Connection[Row] | None = None
        self._waiting: list[_Waiting] = []

    @property
    def driver(self) -> "asyncpg.Connection[Row]":
        """The driver's connection.

        Raises:
            RuntimeError: it was not begun.
        """
        if self._driver is None:
            msg = "no transaction was begun"
            raise RuntimeError(msg)
        return self._driver

    @asynccontextmanager
    async def begun(self) -> AsyncIterator[None]:
        """Begin the transaction. At the exit it sends the waiting writes and commits, or rolls back on any exception.

        Raises:
            DBAPIError: as any statement would; ``connection_invalidated`` where asyncpg's protocol broke because the connection
                ended.
            asyncpg.InternalClientError: asyncpg's protocol broke, and the connection is open: a bug.
        """
        self._driver = (await super().get_raw_connection()).driver_connection
        try:
            with _as_dbapi_error("beginning a transaction"):
                transaction = self.driver.transaction()
                await transaction.start()
            try:
                yield
                await self.send()
            except BaseException:
                with suppress(
                    asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError
                ):
                    await transaction.rollback()
                raise
            with _as_dbapi_error("committing"):
                await transaction.commit()
        except asyncpg.InternalClientError as error:
            # After PostgreSQL's last message asyncpg finds its state of the protocol broken at the next statement, and
            # closes the connection. On an open connection the same class reports a bug.
            if self.driver.is_closed():
                raise DBAPIError(
                    "using a lost connection", None, error, connection_invalidated=True
                ) from error
            raise
        finally:
            lost = self.driver.is_closed()
            if lost and not self.invalidated:
                # this lets SQLAlchemy notice the lost connection and close all older connections of the pool
                with suppress(DBAPIError):
                    await self.exec_driver_sql("SELECT 1")
            elif not lost and self.driver.is_in_transaction():
                # the pool must not give this connection to another caller
                await self.invalidate()

    async def fetch(self, read: Read, values: Mapping[str, Any]) -> list[Row]:
        """Send the waiting writes, then return the rows of a statement.

        Raises:
            DBAPIError: as any statement would.
        """
        if self._waiting:
            await self.send()
        with _as_dbapi_error("reading"):
            return await self._ask(read.text, [values[name] for name in read.names])

    async def _ask(self, statement: str, values: Sequence[Any]) -> list[Row]:
        rows: list[Row] = await self.driver.fetch(statement, *values, record_class=Row)
        return rows

    async def take(self, waiting: _Waiting) -> None:
        """Keep a write until the next statement. Waiting writes to the same table are sent first, since parts have no order."""
        if any(other.write.table == waiting.write.table for other in self._waiting):
            await self.send()
        self._waiting.append(waiting)

    async def send(self) -> None:
        """Send the waiting writes as one statement.

        Raises:
            DBAPIError: as any statement would.
            Conflict: another transaction was first.
            Exception: the result of ``lost`` of a write that changed another number of rows than expected.
        """
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        statement = _statement(tuple((one.write, one.rows is not None) for one in waiting))
        values = [one.values[name] for one in waiting for name in one.write.names]
        try:
            [counted] = await self._ask(statement, values)
        except asyncpg.UniqueViolationError as error:
            if any(error.constraint_name in one.write.raced for one in waiting):
                raise Conflict(f"another transaction was first: {error.constraint_name}") from error
            raise DBAPIError(f"writing by {error.constraint_name}", None, error) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            tables = ", ".join(one.write.table for one in waiting)
            raise DBAPIError(f"writing to {tables}", None, error) from error
        counts = iter(counted)
        for one in waiting:
            if one.rows is not None and next(counts) != one.rows:
                raise one.lost()

    async def execute(self, *args: Any, **kwargs: Any) -> Any:
        """As in the base class, after the waiting writes."""
        if self._waiting:
            await self.send()
        return await super().execute(*args, **kwargs)

    async def get_raw_connection(self) -> Any:
        """As in the base class, after the waiting writes."""
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
    """Add a write to this transaction, to be sent with others. ``rows`` is the number of rows that its last part must change;
    that part then has a ``RETURNING``. Another number raises the result of ``lost`` (by default ``Conflict``) when it is sent.

    Raises:
        TypeError: ``tx`` is no transaction of ``Database.transaction``, so that the write would never be sent.
    """
    if not isinstance(tx, Transaction):
        msg = f"a write can wait in a Transaction only, not in a {type(tx).__name__}"
        raise TypeError(msg)
    await tx.take(_Waiting(write, values, rows, lost))


async def fetch(tx: AsyncConnection, read: Read, values: Mapping[str, Any]) -> list[Row]:
    """The rows that ``read`` returns in this transaction.

    Raises:
        TypeError: ``tx`` is no transaction of ``Database.transaction``.
        DBAPIError: as any statement would.
    """
    if not isinstance(tx, Transaction):
        msg = f"rows are read in a Transaction only, not in a {type(tx).__name__}"
        raise TypeError(msg)
    return await tx.fetch(read, values)


async def send_now(tx: AsyncConnection) -> None:
    """Send the waiting writes of this transaction now, because a following write depends on them."""
    if isinstance(tx, Transaction):
        await tx.send()


@lru_cache(maxsize=512)
def _statement(writes: tuple[tuple[Write, bool], ...]) -> str:
    """The SQL of these writes with numbered parameters. It selects the number of rows of each write that is checked."""
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
