"""A MAC in each piece of evidence, which the rotation of the key may write again."""

from alembic import op

from prizewire_chassis.db.schema import SEARCH_PATH

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

_FILED = "evidence_id, payout_id, attempt_no, rail, finding, reference, note, filed_by, filed_at"
_DECIDED = "state, decided_by, decided_at, decision_note"


def _row(name: str, columns: str) -> str:
    return f"({', '.join(f'{name}.{column}' for column in columns.split(', '))})"


FIXED = f"""
    IF {_row("NEW", _FILED)} IS DISTINCT FROM {_row("OLD", _FILED)}
        OR OLD.state <> 'filed' AND {_row("NEW", _DECIDED)} IS DISTINCT FROM {_row("OLD", _DECIDED)} THEN
        RAISE EXCEPTION 'evidence % stays as it was filed', OLD.evidence_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
"""


def upgrade() -> None:
    op.execute("ALTER TABLE payout_evidence ADD COLUMN mac bytea")
    op.execute("ALTER TABLE payout_evidence ADD COLUMN mac_key text")
    op.execute(
        f"CREATE OR REPLACE FUNCTION payout_evidence_fixed() RETURNS trigger LANGUAGE plpgsql SET search_path = {SEARCH_PATH} "
        f"AS $$ BEGIN {FIXED} END $$"
    )


def downgrade() -> None:
    """The function stays: without the columns it refuses what it refused before, but for an update that changes nothing."""
    for name in ("mac", "mac_key"):
        op.execute(f"-- squawk-ignore ban-drop-column\nALTER TABLE payout_evidence DROP COLUMN {name}")
