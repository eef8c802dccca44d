"""Verifications of payout methods, and the time from which a method may be paid.

Methods that were registered before this migration may be paid at once, as they were.
"""

from alembic import op

from prizewire_chassis.db.schema import bound_times

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

VERIFICATIONS = """
CREATE TABLE method_verifications (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    verification_id uuid NOT NULL UNIQUE,
    method_id uuid NOT NULL REFERENCES payout_methods (method_id),
    kind text NOT NULL,
    challenge text,
    code_mac bytea,
    begun_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    wrong_answers integer NOT NULL,
    confirmed_at timestamptz,
    CONSTRAINT method_verifications_kind CHECK (
        (kind = 'code' AND code_mac IS NOT NULL AND challenge IS NULL)
        OR (kind = 'signature' AND challenge IS NOT NULL AND code_mac IS NULL)
    ),
    CONSTRAINT method_verifications_wrong_answers CHECK (wrong_answers BETWEEN 0 AND 5)
)
"""


def upgrade() -> None:
    op.execute("ALTER TABLE payout_methods ADD COLUMN usable_from timestamptz")
    op.execute("UPDATE payout_methods SET usable_from = registered_at")
    op.execute(
        "ALTER TABLE payout_methods ADD CONSTRAINT payout_methods_usable_from CHECK (usable_from IS NOT NULL) NOT VALID"
    )
    op.execute(
        "-- squawk-ignore constraint-missing-not-valid\nALTER TABLE payout_methods VALIDATE CONSTRAINT payout_methods_usable_from"
    )
    op.execute("ALTER TABLE payout_methods ALTER COLUMN usable_from SET NOT NULL")
    op.execute(
        "-- squawk-ignore ban-drop-constraint\nALTER TABLE payout_methods DROP CONSTRAINT payout_methods_usable_from"
    )
    op.execute(
        "ALTER TABLE payout_methods ADD CONSTRAINT payout_methods_usable_from_times CHECK (usable_from BETWEEN "
        "'2000-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999999+00') NOT VALID"
    )
    op.execute(VERIFICATIONS)
    op.execute("CREATE INDEX method_verifications_method ON method_verifications (method_id, number)")
    bound_times(op, "method_verifications", "begun_at", "expires_at", "confirmed_at")


def downgrade() -> None:
    op.execute("DROP TABLE method_verifications")
    op.execute("ALTER TABLE payout_methods DROP COLUMN usable_from")
