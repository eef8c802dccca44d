"""Statements over payouts and attempts. Names of columns are constants; values are always parameters."""

from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import TextClause, text

_PAYOUT_FIXED: dict[str, str] = {
    "payout_id": "uuid",
    "correlation_id": "text",
    "causation_id": "text",
    "player": "text",
    "payee": "text",
    "campaign": "text",
    "competition": "text",
    "source": "text",
    "asset": "text",
    "amount_minor": "bigint",
    "method_id": "uuid",
    "method_version": "int",
    "method_type": "text",
    "address": "text",
    "memo": "text",
    "filed_by": "text",
    "reward_ids": "jsonb",
    "sources": "jsonb",
    "one_person": "jsonb",
    "needs_closure": "boolean",
    "retry_of": "uuid",
    "quote": "jsonb",
    "batch_id": "uuid",
    "batch_line": "int",
    "batch_lines": "int",
    "requested_at": "timestamptz",
}
"""Columns that are written once, when a payout is inserted."""
_PAYOUT_COLUMNS: dict[str, str] = {
    "intent": "jsonb",
    "intent_signature": "text",
    "intent_expires_at": "timestamptz",
    "state": "text",
    "rail": "text",
    "rail_type": "text",
    "attempts": "int",
    "attempts_waived": "int",
    "code": "text",
    "reason": "text",
    "ends_as": "text",
    "cancel_asked_by": "text",
    "cancel_code": "text",
    "cancel_reason": "text",
    "cancel_answer": "text",
    "hold_no": "int",
    "approvers_needed": "int",
    "expiry_told": "boolean",
    "version": "int",
    "close_version": "int",
    "closure": "text",
    "due_at": "timestamptz",
    "polls": "int",
    "provider_ref": "text",
    "proof": "jsonb",
    "fee_minor": "bigint",
    "fee_asset": "text",
    "fee_borne_by": "text",
    "paid_at": "timestamptz",
    "return_ref": "text",
    "returned_minor": "bigint",
    "retried_by": "uuid",
    "changed_at": "timestamptz",
}
"""Columns that change."""
_ATTEMPT_COLUMNS: dict[str, str] = {
    "payout_id": "uuid",
    "attempt_no": "int",
    "rail": "text",
    "provider_key": "uuid",
    "request_hash": "text",
    "state": "text",
    "provider_ref": "text",
    "code": "text",
    "answer": "jsonb",
    "opened_at": "timestamptz",
    "changed_at": "timestamptz",
    "latency_ms": "int",
    "mac": "bytea",
}


def _record(columns: dict[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())


_ALL = {**_PAYOUT_FIXED, **_PAYOUT_COLUMNS}
INSERT_PAYOUTS = text(
    f"INSERT INTO payouts ({', '.join(_ALL)}) SELECT "  # noqa: S608 - column names of our own
    + ", ".join("'requested'" if name == "state" else f"r.{name}" for name in _ALL)
    + f" FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r({_record(_ALL)})"
)
UPDATE_PAYOUTS = text(
    "UPDATE payouts p SET "  # noqa: S608 - column names of our own
    + ", ".join(f"{name} = r.{name}" for name in _PAYOUT_COLUMNS)
    + f" FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(payout_id uuid, {_record(_PAYOUT_COLUMNS)})"
    + " WHERE p.payout_id = r.payout_id"
)
MOVE_PAYOUTS = text(
    "UPDATE payouts p SET state = u.state "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[])) AS u(payout_id, state) "
    "WHERE p.payout_id = u.payout_id"
)
INSERT_ATTEMPTS = text(
    f"INSERT INTO attempts ({', '.join(_ATTEMPT_COLUMNS)}) "  # noqa: S608 - column names of our own
    f"SELECT {', '.join('r.' + name for name in _ATTEMPT_COLUMNS)} "
    f"FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r({_record(_ATTEMPT_COLUMNS)})"
)
UPDATE_ATTEMPTS = text(
    "UPDATE attempts a SET provider_ref = r.provider_ref, code = r.code, answer = r.answer, "
    "changed_at = r.changed_at, latency_ms = r.latency_ms, state = r.state, mac = r.mac "
    "FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(payout_id uuid, attempt_no int, provider_ref text, "
    "code text, answer jsonb, changed_at timestamptz, latency_ms int, state text, mac bytea) "
    "WHERE a.payout_id = r.payout_id AND a.attempt_no = r.attempt_no"
)
PAYOUT = f"SELECT {', '.join('p.' + name for name in (*_ALL, 'stored_at'))} FROM payouts p WHERE "  # noqa: S608 - column names of our own
"""Begins a query for whole payouts, the rows of ``payout_from``."""
_ATTEMPT = ", ".join(f"a.{name}" for name in _ATTEMPT_COLUMNS)
GET_PAYOUT = text(PAYOUT + "p.payout_id = :id")
LOCK_PAYOUTS = text(PAYOUT + "p.payout_id = ANY(CAST(:ids AS uuid[])) ORDER BY p.payout_id FOR UPDATE")
HAS_RAIL = text("SELECT 1 FROM payouts WHERE rail = :rail LIMIT 1")


class Claim(NamedTuple):
    """Statements that lock the payouts which a job handles next: the whole rows, or only their ids."""

    rows: TextClause
    ids: TextClause


