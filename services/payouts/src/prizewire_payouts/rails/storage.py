"""The rows of rails over PostgreSQL: `prizewire_railkit.store` in transactions of its own, or in one that payouts has begun.

Each row has a MAC over all that it says, with its version. The database refuses a lower version and another payout, so that a login
that may write rows can neither change one nor put an older one back: such a row is given to no rail.
"""

import hmac
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks import Check, rows_of
from prizewire_chassis.db import Database
from prizewire_chassis.logging import get_logger
from prizewire_payouts.metrics import ROWS_NOT_AUTHENTIC
from prizewire_payouts.unit_of_work import UnitOfWork, UnitOfWorkFactory
from prizewire_railkit.store import RailRow, RailRowConflict, RailRowNotAuthentic, RailRows, RailStore

Mac = Callable[[bytes], bytes]
_log = get_logger(__name__)

_COLUMNS = "rail, collection, name, state, payout_id, document, details, details_key, version, changed_at, mac, mac_key"
_READ = (
    f"SELECT {_COLUMNS} FROM rail_rows "  # noqa: S608 - column names of our own
    "WHERE rail = :rail AND collection = :collection AND "
)
_LOCK = text(_READ + "name = ANY(CAST(:names AS text[])) ORDER BY name FOR UPDATE")
_RECORD = (
    "r(collection text, name text, state text, payout_id uuid, document jsonb, details text, details_key text, "
    "version int, changed_at timestamptz, mac text, mac_key text)"
)
_ROWS = f"FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS {_RECORD}"
_INSERT = text(
    "INSERT INTO rail_rows (rail, collection, name, state, payout_id, document, details, details_key, version, changed_at, "
    "mac, mac_key) SELECT :rail, r.collection, r.name, r.state, r.payout_id, r.document, decode(r.details, 'hex'), r.details_key, 1, "
    f"r.changed_at, decode(r.mac, 'hex'), r.mac_key {_ROWS} "
    'ORDER BY r.collection, r.name COLLATE "C" ON CONFLICT DO NOTHING'
)
_LOCK_WRITTEN = text(
    f"SELECT t.version FROM rail_rows t JOIN (SELECT * {_ROWS}) r USING (collection, name) "  # noqa: S608 - names of our own
    "WHERE t.rail = :rail ORDER BY t.collection, t.name FOR UPDATE OF t"
)
_UPDATE = text(
    "UPDATE rail_rows t SET state = r.state, mac = decode(r.mac, 'hex'), mac_key = r.mac_key, document = r.document, "  # noqa: S608 - names of our own
    "details = decode(r.details, 'hex'), details_key = r.details_key, version = r.version + 1, changed_at = r.changed_at "
    f"{_ROWS} WHERE t.rail = :rail AND t.collection = r.collection AND t.name = r.name AND t.version = r.version"
)
_ALL = text(f"SELECT {_COLUMNS} FROM rail_rows")  # noqa: S608 - column names of our own
_OF_PAYOUTS = text(
    f"SELECT {_COLUMNS} FROM rail_rows WHERE rail = :rail AND payout_id = ANY(CAST(:payout_ids AS uuid[]))"  # noqa: S608 - column names of our own
)
_LINES_FIT: Final = text("""
    SELECT r.rail, r.name, r.state, r.payout_id, coalesce(a.state, 'unknown') AS attempt FROM rail_rows r
    LEFT JOIN attempts a ON a.payout_id = r.payout_id AND a.rail = r.rail AND a.attempt_no::text = r.document ->> 'attempt_no'
    WHERE r.collection = 'lines' AND r.document ->> 'attempt_no' IS NOT NULL AND (
        a.state IS NULL
        OR r.state IN ('open', 'claimed') AND a.state IN ('effected', 'reversed', 'no_effect')
        OR r.state = 'confirmed' AND a.state NOT IN ('effected', 'reversed')
        OR r.state IN ('failed', 'cancelled') AND a.state IN ('effected', 'reversed')
    ) LIMIT 100
""")
_AT_ONCE: Final = 1_000
_BREACHES_MAX: Final = 100
_WITHOUT_PAYOUT = text(
    "SELECT rail, collection, name FROM rail_rows r WHERE payout_id IS NOT NULL "
    "AND NOT EXISTS (SELECT 1 FROM payouts p WHERE p.payout_id = r.payout_id) LIMIT 100"
)


def page_of(*, states: bool = False, payout_ids: bool = False, after: bool = False) -> TextClause:
    """The statement that reads a page of rows, with these filters."""
    conditions = {
        "state = ANY(CAST(:states AS text[]))": states,
        "payout_id = ANY(CAST(:payout_ids AS uuid[]))": payout_ids,
        "name > :after": after,
        "true": True,
    }
    wanted = " AND ".join(condition for condition, given in conditions.items() if given)
    if not states and not payout_ids:
        return text(f"{_READ}{wanted} ORDER BY name LIMIT :limit")
    # few rows are open, and few belong to one payout: they are found by their index, and then sorted
    return text(f"WITH r AS MATERIALIZED ({_READ}{wanted}) SELECT * FROM r ORDER BY name LIMIT :limit")  # noqa: S608 - constants


