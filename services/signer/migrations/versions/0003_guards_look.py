"""Guards read the schema's own tables, whatever temporary tables a session makes."""

from alembic import op

from prizewire_chassis.db.schema import fix_search_path

revision = "0003"
down_revision = "0002"

GUARDS = (
    "slots_state_edges_check()",
    "payouts_state_edges_check()",
    "signing_work_state_edges_check()",
    "payouts_binding()",
    "digests_slot()",
    "digest_payouts_bound()",
    "watermark_rises()",
    "limit_use_rises()",
    "digest_payouts_paying()",
    "signatures_void()",
    "slots_consumed_by_own()",
)


def upgrade() -> None:
    fix_search_path(op, *GUARDS)
