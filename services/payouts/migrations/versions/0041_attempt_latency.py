"""How long the rail took to answer the call that began an attempt."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempts", sa.Column("latency_ms", sa.Integer))
    op.execute(
        "ALTER TABLE attempts ADD CONSTRAINT attempts_latency CHECK (latency_ms BETWEEN 0 AND 86400000) NOT VALID"
    )


def downgrade() -> None:
    op.drop_column("attempts", "latency_ms")
