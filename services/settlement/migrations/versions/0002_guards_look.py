"""Guards read the schema's own tables, whatever temporary tables a session makes."""

from alembic import op

from prizewire_chassis.db.schema import fix_search_path

revision = "0002"
down_revision = "0001"

GUARDS = (
    "round_transitions_check()",
    "rounds_state_check()",
    "rounds_binding_check()",
    "round_results_check()",
)


def upgrade() -> None:
    fix_search_path(op, *GUARDS)
