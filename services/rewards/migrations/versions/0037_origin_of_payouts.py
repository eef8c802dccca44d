"""A payout names the competition and the source of the match of its prize, beside the campaign."""

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE payouts ADD COLUMN competition text",
    "ALTER TABLE payouts ADD COLUMN source text",
    """
    UPDATE payouts p SET competition = r.competition, source = r.match_source FROM rounds r WHERE r.id = p.round_id
    """,
    """
    ALTER TABLE payouts ADD CONSTRAINT payouts_origin CHECK (
        (campaign IS NULL) = (competition IS NULL) AND (campaign IS NULL) = (source IS NULL)
    ) NOT VALID
    """,
    """
    CREATE TRIGGER payouts_origin_bound BEFORE UPDATE OF competition, source ON payouts FOR EACH ROW
    WHEN ((OLD.competition, OLD.source) IS DISTINCT FROM (NEW.competition, NEW.source))
    EXECUTE FUNCTION refuse_rebinding_row()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER payouts_origin_bound ON payouts")
    op.execute("ALTER TABLE payouts DROP CONSTRAINT payouts_origin")
    op.execute("ALTER TABLE payouts DROP COLUMN source")
    op.execute("ALTER TABLE payouts DROP COLUMN competition")
