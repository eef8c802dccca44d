"""Who reported a result: the person behind each part, and all of them behind a settlement, one a line."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("round_results", sa.Column("reporter", sa.Text()))
    op.add_column("settlements", sa.Column("reporters", sa.Text()))


def downgrade() -> None:
    op.drop_column("settlements", "reporters")
    op.drop_column("round_results", "reporter")
