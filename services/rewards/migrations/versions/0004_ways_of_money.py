"""More ways that money may go, and states for them: corrections and voids, claims, top-ups, funding accounts.

Literal copies of the domain's tables; tests compare them.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KINDS = """
claimable floor
"""

# type, debit kind, credit kind, and whether only redeemable assets may go this way
EDGES = """
prize_reversed wallet:pending reserved any
prize_reversed wallet:winnings reserved any
prize_reversed claimable reserved redeemable
prize_released reserved pool any
campaign_withdrawn pool external_out any
claim_opened reserved claimable redeemable
claim_opened wallet:pending claimable redeemable
claim_paid claimable wallet:winnings redeemable
claim_expired claimable pool redeemable
claim_rejected claimable pool redeemable
receivable_recovered wallet:winnings pool any
receivable_recovered wallet:winnings external_out any
receivable_settled clearing receivable any
payout_requested funding payout_pending redeemable
payout_given_back payout_pending funding redeemable
payout_returned treasury funding redeemable
payout_fee payout_pending fees redeemable
topup_credited external_in wallet:topup redeemable
topup_reversed wallet:topup external_out redeemable
opening_balance external_in wallet:winnings any
opening_balance external_in wallet:topup redeemable
funding_added external_in funding redeemable
funding_withdrawn funding external_out redeemable
"""

ROUND_STATES = (
    ("", "booking"),
    ("unfunded", "booking"),
    ("unfunded", "voided"),
    ("reserved", "voided"),
    ("reserved", "booking"),
    ("final", "booking"),
    ("booking", "reserved"),
    ("booking", "final"),
    ("booking", "voided"),
)
REWARD_STATES = (
    ("unfunded", "held"),
    ("unfunded", "claimable"),
    ("unfunded", "reversed"),
    ("pending", "claimable"),
    ("pending", "reversed"),
    ("held", "pending"),
    ("held", "credited"),
    ("held", "claimable"),
    ("held", "rejected"),
    ("held", "reversed"),
    ("claimable", "credited"),
    ("claimable", "expired"),
    ("claimable", "rejected"),
    ("claimable", "reversed"),
    ("credited", "reversed"),
    ("reversed", "unfunded"),
    ("reversed", "pending"),
    ("reversed", "held"),
    ("reversed", "claimable"),
    ("reversed", "credited"),
)


REWARD_ALL = "unfunded pending held claimable credited reversed expired rejected"


def upgrade() -> None:
    for kind, bound in (line.split() for line in KINDS.strip().splitlines()):
        op.execute(f"INSERT INTO ledger_kinds VALUES ('{kind}', '{bound}')")  # noqa: S608 - our own words
    for type_, debit, credit, which in (line.split() for line in EDGES.strip().splitlines()):
        redeemable = "true" if which == "redeemable" else "false"
        op.execute(f"INSERT INTO ledger_edges VALUES ('{type_}', '{debit}', '{credit}', {redeemable})")  # noqa: S608 - our own words
    states = ", ".join(f"'{state}'" for state in REWARD_ALL.split())
    # It is made again at once, wider; rows that satisfied the narrower one satisfy it too.
    op.execute("-- squawk-ignore ban-drop-constraint\nALTER TABLE rewards DROP CONSTRAINT rewards_state")
    op.execute(f"ALTER TABLE rewards ADD CONSTRAINT rewards_state CHECK (state IN ({states})) NOT VALID")
    for table, edges in (("rounds", ROUND_STATES), ("rewards", REWARD_STATES)):
        for was, to in edges:
            op.execute(f"INSERT INTO {table}_state_edges VALUES ('{was}', '{to}')")  # noqa: S608 - our own words


def downgrade() -> None:
    """Money is never migrated backwards: restore a backup instead."""
    raise RuntimeError("ways that money has gone cannot be taken back by a migration")
