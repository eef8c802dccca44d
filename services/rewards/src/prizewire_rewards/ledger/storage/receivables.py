"""Receivables, and the parties of money, over PostgreSQL."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Read, Write, fetch, later
from prizewire_rewards.ledger.domain.accounts import Account
from prizewire_rewards.ledger.domain.receivables import Receivable, ReceivableView
from prizewire_rewards.ledger.domain.records import CreditParties, Party


class SqlReceivables:
    """Receivables in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def lock_open(self, wallets: Iterable[Account]) -> dict[tuple[str, str], list[Receivable]]:
        """See the port."""
        owners = sorted({(wallet.owner, wallet.asset) for wallet in wallets})
        rows = await fetch(
            self._tx,
            _LOCK_OPEN,
            {"players": [player for player, _ in owners], "assets": [asset for _, asset in owners]},
        )
        found: dict[tuple[str, str], list[Receivable]] = {}
        for row in rows:
            found.setdefault((row.player, row.asset), []).append(_receivable_of(row))
        return found

    async def lock_of(self, reference: str, *, players: Iterable[str]) -> list[Receivable]:
        """See the port."""
        values = {"reference": reference, "players": sorted(set(players))}
        return [_receivable_of(row) for row in await self._tx.execute(_LOCK_OF, values)]

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Receivable]:
        """See the port."""
        rows = await self._tx.execute(_LOCK, {"ids": sorted(set(ids))})
        return {row.id: _receivable_of(row) for row in rows}

    async def add(self, receivables: Sequence[Receivable]) -> None:
        """See the port."""
        names = [name for name, _ in _COLUMNS]
        await self._tx.execute(
            _ADD, {f"{name}s": [getattr(one, name) for one in receivables] for name in names}
        )

    async def save(self, receivables: Sequence[Receivable]) -> None:
        """See the port."""
        latest = {one.id: one for one in receivables}
        names = ("id", "recovered", "written_off", "lifted", "restored", "version")
        await self._tx.execute(
            _SAVE, {f"{name}s": [getattr(one, name) for one in latest.values()] for name in names}
        )


def _receivable_of(row: Any) -> Receivable:
    return Receivable(**{name: getattr(row, name) for name, _ in _COLUMNS})


_COLUMNS: tuple[tuple[str, str], ...] = (
    ("id", "uuid"),
    ("player", "text"),
    ("asset", "text"),
    ("campaign", "uuid"),
    ("reference", "text"),
    ("amount", "bigint"),
    ("recovered", "bigint"),
    ("written_off", "bigint"),
    ("lifted", "bigint"),
    ("restored", "bigint"),
    ("cause", "text"),
    ("correlation_id", "text"),
    ("opened_at", "timestamptz"),
    ("version", "int"),
)


_NAMES = ", ".join(name for name, _ in _COLUMNS)


_ARRAYS = ", ".join(f"CAST(:{name}s AS {type_}[])" for name, type_ in _COLUMNS)


# "open" is in the predicate of the index. Few players owe anything, so the index is small.
_LOCK_OPEN = Read(
    "SELECT r.* FROM receivables r "
    "JOIN unnest(CAST(:players AS text[]), CAST(:assets AS text[])) AS u(player, asset) "
    "ON r.player = u.player AND r.asset = u.asset WHERE r.open > 0 ORDER BY r.opened_at, r.id FOR UPDATE OF r"
)


_LOCK_OF = text(
    "SELECT * FROM receivables WHERE player = ANY (CAST(:players AS text[])) AND reference = :reference "
    "AND amount - recovered - lifted - restored > 0 ORDER BY opened_at, id FOR UPDATE"
)


_LOCK = text("SELECT * FROM receivables WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE")


_ADD = text(f"INSERT INTO receivables ({_NAMES}) SELECT u.* FROM unnest({_ARRAYS}) AS u({_NAMES})")  # noqa: S608 - our own names


_SAVE = text(
    "UPDATE receivables r SET recovered = u.recovered, written_off = u.written_off, lifted = u.lifted, "
    "restored = u.restored, version = u.version FROM unnest(CAST(:ids AS uuid[]), CAST(:recovereds AS bigint[]), "
    "CAST(:written_offs AS bigint[]), CAST(:lifteds AS bigint[]), CAST(:restoreds AS bigint[]), "
    "CAST(:versions AS int[])) AS u(id, recovered, written_off, lifted, restored, version) WHERE r.id = u.id"
)


