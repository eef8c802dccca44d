"""The statements that write rounds: one for each table, whatever the size of the batch."""

from typing import Any, Final

from prizewire_chassis.db import Write

Column = tuple[str, str, Any]
"""Column, its SQL type, and how its value is read from the domain's object."""
ROUND: Final[tuple[Column, ...]] = (
    ("id", "uuid", lambda r: r.id),
    ("source", "text", lambda r: r.source),
    ("match_id", "text", lambda r: r.match_id),
    ("competition_id", "text", lambda r: r.competition),
    ("correlation_id", "text", lambda r: r.correlation_id),
    ("rule_version", "int", lambda r: r.rule_version),
    ("state", "text", lambda r: r.state.value),
    ("state_seq", "int", lambda r: r.state_seq),
    ("version", "int", lambda r: r.version),
    ("settlement_version", "int", lambda r: r.settlement_version),
    ("result_version", "int", lambda r: r.result_version),
    ("final_at", "timestamptz", lambda r: r.final_at),
    ("created_at", "timestamptz", lambda r: r.created_at),
    ("updated_at", "timestamptz", lambda r: r.updated_at),
    ("waiting_since", "timestamptz", lambda r: r.waiting_since),
    ("refused_at", "timestamptz", lambda r: r.refused_at),
    ("disowned_at", "timestamptz", lambda r: r.disowned_at),
)
PART: Final[tuple[Column, ...]] = (
    ("round_id", "uuid", lambda p: p.round_id),
    ("result_version", "int", lambda p: p.result_version),
    ("part", "int", lambda p: p.part),
    ("parts", "int", lambda p: p.parts),
    ("hash", "bytea", lambda p: p.hash),
    ("document", "text", lambda p: p.document),
    ("event_id", "text", lambda p: p.event_id),
    ("received_at", "timestamptz", lambda p: p.received_at),
    ("reason", "text", lambda p: p.reason),
    ("players", "int", lambda p: p.players),
    ("reporter", "text", lambda p: p.reporter),
)
_STORED_PART: Final[tuple[Column, ...]] = (*PART, ("mac", "bytea", None))
"""A part with the MAC over it."""
SETTLEMENT: Final[tuple[Column, ...]] = (
    ("round_id", "uuid", lambda s: s.round_id),
    ("version", "int", lambda s: s.version),
    ("rule_version", "int", lambda s: s.rule.version),
    ("campaign", "uuid", lambda s: s.rule.campaign),
    ("asset", "text", lambda s: s.rule.asset.code),
    ("gross", "bigint", lambda s: s.fees.gross),
    ("platform_fee", "bigint", lambda s: s.fees.platform),
    ("organizer_fee", "bigint", lambda s: s.fees.organizer),
    ("organizer_player", "text", lambda s: s.rule.organizer_player),
    ("net", "bigint", lambda s: s.fees.net),
    ("unclaimed", "bigint", lambda s: s.unclaimed),
    ("lines_total", "int", lambda s: len(s.lines)),
    ("parts", "int", lambda s: s.parts),
    ("first_event", "int", lambda s: s.first_event),
    ("final", "boolean", lambda s: s.final),
    ("final_at", "timestamptz", lambda s: s.final_at),
    ("settled_at", "timestamptz", lambda s: s.settled_at),
    ("cause_id", "text", lambda s: s.cause.id),
    ("reason", "text", lambda s: s.cause.reason),
    # subjects hold no line breaks; an array of arrays would have to be rectangular
    ("reporters", "text", lambda s: "\n".join(s.reporters) or None),
    ("anew", "boolean", lambda s: s.resettled),
)
ENTRY: Final[tuple[Column, ...]] = (
    ("id", "uuid", lambda e: e.id),
    ("round_id", "uuid", lambda e: e.round_id),
    ("player", "text", lambda e: e.player),
    ("asset", "text", lambda e: e.fee.asset.code),
    ("amount", "bigint", lambda e: e.fee.amount),
    ("event_id", "text", lambda e: e.event_id),
    ("entered_at", "timestamptz", lambda e: e.entered_at),
)
REFUSAL: Final[tuple[Column, ...]] = (
    ("round_id", "uuid", lambda r: r.round_id),
    ("settlement_version", "int", lambda r: r.version),
    ("part", "int", lambda r: r.part),
    ("code", "text", lambda r: r.code),
    ("detail", "text", lambda r: r.detail),
    ("event_id", "text", lambda r: r.event_id),
    ("at", "timestamptz", lambda r: r.at),
)
DISOWNMENT: Final[tuple[Column, ...]] = (
    ("round_id", "uuid", lambda d: d.round_id),
    ("disownment_id", "uuid", lambda d: d.id),
    ("reason", "text", lambda d: d.reason),
    ("event_id", "text", lambda d: d.event_id),
    ("at", "timestamptz", lambda d: d.at),
)


