"""Helpers for tests of services: keys, tokens, raw events, plans of statements, and a service's runtime over given parts."""

import hashlib
import json
import re
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import asyncpg
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm
from sqlalchemy import TextClause
from sqlalchemy.event import listen, remove

from prizewire_chassis.auth import TokenReader
from prizewire_chassis.db import Database, Read, Row, Transaction
from prizewire_chassis.jwks import TokenKey, read_keys
from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.encode import EncodedEvent, sign_raw
from prizewire_contracts.topics import topic_of
from prizewire_contracts.trust import MessageKey, TrustStore

TRUSTED_USES = {
    "settlement": ["event", "audit-head"],
    "rewards": ["event", "intent", "audit-head"],
    "payouts": ["event", "approval", "quote", "seal", "audit-head"],
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


@dataclass(frozen=True, slots=True)
class UniqueOnly:
    """Stands for the query of an index that no query reads. ``guards`` says which rows the index refuses."""

    guards: str


Statement = str | Read | TextClause


def needed(queries: Mapping[str, Statement | UniqueOnly]) -> list[str]:
    """The indexes of which a query is named."""
    return [index for index, query in queries.items() if not isinstance(query, UniqueOnly)]


def with_literals(statement: Statement, **literals: str) -> str:
    """The statement with SQL literals in place of parameters. A condition that a parameter switches on or off
    (``:id IS NULL OR id = :id``) uses an index only in a plan for a known value.
    """
    written = _text_of(statement)
    missing = literals.keys() - _PARAMETER.findall(written)
    assert missing == set(), f"the statement has no parameters {sorted(missing)}"
    return _PARAMETER.sub(lambda found: literals.get(found[1], found[0]), written)


def sent_by(call: Callable[[Any], Coroutine[Any, Any, Any]]) -> str:
    """The first statement that a function executes on its transaction: SQL that is built at run time."""

    class Sent(Exception):
        pass

    class Transaction:
        async def execute(self, statement: Statement, _: Any = None) -> None:
            raise Sent(_text_of(statement))

    try:
        call(Transaction()).send(None)
    except Sent as sent:
        return str(sent.args[0])
    except StopIteration as ended:
        raise AssertionError("the function executed no statement") from ended
    raise AssertionError("the function waits before its first statement")


def chassis_queries() -> dict[str, "Statement | UniqueOnly"]:
    """Indexes of the tables that every service has, each with a query that needs it, for ``IndexTests``."""
    from prizewire_chassis.audit import AuditTable  # noqa: PLC0415 - most tests need no audit
    from prizewire_chassis.stuck_events import replays  # noqa: PLC0415 - as above
    from prizewire_chassis.tracing import stored  # noqa: PLC0415 - as above

    async def unknown(tx: Any, sequence: int) -> int:  # noqa: ARG001 - the signature of a port
        return sequence

    records = AuditTable("any", unknown)
    return {
        "audit_log_correlation": sent_by(lambda tx: records.of_correlation(tx, "x")),
        "stuck_events_open": replays._COUNTS,  # noqa: SLF001 - as below
        "traces_stored_at": stored._PURGE,  # noqa: SLF001 - the statement itself is what is tested
    }


_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")
"""A parameter by name; no cast (``::text``), and nothing within a word (``'wallet:topup'``)."""


def _text_of(statement: Statement) -> str:
    return statement if isinstance(statement, str) else statement.text


def _numbered(statement: Statement) -> str:
    """The statement with parameters by number, as the driver sends it."""
    written = _text_of(statement)
    numbers = {
        name: f"${number}" for number, name in enumerate(dict.fromkeys(_PARAMETER.findall(written)), 1)
    }
    return _PARAMETER.sub(lambda found: numbers[found[1]], written)


@dataclass(frozen=True, slots=True)
class _Plan:
    """``cost`` orders plans as the planner does: by the steps that are switched off, then by the estimate."""

    cost: tuple[int, float]
    indexes: frozenset[str]


class IndexTests:
    """Checks of which queries need an index of a database. Open it over a database of its own: it drops indexes in
    transactions that it rolls back.
    """

    def __init__(self, connection: "asyncpg.Connection") -> None:
        self._connection = connection

    @classmethod
    async def open(cls, url: str) -> "IndexTests":
        """Connect as the owner of the tables."""
        connection = await asyncpg.connect(url)
        # Tables of tests are small: without this PostgreSQL reads them whole.
        await connection.execute("SET enable_seqscan = off")
        # EXPLAIN plans a statement with open parameters only where its caller passes none.
        await connection.execute(
            "CREATE FUNCTION pg_temp.plan_of(statement text) RETURNS json LANGUAGE plpgsql AS $$ "
            "DECLARE plan json; BEGIN EXECUTE 'EXPLAIN (GENERIC_PLAN, FORMAT JSON) ' || statement INTO plan; "
            "RETURN plan; END $$"
        )
        return cls(connection)

    async def fill(self, rows: Mapping[str, str]) -> None:
        """Execute the statement of each table and gather its statistics, where the plans over empty tables do not differ. The
        other tables stay without statistics: PostgreSQL then assumes that they have rows.
        """
        for table, insert in rows.items():
            await self.execute(f"{insert}; ANALYZE {table}")

    async def execute(self, statements: str) -> None:
        """Execute statements without parameters."""
        await self._connection.execute(statements)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def check_listed(self, queries: Mapping[str, Statement | UniqueOnly]) -> None:
        """Check that ``queries`` names every index but those of primary keys and UNIQUE constraints, and no other.

        Raises:
            AssertionError: an index has no query, or a query has no index.
        """
        rows = await self._connection.fetch(
            "SELECT c.relname AS name, i.indisunique AS is_unique FROM pg_index i "
            "JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace AND NOT EXISTS ("
            "SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))"
        )
        found = {row["name"] for row in rows}
        new = sorted(found - queries.keys())
        assert new == [], f"indexes without a query: {new}; add the query, or drop the index"
        gone = sorted(queries.keys() - found)
        assert gone == [], f"queries without their index: {gone}; the index was dropped or renamed"
        unique = {row["name"] for row in rows if row["is_unique"]}
        plain = sorted(found - unique - set(needed(queries)))
        assert plain == [], f"these indexes admit duplicates: {plain}; name the queries that need them"

    async def check_needed(self, index: str, statement: Statement | UniqueOnly) -> None:
        """Check that the plan of a statement uses an index, and that without the index it costs more.

        Raises:
            AssertionError: the statement does not need the index.
        """
        assert not isinstance(statement, UniqueOnly), f"no query reads {index}"
        written = _numbered(statement)
        plan = await self._plan(written)
        used = ", ".join(sorted(plan.indexes)) or "no index"
        assert index in plan.indexes, f"the query of {index} uses {used}"
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            await self.execute(f"DROP INDEX {index}")
            without = await self._plan(written)
        finally:
            await transaction.rollback()
        instead = ", ".join(sorted(without.indexes)) or "no index"
        assert without.cost > plan.cost, f"the query of {index} costs no more without it: it uses {instead}"

    async def _plan(self, statement: str) -> _Plan:
        answer = await self._connection.fetchval("SELECT pg_temp.plan_of($1)", statement)
        top = json.loads(answer)[0]["Plan"]
        steps = list(_steps_of(top))
        return _Plan(
            cost=(sum(step["Disabled"] for step in steps), top["Total Cost"]),
            indexes=frozenset(step["Index Name"] for step in steps if "Index Name" in step),
        )


def _steps_of(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _steps_of(inner)
