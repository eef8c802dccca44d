"""The service loses the rights to delete from its inbox and to say what a campaign was funded with.

``campaigns.funded`` and ``withdrawn`` follow from the transfers that fund and empty its pool: nobody else writes them.
``privileges.yaml`` says what the service may do from now on.
"""

from alembic import op

from prizewire_chassis.db.schema import create_chassis_schema_v2

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

CAMPAIGNS = (
    "ALTER TABLE campaigns ALTER COLUMN funded SET DEFAULT 0",
    "CREATE INDEX campaigns_pool ON campaigns (pool)",
    """
    CREATE FUNCTION campaigns_count_funds() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp AS $$
    BEGIN
        IF EXISTS (SELECT 1 FROM posted WHERE type IN ('campaign_funded', 'campaign_withdrawn')) THEN
            UPDATE campaigns c SET funded = c.funded + m.added, withdrawn = c.withdrawn + m.taken FROM (
                SELECT p.pool, sum(p.added)::bigint AS added, sum(p.taken)::bigint AS taken FROM (
                    SELECT credit_account AS pool, amount AS added, 0 AS taken FROM posted
                    WHERE type = 'campaign_funded'
                    UNION ALL SELECT debit_account, 0, amount FROM posted WHERE type = 'campaign_withdrawn'
                ) p GROUP BY p.pool
            ) m WHERE c.pool = m.pool;
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER ledger_transfers_campaigns AFTER INSERT ON ledger_transfers
    REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION campaigns_count_funds()
    """,
)


def upgrade() -> None:
    create_chassis_schema_v2(op)
    for statement in CAMPAIGNS:
        op.execute(statement)


def downgrade() -> None:
    """Rights are not given back by a migration."""
    raise RuntimeError("what the database refuses cannot be allowed again by a migration")
