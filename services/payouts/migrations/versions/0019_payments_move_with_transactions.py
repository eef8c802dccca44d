"""A payment moves only with its transaction: else one that the ledger applied could be taken for one without effect."""

from alembic import op

from prizewire_chassis.db.schema import SEARCH_PATH

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

GUARDS = {
    "stellar_payments_with_transaction": (
        """
        BEFORE UPDATE ON stellar_payments FOR EACH ROW
            WHEN ((NEW.state, NEW.attempt_id) IS DISTINCT FROM (OLD.state, OLD.attempt_id))""",
        """
        DECLARE
            was stellar_attempts;
            stays boolean := NEW.attempt_id IS NOT DISTINCT FROM OLD.attempt_id;
            decided boolean;
            allowed boolean;
        BEGIN
            SELECT * INTO was FROM stellar_attempts WHERE attempt_id = OLD.attempt_id;
            -- evidence may name another transaction of the slot: then this one's success says nothing about its payments
            decided := EXISTS (
                SELECT 1 FROM stellar_evidence WHERE attempt_id = OLD.attempt_id AND state = 'confirmed'
            );
            allowed := CASE
                WHEN OLD.state = 'queued' AND NEW.state = 'batched' THEN EXISTS (
                    SELECT 1 FROM stellar_attempts WHERE attempt_id = NEW.attempt_id AND state = 'leased'
                )
                WHEN OLD.state = 'queued' THEN stays
                WHEN OLD.state <> 'batched' THEN false
                WHEN NEW.state = 'batched' THEN was.state IN ('refused', 'dead') AND EXISTS (
                    SELECT 1 FROM stellar_attempts
                    WHERE attempt_id = NEW.attempt_id AND state = 'leased' AND slot_id = was.slot_id
                )
                WHEN NEW.state = 'queued' THEN was.state IN ('leased', 'released', 'refused', 'failed')
                WHEN NEW.state = 'paid' THEN stays AND was.state = 'succeeded' AND (was.kind = 'payment' OR decided)
                WHEN was.state = 'succeeded' THEN stays AND (was.kind = 'void_slot' OR decided)
                ELSE stays AND was.state IN ('leased', 'released', 'refused', 'failed')
            END;
            IF allowed IS NOT TRUE THEN
                RAISE EXCEPTION 'payment % moves only with its transaction %', OLD.provider_key, OLD.attempt_id
                    USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END""",
    ),
    "stellar_items_with_transaction": (
        """
        BEFORE INSERT OR UPDATE OF op ON stellar_items FOR EACH ROW""",
        """
        BEGIN
            IF NOT EXISTS (
                SELECT 1 FROM stellar_attempts WHERE attempt_id = NEW.attempt_id AND state = 'leased'
            ) THEN
                RAISE EXCEPTION 'transaction % gets no operation: it is built', NEW.attempt_id
                    USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END""",
    ),
}


def upgrade() -> None:
    for name, (event, body) in GUARDS.items():
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path = {SEARCH_PATH} AS $$ {body} $$"
        )
        op.execute(f"CREATE TRIGGER {name} {event} EXECUTE FUNCTION {name}()")


def downgrade() -> None:
    op.execute("DROP TRIGGER stellar_items_with_transaction ON stellar_items")
    op.execute("DROP TRIGGER stellar_payments_with_transaction ON stellar_payments")
    for name in GUARDS:
        op.execute(f"DROP FUNCTION {name}()")
