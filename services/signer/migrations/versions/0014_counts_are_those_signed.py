"""A count of a limit is the amount of its payout, and closings are compared with their answers."""

from alembic import op

from prizewire_chassis.db.schema import SEARCH_PATH

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


BODY = """
    IF NOT EXISTS (SELECT 1 FROM payouts WHERE payout_id = NEW.payout_id AND asset = NEW.asset
        AND amount_minor = NEW.amount_minor) THEN
        RAISE EXCEPTION 'the count of payout % is not its amount', NEW.payout_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;"""


def upgrade() -> None:
    op.execute(
        "CREATE FUNCTION limit_counts_amount() RETURNS trigger LANGUAGE plpgsql "
        f"SET search_path = {SEARCH_PATH} AS $$ BEGIN {BODY} END $$"
    )
    op.execute(
        "CREATE TRIGGER limit_counts_amount BEFORE INSERT ON limit_counts "
        "FOR EACH ROW EXECUTE FUNCTION limit_counts_amount()"
    )
    op.execute("CREATE INDEX answers_closed ON answers (subject) WHERE kind = 'closed'")


def downgrade() -> None:
    op.execute("DROP INDEX answers_closed")
    op.execute("DROP TRIGGER limit_counts_amount ON limit_counts")
    op.execute("DROP FUNCTION limit_counts_amount()")
