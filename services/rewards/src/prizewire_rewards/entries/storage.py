"""Rounds that players enter and their entries, over PostgreSQL."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.batches import batch_of
from prizewire_chassis.db import Read, fetch
from prizewire_rewards.entries.domain import ChangedEntry, Entry, EntryEnd, EntryRound, EntryState
from prizewire_rewards.ledger.storage.accounts import Place, page_of_changes


class SqlEntries:
    """Entries in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def lock_rounds(self, ids: Iterable[UUID]) -> dict[UUID, EntryRound]:
        """The rounds with these ids that exist, locked in the order of their ids."""
        rows = await fetch(self._tx, _LOCK_ROUNDS, {"ids": sorted(set(ids))})
        return {row.id: _round_of(row) for row in rows}

    async def lock_closing(self) -> EntryRound | None:
        """A round that has ended and whose entries are not closed yet, locked."""
        batch = batch_of(self._tx)
        values = {"without": batch.without, "limit": batch.limit(1)}
        found = await self.lock_rounds(await batch.claim(self._tx, _LOCK_CLOSING, values))
        return next(iter(found.values()), None)

    async def save_rounds(self, rounds: Sequence[EntryRound], *, now: datetime) -> None:
        """Store new and locked rounds."""
        ordered = sorted(rounds, key=lambda round_: round_.round_id)
        values = {name + "s": [getattr(round_, name) for round_ in ordered] for name, _ in _ROUND}
        await self._tx.execute(_SAVE_ROUNDS, {"now": now, **values})

    async def final_rounds(self, ids: Iterable[UUID]) -> frozenset[UUID]:
        """Those of these rounds whose settlement is final."""
        rows = await self._tx.execute(_FINAL, {"ids": list(ids)})
        return frozenset(row.id for row in rows)

    async def disowned(self, rounds: Iterable[UUID]) -> frozenset[UUID]:
        """Those of these rounds that were disowned."""
        rows = await fetch(self._tx, _DISOWNED, {"ids": sorted(set(rounds))})
        return frozenset(row.round_id for row in rows)

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Entry]:
        """Entries that exist, locked in the order of their ids."""
        rows = await self._tx.execute(_LOCK, {"ids": sorted(set(ids))})
        return {row.id: _entry_of(row) for row in rows}

    async def lock_unclosed(
        self, rounds: Iterable[UUID], *, disowned: Iterable[UUID], limit: int
    ) -> list[Entry]:
        """Paid entries of these rounds, locked; of ``disowned`` rounds also earned ones in redeemable assets."""
        values = {"rounds": list(rounds), "disowned": list(disowned), "limit": limit}
        return [_entry_of(row) for row in await self._tx.execute(_LOCK_UNCLOSED, values)]

    async def earned(self, round_id: UUID) -> dict[str, int]:
        """The sums of the earned entries of a round, by redeemable asset (minor units)."""
        rows = await self._tx.execute(_EARNED, {"round": round_id})
        return {row.asset: int(row.total) for row in rows}

    async def save(self, entries: Sequence[Entry], *, now: datetime) -> None:
        """Store new and locked entries."""
        ordered = sorted(entries, key=lambda entry: entry.id)
        values = {name + "s": [getattr(entry, name) for entry in ordered] for name, _ in _ENTRY}
        await self._tx.execute(_SAVE, {"now": now, **values})


def _round_of(row: Any) -> EntryRound:
    return EntryRound(
        round_id=row.id,
        match_id=row.match_id,
        match_source=row.match_source,
        competition=row.competition,
        correlation_id=row.correlation_id,
        asset=row.asset,
        fee=row.fee,
        open=row.open,
        end=None if row.ended_as is None else EntryEnd(row.ended_as),
        closing=row.closing,
    )


async def list_entries(
    tx: AsyncConnection, *, player: str, limit: int, before: tuple[datetime, UUID] | None
) -> list[Entry]:
    """A player's entries, newest first, those before a (time, id)."""
    at, entry_id = before if before is not None else (None, None)
    rows = await tx.execute(_LISTED, {"player": player, "limit": limit, "at": at, "id": entry_id})
    return [_entry_of(row) for row in rows]


def _entry_of(row: Any) -> Entry:
    values = {name: getattr(row, name) for name, _ in _ENTRY}
    return Entry(**{**values, "state": EntryState(row.state)})


