"""What the use cases of source tokens need from outside."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_settlement.source_tokens.domain import SourceToken


class SourceTokens(Protocol):
    """API tokens of sources, inside one transaction."""

    async def add(self, token: SourceToken, *, digest: bytes) -> None:
        """Store a token under the SHA-256 of its text."""

    async def lock(self, token_id: UUID) -> SourceToken | None:
        """One token, locked against other changes."""

    async def save(self, token: SourceToken) -> None:
        """Store when it ends."""

    async def source_of(self, digest: bytes, *, now: datetime) -> tuple[str, str] | None:
        """The source of the token with this SHA-256 and who issued it, while it is valid."""

    async def ends(self, *, since: datetime, limit: int) -> dict[str, datetime]:
        """When the first token of each source ends, for the ``limit`` sources that end first and not before ``since``.

        A token with the same source and label that ends later replaces a token, as the successor of a rotated one does.
        Revoked tokens do not count.
        """

    async def page(
        self, *, source: str | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[SourceToken]:
        """Tokens, newest first, those made ``before`` this (time, id)."""
