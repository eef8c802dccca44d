"""Payouts and payout methods over PostgreSQL."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Conflict
from prizewire_rewards.ledger.domain.records import CreditParties
from prizewire_rewards.ledger.storage.receivables import parties_json, parties_of
from prizewire_rewards.payouts.domain.inline import InlineTerms
from prizewire_rewards.payouts.domain.model import BatchPlace, Method, Payout, PayoutState


class SqlPayouts:
    """Payouts in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Payout]:
        """See the port."""
        keys = sorted(set(ids))
        if not keys:
            return {}
        rows = await self._tx.execute(_LOCK, {"ids": keys})
        return {row.id: _payout_of(row) for row in rows}

    async def lock_open(self, players: Iterable[str], *, asset: str) -> list[Payout]:
        """See the port."""
        rows = (await self._tx.execute(_LOCK_OPEN, {"players": sorted(set(players)), "asset": asset})).all()
        latest = sorted(rows, key=lambda row: (row.requested_at, row.id), reverse=True)
        return [_payout_of(row) for row in latest]

    async def check_none_new(self, players: Iterable[str], *, asset: str, known: Sequence[Payout]) -> None:
        """See the port."""
        values = {
            "players": sorted(set(players)),
            "asset": asset,
            "known": [payout.id for payout in known],
        }
        fresh = (await self._tx.execute(_NEW, values)).scalars().all()
        if fresh:
            raise Conflict(f"payout {fresh[0]} was requested meanwhile")

    async def add(self, payouts: Sequence[Payout], *, now: datetime) -> None:
        """See the port."""
        await self._tx.execute(
            _ADD,
            {
                "now": now,
                "intents": [_json(payout.intent) for payout in payouts],
                "quotes": [None if payout.quote is None else _json(payout.quote) for payout in payouts],
                # PostgreSQL's arrays of arrays must be rectangular, so each list is joined to a text.
                "rail_types": [",".join(payout.rail_types) for payout in payouts],
                "parties": [parties_json(payout.credited_by.parties) for payout in payouts],
                "one_person": [_json(payout.credited_by.one_person) for payout in payouts],
                "batch_ids": [None if payout.batch is None else payout.batch.id for payout in payouts],
                "batch_lines": [None if payout.batch is None else payout.batch.line for payout in payouts],
                **{f"inline_{part}s": _terms(payouts, at) for at, part in enumerate(InlineTerms._fields)},
                "assigners": [_json(payout.assigners) for payout in payouts],
                **{name + "s": [getattr(payout, name) for payout in payouts] for name, _ in _PLAIN},
            },
        )

    async def save(self, payouts: Sequence[Payout], *, now: datetime) -> None:
        """See the port."""
        await self._tx.execute(
            _SAVE,
            {
                "ids": [payout.id for payout in payouts],
                "states": [payout.state for payout in payouts],
                "rails": [payout.rail for payout in payouts],
                "returneds": [payout.returned for payout in payouts],
                "outcomes": [None if payout.outcome is None else _json(payout.outcome) for payout in payouts],
                "intents": [_json(payout.intent) for payout in payouts],
                "intent_signatures": [payout.intent_signature for payout in payouts],
                "versions": [payout.version for payout in payouts],
                "now": now,
            },
        )

    async def with_quote(self, quote_id: str) -> UUID | None:
        """See the port."""
        found: UUID | None = (
            await self._tx.execute(_WITH_QUOTE, {"quote_id": quote_id})
        ).scalar_one_or_none()
        return found

    async def with_reference(self, reference: str, *, funding_account: str) -> UUID | None:
        """See the port."""
        values = {"reference": reference, "account": funding_account}
        found: UUID | None = (await self._tx.execute(_WITH_REFERENCE, values)).scalar_one_or_none()
        return found

    async def with_references(self, references: Sequence[str], *, funding_account: str) -> dict[str, Payout]:
        """See the port."""
        values = {"references": list(references), "account": funding_account}
        rows = await self._tx.execute(_WITH_REFERENCES, values)
        # the first under a reference counts: a later one retries it
        return {payout.reference or "": payout for payout in reversed([_payout_of(row) for row in rows])}

    async def requested_since(self, *, player: str, asset: str, since: datetime) -> int:
        """See the port."""
        values = {"player": player, "asset": asset, "since": since}
        return int((await self._tx.execute(_REQUESTED, values)).scalar_one())


async def open_payouts(tx: AsyncConnection, ids: Sequence[UUID]) -> list[Payout]:
    """Those of these payouts that can still be paid, in the order of their ids. Nothing is locked."""
    return [_payout_of(row) for row in await tx.execute(_OPEN, {"ids": list(ids)})]


async def payouts_of(tx: AsyncConnection, batch_id: UUID) -> list[Payout]:
    """The payouts of a batch, in the order of their lines."""
    return [_payout_of(row) for row in await tx.execute(_OF_BATCH, {"id": batch_id})]