def _claim(condition: str) -> Claim:
    rest = f"p.payout_id <> ALL(CAST(:without AS uuid[])) AND {condition} LIMIT :limit FOR UPDATE SKIP LOCKED"
    return Claim(
        rows=text(PAYOUT + rest),
        ids=text(f"SELECT p.payout_id FROM payouts p WHERE {rest}"),  # noqa: S608 - constants
    )


PAUSED = "x.resumed_at IS NULL AND (" + (
    " OR ".join(
        f"(x.scope = '{scope}' AND x.value = p.{scope})"
        for scope in ("rail", "asset", "campaign", "competition", "player")
    )
    + " OR (x.scope = 'player' AND x.value = p.payee))"
)
"""The pauses ``x`` in force that keep a payout ``p`` from being sent."""
LOCK_APPROVED = _claim(
    "p.state = 'approved' AND p.rail = :rail AND p.due_at <= :now "  # noqa: S608 - constants
    f"AND NOT EXISTS (SELECT 1 FROM pauses x WHERE {PAUSED}) ORDER BY p.due_at, p.payout_id"
)
LOCK_WATCHED = _claim(
    "p.state IN ('submitting', 'pending', 'unknown', 'paid') AND p.due_at <= :now "
    "AND (p.rail = :rail OR p.rail IS NULL) ORDER BY p.due_at, p.payout_id"
)
LOOK_UP_NOW = text(
    "WITH named AS (SELECT a.payout_id FROM attempts a WHERE a.provider_key = ANY(CAST(:keys AS uuid[])) "
    "UNION SELECT a.payout_id FROM attempts a "
    "JOIN unnest(CAST(:rails AS text[]), CAST(:references AS text[])) AS u(rail, reference) "
    "ON a.rail = u.rail AND a.provider_ref = u.reference), "
    "open AS (SELECT p.payout_id FROM payouts p JOIN named USING (payout_id) "
    "WHERE p.state IN ('pending', 'unknown', 'paid') ORDER BY p.payout_id FOR UPDATE OF p) "
    "UPDATE payouts p SET due_at = :now FROM open WHERE p.payout_id = open.payout_id"
)
# a payout that is being submitted stays with its worker until the lease has ended
LOOK_UP_PAYOUTS_NOW = text(
    "WITH open AS (SELECT payout_id FROM payouts WHERE payout_id = ANY(CAST(:ids AS uuid[])) "
    "AND state IN ('pending', 'unknown', 'paid') ORDER BY payout_id FOR UPDATE) "
    "UPDATE payouts p SET due_at = :now FROM open WHERE p.payout_id = open.payout_id"
)
LOCK_EXPIRED = _claim(
    "p.state IN ('approved', 'held') AND p.intent_expires_at <= :now AND NOT p.expiry_told ORDER BY p.payout_id"
)
LOCK_UNROUTED = _claim(
    "p.state = 'approved' AND NOT (p.rail = ANY(CAST(:rails AS text[]))) ORDER BY p.payout_id"
)
ATTEMPTS = text(
    f"SELECT {_ATTEMPT} FROM attempts a WHERE a.payout_id = ANY(CAST(:ids AS uuid[])) "  # noqa: S608 - column names of our own
    "ORDER BY a.payout_id, a.attempt_no"
)
ATTEMPTS_AFTER = text(
    f"SELECT {_ATTEMPT} FROM attempts a WHERE (a.payout_id, a.attempt_no) > (:payout_id, :attempt_no) "  # noqa: S608 - column names of our own
    "AND a.mac IS NOT NULL ORDER BY a.payout_id, a.attempt_no LIMIT :limit"
)
ALL_ATTEMPTS = text(f"SELECT {_ATTEMPT} FROM attempts a")  # noqa: S608 - column names of our own


_TRANSITION_COLUMNS = {
    "payout_id": "uuid",
    "from_state": "text",
    "to_state": "text",
    "cause": "text",
    "actor": "text",
    "code": "text",
    "correlation_id": "text",
    "at": "timestamptz",
}
_ATTEMPT_TRANSITION_COLUMNS = {
    "payout_id": "uuid",
    "attempt_no": "int",
    "from_state": "text",
    "to_state": "text",
    "cause": "text",
    "code": "text",
    "at": "timestamptz",
}


def _in_order(table: str, columns: dict[str, str]) -> TextClause:
    """An insert whose rows get their ids in the order of the records."""
    names = ", ".join(columns)
    return text(
        f"INSERT INTO {table} ({names}) SELECT {names} "  # noqa: S608 - names of our own
        f"FROM ROWS FROM (jsonb_to_recordset(CAST(:rows AS jsonb)) AS ({_record(columns)})) "
        "WITH ORDINALITY ORDER BY ordinality"
    )


INSERT_TRANSITIONS = _in_order("payout_transitions", _TRANSITION_COLUMNS)
INSERT_ATTEMPT_TRANSITIONS = _in_order("attempt_transitions", _ATTEMPT_TRANSITION_COLUMNS)


def dumps(value: Any) -> str:
    """JSON text for a jsonb parameter."""
    return orjson.dumps(value, default=_plain).decode()


def _plain(value: Any) -> str:
    """The driver's own UUID is a subclass that orjson does not know."""
    if isinstance(value, UUID):
        return str(value)
    msg = f"{type(value).__name__} has no JSON"
    raise TypeError(msg)
