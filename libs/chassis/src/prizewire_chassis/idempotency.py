"""Idempotency keys: one effect for each (actor, route, key), in the transaction that makes the effect."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Integer, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.problems import Problem
from prizewire_contracts.canonical import NotCanonical, canonical_hash
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.ids import http_id

KEY_PATTERN = "^[A-Za-z0-9:_-]{1,255}$"
"""A usable key, as a regular expression that Python and JSON Schema read alike."""
_KEY = re.compile(KEY_PATTERN)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status and JSON body; ``replayed`` when it was stored by an earlier call."""

    status: int
    body: Any
    replayed: bool


def check_key(key: str | None) -> str:
    """A usable idempotency key.

    Raises:
        Problem: 400 ``idempotency_key_required`` or ``idempotency_key_invalid``.
    """
    if key is None:
        detail = "this request moves money: send an Idempotency-Key header"
        raise Problem(status=400, code="idempotency_key_required", detail=detail)
    if not _KEY.fullmatch(key):
        detail = "an Idempotency-Key has 1 to 255 letters, digits, colons, underscores or hyphens"
        raise Problem(status=400, code="idempotency_key_invalid", detail=detail)
    return key


async def idempotent(
    tx: AsyncConnection,
    *,
    actor: str,
    route: str,
    key: str | None,
    body: Any,
    now: datetime,
    work: Callable[[UUID], Awaitable[tuple[int, Any]]],
) -> Answer:
    """Do ``work`` once for this actor, route and key, and store its answer beside its effect.

    ``body`` is the request's JSON. ``work`` gets the id that follows from actor, route and key, and returns
    (status, JSON). A concurrent call with the same key waits for the first. Keys never expire. Where ``work``
    raises, nothing is stored.

    Raises:
        Problem: 400 for a missing or malformed key or a body with floats or too large numbers, 409 ``idempotency_conflict`` for another
            body.
    """
    wanted = check_key(key)
    try:
        digest = canonical_hash(body)
    except NotCanonical as error:
        code = error.code if error.code == RefusalCode.NUMBER_OUT_OF_RANGE else "invalid_request"
        raise Problem(status=400, code=code, detail=f"the request's body: {error}") from None
    place = {"actor": actor, "route": route, "key": wanted}
    claimed = await tx.execute(_CLAIM, {**place, "hash": digest, "now": now})
    if claimed.one_or_none() is None:
        row = (await tx.execute(_FIND, place)).one()
        if bytes(row.body_hash) != digest:
            detail = "this Idempotency-Key was used with another request"
            raise Problem(status=409, code="idempotency_conflict", detail=detail)
        return Answer(row.status, row.answer, replayed=True)
    status, answer = await work(http_id(actor=actor, route=route, idempotency_key=wanted))
    rendered = orjson.dumps(answer).decode()
    await tx.execute(_STORE, {**place, "status": status, "answer": rendered})
    return Answer(status, orjson.loads(rendered), replayed=False)


_CLAIM = text(
    "INSERT INTO idempotency_keys (actor, route, key, body_hash, created_at) "
    "VALUES (:actor, :route, :key, :hash, :now) ON CONFLICT DO NOTHING RETURNING key"
)
_FIND = text(
    "SELECT body_hash, status, answer FROM idempotency_keys WHERE actor = :actor AND route = :route AND key = :key"
).columns(body_hash=LargeBinary, status=Integer, answer=JSONB)
_STORE = text(
    "UPDATE idempotency_keys SET status = :status, answer = CAST(:answer AS jsonb) "
    "WHERE actor = :actor AND route = :route AND key = :key"
)
