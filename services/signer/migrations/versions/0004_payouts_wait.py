"""Payouts of a closed slot wait until nothing signed there can be applied; limits count each slot and day."""

from alembic import op

from prizewire_chassis.db.schema import append_only, fix_search_path

revision = "0004"
down_revision = "0003"

COLUMNS = (
    "ALTER TABLE payouts ADD COLUMN free_at timestamptz",
    "ALTER TABLE payouts ADD CONSTRAINT payouts_free_at CHECK (free_at IS NULL OR state = 'bound') NOT VALID",
    "CREATE INDEX payouts_free_at ON payouts (free_at) WHERE free_at IS NOT NULL",
    """
    CREATE TABLE limit_counts (
        payout_id uuid NOT NULL REFERENCES payouts,
        slot_id uuid NOT NULL REFERENCES slots,
        day date NOT NULL,
        asset text NOT NULL,
        amount_minor bigint NOT NULL,
        again boolean NOT NULL,
        PRIMARY KEY (payout_id, slot_id, day)
    )""",
    "CREATE INDEX limit_counts_day ON limit_counts (day, asset)",
)
# What was counted so far was counted when a payout was first bound.
BACKFILL = """
    INSERT INTO limit_counts (payout_id, slot_id, day, asset, amount_minor, again)
    SELECT DISTINCT ON (p.payout_id) p.payout_id, d.slot_id, p.counted_on, p.asset, p.amount_minor, false
    FROM payouts p JOIN digest_payouts i USING (payout_id) JOIN digests d USING (tx_hash)
    ORDER BY p.payout_id, d.recorded_at
"""
BINDING = """
    CREATE OR REPLACE FUNCTION payouts_binding() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF OLD.slot_id IS NOT NULL AND NEW.slot_id IS NOT NULL AND NEW.slot_id <> OLD.slot_id THEN
        RAISE EXCEPTION 'payout % is bound to slot %', OLD.payout_id, OLD.slot_id
            USING ERRCODE = 'check_violation';
    END IF;
    IF (NEW.terms, NEW.asset, NEW.amount_minor, NEW.counted_on)
        IS DISTINCT FROM (OLD.terms, OLD.asset, OLD.amount_minor, OLD.counted_on)
        OR NEW.slots_used < OLD.slots_used THEN
        RAISE EXCEPTION 'the terms of payout % are fixed', OLD.payout_id USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.slot_id IS NOT NULL AND NEW.slot_id IS NULL AND (OLD.free_at IS NULL
        OR EXISTS (SELECT 1 FROM slots WHERE slot_id = OLD.slot_id AND state = 'open')) THEN
        RAISE EXCEPTION 'payout % is not free to leave slot %', OLD.payout_id, OLD.slot_id
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.free_at IS NOT NULL AND NEW.free_at IS DISTINCT FROM OLD.free_at AND (
        EXISTS (SELECT 1 FROM slots WHERE slot_id = NEW.slot_id AND state = 'open')
        OR EXISTS (SELECT 1 FROM digests d JOIN digest_payouts i USING (tx_hash) WHERE d.slot_id = NEW.slot_id
            AND i.payout_id = NEW.payout_id AND to_timestamp(d.max_time) >= NEW.free_at)
    ) THEN
        RAISE EXCEPTION 'a digest on slot % may still pay payout %', NEW.slot_id, NEW.payout_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW; END $$
"""


def upgrade() -> None:
    for statement in COLUMNS:
        op.execute(statement)
    op.execute(BACKFILL)
    append_only(op, "limit_counts")
    op.execute(BINDING)
    fix_search_path(op, "payouts_binding()")
