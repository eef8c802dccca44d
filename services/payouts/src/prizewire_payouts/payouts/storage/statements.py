"""The set-based statements of the store. Names of columns are our own constants; values are always parameters."""

from sqlalchemy import TextClause, text

from prizewire_payouts.payouts.storage import rows, tables


def _record(columns: dict[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())


_ALL = {**rows.PAYOUT_BIRTH, **rows.PAYOUT_COLUMNS}
INSERT_PAYOUTS = text(
    f"INSERT INTO payouts ({', '.join(_ALL)}) SELECT "  # noqa: S608 - column names of our own
    + ", ".join("'requested'" if name == "state" else f"r.{name}" for name in _ALL)
    + f" FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r({_record(_ALL)})"
)
UPDATE_PAYOUTS = text(
    "UPDATE payouts p SET "  # noqa: S608 - column names of our own
    + ", ".join(f"{name} = r.{name}" for name in rows.PAYOUT_COLUMNS)
    + f" FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(payout_id uuid, {_record(rows.PAYOUT_COLUMNS)})"
    + " WHERE p.payout_id = r.payout_id"
)
STEP_PAYOUTS = text(
    "UPDATE payouts p SET state = u.state "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[])) AS u(payout_id, state) "
    "WHERE p.payout_id = u.payout_id"
)
INSERT_ATTEMPTS = text(
    f"INSERT INTO attempts ({', '.join(rows.ATTEMPT_COLUMNS)}) "  # noqa: S608 - column names of our own
    f"SELECT {', '.join('r.' + name for name in rows.ATTEMPT_COLUMNS)} "
    f"FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r({_record(rows.ATTEMPT_COLUMNS)})"
)
UPDATE_ATTEMPTS = text(
    "UPDATE attempts a SET provider_ref = r.provider_ref, code = r.code, answer = r.answer, "
    "changed_at = r.changed_at, state = r.state "
    "FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(payout_id uuid, attempt_no int, provider_ref text, "
    "code text, answer jsonb, changed_at timestamptz, state text) "
    "WHERE a.payout_id = r.payout_id AND a.attempt_no = r.attempt_no"
)
_PAYOUT_COLUMNS = ", ".join(f"p.{column.name}" for column in tables.payouts.c)
_PAYOUT = f"SELECT {_PAYOUT_COLUMNS} FROM payouts p WHERE "  # noqa: S608 - column names of our own
LOCK_APPROVED = text(
    _PAYOUT + "p.state = 'approved' AND p.rail = :rail AND p.due_at <= :now "  # noqa: S608 - constants
    "AND NOT EXISTS (SELECT 1 FROM pauses x WHERE x.resumed_at IS NULL AND ((x.scope = 'rail' AND x.value = p.rail) "
    "OR (x.scope = 'asset' AND x.value = p.asset) OR (x.scope = 'campaign' AND x.value = p.campaign))) "
    "ORDER BY p.due_at, p.payout_id LIMIT :limit FOR UPDATE SKIP LOCKED"
)
LOCK_WATCHED = text(
    _PAYOUT + "p.state IN ('submitting', 'pending', 'unknown', 'paid') AND p.due_at <= :now "
    "AND (p.rail = :rail OR p.rail IS NULL) ORDER BY p.due_at, p.payout_id LIMIT :limit FOR UPDATE SKIP LOCKED"
)
LOOK_NOW = text(
    "WITH named AS (SELECT a.payout_id FROM attempts a WHERE a.provider_key = ANY(CAST(:keys AS uuid[])) "
    "UNION SELECT a.payout_id FROM attempts a "
    "JOIN unnest(CAST(:rails AS text[]), CAST(:references AS text[])) AS u(rail, reference) "
    "ON a.rail = u.rail AND a.provider_ref = u.reference), "
    "open AS (SELECT p.payout_id FROM payouts p JOIN named USING (payout_id) "
    "WHERE p.state IN ('pending', 'unknown', 'paid') ORDER BY p.payout_id FOR UPDATE OF p) "
    "UPDATE payouts p SET due_at = :now FROM open WHERE p.payout_id = open.payout_id"
)
LOCK_EXPIRED = text(
    _PAYOUT + "p.state IN ('approved', 'held') AND p.intent_expires_at <= :now AND NOT p.expiry_told "
    "ORDER BY p.payout_id LIMIT :limit FOR UPDATE SKIP LOCKED"
)
LOCK_UNROUTED = text(
    _PAYOUT + "p.state = 'approved' AND NOT (p.rail = ANY(CAST(:rails AS text[]))) "
    "ORDER BY p.payout_id LIMIT :limit FOR UPDATE SKIP LOCKED"
)
LATEST_ATTEMPTS = text(
    "SELECT DISTINCT ON (a.payout_id) "  # noqa: S608 - column names of our own
    + ", ".join(f"a.{column.name}" for column in tables.attempts.c)
    + " FROM attempts a WHERE a.payout_id = ANY(CAST(:ids AS uuid[])) ORDER BY a.payout_id, a.attempt_no DESC"
)
# An insert that meets a row waits for the transaction that holds it, and answers what that one left.
LOCK_AUTOMATIC_USE = text(
    "INSERT INTO automatic_use AS a (day, asset) SELECT CAST(:day AS date), u.asset "
    "FROM unnest(CAST(:assets AS text[])) AS u(asset) ORDER BY u.asset "
    "ON CONFLICT (day, asset) DO UPDATE SET used_minor = a.used_minor RETURNING asset, used_minor"
)
ADD_AUTOMATIC_USE = text(
    "UPDATE automatic_use a SET used_minor = a.used_minor + u.minor "
    "FROM unnest(CAST(:assets AS text[]), CAST(:minor AS bigint[])) AS u(asset, minor) "
    "WHERE a.day = CAST(:day AS date) AND a.asset = u.asset"
)
SHARED = text(
    "SELECT destination_mac, count(DISTINCT player) AS players FROM payout_methods "
    "WHERE state = 'active' AND destination_mac = ANY(CAST(:macs AS bytea[])) GROUP BY destination_mac"
)


_STEP_COLUMNS = {
    "payout_id": "uuid",
    "from_state": "text",
    "to_state": "text",
    "cause": "text",
    "actor": "text",
    "code": "text",
    "correlation_id": "text",
    "at": "timestamptz",
}
_ATTEMPT_STEP_COLUMNS = {
    "payout_id": "uuid",
    "attempt_no": "int",
    "from_state": "text",
    "to_state": "text",
    "cause": "text",
    "code": "text",
    "at": "timestamptz",
}


def _in_order(table: str, columns: dict[str, str]) -> TextClause:
    """An insert that keeps the order of the records in the ids it draws."""
    names = ", ".join(columns)
    return text(
        f"INSERT INTO {table} ({names}) SELECT {names} "  # noqa: S608 - names of our own
        f"FROM ROWS FROM (jsonb_to_recordset(CAST(:rows AS jsonb)) AS ({_record(columns)})) "
        "WITH ORDINALITY ORDER BY ordinality"
    )


INSERT_STEPS = _in_order("payout_transitions", _STEP_COLUMNS)
INSERT_ATTEMPT_STEPS = _in_order("attempt_transitions", _ATTEMPT_STEP_COLUMNS)
