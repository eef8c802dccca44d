"""Corrections, debts and large rounds: prizes that change with their settlement's version, what players owe, lines
that wait for money one by one, and work on rounds of many lines that is done in chunks.

Parts are staged line by line from now on, so that no round has to be read as a whole; nothing lies staged in a
database that this migration meets, since the state of before is not carried over.
"""

from alembic import op

from prizewire_chassis.db.schema import append_only, runtime_role

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

RECEIVABLES = (
    """
    CREATE TABLE receivables (
        id uuid PRIMARY KEY,
        player text NOT NULL,
        asset text NOT NULL REFERENCES assets (code),
        campaign uuid REFERENCES campaigns (id),
        reference text NOT NULL,
        amount bigint NOT NULL CONSTRAINT receivables_amount CHECK (amount > 0),
        recovered bigint NOT NULL CONSTRAINT receivables_recovered CHECK (recovered >= 0),
        written_off bigint NOT NULL CONSTRAINT receivables_written_off CHECK (written_off >= 0),
        lifted bigint NOT NULL CONSTRAINT receivables_lifted CHECK (lifted >= 0),
        open bigint NOT NULL GENERATED ALWAYS AS (amount - recovered - written_off - lifted) STORED,
        cause text NOT NULL,
        correlation_id text NOT NULL,
        opened_at timestamptz NOT NULL,
        version integer NOT NULL,
        CONSTRAINT receivables_open CHECK (open >= 0)
    )
    """,
    "CREATE INDEX receivables_owed ON receivables (player, asset) WHERE open > 0",
    "CREATE INDEX receivables_listed ON receivables (opened_at, id)",
    "CREATE INDEX receivables_correlation ON receivables (correlation_id)",
    "CREATE INDEX receivables_campaign ON receivables (campaign) WHERE campaign IS NOT NULL",
)

