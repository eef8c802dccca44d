"""API tokens of game servers that report over HTTP."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceToken:
    """An API token of a game server that reports over HTTP, bound to one source. The token itself is not kept."""

    id: UUID
    source: str
    label: str
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


PREFIX: Final = "pws_"
"""How a source's token begins: people, and scanners for leaked secrets, recognize it by this."""


def digest_of(secret: str) -> bytes:
    """The stored digest of a token. Its 256 random bits need no salt and no slow hash."""
    return sha256(secret.encode()).digest()
