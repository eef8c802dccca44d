"""What was granted, asked for and bound stays as it is; guards see the schema's own tables, whatever a session makes.

Two ways around the first schema are closed. A table in ``pg_temp`` is found before all others unless the search path
names it last (PostgreSQL, CREATE FUNCTION, "Writing SECURITY DEFINER Functions Safely"): every function of ours now
says where it looks, and nobody makes such tables. And rows that money follows from could be deleted and born again,
or rewritten: they no longer can, by privilege and by trigger.
"""

from alembic import op

from prizewire_chassis.db.schema import runtime_role

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SEARCH_PATH = "pg_catalog, public, pg_temp"

LOOKING = (
    "ledger_apply()",
    "ledger_check_opening()",
    "ledger_lock(uuid[])",
    "ledger_roll_up(integer)",
    "campaigns_state_edges_check()",
    "rounds_state_edges_check()",
    "payouts_state_edges_check()",
    "rewards_state_check()",
)
"""Functions that look into tables."""

BOUND = {
    "campaigns": "id name asset delivery pool created_by created_at",
    "rounds": "id match_id match_source competition correlation_id settlement_version rule_version campaign asset gross "
    "platform_fee organizer_fee organizer_player net unclaimed parts lines_total digest final_at settled_at",
    "rewards": "id round_id part line player place asset amount",
    "payouts": "id player campaign round_id asset amount correlation_id filed_by method_id method_version rail_types "
    "requested_at",
    "payout_methods": "id player",
}
"""What a row is born with and keeps."""

FORWARD = {
    "campaigns": "NEW.funded < OLD.funded OR NEW.version < OLD.version OR NEW.queue_tail < OLD.queue_tail",
    "rounds": "NEW.version < OLD.version OR (OLD.final AND NOT NEW.final)",
    "rewards": "OLD.payout_id IS NOT NULL AND NEW.payout_id IS DISTINCT FROM OLD.payout_id",
    "payouts": "NEW.version < OLD.version OR NEW.returned < OLD.returned "
    "OR (OLD.rail IS NOT NULL AND NEW.rail IS DISTINCT FROM OLD.rail)",
    "payout_methods": "NEW.version < OLD.version",
}
"""What only grows, or is said once."""

KEPT = ("campaigns", "rounds", "rewards", "payouts", "payout_methods", "idempotency_keys")
"""Tables of which no row is ever deleted: their keys keep a message, a request or a payout from counting twice."""

REFUSE = """
CREATE FUNCTION refuse_rebinding() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% %: what it is bound to does not change, and its counters only grow', TG_TABLE_NAME, OLD.id
        USING ERRCODE = 'check_violation';
END $$
"""

# The owner of the schema need not own the database; where it does, nobody has a use for temporary tables.
NO_TEMPORARY_TABLES = """
DO $$
DECLARE grantee text;
BEGIN
    IF pg_has_role((SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE') THEN
        FOREACH grantee IN ARRAY ARRAY[{grantees}] LOOP
            EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM %s', current_database(), grantee);
        END LOOP;
    END IF;
END $$
"""


def upgrade() -> None:
    for name in LOOKING:
        op.execute(f"ALTER FUNCTION {name} SET search_path = {SEARCH_PATH}")
    op.execute(REFUSE)
    for table, columns in BOUND.items():
        names = columns.split()
        was, becomes = (", ".join(f"{row}.{name}" for name in names) for row in ("OLD", "NEW"))
        # Updates that name none of these columns, as the service's own do, cost nothing.
        op.execute(
            f"CREATE TRIGGER {table}_bound BEFORE UPDATE OF {', '.join(names)} ON {table} FOR EACH ROW "
            f"WHEN (({was}) IS DISTINCT FROM ({becomes})) EXECUTE FUNCTION refuse_rebinding()"
        )
    for table, backward in FORWARD.items():
        op.execute(
            f"CREATE TRIGGER {table}_forward BEFORE UPDATE ON {table} FOR EACH ROW "
            f"WHEN ({backward}) EXECUTE FUNCTION refuse_rebinding()"
        )
    for table in KEPT:
        op.execute(
            f"CREATE TRIGGER {table}_kept BEFORE DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    _take_privileges()


def _take_privileges() -> None:
    """Nobody deletes what is kept, and nobody makes temporary tables."""
    role = runtime_role(op)
    grantees = ["PUBLIC"]
    if role is not None:
        grantees.append(f'"{role}"')
        op.execute(f'REVOKE DELETE, TRUNCATE ON {", ".join(KEPT)} FROM "{role}"')
    op.execute(NO_TEMPORARY_TABLES.format(grantees=", ".join(f"'{name}'" for name in grantees)))


def downgrade() -> None:
    """Guards are not taken away again: restore a backup instead."""
    raise RuntimeError("what the database refuses cannot be allowed again by a migration")
