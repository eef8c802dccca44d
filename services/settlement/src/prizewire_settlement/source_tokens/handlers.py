"""API tokens of game servers that report over HTTP: issue, rotate with an overlap, revoke. Only their SHA-256 is kept."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from prizewire_settlement.errors import TokenEnded, TokenMissing
from prizewire_settlement.source_tokens.domain import SourceToken, digest_of
from prizewire_settlement.source_tokens.ports import SourceTokens


async def make_token(*, token: SourceToken, secret: str, store: SourceTokens) -> SourceToken:
    """Store a new token, whose text ``secret`` is shown to its maker only."""
    await store.add(token, digest=digest_of(secret))
    return token


async def rotate_token(
    *,
    token_id: UUID,
    successor_id: UUID,
    secret: str,
    expires_at: datetime,
    overlap_until: datetime,
    actor: str,
    store: SourceTokens,
    now: datetime,
) -> tuple[SourceToken, SourceToken]:
    """A successor of the same source and label; the former ends at ``overlap_until`` at the latest. Returns both.

    Raises:
        TokenMissing: there is no such token.
        TokenEnded: it has expired or was revoked.
    """
    former = await store.lock(token_id)
    if former is None:
        raise TokenMissing(token_id)
    if former.revoked_at is not None or former.expires_at <= now:
        raise TokenEnded(token_id)
    ending = replace(former, expires_at=min(former.expires_at, overlap_until))
    await store.save(ending)
    successor = SourceToken(
        id=successor_id,
        source=former.source,
        label=former.label,
        created_by=actor,
        created_at=now,
        expires_at=expires_at,
    )
    await store.add(successor, digest=digest_of(secret))
    return ending, successor


async def revoke_token(*, token_id: UUID, store: SourceTokens, now: datetime) -> SourceToken:
    """Revoke a token at once. A revoked token does not change any more.

    Raises:
        TokenMissing: there is no such token.
    """
    found = await store.lock(token_id)
    if found is None:
        raise TokenMissing(token_id)
    if found.revoked_at is not None:
        return found
    revoked = replace(found, revoked_at=now)
    await store.save(revoked)
    return revoked
