"""Stellar execution: channels, slots, attempts, payments and the signer's stored answers."""

from collections.abc import Sequence

from alembic import op

from prizewire_chassis.db.schema import append_only, guard_transitions

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

HOLDING = "state IN ('leased', 'built', 'exported', 'signed', 'sent', 'checking', 'review')"

TABLES = (
    """
    CREATE TABLE stellar_channels (
        account text PRIMARY KEY,
        sequence bigint NOT NULL,
        leased_at timestamptz,
        rest_until timestamptz,
        rest_reason text
    )
    """,
    """
    CREATE TABLE stellar_slots (
        slot_id uuid PRIMARY KEY,
        account text NOT NULL REFERENCES stellar_channels (account),
        sequence bigint NOT NULL,
        state text NOT NULL,
        version integer NOT NULL,
        opened_at timestamptz NOT NULL,
        closed_at timestamptz,
        consumed_by_hash text,
        result text,
        ledger integer,
        UNIQUE (account, sequence),
        CONSTRAINT stellar_slots_state CHECK (state IN ('open', 'closed')),
        CONSTRAINT stellar_slots_closed CHECK (
            state = 'open' OR (result IS NOT NULL AND ledger IS NOT NULL AND closed_at IS NOT NULL)
        )
    )
    """,
    "CREATE UNIQUE INDEX stellar_slots_one_open ON stellar_slots (account) WHERE state = 'open'",
    """
    CREATE TABLE stellar_attempts (
        attempt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        account text NOT NULL REFERENCES stellar_channels (account),
        kind text NOT NULL,
        memo text NOT NULL,
        state text NOT NULL,
        slot_id uuid REFERENCES stellar_slots (slot_id),
        revision integer,
        tx_hash text UNIQUE,
        unsigned_xdr text,
        signed_xdr text,
        fee bigint,
        fee_cap bigint,
        max_time bigint,
        sent_ledger integer,
        asked_ledger integer,
        result_xdr text,
        result_ledger integer,
        fee_charged bigint,
        due_at timestamptz,
        leased_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        UNIQUE (slot_id, revision),
        CONSTRAINT stellar_attempts_built CHECK (
            state IN ('leased', 'released') OR (
                slot_id IS NOT NULL AND revision IS NOT NULL AND tx_hash IS NOT NULL
                AND unsigned_xdr IS NOT NULL AND max_time IS NOT NULL
            )
        ),
        CONSTRAINT stellar_attempts_sent CHECK (
            state <> 'sent' OR (signed_xdr IS NOT NULL AND sent_ledger IS NOT NULL)
        ),
        CONSTRAINT stellar_attempts_result CHECK (
            state NOT IN ('succeeded', 'failed') OR result_ledger IS NOT NULL
        )
    )
    """,
    f"CREATE UNIQUE INDEX stellar_attempts_channel ON stellar_attempts (account) WHERE {HOLDING}",
    f"CREATE INDEX stellar_attempts_due ON stellar_attempts (state, due_at) WHERE {HOLDING}",
    """
    CREATE TABLE stellar_payments (
        provider_key uuid PRIMARY KEY,
        payout_id uuid NOT NULL REFERENCES payouts (payout_id),
        attempt_no integer NOT NULL,
        rail text NOT NULL,
        asset text,
        amount_minor bigint,
        stroops bigint,
        destination text,
        account text,
        memo text NOT NULL,
        state text NOT NULL,
        attempt_id bigint REFERENCES stellar_attempts (attempt_id),
        offered boolean NOT NULL,
        code text,
        rebuilds integer NOT NULL,
        refusals integer NOT NULL,
        ledger integer,
        op integer,
        fee bigint,
        due_at timestamptz NOT NULL,
        queued_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        UNIQUE (payout_id, attempt_no),
        CONSTRAINT stellar_payments_complete CHECK (
            state = 'no_effect'
            OR (asset IS NOT NULL AND stroops > 0 AND destination IS NOT NULL AND account IS NOT NULL)
        ),
        CONSTRAINT stellar_payments_attempt CHECK (
            (state IN ('batched', 'paid')) = (attempt_id IS NOT NULL) OR state = 'no_effect'
        ),
        CONSTRAINT stellar_payments_proof CHECK (
            state <> 'paid' OR (ledger IS NOT NULL AND op IS NOT NULL)
        ),
        CONSTRAINT stellar_payments_code CHECK (state <> 'no_effect' OR code IS NOT NULL)
    )
    """,
    """
    CREATE UNIQUE INDEX stellar_payments_one_live ON stellar_payments (payout_id)
        WHERE state IN ('queued', 'batched', 'paid')
    """,
    "CREATE INDEX stellar_payments_queue ON stellar_payments (due_at) WHERE state = 'queued'",
    "CREATE INDEX stellar_payments_group ON stellar_payments (memo, due_at) WHERE state = 'queued'",
    "CREATE INDEX stellar_payments_attempt_id ON stellar_payments (attempt_id)",
    """
    CREATE TABLE stellar_items (
        attempt_id bigint NOT NULL REFERENCES stellar_attempts (attempt_id),
        provider_key uuid NOT NULL REFERENCES stellar_payments (provider_key),
        op integer,
        code text,
        PRIMARY KEY (attempt_id, provider_key)
    )
    """,
    "CREATE UNIQUE INDEX stellar_items_op ON stellar_items (attempt_id, op) WHERE op IS NOT NULL",
    "CREATE INDEX stellar_items_payment ON stellar_items (provider_key)",
    """
    CREATE TABLE stellar_transitions (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        attempt_id bigint NOT NULL REFERENCES stellar_attempts (attempt_id),
        from_state text NOT NULL,
        to_state text NOT NULL,
        reason text NOT NULL,
        cause text NOT NULL,
        at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX stellar_transitions_attempt ON stellar_transitions (attempt_id, id)",
    """
    CREATE TABLE stellar_signing_results (
        event_id text PRIMARY KEY,
        type text NOT NULL,
        subject text NOT NULL,
        correlation_id text NOT NULL,
        at timestamptz NOT NULL,
        event jsonb NOT NULL
    )
    """,
    "CREATE INDEX stellar_signing_results_subject ON stellar_signing_results (subject)",
    "CREATE INDEX stellar_signing_results_correlation ON stellar_signing_results (correlation_id)",
)

ATTEMPT_START = ("leased",)
ATTEMPT_EDGES = (
    ("leased", "released"),
    ("leased", "built"),
    ("built", "exported"),
    ("built", "signed"),
    ("exported", "signed"),
    ("built", "refused"),
    ("signed", "sent"),
    ("sent", "checking"),
    ("built", "checking"),
    ("exported", "checking"),
    ("signed", "checking"),
    ("exported", "succeeded"),
    ("signed", "succeeded"),
    ("sent", "succeeded"),
    ("checking", "succeeded"),
    ("exported", "failed"),
    ("signed", "failed"),
    ("sent", "failed"),
    ("checking", "failed"),
    ("checking", "dead"),
    ("dead", "superseded"),
    ("checking", "review"),
    ("review", "succeeded"),
    ("review", "failed"),
)
PAYMENT_START = ("queued", "no_effect")
PAYMENT_EDGES = (
    ("queued", "batched"),
    ("batched", "queued"),
    ("batched", "paid"),
    ("batched", "no_effect"),
    ("queued", "no_effect"),
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    guard_transitions(op, table="stellar_attempts", allowed=ATTEMPT_EDGES, start=ATTEMPT_START)
    guard_transitions(op, table="stellar_payments", allowed=PAYMENT_EDGES, start=PAYMENT_START)
    append_only(op, "stellar_transitions")
    append_only(op, "stellar_signing_results")


def downgrade() -> None:
    for table in (
        "stellar_signing_results",
        "stellar_transitions",
        "stellar_items",
        "stellar_payments",
        "stellar_attempts",
        "stellar_slots",
        "stellar_channels",
        "stellar_payments_state_edges",
        "stellar_attempts_state_edges",
    ):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION stellar_payments_state_edges_check()")
    op.execute("DROP FUNCTION stellar_attempts_state_edges_check()")