_ROUND: tuple[tuple[str, str], ...] = (
    ("round_id", "uuid"),
    ("match_id", "text"),
    ("match_source", "text"),
    ("competition", "text"),
    ("correlation_id", "text"),
    ("asset", "text"),
    ("fee", "bigint"),
    ("open", "boolean"),
    ("end", "text"),
    ("closing", "boolean"),
)
_ENTRY: tuple[tuple[str, str], ...] = (
    ("id", "uuid"),
    ("round_id", "uuid"),
    ("match_id", "text"),
    ("match_source", "text"),
    ("player", "text"),
    ("asset", "text"),
    ("amount", "bigint"),
    ("from_topup", "bigint"),
    ("from_winnings", "bigint"),
    ("state", "text"),
    ("code", "text"),
    ("correlation_id", "text"),
    ("version", "int"),
    ("entered_at", "timestamptz"),
)
_LOCK_ROUNDS = Read("SELECT * FROM entry_rounds WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE")
_LOCK_CLOSING = text(
    "SELECT id FROM entry_rounds WHERE closing AND id <> ALL(CAST(:without AS uuid[])) ORDER BY id LIMIT :limit "
    "FOR UPDATE SKIP LOCKED"
)
_SAVE_ROUNDS = text(
    "INSERT INTO entry_rounds AS r (id, match_id, match_source, competition, correlation_id, asset, fee, open, "  # noqa: S608 - our own columns
    "ended_as, closing, known_at, changed_at) "
    "SELECT u.*, CAST(:now AS timestamptz), CAST(:now AS timestamptz) FROM unnest("
    + ", ".join(f"CAST(:{name}s AS {type_}[])" for name, type_ in _ROUND)
    + ") AS u ON CONFLICT (id) DO UPDATE SET match_id = excluded.match_id, match_source = excluded.match_source, "
    "competition = excluded.competition, correlation_id = excluded.correlation_id, asset = excluded.asset, "
    "fee = excluded.fee, open = excluded.open, ended_as = excluded.ended_as, closing = excluded.closing, "
    "changed_at = excluded.changed_at"
)
_FINAL = text("SELECT id FROM rounds WHERE id = ANY (CAST(:ids AS uuid[])) AND (final OR state = 'voided')")
_LOCK = text("SELECT * FROM entries WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE")
_LOCK_UNCLOSED = text(
    "SELECT * FROM entries WHERE id IN ("
    "SELECT id FROM entries WHERE round_id = ANY (CAST(:rounds AS uuid[])) AND state = 'paid' "
    "UNION ALL SELECT e.id FROM entries e JOIN assets a ON a.code = e.asset AND a.redeemable "
    "WHERE e.round_id = ANY (CAST(:disowned AS uuid[])) AND e.state = 'earned' "
    "ORDER BY id LIMIT :limit) AND state IN ('paid', 'earned') ORDER BY id FOR UPDATE"
)
_EARNED = text(
    "SELECT e.asset, sum(e.amount) AS total FROM entries e JOIN assets a ON a.code = e.asset AND a.redeemable "
    "WHERE e.round_id = :round AND e.state = 'earned' GROUP BY e.asset ORDER BY e.asset"
)
_LISTED = text(
    "SELECT * FROM entries WHERE player = :player "
    "AND (CAST(:at AS timestamptz) IS NULL OR (entered_at, id) < (CAST(:at AS timestamptz), CAST(:id AS uuid))) "
    "ORDER BY entered_at DESC, id DESC LIMIT :limit"
)
_COLUMNS = ", ".join(name for name, _ in _ENTRY)
_SAVE = text(
    f"INSERT INTO entries AS e ({_COLUMNS}, changed_at) "  # noqa: S608 - our own columns
    "SELECT u.*, CAST(:now AS timestamptz) FROM unnest("
    + ", ".join(f"CAST(:{name}s AS {type_}[])" for name, type_ in _ENTRY)
    + ") AS u ON CONFLICT (id) DO UPDATE SET from_topup = excluded.from_topup, "
    "from_winnings = excluded.from_winnings, state = excluded.state, code = excluded.code, "
    "version = excluded.version, changed_at = excluded.changed_at"
)


async def changed_entries(
    tx: AsyncConnection, *, since: datetime | None, before: Place | None, limit: int
) -> list[ChangedEntry]:
    """A page of the entries that changed at ``since`` or later, the last change first."""
    statement, values = page_of_changes(_CHANGED, since=since, before=before, limit=limit)
    rows = (await tx.execute(statement, values)).mappings()
    return [ChangedEntry(**{**row, "state": EntryState(row["state"])}) for row in rows]


_CHANGED = (
    "SELECT id AS entry_id, round_id, player, asset, amount, state, stored_at AS changed_at FROM entries"
)
_DISOWNED = Read(
    "SELECT round_id FROM round_disownments WHERE round_id = ANY (CAST(:ids AS uuid[])) AND state = 'approved'"
)
