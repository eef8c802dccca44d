"""API tokens of sources in PostgreSQL."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_settlement.source_tokens.domain import SourceToken


class PostgresSourceTokens:
    """The port ``SourceTokens`` over one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def add(self, token: SourceToken, *, digest: bytes) -> None:
        """See the port."""
        values = {name: getattr(token, name) for name in _COLUMNS[:-1]}
        await self._tx.execute(_ADD, {**values, "digest": digest})

    async def lock(self, token_id: UUID) -> SourceToken | None:
        """See the port."""
        row = (await self._tx.execute(_LOCK, {"id": token_id})).one_or_none()
        return None if row is None else _token(row)

    async def save(self, token: SourceToken) -> None:
        """See the port."""
        await self._tx.execute(
            _SAVE, {"id": token.id, "expires_at": token.expires_at, "revoked_at": token.revoked_at}
        )

    async def source_of(self, digest: bytes, *, now: datetime) -> tuple[str, str] | None:
        """See the port."""
        found = (await self._tx.execute(_SOURCE_OF, {"digest": digest, "now": now})).one_or_none()
        return None if found is None else (found.source, found.created_by)

    async def ends(self, *, since: datetime, limit: int) -> dict[str, datetime]:
        """See the port. It reads all tokens: admins make them by hand, so they are few."""
        rows = await self._tx.execute(_ENDS, {"since": since, "limit": limit})
        return {row.source: row.ends_at for row in rows}

    async def page(
        self, *, source: str | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[SourceToken]:
        """See the port."""
        at, found = before if before is not None else (None, None)
        rows = await self._tx.execute(_PAGE, {"source": source, "at": at, "id": found, "limit": limit})
        return [_token(row) for row in rows]


_COLUMNS: Final = ("id", "source", "label", "created_by", "created_at", "expires_at", "revoked_at")
_NAMES: Final = ", ".join(_COLUMNS)


def _token(row: Any) -> SourceToken:
    return SourceToken(**{name: getattr(row, name) for name in _COLUMNS})


# The SQL below is put together from the literals above; every value is bound.
_ADD = text(
    "INSERT INTO source_tokens (id, source, label, created_by, created_at, expires_at, digest) "
    "VALUES (:id, :source, :label, :created_by, :created_at, :expires_at, :digest)"
)
_LOCK = text(f"SELECT {_NAMES} FROM source_tokens WHERE id = :id FOR UPDATE")  # noqa: S608 - see above
_SAVE = text("UPDATE source_tokens SET expires_at = :expires_at, revoked_at = :revoked_at WHERE id = :id")
_SOURCE_OF = text(
    "SELECT source, created_by FROM source_tokens WHERE digest = :digest AND expires_at > :now AND revoked_at IS NULL"
)
_ENDS = text(
    "SELECT source, min(ends_at) AS ends_at FROM (SELECT source, max(expires_at) AS ends_at FROM source_tokens "
    "WHERE revoked_at IS NULL GROUP BY source, label) labels WHERE ends_at >= CAST(:since AS timestamptz) "
    "GROUP BY source ORDER BY min(ends_at), source LIMIT :limit"
)
_PAGE = text(
    f"SELECT {_NAMES} FROM source_tokens WHERE (CAST(:at AS timestamptz) IS NULL "  # noqa: S608 - see above
    "OR (created_at, id) < (CAST(:at AS timestamptz), CAST(:id AS uuid))) "
    "AND (CAST(:source AS text) IS NULL OR source = CAST(:source AS text)) "
    "ORDER BY created_at DESC, id DESC LIMIT :limit"
)
