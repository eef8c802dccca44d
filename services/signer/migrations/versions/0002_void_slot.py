"""Slots may be voided, and closed by a foreign transaction: what such digests and closings may not be."""

from collections.abc import Sequence

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

GUARDS = {
    # What voids a slot pays nobody and is signed by the channel alone.
    "digest_payouts_paying": (
        "BEFORE INSERT ON digest_payouts FOR EACH ROW",
        """
        IF EXISTS (SELECT 1 FROM digests WHERE tx_hash = NEW.tx_hash AND kind = 'void_slot') THEN
            RAISE EXCEPTION 'a digest that voids a slot pays nobody' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;""",
    ),
    "signatures_void": (
        "BEFORE INSERT ON signatures FOR EACH ROW",
        """
        IF NEW.position > 1 AND EXISTS (SELECT 1 FROM digests WHERE tx_hash = NEW.tx_hash AND kind = 'void_slot') THEN
            RAISE EXCEPTION 'a digest that voids a slot is signed once' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;""",
    ),
    # A slot closes by one of its own digests, or by none of them.
    "slots_consumed_by_own": (
        "BEFORE UPDATE ON slots FOR EACH ROW",
        """
        IF (NEW.state IN ('succeeded', 'failed')) <> EXISTS (
            SELECT 1 FROM digests WHERE slot_id = NEW.slot_id AND tx_hash = NEW.consumed_by
        ) THEN
            RAISE EXCEPTION 'slot % is % by %', NEW.slot_id, NEW.state, encode(NEW.consumed_by, 'hex')
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;""",
    ),
}


def upgrade() -> None:
    # The check gives way to a wider one, so that no row that is there needs to be looked at again.
    op.execute("-- squawk-ignore ban-drop-constraint\nALTER TABLE slots DROP CONSTRAINT slots_consumed_by")
    op.execute(
        "ALTER TABLE slots ADD CONSTRAINT slots_consumed_by "
        "CHECK (state = 'expired' OR (state = 'open') = (consumed_by IS NULL)) NOT VALID"
    )
    for name, (event, body) in GUARDS.items():
        op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$")
        op.execute(f"CREATE TRIGGER {name} {event} EXECUTE FUNCTION {name}()")
