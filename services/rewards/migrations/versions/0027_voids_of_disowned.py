"""A disownment keeps when rewards took in that settlement voided the round."""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE round_disownments ADD COLUMN settlement_voided_at timestamptz")
    op.execute(
        """
        CREATE TRIGGER round_disownments_void_bound BEFORE UPDATE ON round_disownments FOR EACH ROW
        WHEN (NEW.settlement_voided_at IS DISTINCT FROM OLD.settlement_voided_at
              AND (OLD.settlement_voided_at IS NOT NULL OR NEW.state <> 'approved'))
        EXECUTE FUNCTION refuse_rebinding_row()
        """
    )


def downgrade() -> None:
    """Which rounds settlement voided is not forgotten: restore a backup instead."""
    raise RuntimeError("which rounds settlement voided is not taken back by a migration")
