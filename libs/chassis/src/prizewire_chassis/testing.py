"""Helpers for tests of services: keys, tokens, raw events, and a service's runtime over given parts."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm
from sqlalchemy.event import listen, remove

from prizewire_chassis.auth import TokenReader
from prizewire_chassis.db import Database, Row, Transaction
from prizewire_chassis.jwks import TokenKey, read_keys
from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.encode import EncodedEvent, sign_raw
from prizewire_contracts.topics import topic_of
from prizewire_contracts.trust import MessageKey, TrustStore

TRUSTED_USES = {
    "settlement": ["event", "audit-head"],
    "rewards": ["event", "intent", "audit-head"],
    "payouts": ["event", "approval", "audit-head"],
    "signer": ["event", "audit-head"],
    "webhooks": ["event", "audit-head"],
}
"""What each service's message key may sign."""


@dataclass(frozen=True, slots=True)
class FakeRecord:
    """A Kafka record with the attributes that the inbox reads."""

    topic: str
    partition: int
    offset: int
    value: bytes | None


@contextmanager
def watch_statements(db: Database, on_statement: Callable[[str], None]) -> Iterator[None]:
    """Call ``on_statement`` with each statement before it is sent, except those that begin and end transactions. Its errors are
    raised where the statement is sent.
    """
    ask = Transaction._ask  # noqa: SLF001 - the only path that does not use SQLAlchemy

    async def watched(tx: Transaction, statement: str, values: Sequence[Any]) -> list[Row]:
        on_statement(statement)
        return await ask(tx, statement, values)

    def listener(_1: Any, _2: Any, statement: str, *_: Any) -> None:
        on_statement(statement)

    engines = [db.engine.sync_engine, db.seeking.sync_engine]
    for engine in engines:
        listen(engine, "before_cursor_execute", listener)
    try:
        with patch.object(Transaction, "_ask", watched):
            yield
    finally:
        for engine in engines:
            remove(engine, "before_cursor_execute", listener)


def make_key(service: str) -> MessageKey:
    """A message key that is the same at every run, derived from the service's name."""
    return MessageKey.from_seed(
        keyid=f"{service}-1", seed=hashlib.sha256(f"test {service}".encode()).digest()
    )


def make_trust(services: Iterable[str] = tuple(TRUSTED_USES)) -> TrustStore:
    """A trust store that pins ``make_key`` of each service."""
    return TrustStore.from_json(
        json.dumps(
            {
                "keys": [
                    {
                        "keyid": make_key(service).keyid,
                        "service": service,
                        "uses": TRUSTED_USES[service],
                        "public_key": make_key(service).public_key,
                        "not_before": "2000-01-01T00:00:00+00:00",
                        "not_after": "2100-01-01T00:00:00+00:00",
                    }
                    for service in services
                ]
            }
        )
    )


TOKEN_KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"test access tokens").digest())
"""What ``make_token`` signs with; the same at every run."""
TOKEN_KID = "test-tokens"  # noqa: S105 - the name of a key


@dataclass(frozen=True, slots=True)
class FixedKeys:
    """``KeySource`` over given keys."""

    keys: Mapping[str, TokenKey]

    async def find(self, kid: str) -> TokenKey | None:
        """See the port."""
        return self.keys.get(kid)


def token_jwks() -> dict[str, Any]:
    """The public half of ``TOKEN_KEY``, as a service reads it."""
    public = OKPAlgorithm.to_jwk(TOKEN_KEY.public_key(), as_dict=True)
    return {"keys": [{**public, "kid": TOKEN_KID, "alg": "EdDSA", "use": "sig"}]}


def token_reader() -> TokenReader:
    """A reader that takes the tokens of ``make_token``."""
    return TokenReader(keys=FixedKeys(read_keys(token_jwks())), issuer="prizewire-dev", audience="prizewire")


def make_token(
    *, subject: str, roles: Iterable[str], issuer: str = "prizewire-dev", audience: str = "prizewire"
) -> str:
    """An access token that is valid for an hour."""
    now = datetime.now(UTC)
    claims = {
        "sub": subject,
        "roles": list(roles),
        "iss": issuer,
        "aud": audience,
        "iat": now,
        "exp": now + timedelta(hours=1),
    }
    return jwt.encode(claims, TOKEN_KEY, algorithm="EdDSA", headers={"kid": TOKEN_KID})


def event_bytes(
    *,
    topic: str,
    kind: str,
    source: str,
    subject: str,
    data: dict[str, Any],
    key: MessageKey | None = None,
    **attributes: Any,
) -> bytes:
    """A structured CloudEvent, signed when a key is given; ``attributes`` override or add envelope members."""
    raw: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": source,
        "type": kind,
        "time": datetime.now(UTC).isoformat(),
        "subject": subject,
        "datacontenttype": "application/json",
        "data": data,
        **attributes,
    }
    return canonical_bytes(sign_raw(topic=topic, raw=raw, key=key) if key else raw)


def hold_to_model(raw: dict[str, Any]) -> dict[str, Any]:
    """The event, after a check that its model serializes to exactly its payload: names, forms, defaults.

    Raises:
        AssertionError: it is not.
    """
    model = topic_of(raw["type"]).models[raw["type"]]
    made = model.model_validate(raw).data.model_dump(mode="json")
    assert raw["data"] == made, f"{raw['type']} travels as {raw['data']}, its model makes {made}"
    return raw


def records(
    *values: bytes | EncodedEvent, topic: str, start: int = 0, partition: int = 0
) -> list[FakeRecord]:
    """Kafka records over messages, at offsets from ``start``."""
    raw = [value.value if isinstance(value, EncodedEvent) else value for value in values]
    return [FakeRecord(topic, partition, start + index, value) for index, value in enumerate(raw)]
