"""The database holds what is sent to a Stellar node to its form: a hash that is none was refused by the node, again and again."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_HASH = "~ '^[0-9a-f]{64}$'"
_ACCOUNT = "~ '^G[A-Z2-7]{55}$'"
_BASE64 = "~ '^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$'"
FORMS = {
    "stellar_attempts": {
        "tx_hash": _HASH,
        "unsigned_xdr": _BASE64,
        "signed_xdr": _BASE64,
        "result_xdr": _BASE64,
    },
    "stellar_channels": {"account": _ACCOUNT, "sequence": ">= 0"},
    "stellar_contradictions": {"tx_hash": _HASH},
    "stellar_evidence": {"tx_hash": _HASH},
    "stellar_payments": {"account": _ACCOUNT, "destination": "~ '^(G[A-Z2-7]{55}|M[A-Z2-7]{68})$'"},
    "stellar_slots": {"sequence": ">= 0", "consumed_by_hash": _HASH},
}
"""Table → column → what its value must be."""


def upgrade() -> None:
    for table, columns in FORMS.items():
        for column, form in columns.items():
            op.execute(
                f"ALTER TABLE {table} ADD CONSTRAINT {table}_{column}_form CHECK ({column} {form}) NOT VALID"
            )


def downgrade() -> None:
    """No row changes."""
    for table, columns in FORMS.items():
        for column in columns:
            op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_form")