def _terms(payouts: Sequence[Payout], at: int) -> list[str | None]:
    return [None if payout.inline is None else payout.inline[at] for payout in payouts]


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _payout_of(row: Any) -> Payout:
    return Payout(
        id=row.id,
        player=row.player,
        asset=row.asset,
        amount=row.amount,
        correlation_id=row.correlation_id,
        state=PayoutState(row.state),
        filed_by=row.filed_by,
        method_id=row.method_id,
        method_version=row.method_version,
        rail_types=tuple(row.rail_types),
        intent=orjson.loads(row.intent_json),
        intent_signature=row.intent_signature,
        campaign=row.campaign,
        competition=row.competition,
        source=row.source,
        round_id=row.round_id,
        funding_account=row.funding_account,
        fee=row.fee,
        quote=None if row.quote_json is None else orjson.loads(row.quote_json),
        pay_asset=row.pay_asset,
        pay=row.pay,
        rail=row.rail,
        returned=row.returned,
        outcome=None if row.outcome_json is None else orjson.loads(row.outcome_json),
        version=row.version,
        credited_by=CreditParties(parties_of(row.parties_json), tuple(orjson.loads(row.one_person_json))),
        retry_of=row.retry_of,
        reference=row.reference,
        inline=None
        if row.inline_type is None
        else InlineTerms(row.inline_type, row.inline_masked, row.inline_mark),
        batch=None if row.batch_id is None else BatchPlace(row.batch_id, row.batch_line),
        payee=row.payee,
        assignment=row.assignment,
        assigners=tuple(orjson.loads(row.assigners_json)),
    )


_PLAIN: tuple[tuple[str, str], ...] = (
    ("id", "uuid"),
    ("player", "text"),
    ("campaign", "uuid"),
    ("competition", "text"),
    ("source", "text"),
    ("round_id", "uuid"),
    ("funding_account", "text"),
    ("asset", "text"),
    ("amount", "bigint"),
    ("fee", "bigint"),
    ("pay_asset", "text"),
    ("pay", "bigint"),
    ("correlation_id", "text"),
    ("state", "text"),
    ("filed_by", "text"),
    ("method_id", "uuid"),
    ("method_version", "int"),
    ("intent_signature", "text"),
    ("returned", "bigint"),
    ("version", "int"),
    ("retry_of", "uuid"),
    ("reference", "text"),
    ("payee", "text"),
    ("assignment", "uuid"),
)


_COLUMNS = ", ".join(name for name, _ in _PLAIN)


_OTHERS = ", ".join(("batch_id", "batch_line", *(f"inline_{part}" for part in InlineTerms._fields)))


_ARRAYS = ", ".join(f"CAST(:{name}s AS {type_}[])" for name, type_ in _PLAIN)


_WHOLE = (
    "SELECT *, CAST(intent AS text) AS intent_json, CAST(outcome AS text) AS outcome_json, CAST(quote AS text) AS quote_json, "
    "CAST(parties AS text) AS parties_json, CAST(one_person AS text) AS one_person_json, CAST(assigners AS text) AS assigners_json FROM payouts"
)


_LOCK = text(f"{_WHOLE} WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE")


_LOCK_OPEN = text(
    f"{_WHOLE} "
    "WHERE player = ANY (CAST(:players AS text[])) AND asset = :asset "
    "AND state IN ('requested', 'cancel_requested') ORDER BY id FOR UPDATE"
)


_OPEN = text(
    f"{_WHOLE} WHERE id = ANY (CAST(:ids AS uuid[])) AND state IN ('requested', 'cancel_requested') ORDER BY id"
)


_OF_BATCH = text(f"{_WHOLE} WHERE batch_id = :id ORDER BY batch_line")


_NEW = text(
    "SELECT id FROM payouts WHERE player = ANY (CAST(:players AS text[])) AND asset = :asset "
    "AND state IN ('requested', 'cancel_requested') AND id <> ALL (CAST(:known AS uuid[])) ORDER BY id LIMIT 1"
)


_ADD = text(
    f"INSERT INTO payouts ({_COLUMNS}, {_OTHERS}, intent, quote, quote_id, rail_types, parties, one_person, assigners, requested_at, changed_at) "  # noqa: S608 - our own columns
    f"SELECT {', '.join('u.' + name for name, _ in _PLAIN)}, {_OTHERS}, CAST(u.intent AS jsonb), "
    "CAST(u.quote AS jsonb), CAST(u.quote AS jsonb) ->> 'quote_id', "
    "string_to_array(u.rail_types, ','), CAST(u.parties AS jsonb), CAST(u.one_person AS jsonb), CAST(u.assigners AS jsonb), CAST(:now AS timestamptz), CAST(:now AS timestamptz) "
    f"FROM unnest({_ARRAYS}, CAST(:batch_ids AS uuid[]), CAST(:batch_lines AS int[]), CAST(:inline_types AS text[]), CAST(:inline_maskeds AS text[]), CAST(:inline_marks AS text[]), CAST(:intents AS text[]), CAST(:quotes AS text[]), CAST(:rail_types AS text[]), "
    "CAST(:parties AS text[]), CAST(:one_person AS text[]), CAST(:assigners AS text[])) "
    f"AS u({_COLUMNS}, {_OTHERS}, intent, quote, rail_types, parties, one_person, assigners)"
)


