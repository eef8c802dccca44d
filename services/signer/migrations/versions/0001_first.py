"""Work, slots, payouts, digests, signatures, limits and answers, with their rules enforced by the database."""

from alembic import op

from prizewire_chassis.db.schema import (
    append_only,
    create_chassis_schema_v1,
    guard_transitions,
    runtime_role,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SLOT_STARTS = ("open", "expired")
SLOT_EDGES = (("open", "succeeded"), ("open", "failed"), ("open", "expired"))
PAYOUT_STARTS = ("bound", "tombstoned")
PAYOUT_EDGES = (("bound", "free"), ("bound", "paid"), ("free", "bound"), ("free", "tombstoned"))
WORK_STARTS = ("queued",)
WORK_EDGES = (("queued", "recorded"), ("queued", "refused"), ("recorded", "completed"))

TABLES = (
    """
    CREATE TABLE signing_work (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        event_id text NOT NULL UNIQUE,
        subject text NOT NULL,
        payload bytea NOT NULL,
        event_time timestamptz NOT NULL,
        received_at timestamptz NOT NULL,
        state text NOT NULL,
        tx_hash bytea,
        ready_at timestamptz NOT NULL,
        finished_at timestamptz,
        CONSTRAINT signing_work_hash CHECK ((state IN ('recorded', 'completed')) = (tx_hash IS NOT NULL))
    )""",
    "CREATE INDEX signing_work_due ON signing_work (id) WHERE state IN ('queued', 'recorded')",
    """
    CREATE TABLE slots (
        slot_id uuid PRIMARY KEY,
        chain text NOT NULL,
        account text NOT NULL,
        sequence bigint NOT NULL,
        state text NOT NULL,
        consumed_by bytea,
        ledger bigint,
        UNIQUE (chain, account, sequence),
        CONSTRAINT slots_closed_at_ledger CHECK ((state = 'open') = (ledger IS NULL)),
        CONSTRAINT slots_consumed_by CHECK ((state IN ('succeeded', 'failed')) = (consumed_by IS NOT NULL))
    )""",
    """
    CREATE TABLE payouts (
        payout_id uuid PRIMARY KEY,
        state text NOT NULL,
        slot_id uuid REFERENCES slots,
        slots_used integer NOT NULL,
        terms bytea,
        asset text,
        amount_minor bigint,
        counted_on date,
        CONSTRAINT payouts_slot CHECK ((state IN ('bound', 'paid')) = (slot_id IS NOT NULL)),
        CONSTRAINT payouts_terms CHECK (state = 'tombstoned' OR (terms IS NOT NULL AND asset IS NOT NULL
            AND amount_minor > 0 AND counted_on IS NOT NULL))
    )""",
    "CREATE INDEX payouts_slot_id ON payouts (slot_id)",
    "CREATE INDEX payouts_counted_on ON payouts (counted_on, asset)",
    """
    CREATE TABLE digests (
        tx_hash bytea PRIMARY KEY,
        slot_id uuid NOT NULL REFERENCES slots,
        revision integer NOT NULL,
        work_id bigint NOT NULL REFERENCES signing_work,
        kind text NOT NULL,
        max_time bigint NOT NULL,
        fee bigint NOT NULL,
        fee_cap bigint NOT NULL,
        approval jsonb NOT NULL,
        recorded_at timestamptz NOT NULL,
        CONSTRAINT digests_fee CHECK (fee <= fee_cap)
    )""",
    "CREATE INDEX digests_slot_id ON digests (slot_id)",
    """
    CREATE TABLE digest_payouts (
        tx_hash bytea NOT NULL REFERENCES digests,
        op integer NOT NULL,
        payout_id uuid NOT NULL REFERENCES payouts,
        PRIMARY KEY (tx_hash, op),
        UNIQUE (tx_hash, payout_id)
    )""",
    "CREATE INDEX digest_payouts_payout_id ON digest_payouts (payout_id)",
    """
    CREATE TABLE signatures (
        tx_hash bytea NOT NULL REFERENCES digests,
        position integer NOT NULL,
        public_key bytea NOT NULL,
        signature bytea NOT NULL,
        signed_at timestamptz NOT NULL,
        PRIMARY KEY (tx_hash, position),
        UNIQUE (tx_hash, public_key)
    )""",
    """
    CREATE TABLE limit_use (
        scope text NOT NULL,
        key text NOT NULL,
        window_start date NOT NULL,
        asset text NOT NULL,
        used_minor bigint NOT NULL,
        ceiling_minor bigint NOT NULL,
        PRIMARY KEY (scope, key, window_start, asset),
        CONSTRAINT limit_use_ceiling CHECK (used_minor BETWEEN 0 AND ceiling_minor)
    )""",
    """
    CREATE TABLE transitions (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        machine text NOT NULL,
        subject text NOT NULL,
        from_state text NOT NULL,
        to_state text NOT NULL,
        cause text NOT NULL,
        correlation_id text NOT NULL,
        at timestamptz NOT NULL
    )""",
    "CREATE INDEX transitions_subject ON transitions (machine, subject, id)",
    """
    CREATE TABLE answers (
        counter bigint PRIMARY KEY,
        kind text NOT NULL,
        subject text NOT NULL,
        cause text NOT NULL UNIQUE,
        at timestamptz NOT NULL
    )""",
    """
    CREATE TABLE watermark (
        id integer PRIMARY KEY,
        counter bigint NOT NULL,
        CONSTRAINT watermark_single CHECK (id = 1)
    )""",
    "INSERT INTO watermark VALUES (1, 0)",
    "CREATE TABLE answer_versions (subject text PRIMARY KEY, version integer NOT NULL)",
)

APPEND_ONLY = ("digests", "digest_payouts", "signatures", "answers", "transitions")
KEPT = ("signing_work", "slots", "payouts", "limit_use", "watermark", "answer_versions")
"""Rows of these are changed along their rules, and never deleted."""

GUARDS = {
    # A binding is left only through the closing of its slot, and what a payout was signed for never changes.
    "payouts_binding": (
        "BEFORE UPDATE ON payouts FOR EACH ROW",
        """
        IF OLD.slot_id IS NOT NULL AND NEW.slot_id IS NOT NULL AND NEW.slot_id <> OLD.slot_id THEN
            RAISE EXCEPTION 'payout % is bound to slot %', OLD.payout_id, OLD.slot_id
                USING ERRCODE = 'check_violation';
        END IF;
        IF (NEW.terms, NEW.asset, NEW.amount_minor, NEW.counted_on)
            IS DISTINCT FROM (OLD.terms, OLD.asset, OLD.amount_minor, OLD.counted_on)
            OR NEW.slots_used < OLD.slots_used THEN
            RAISE EXCEPTION 'the terms of payout % are fixed', OLD.payout_id USING ERRCODE = 'check_violation';
        END IF;
        IF OLD.slot_id IS NOT NULL AND NEW.slot_id IS NULL
            AND EXISTS (SELECT 1 FROM slots WHERE slot_id = OLD.slot_id AND state = 'open') THEN
            RAISE EXCEPTION 'slot % of payout % is open', OLD.slot_id, OLD.payout_id
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;""",
    ),
    "digests_slot": (
        "BEFORE INSERT ON digests FOR EACH ROW",
        """
        IF NOT EXISTS (SELECT 1 FROM slots WHERE slot_id = NEW.slot_id AND state = 'open') THEN
            RAISE EXCEPTION 'slot % is not open', NEW.slot_id USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;""",
    ),
    "digest_payouts_bound": (
        "AFTER INSERT ON digest_payouts REFERENCING NEW TABLE AS added FOR EACH STATEMENT",
        """
        IF EXISTS (
            SELECT 1 FROM added a JOIN digests d USING (tx_hash) JOIN payouts p USING (payout_id)
            WHERE p.state <> 'bound' OR p.slot_id <> d.slot_id
        ) THEN
            RAISE EXCEPTION 'a digest pays what is not bound to its slot' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;""",
    ),
    "watermark_rises": (
        "BEFORE UPDATE ON watermark FOR EACH ROW",
        """
        IF NEW.counter <= OLD.counter THEN
            RAISE EXCEPTION 'the watermark only rises' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;""",
    ),
    "limit_use_rises": (
        "BEFORE UPDATE ON limit_use FOR EACH ROW",
        """
        IF NEW.used_minor < OLD.used_minor THEN
            RAISE EXCEPTION 'a reserved limit is not given back' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;""",
    ),
}


def upgrade() -> None:
    create_chassis_schema_v1(op)
    for statement in TABLES:
        op.execute(statement)
    guard_transitions(op, table="slots", allowed=SLOT_EDGES, start=SLOT_STARTS)
    guard_transitions(op, table="payouts", allowed=PAYOUT_EDGES, start=PAYOUT_STARTS)
    guard_transitions(op, table="signing_work", allowed=WORK_EDGES, start=WORK_STARTS)
    for name, (event, body) in GUARDS.items():
        op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$")
        op.execute(f"CREATE TRIGGER {name} {event} EXECUTE FUNCTION {name}()")
    for table in APPEND_ONLY:
        append_only(op, table)
    role = runtime_role(op)
    if role is not None:
        for table in KEPT:
            op.execute(f'REVOKE DELETE, TRUNCATE ON {table} FROM "{role}"')
