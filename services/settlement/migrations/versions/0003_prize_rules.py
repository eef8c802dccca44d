"""Rules may break ties by a score, and spread the prizes of places that nobody took."""

from alembic import op

revision = "0003"
down_revision = "0002"

# The defaults are those of every rule so far. They stay: a service of the version before writes rules without them.
COLUMNS = (
    "tie_score text",
    "tie_descending boolean NOT NULL DEFAULT true",
    "unclaimed text NOT NULL DEFAULT 'pool'",
)
CONSTRAINTS = (
    "ties_known CHECK (ties IN ('split', 'refuse', 'break'))",
    "tie_score_breaks CHECK ((ties = 'break') = (tie_score IS NOT NULL))",
    "unclaimed_known CHECK (unclaimed IN ('pool', 'spread'))",
)


def upgrade() -> None:
    for column in COLUMNS:
        op.execute(f"ALTER TABLE competition_rules ADD COLUMN {column}")
    # It is made again at once, wider; rows that satisfied the narrower one satisfy it too.
    op.execute(
        "-- squawk-ignore ban-drop-constraint\nALTER TABLE competition_rules DROP CONSTRAINT ties_known"
    )
    for constraint in CONSTRAINTS:
        op.execute(f"ALTER TABLE competition_rules ADD CONSTRAINT {constraint} NOT VALID")