_SAVE = text(
    "UPDATE payouts p SET state = u.state, rail = u.rail, returned = u.returned, "
    "outcome = CAST(u.outcome AS jsonb), intent = CAST(u.intent AS jsonb), intent_signature = u.intent_signature, "
    "version = u.version, changed_at = CAST(:now AS timestamptz) "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:rails AS text[]), "
    "CAST(:returneds AS bigint[]), CAST(:outcomes AS text[]), CAST(:intents AS text[]), "
    "CAST(:intent_signatures AS text[]), CAST(:versions AS int[])) "
    "AS u(id, state, rail, returned, outcome, intent, intent_signature, version) WHERE p.id = u.id"
)


_WITH_REFERENCE = text(
    "SELECT id FROM payouts WHERE funding_account = :account AND reference = :reference "
    "AND state NOT IN ('failed', 'rejected', 'cancelled') ORDER BY requested_at LIMIT 1"
)


_WITH_REFERENCES = text(
    f"{_WHOLE} WHERE funding_account = :account AND reference = ANY (CAST(:references AS text[])) "
    "AND state NOT IN ('failed', 'rejected', 'cancelled') ORDER BY requested_at, id"
)


# Direct payouts of prizes have a round: players do not request them.
_REQUESTED = text(
    "SELECT coalesce(sum(amount), 0) FROM payouts WHERE player = :player AND requested_at >= :since "
    "AND asset = :asset AND round_id IS NULL AND state NOT IN ('failed', 'rejected', 'cancelled')"
)


_WITH_QUOTE = text("SELECT id FROM payouts WHERE quote_id = :quote_id")


_FIELDS: tuple[tuple[str, str], ...] = (
    ("id", "uuid"),
    ("version", "int"),
    ("player", "text"),
    ("type", "text"),
    ("rail_types", "text"),
    ("active", "boolean"),
    ("verified", "boolean"),
    ("is_default", "boolean"),
    ("address", "text"),
    ("memo", "text"),
    ("commitment", "text"),
)


class SqlMethods:
    """Methods in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def record(self, methods: Sequence[Method], *, now: datetime) -> None:
        """See the port."""
        ordered = sorted(methods, key=lambda method: method.id)
        columns = {f"{name}s": [getattr(method, name) for method in ordered] for name, _ in _FIELDS}
        columns["rail_typess"] = [",".join(method.rail_types) for method in ordered]
        await self._tx.execute(_RECORD, {"now": now, **columns})

    async def defaults(self, players: Iterable[str]) -> dict[str, Method]:
        """See the port. Of two default methods of a player, the one that changed last counts."""
        rows = await self._tx.execute(_DEFAULTS, {"players": sorted(set(players))})
        return {row.player: _method_of(row) for row in rows}

    async def get(self, method_id: UUID) -> Method | None:
        """See the port."""
        row = (await self._tx.execute(_GET, {"id": method_id})).one_or_none()
        return None if row is None else _method_of(row)


def _method_of(row: Any) -> Method:
    fields = {name: getattr(row, name) for name, _ in _FIELDS}
    return Method(**{**fields, "rail_types": tuple(row.rail_types)})


_NAMES = ", ".join(name for name, _ in _FIELDS)


_RECORD = text(
    f"INSERT INTO payout_methods AS m ({_NAMES}, changed_at) "  # noqa: S608 - our own columns
    "SELECT "
    + ", ".join(
        "string_to_array(u.rail_types, ',')" if name == "rail_types" else f"u.{name}" for name, _ in _FIELDS
    )
    + ", CAST(:now AS timestamptz) FROM unnest("
    + ", ".join(f"CAST(:{name}s AS {type_}[])" for name, type_ in _FIELDS)
    + f") AS u({_NAMES}) ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name, _ in _FIELDS if name != "id")
    + ", changed_at = excluded.changed_at WHERE m.version < excluded.version"
)


_DEFAULTS = text(
    f"SELECT DISTINCT ON (player) {_NAMES} FROM payout_methods "  # noqa: S608 - our own columns
    "WHERE player = ANY (CAST(:players AS text[])) AND is_default AND active AND rail_types <> '{}' "
    "ORDER BY player, changed_at DESC, id"
)


_GET = text(f"SELECT {_NAMES} FROM payout_methods WHERE id = :id")  # noqa: S608 - our own columns