def row_mac_message(row: Any) -> bytes:
    """What the MAC of a row covers: all of it, with its version and the key of the MAC."""
    sealed = None if row.details is None else bytes(row.details).hex()
    return _message(
        {
            "rail": row.rail,
            "collection": row.collection,
            "name": row.name,
            "state": row.state,
            "payout_id": None if row.payout_id is None else str(row.payout_id),
            "document": row.document,
            "details": sealed,
            "details_key": row.details_key,
            "version": row.version,
            "changed_at": row.changed_at,
            "mac_key": row.mac_key,
        }
    )


def is_authentic(row: Any, macs: Iterable[Mac]) -> bool:
    """Whether payouts wrote a row of ``rail_rows`` itself, by one of its keys."""
    if row.mac is None:
        return False
    message = row_mac_message(row)
    return any(hmac.compare_digest(one(message), bytes(row.mac)) for one in macs)


def _message(record: Mapping[str, Any]) -> bytes:
    said = dict(record, changed_at=record["changed_at"].astimezone(UTC).isoformat())
    return orjson.dumps(["rail_rows", said], option=orjson.OPT_SORT_KEYS)


async def altered(unit_of_work: UnitOfWork, rail: str, payout_ids: Collection[UUID]) -> set[UUID]:
    """Those of these payouts with a row of this rail, in any collection, that payouts did not write itself."""
    rows = await unit_of_work.tx.execute(_OF_PAYOUTS, {"rail": rail, "payout_ids": list(payout_ids)})
    macs = (unit_of_work.mac, *unit_of_work.former_macs)
    return {row.payout_id for row in rows if not is_authentic(row, macs)}


def rail_rows(unit_of_work: UnitOfWork, rail: str) -> RailRows:
    """The rows of one rail within a transaction of payouts. After a ``RailRowConflict`` the caller lets it roll back."""
    return _RailRowStorage(unit_of_work, rail)


class SqlRailStore:
    """`prizewire_railkit.store.RailStore` over PostgreSQL."""

    def __init__(self, *, db: Database, unit_of_work: UnitOfWorkFactory, rail: str) -> None:
        self._db = db
        self._unit_of_work = unit_of_work
        self._rail = rail

    def __repr__(self) -> str:
        return f"SqlRailStore({self._rail})"

    def begin(self) -> AbstractAsyncContextManager[RailRows]:
        """See the interface."""
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[RailRows]:
        async with self._db.transaction() as tx:
            rows = _RailRowStorage(self._unit_of_work(tx), self._rail)
            yield rows
            rows.refuse_after_conflict()


def rail_store(*, db: Database, unit_of_work: UnitOfWorkFactory, rail: str) -> RailStore:
    """The store of one configured rail."""
    return SqlRailStore(db=db, unit_of_work=unit_of_work, rail=rail)