LARGE = (
    "-- squawk-ignore ban-drop-table\nDROP TABLE round_parts",
    """
    CREATE TABLE staged_parts (
        round_id uuid NOT NULL,
        settlement_version integer NOT NULL,
        part integer NOT NULL,
        parts integer NOT NULL,
        head jsonb NOT NULL,
        staged_at timestamptz NOT NULL,
        PRIMARY KEY (round_id, settlement_version, part)
    )
    """,
    "CREATE INDEX staged_parts_first ON staged_parts (staged_at)",
    # Whole rounds, and nothing else, go on to be booked; a line or a player that came twice is found when they are held
    # against their digest.
    """
    CREATE TABLE staged_lines (
        round_id uuid NOT NULL,
        settlement_version integer NOT NULL,
        part integer NOT NULL,
        line integer NOT NULL,
        player text NOT NULL,
        place integer NOT NULL,
        amount bigint NOT NULL,
        held text
    )
    """,
    "CREATE INDEX staged_lines_line ON staged_lines (round_id, settlement_version, line)",
    # It begins with the player, so that nobody takes it for a way to read a round's lines in order.
    "CREATE INDEX staged_lines_player ON staged_lines (player, round_id, settlement_version)",
    """
    CREATE TABLE round_work (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        round_id uuid NOT NULL REFERENCES rounds (id),
        settlement_version integer NOT NULL,
        phase text NOT NULL CONSTRAINT round_work_phase
            CHECK (phase IN ('list', 'pay', 'mature', 'take', 'enlist', 'void')),
        after_line integer NOT NULL,
        budget bigint NOT NULL CONSTRAINT round_work_budget CHECK (budget >= 0),
        waiting boolean NOT NULL,
        fees boolean NOT NULL,
        told boolean NOT NULL,
        head jsonb,
        cause text NOT NULL,
        begun_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX round_work_round ON round_work (round_id, id)",
)

REWARDS = (
    "ALTER TABLE rewards ADD COLUMN short bigint NOT NULL DEFAULT 0",
    "ALTER TABLE rewards ADD COLUMN settlement_version integer NOT NULL DEFAULT 1",
    "ALTER TABLE rewards ADD COLUMN payout_ordinal integer NOT NULL DEFAULT 1",
    "ALTER TABLE rewards ADD CONSTRAINT rewards_short CHECK (short BETWEEN 0 AND amount) NOT VALID",
    # A held prize lies in the reserve of its round, and what was taken away before it was funded never moved.
    "-- squawk-ignore ban-drop-constraint\nALTER TABLE rewards DROP CONSTRAINT rewards_moved",
    (
        "ALTER TABLE rewards ADD CONSTRAINT rewards_moved CHECK (CASE WHEN state = 'unfunded' THEN transfer_id IS NULL "
        "WHEN state IN ('pending', 'claimable', 'credited') THEN transfer_id IS NOT NULL ELSE true END) NOT VALID"
    ),
    # While a correction goes through in chunks, one line number is on two prizes for a moment.
    "-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX rewards_round",
    "CREATE INDEX rewards_round ON rewards (round_id, line)",
    "CREATE INDEX rewards_short ON rewards (round_id, line) WHERE short > 0",
)

ROUNDS = (
    "ALTER TABLE rounds ADD COLUMN short bigint NOT NULL DEFAULT 0",
    "ALTER TABLE rounds ADD CONSTRAINT rounds_short CHECK (short >= 0 AND (short = 0 OR state <> 'unfunded')) NOT VALID",
    "-- squawk-ignore ban-drop-constraint\nALTER TABLE rounds DROP CONSTRAINT rounds_queued",
    (
        "ALTER TABLE rounds ADD CONSTRAINT rounds_queued "
        "CHECK ((state = 'unfunded' OR short > 0) = (queue_position IS NOT NULL)) NOT VALID"
    ),
    "CREATE INDEX payouts_round ON payouts (round_id, player) WHERE round_id IS NOT NULL",
)

HISTORY = (
    """
    CREATE TABLE corrections (
        round_id uuid NOT NULL REFERENCES rounds (id),
        settlement_version integer NOT NULL,
        asset text NOT NULL,
        lines_total integer NOT NULL,
        unclaimed bigint NOT NULL,
        reason text NOT NULL,
        cause text NOT NULL,
        correlation_id text NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (round_id, settlement_version)
    )
    """,
    "CREATE INDEX corrections_correlation ON corrections (correlation_id)",
)

CAMPAIGNS = (
    "-- squawk-ignore ban-drop-constraint\nALTER TABLE campaigns DROP CONSTRAINT campaigns_delivery",
    "ALTER TABLE campaigns ADD CONSTRAINT campaigns_delivery CHECK (delivery IN ('wallet', 'direct', 'claim')) NOT VALID",
)

BOUND = {
    "rewards": "id round_id player asset",
    "rounds": "id match_id match_source competition correlation_id rule_version campaign asset gross platform_fee "
    "organizer_fee organizer_player net final_at settled_at",
    "receivables": "id player asset campaign reference amount cause correlation_id opened_at",
}
"""What a row is born with and keeps."""

VERSIONED = {
    "rewards": (
        "part line place amount settlement_version",
        "NEW.settlement_version > OLD.settlement_version",
    ),
    "rounds": (
        "settlement_version unclaimed parts lines_total digest",
        "NEW.settlement_version = OLD.settlement_version + 1",
    ),
}
"""What changes with the version of the settlement, and only with it: a round's by one, a prize's to any later one."""

FORWARD = {
    "rewards": "(OLD.payout_id IS NOT NULL AND NEW.payout_id IS DISTINCT FROM OLD.payout_id "
    "AND (NEW.payout_id IS NULL OR NEW.payout_ordinal <> OLD.payout_ordinal + 1)) "
    "OR (NEW.payout_ordinal <> OLD.payout_ordinal "
    "AND (NEW.payout_ordinal <> OLD.payout_ordinal + 1 OR NEW.payout_id IS NOT DISTINCT FROM OLD.payout_id))",
    "receivables": "NEW.recovered < OLD.recovered OR NEW.written_off < OLD.written_off OR NEW.lifted < OLD.lifted "
    "OR NEW.version < OLD.version",
}
"""What only grows, or is said once: a later direct payout takes the place of the one before, with the next number."""


def upgrade() -> None:
    for statement in (*RECEIVABLES, *LARGE, *REWARDS, *ROUNDS, *HISTORY, *CAMPAIGNS):
        op.execute(statement)
    for trigger, table in (
        ("rewards_bound", "rewards"),
        ("rewards_forward", "rewards"),
        ("rounds_bound", "rounds"),
    ):
        op.execute(f"DROP TRIGGER {trigger} ON {table}")
    for table, columns in BOUND.items():
        _refuse_changes(f"{table}_bound", table, columns, condition="true")
    for table, (columns, condition) in VERSIONED.items():
        _refuse_changes(f"{table}_versioned", table, columns, condition=f"NOT ({condition})")
    for table, backward in FORWARD.items():
        op.execute(
            f"CREATE TRIGGER {table}_forward BEFORE UPDATE ON {table} FOR EACH ROW "
            f"WHEN ({backward}) EXECUTE FUNCTION refuse_rebinding()"
        )
    op.execute(
        "CREATE TRIGGER receivables_kept BEFORE DELETE OR TRUNCATE ON receivables "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    append_only(op, "corrections")
    role = runtime_role(op)
    if role is not None:
        op.execute(f'REVOKE DELETE, TRUNCATE ON receivables FROM "{role}"')


def _refuse_changes(trigger: str, table: str, columns: str, *, condition: str) -> None:
    """Updates that name none of the columns cost nothing."""
    names = columns.split()
    was, becomes = (", ".join(f"{row}.{name}" for name in names) for row in ("OLD", "NEW"))
    op.execute(
        f"CREATE TRIGGER {trigger} BEFORE UPDATE OF {', '.join(names)} ON {table} FOR EACH ROW "
        f"WHEN (({was}) IS DISTINCT FROM ({becomes}) AND {condition}) EXECUTE FUNCTION refuse_rebinding()"
    )


def downgrade() -> None:
    """Money is never migrated backwards: restore a backup instead."""
    raise RuntimeError("what was corrected cannot be taken back by a migration")