def _names(columns: tuple[Column, ...]) -> str:
    return ", ".join(name for name, _, _ in columns)


def _rows(columns: tuple[Column, ...]) -> str:
    """The rows as a table: one array for each column."""
    arrays = ", ".join(f"CAST(:{name}s AS {kind}[])" for name, kind, _ in columns)
    return f"unnest({arrays}) AS u({_names(columns)})"


TRANSITIONS = Write(
    "round_transitions",
    "INSERT INTO round_transitions "
    "(round_id, seq, from_state, to_state, through, cause, cause_id, actor, correlation_id, at, reason) "
    "SELECT u.round_id, u.seq, u.from_state, u.to_state, CAST(u.through AS text[]), u.cause, u.cause_id, u.actor, "
    "u.correlation_id, u.at, u.reason FROM unnest(CAST(:rounds AS uuid[]), CAST(:seqs AS int[]), CAST(:befores AS text[]), "
    "CAST(:afters AS text[]), CAST(:throughs AS text[]), CAST(:causes AS text[]), CAST(:cause_ids AS text[]), CAST(:actors AS text[]), "
    "CAST(:correlations AS text[]), CAST(:ats AS timestamptz[]), CAST(:reasons AS text[])) "
    "AS u(round_id, seq, from_state, to_state, through, cause, cause_id, actor, correlation_id, at, reason) "
    "ORDER BY u.round_id, u.seq",
    raced=["round_transitions_pkey"],
)
# Rewards may have disowned a round before its first report: then its first row is disowned already.
_FIRST_VALUES: Final = {
    "refused_at": "CASE WHEN u.state = 'VOIDED' THEN u.refused_at ELSE coalesce(u.refused_at, x.at) END",
    "disowned_at": "x.at",
}
ROUNDS_INSERT = Write(
    "rounds",
    f"INSERT INTO rounds ({_names(ROUND)}) SELECT {', '.join(_FIRST_VALUES.get(name, f'u.{name}') for name, _, _ in ROUND)} "  # noqa: S608 - see above
    f"FROM {_rows(ROUND)} LEFT JOIN round_disownments x ON x.round_id = u.id ORDER BY u.id",
    raced=["rounds_pkey", "rounds_one_per_match"],
)
ROUNDS_UPDATE = Write(
    "rounds",
    "UPDATE rounds SET state = u.state, state_seq = u.state_seq, version = u.version, "  # noqa: S608 - see above
    "settlement_version = u.settlement_version, result_version = u.result_version, final_at = u.final_at, "
    "rule_version = u.rule_version, updated_at = u.updated_at, waiting_since = u.waiting_since, "
    f"refused_at = u.refused_at, disowned_at = u.disowned_at FROM {_rows(ROUND)} WHERE rounds.id = u.id",
)
RESULTS = Write(
    "round_results",
    f"INSERT INTO round_results ({_names(_STORED_PART)}) SELECT * FROM {_rows(_STORED_PART)} "  # noqa: S608 - see above
    "ON CONFLICT (round_id, result_version, part) DO UPDATE SET parts = excluded.parts, hash = excluded.hash, "
    "document = excluded.document, event_id = excluded.event_id, received_at = excluded.received_at, "
    "reason = excluded.reason, players = excluded.players, "
    "reporter = excluded.reporter, mac = excluded.mac",
)
SETTLEMENTS = Write(
    "settlements",
    f"INSERT INTO settlements ({_names(SETTLEMENT)}) SELECT * FROM {_rows(SETTLEMENT)}",  # noqa: S608 - see above
    raced=["settlements_pkey"],
)
ENTRIES = Write(
    "entries",
    f"INSERT INTO entries ({_names(ENTRY)}) SELECT * FROM {_rows(ENTRY)}",  # noqa: S608 - see above
    raced=["entries_pkey"],
)
REFUSALS = Write(
    "round_refusals",
    f"INSERT INTO round_refusals ({_names(REFUSAL)}) SELECT * FROM {_rows(REFUSAL)} "  # noqa: S608 - see above
    "ON CONFLICT (round_id, settlement_version) DO NOTHING",
)
DISOWNMENTS = Write(
    "round_disownments",
    f"INSERT INTO round_disownments ({_names(DISOWNMENT)}) SELECT * FROM {_rows(DISOWNMENT)} "  # noqa: S608 - see above
    "ON CONFLICT (round_id) DO NOTHING",
)
LINES = Write(
    "settlement_lines",
    "INSERT INTO settlement_lines (round_id, version, line, player, place, amount) "
    "SELECT * FROM unnest(CAST(:rounds AS uuid[]), CAST(:versions AS int[]), CAST(:numbers AS int[]), "
    "CAST(:players AS text[]), CAST(:places AS int[]), CAST(:amounts AS bigint[]))",
    raced=["settlement_lines_pkey"],
)