class _RailRowStorage:
    def __init__(self, unit_of_work: UnitOfWork, rail: str) -> None:
        self._tx = unit_of_work.tx
        self._seals = unit_of_work.seals
        self._mac = unit_of_work.mac
        self._macs = (unit_of_work.mac, *unit_of_work.former_macs)
        self._rail = rail
        self._conflict: RailRowConflict | None = None

    def __repr__(self) -> str:
        return f"RailRows({self._rail})"

    async def lock(self, collection: str, names: Sequence[str]) -> dict[str, RailRow]:
        """See `RailRows`."""
        wanted = {"rail": self._rail, "collection": collection, "names": sorted(set(names))}
        return {row.name: self._row(row) for row in await self._tx.execute(_LOCK, wanted)}

    async def page(
        self,
        collection: str,
        *,
        states: Sequence[str] = (),
        payout_ids: Sequence[UUID] = (),
        after: str | None = None,
        limit: int = 100,
    ) -> list[RailRow]:
        """See `RailRows`."""
        wanted: dict[str, Any] = {
            "rail": self._rail,
            "collection": collection,
            "states": list(states),
            "payout_ids": list(payout_ids),
            "after": after,
            "limit": limit,
        }
        found: list[RailRow] = []
        while True:
            query = page_of(
                states=bool(states), payout_ids=bool(payout_ids), after=wanted["after"] is not None
            )
            named = {name: value for name, value in wanted.items() if f":{name}" in query.text}
            rows = (await self._tx.execute(query, named)).all()
            for row in rows:
                try:
                    found.append(self._row(row))
                except RailRowNotAuthentic:
                    if payout_ids:
                        raise
            if len(rows) < limit or len(found) >= limit:
                return found[:limit]
            wanted["after"] = rows[-1].name

    async def write(self, rows: Sequence[RailRow]) -> None:
        """See `RailRows`."""
        for statement, written in (
            (_INSERT, [row for row in rows if row.version == 0]),
            (_UPDATE, [row for row in rows if row.version > 0]),
        ):
            if not written:
                continue
            values = {"rail": self._rail, "rows": self._dumps(written)}
            if statement is _UPDATE:
                await self._tx.execute(
                    _LOCK_WRITTEN, values
                )  # in one order, so that two writers cannot deadlock
            done = await self._tx.execute(statement, values)
            if done.rowcount != len(written):
                names = ", ".join(sorted({f"{row.collection}/{row.name}" for row in written}))
                msg = f"a row of the rail {self._rail} changed since it was read, or exists already: one of {names}"
                self._conflict = RailRowConflict(msg)
                raise self._conflict

    def refuse_after_conflict(self) -> None:
        """Raise the conflict again that the block has caught, so that nothing of its transaction is kept."""
        if self._conflict is not None:
            raise self._conflict

    def _dumps(self, rows: Iterable[RailRow]) -> str:
        return orjson.dumps([self._record(row) for row in rows]).decode()

    def _record(self, row: RailRow) -> dict[str, Any]:
        sealed = None
        if row.details is not None:
            sealed = self._seals.seal_row(
                binding=self._binding(row.collection, row.name), plain=orjson.dumps(dict(row.details))
            ).hex()
        record = {
            "collection": row.collection,
            "name": row.name,
            "state": row.state,
            # the driver's UUIDs are no type that orjson knows
            "payout_id": None if row.payout_id is None else str(row.payout_id),
            "document": dict(row.document),
            "details": sealed,
            "details_key": None if sealed is None else self._seals.key_id,
            "changed_at": row.changed_at,
            "mac_key": self._seals.key_id,
        }
        said = _message(record | {"rail": self._rail, "version": row.version + 1})
        return record | {"version": row.version, "mac": self._mac(said).hex()}

    def _row(self, row: Row[Any]) -> RailRow:
        if not is_authentic(row, self._macs):
            ROWS_NOT_AUTHENTIC.inc()
            _log.error(
                "row of a rail not authentic", rail=self._rail, collection=row.collection, name=row.name
            )
            msg = f"the row {row.collection}/{row.name} of the rail {self._rail} was changed in the database"
            raise RailRowNotAuthentic(msg)
        details: Mapping[str, Any] | None = None
        if row.details is not None:
            plain = self._seals.open_row(
                key_id=row.details_key,
                binding=self._binding(row.collection, row.name),
                sealed=bytes(row.details),
            )
            details = orjson.loads(plain)
        return RailRow(
            collection=row.collection,
            name=row.name,
            state=row.state,
            document=row.document,
            changed_at=row.changed_at,
            payout_id=row.payout_id,
            details=details,
            version=row.version,
        )

    def _binding(self, collection: str, name: str) -> bytes:
        return orjson.dumps([self._rail, collection, name])


async def _rows_without_payout(tx: AsyncConnection) -> list[str]:
    return [
        f"the row {row.collection}/{row.name} of the rail {row.rail} names a payout that there is not"
        for row in await tx.execute(_WITHOUT_PAYOUT)
    ]


async def _lines_that_do_not_fit(tx: AsyncConnection) -> list[str]:
    return [
        f"the line {row.name} of the rail {row.rail} is {row.state}, and the attempt of payout {row.payout_id} is {row.attempt}"
        for row in await tx.execute(_LINES_FIT)
    ]


def rail_rows_check(mac: Mac, former: Sequence[Mac] = ()) -> Check:
    """Payouts wrote every row of a rail itself: it agrees with its MAC."""

    async def changed(tx: AsyncConnection) -> list[str]:
        breaches: list[str] = []
        rows = await tx.stream(_ALL)
        async for chunk in rows.partitions(_AT_ONCE):
            breaches += [
                f"the row {row.collection}/{row.name} of the rail {row.rail} was changed in the database"
                for row in chunk
                if not is_authentic(row, (mac, *former))
            ]
            if len(breaches) >= _BREACHES_MAX:
                break
        return breaches[:_BREACHES_MAX]

    return Check("rail_rows_are_authentic", changed, count=rows_of("rail_rows"))


CHECKS = (
    Check("rail_rows_name_payouts", _rows_without_payout, count=rows_of("rail_rows")),
    Check("lines_fit_their_attempts", _lines_that_do_not_fit, count=rows_of("rail_rows")),
)
"""Each row of a rail that names a payout names one that there is, and each line stands as the attempt that it was made for."""
