"""Guards read the schema's own tables, whatever temporary tables a session makes."""

from alembic import op

from prizewire_chassis.db.schema import fix_search_path

revision = "0004"
down_revision = "0003"

GUARDS = (
    "payouts_state_edges_check()",
    "attempts_state_edges_check()",
    "stellar_attempts_state_edges_check()",
    "stellar_payments_state_edges_check()",
    "stellar_evidence_state_edges_check()",
    "stellar_items_paying()",
    "stellar_attempts_reviewed()",
    "stellar_evidence_fixed()",
)


def upgrade() -> None:
    fix_search_path(op, *GUARDS)
