"""One database, short transactions, and which errors are transient."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from prizewire_chassis.db.transaction import Transaction

T = TypeVar("T")

POOL_SIZE = 8
SEEKING_POOL_SIZE = 6
OVERFLOW = 2
CONNECTIONS_MAX = POOL_SIZE + SEEKING_POOL_SIZE + 2 * OVERFLOW
"""The most connections that one process of a service holds; its role's CONNECTION LIMIT is above it."""
POOL_WAIT_S = 30
"""How long a request waits for a free connection, in seconds."""
TRANSACTION_MAX_S = 120.0
"""The longest that a transaction may take, in seconds. PostgreSQL then ends it and its connection."""
_SEEK = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}
_UNLIMITED = text("SET LOCAL transaction_timeout = 0")
_CALLBACKS = "prizewire.after_commit"
_CONFLICTS = frozenset({"40001", "40P01"})
_TRANSIENT_CLASSES = ("08", "53", "57P")
"""SQLSTATE classes of transient errors: connection, resources, operator intervention (PostgreSQL, appendix A)."""


class Database:
    """A pool of connections to one service's database.

    ``url`` is ``postgresql://role:password@host:port/database``; asyncpg drives it under SQLAlchemy Core.
    """

    def __init__(
        self,
        url: str,
        *,
        application_name: str,
        pool_size: int = POOL_SIZE,
        transaction_max_s: float = TRANSACTION_MAX_S,
    ) -> None:
        self._url = make_url(url).set(drivername="postgresql+asyncpg")
        self._name = application_name
        self._transaction_max_ms = round(transaction_max_s * 1000)
        self.engine = self._engine(pool_size, {})
        self.seeking = self._engine(SEEKING_POOL_SIZE, _SEEK)
        """Connections for batches, jobs and the relay, whose statements find rows by their keys. Plans that scan whole tables
        are disabled: a plan that was made while tables were small would stay in use until the next ANALYZE. A statement is
        planned once for all values: PostgreSQL would plan the first five executions, and often all, for their values.
        """

    def _engine(self, pool_size: int, settings: Mapping[str, str]) -> AsyncEngine:
        return create_async_engine(
            self._url,
            pool_size=pool_size,
            max_overflow=OVERFLOW,
            pool_timeout=POOL_WAIT_S,
            pool_pre_ping=False,
            # ``Transaction`` begins and ends transactions
            isolation_level="AUTOCOMMIT",
            # errors are logged and shown with stuck events, so they must not hold the values of statements
            hide_parameters=True,
            connect_args={
                "timeout": 10,
                "command_timeout": 60,
                "server_settings": {
                    "application_name": self._name,
                    "jit": "off",
                    # A process that freezes inside a transaction must not keep its locks.
                    "idle_in_transaction_session_timeout": "30000",
                    # The timeout above does not run between the messages of one statement, where asyncpg has sent
                    # Parse and Flush and not yet Bind and Sync, nor within COPY (protocol, "Extended Query").
                    "transaction_timeout": str(self._transaction_max_ms),
                    **settings,
                },
            },
        )

    @asynccontextmanager
    async def transaction(
        self, *, seeking: bool = False, limited: bool = True
    ) -> AsyncIterator[AsyncConnection]:
        """One READ COMMITTED transaction: committed at the exit, rolled back on any exception. ``seeking``: every
        statement finds its rows by keys. ``limited``: it takes ``transaction_max_s`` at most; only what reads whole tables
        and locks no rows is not limited.

        Callbacks given to ``after_commit`` run once the commit has been confirmed.
        """
        connection: Transaction
        async with Transaction(self.seeking if seeking else self.engine) as connection:  # type: ignore[assignment] # Self
            callbacks: list[Callable[[], None]] = []
            # Read once: on a lost connection `connection.info` raises, and hides the first error.
            info = connection.info
            info[_CALLBACKS] = callbacks
            try:
                async with connection.begun():
                    if not limited:
                        await connection.execute(_UNLIMITED)
                    yield connection
            finally:
                info.pop(_CALLBACKS, None)
        for callback in callbacks:
            callback()

    async def run(
        self,
        work: Callable[[AsyncConnection], Awaitable[T]],
        *,
        attempts: int = 8,
        seeking: bool = False,
    ) -> T:
        """Run ``work`` in a transaction, and again from its beginning where the database reports a serialization failure or a
        deadlock (40001, 40P01). ``seeking``: see ``transaction``.

        Raises:
            Exception: any other error at once, a conflict after ``attempts`` tries.
        """
        for attempt in range(1, attempts + 1):
            try:
                async with self.transaction(seeking=seeking) as tx:
                    return await work(tx)
            except Exception as error:
                if sqlstate(error) not in _CONFLICTS or attempt == attempts:
                    raise
            await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 - jitter, not a secret
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def ping(self) -> None:
        """One round trip.

        Raises:
            Exception: whatever keeps the database from answering.
        """
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()
        await self.seeking.dispose()


def after_commit(tx: AsyncConnection, callback: Callable[[], None]) -> None:
    """Call ``callback`` once this transaction has committed; never when it rolls back. It must not raise."""
    tx.info[_CALLBACKS].append(callback)


async def copy_rows(
    tx: AsyncConnection, *, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Append rows with COPY, which is cheaper than arrays for both sides and fires the same triggers.

    Raises:
        DBAPIError: as any statement would.
        TypeError: ``tx`` is no transaction of ``Database.transaction``, so that the rows would not be rolled back.
    """
    if not isinstance(tx, Transaction):
        msg = f"rows are copied in a Transaction only, not in a {type(tx).__name__}"
        raise TypeError(msg)
    await tx.send()
    try:
        await tx.driver.copy_records_to_table(table, columns=columns, records=rows)
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DBAPIError(f"COPY {table}", None, error) from error


def sqlstate(error: BaseException) -> str | None:
    """The SQLSTATE of a database error, where it has one."""
    cause: BaseException | None = error
    for _ in range(6):
        if cause is None:
            return None
        state = getattr(cause, "sqlstate", None)
        if isinstance(state, str):
            return state
        cause = getattr(cause, "orig", None) or cause.__cause__
    return None


def is_transient(error: BaseException) -> bool:
    """Whether a retry of the same work can succeed: the database is unavailable, restarting or overloaded, reports a
    conflict, or no connection of the pool became free in time.
    """
    state = sqlstate(error)
    if state is not None:
        return state in _CONFLICTS or state.startswith(_TRANSIENT_CLASSES)
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = getattr(cause, "orig", None) or cause.__cause__
    transient = (
        OSError,
        TimeoutError,
        asyncpg.InterfaceError,
        asyncpg.PostgresConnectionError,
        asyncpg.CannotConnectNowError,
        PoolTimeout,
    )
    if any(isinstance(item, transient) for item in chain):
        return True
    return isinstance(error, InterfaceError | OperationalError)
