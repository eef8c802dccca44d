"""Rounds, entries and payouts are compared with other services by the time at which the database stored them last.

Nobody who writes a row can choose that time. A row with an old time of change would otherwise stand before the mark of a
comparison, which would not see it.
"""

from alembic import op

from prizewire_chassis.db.schema import fix_search_path

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

STAMP = """
CREATE FUNCTION set_stored_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.stored_at := now();
    RETURN NEW;
END $$
"""
TABLES = ("rounds", "entries", "payouts")


def upgrade() -> None:
    op.execute(STAMP)
    fix_search_path(op, "set_stored_at()")
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ADD COLUMN stored_at timestamptz NOT NULL DEFAULT now()")
        op.execute(
            f"CREATE TRIGGER {table}_stored_at BEFORE INSERT OR UPDATE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION set_stored_at()"
        )
        op.execute(f"-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX {table}_changed")
        op.execute(f"CREATE INDEX {table}_stored ON {table} (stored_at, id)")


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX {table}_stored")
        op.execute(f"CREATE INDEX {table}_changed ON {table} (changed_at, id)")
        op.execute(f"DROP TRIGGER {table}_stored_at ON {table}")
        op.execute(f"-- squawk-ignore ban-drop-column\nALTER TABLE {table} DROP COLUMN stored_at")
    op.execute("DROP FUNCTION set_stored_at()")