async def list_receivables(
    tx: AsyncConnection,
    *,
    player: str | None,
    still_open: bool,
    limit: int,
    before: tuple[datetime, UUID] | None,
) -> list[ReceivableView]:
    """List receivables, newest first."""
    at, receivable_id = before if before is not None else (None, None)
    rows = await tx.execute(
        _LISTED, {"player": player, "open": still_open, "limit": limit, "at": at, "id": receivable_id}
    )
    return [
        ReceivableView(
            id=row.id,
            player=row.player,
            asset=row.asset,
            amount=row.amount,
            open=row.open,
            recovered=row.recovered,
            written_off=row.written_off,
            lifted=row.lifted,
            restored=row.restored,
            campaign=row.campaign,
            reference=row.reference,
            correlation_id=row.correlation_id,
            opened_at=row.opened_at,
        )
        for row in rows
    ]


_LISTED = text(
    "SELECT * FROM receivables r WHERE (CAST(:player AS text) IS NULL OR r.player = :player) "
    "AND (NOT CAST(:open AS boolean) OR r.open > 0) "
    "AND (CAST(:at AS timestamptz) IS NULL OR (r.opened_at, r.id) < (CAST(:at AS timestamptz), CAST(:id AS uuid))) "
    "ORDER BY r.opened_at DESC, r.id DESC LIMIT :limit"
)


def parties_json(parties: Sequence[Party]) -> str:
    """Encode parties as they are stored."""
    return orjson.dumps([[role, subject] for role, subject in parties]).decode()


def parties_of(document: str) -> tuple[Party, ...]:
    """Decode stored parties."""
    return tuple((role, subject) for role, subject in orjson.loads(document))


class SqlParties:
    """The port over one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def add_source(self, source: str, party: Party) -> None:
        """See the port."""
        role, subject = party
        await self._tx.execute(_ADD_SOURCE, {"source": source, "role": str(role), "subject": subject})

    async def of_source(self, source: str) -> tuple[Party, ...]:
        """See the port."""
        return parties_of((await self._tx.execute(_OF_SOURCE, {"source": source})).scalar_one())

    async def of_sources(self, sources: Iterable[str]) -> dict[str, tuple[Party, ...]]:
        """See the port."""
        found: dict[str, tuple[Party, ...]] = {}
        for row in await self._tx.execute(_OF_SOURCES, {"sources": sorted(set(sources))}):
            found[row.source] = (*found.get(row.source, ()), (row.role, row.subject))
        return found

    async def keep(self, credited: Sequence[tuple[Account, CreditParties]]) -> None:
        """See the port."""
        rows = sorted(
            {
                (wallet.owner, wallet.asset, str(role), subject, subject in credited_by.one_person)
                for wallet, credited_by in credited
                for role, subject in credited_by.parties
            }
        )
        if rows:
            names = ("players", "assets", "roles", "subjects", "alones")
            columns = {name: [row[at] for row in rows] for at, name in enumerate(names)}
            await later(self._tx, _KEEP, columns)

    async def take(self, wallet: Account, *, whole: bool) -> CreditParties:
        """See the port."""
        key = {"player": wallet.owner, "asset": wallet.asset}
        rows = (await self._tx.execute(_OF_WALLET, key)).all()
        if whole and rows:
            await self._tx.execute(_FORGET, key)
        return CreditParties(
            tuple((row.role, row.subject) for row in rows),
            tuple(row.subject for row in rows if row.alone),
        )


_ADD_SOURCE = text(
    "INSERT INTO source_parties (source, role, subject) VALUES (:source, :role, :subject) ON CONFLICT DO NOTHING"
)


_OF_SOURCE = text("SELECT parties_of(:source)")


_OF_SOURCES = text(
    "SELECT source, role, subject FROM source_parties WHERE source = ANY (CAST(:sources AS text[])) "
    "ORDER BY source, role, subject"
)


_KEEP = Write(
    "wallet_parties",
    "INSERT INTO wallet_parties (player, asset, role, subject, alone) "
    "SELECT * FROM unnest(CAST(:players AS text[]), CAST(:assets AS text[]), CAST(:roles AS text[]), "
    "CAST(:subjects AS text[]), CAST(:alones AS boolean[])) ON CONFLICT DO NOTHING",
)


_OF_WALLET = text("SELECT role, subject, alone FROM wallet_parties WHERE player = :player AND asset = :asset")


_FORGET = text(
    "DELETE FROM wallet_parties WHERE player = :player AND asset = :asset AND NOT EXISTS ("
    "SELECT 1 FROM entries WHERE player = :player AND asset = :asset AND state = 'paid' AND from_winnings > 0)"
)
