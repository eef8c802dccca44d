"""A MAC in the rows of rails, whose versions only rise."""

from alembic import op

from prizewire_chassis.db.schema import SEARCH_PATH

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

RISES = f"""
CREATE FUNCTION rail_rows_rise() RETURNS trigger LANGUAGE plpgsql SET search_path = {SEARCH_PATH} AS $$
BEGIN
    IF NEW.version < OLD.version THEN
        RAISE EXCEPTION 'the row %/% of the rail % does not go back from version % to %',
            OLD.collection, OLD.name, OLD.rail, OLD.version, NEW.version
            USING ERRCODE = 'check_violation', CONSTRAINT = 'rail_rows_version_rises';
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.execute("ALTER TABLE rail_rows ADD COLUMN mac bytea")
    op.execute("ALTER TABLE rail_rows ADD COLUMN mac_key text")
    op.execute(RISES)
    op.execute(
        "CREATE TRIGGER rail_rows_rise BEFORE UPDATE ON rail_rows FOR EACH ROW EXECUTE FUNCTION rail_rows_rise()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER rail_rows_rise ON rail_rows")
    op.execute("DROP FUNCTION rail_rows_rise()")
    for name in ("mac", "mac_key"):
        op.execute(f"-- squawk-ignore ban-drop-column\nALTER TABLE rail_rows DROP COLUMN {name}")
