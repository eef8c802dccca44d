"""Who is behind money: parties of pools, funding accounts, rounds, wallets and payouts."""

from alembic import op

from prizewire_chassis.db.schema import fix_search_path, runtime_role

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# VOLATILE: each call sees what is committed by then, also inside a statement that has waited for a lock.
PARTIES_OF = """
CREATE FUNCTION parties_of(wanted text) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT CAST(coalesce(jsonb_agg(jsonb_build_array(p.role, p.subject) ORDER BY p.role, p.subject), '[]') AS text)
    FROM source_parties p WHERE p.source = wanted
$$
"""
STATEMENTS = (
    """
    CREATE TABLE source_parties (
        source text NOT NULL,
        role text NOT NULL,
        subject text NOT NULL,
        PRIMARY KEY (source, role, subject)
    )
    """,
    """
    CREATE TABLE wallet_parties (
        player text NOT NULL,
        asset text NOT NULL REFERENCES assets (code),
        role text NOT NULL,
        subject text NOT NULL,
        alone boolean NOT NULL,
        PRIMARY KEY (player, asset, role, subject, alone)
    )
    """,
    """
    INSERT INTO source_parties (source, role, subject)
    SELECT 'campaign/' || campaign, 'rule_writer', actor FROM campaign_settings
    UNION SELECT 'campaign/' || id, 'rule_writer', created_by FROM campaigns
    """,
    "ALTER TABLE rounds ADD COLUMN parties jsonb NOT NULL DEFAULT '[]'",
    "ALTER TABLE payouts ADD COLUMN parties jsonb NOT NULL DEFAULT '[]'",
    "ALTER TABLE payouts ADD COLUMN one_person jsonb NOT NULL DEFAULT '[]'",
    PARTIES_OF,
    """
    CREATE TRIGGER source_parties_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON source_parties
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER wallet_parties_fixed BEFORE UPDATE OR TRUNCATE ON wallet_parties
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER payouts_parties_bound BEFORE UPDATE OF parties, one_person ON payouts FOR EACH ROW
    WHEN ((OLD.parties, OLD.one_person) IS DISTINCT FROM (NEW.parties, NEW.one_person))
    EXECUTE FUNCTION refuse_rebinding_row()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    fix_search_path(op, "parties_of(text)")
    role = runtime_role(op)
    if role is not None:
        op.execute(f'REVOKE UPDATE, DELETE, TRUNCATE ON source_parties FROM "{role}"')
        op.execute(f'REVOKE UPDATE, TRUNCATE ON wallet_parties FROM "{role}"')


def downgrade() -> None:
    """Who is behind money is not forgotten: restore a backup instead."""
    raise RuntimeError("who is behind money is not taken back by a migration")
