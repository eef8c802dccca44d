"""Accounts, transfers between them, what is summed up of these, and what players owe."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from prizewire_rewards.adapters.tables.base import MOMENT, asset_column, cause_columns, metadata

WALLETS_ONLY = "{side}_kind LIKE 'wallet:%'"
"""Predicate of the partial indexes that serve wallets' histories; queries repeat it word for word."""

DOCUMENTED = (
    "debit_kind IN ('external_in', 'pool', 'treasury', 'payout_pending', 'entry_fee_escrow:winnings', "
    "'entry_fee_escrow:topup')"
)
"""Predicate of the partial index of transfers that are held to their documents; queries repeat it word for word."""
MOST = 2**62
"""The most minor units that an account may hold, and that may come into an asset."""

kinds = Table(
    "ledger_kinds",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("bound", Text, nullable=False),
    UniqueConstraint("kind", "bound"),
    CheckConstraint("bound IN ('floor', 'ceiling', 'none')", name="ledger_kinds_bound"),
)
edges = Table(
    "ledger_edges",
    metadata,
    Column("type", Text, nullable=False),
    Column("debit_kind", Text, ForeignKey("ledger_kinds.kind"), nullable=False),
    Column("credit_kind", Text, ForeignKey("ledger_kinds.kind"), nullable=False),
    Column("redeemable", Boolean, nullable=False),
    PrimaryKeyConstraint("type", "debit_kind", "credit_kind"),
)
accounts = Table(
    "ledger_accounts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("owner", Text, nullable=False),
    asset_column(),
    Column("bound", Text, nullable=False),
    Column("balance", BigInteger),
    Column("opened_at", MOMENT, nullable=False),
    ForeignKeyConstraint(["kind", "bound"], ["ledger_kinds.kind", "ledger_kinds.bound"]),
    UniqueConstraint("kind", "owner", "asset"),
    CheckConstraint("(bound = 'none') = (balance IS NULL)", name="ledger_accounts_kept"),
    CheckConstraint(f"balance BETWEEN -{MOST} AND {MOST}", name="ledger_accounts_limit"),
    CheckConstraint("bound <> 'floor' OR balance >= 0", name="ledger_accounts_floor"),
    CheckConstraint("bound <> 'ceiling' OR balance <= 0", name="ledger_accounts_ceiling"),
    postgresql_with={"fillfactor": "70"},
)
transfers = Table(
    "ledger_transfers",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("seq", BigInteger, Identity(always=True), nullable=False, unique=True),
    Column("group_id", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    Column("debit_account", Uuid, nullable=False),
    Column("debit_kind", Text, nullable=False),
    Column("credit_account", Uuid, nullable=False),
    Column("credit_kind", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    *cause_columns(),
    ForeignKeyConstraint(
        ["type", "debit_kind", "credit_kind"],
        ["ledger_edges.type", "ledger_edges.debit_kind", "ledger_edges.credit_kind"],
        name="ledger_transfers_edge",
    ),
    CheckConstraint("amount > 0", name="ledger_transfers_amount"),
    CheckConstraint("debit_account <> credit_account", name="ledger_transfers_two_legs"),
    Index("ledger_transfers_correlation", "correlation_id"),
    Index("ledger_transfers_documented", "id", postgresql_where=text(DOCUMENTED)),
    Index(
        "ledger_transfers_wallet_credits",
        "credit_account",
        "at",
        "seq",
        postgresql_where=text(WALLETS_ONLY.format(side="credit")),
    ),
    Index(
        "ledger_transfers_wallet_debits",
        "debit_account",
        "at",
        "seq",
        postgresql_where=text(WALLETS_ONLY.format(side="debit")),
    ),
)
deltas = Table(
    "ledger_deltas",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("account", Uuid, nullable=False),
    Column("delta", BigInteger, nullable=False),
)
rollups = Table(
    "ledger_rollups",
    metadata,
    Column("account", Uuid, ForeignKey("ledger_accounts.id"), primary_key=True),
    Column("balance", Numeric, nullable=False),
)
sums = Table(
    "ledger_sums",
    metadata,
    Column("account", Uuid, primary_key=True),
    Column("total", Numeric, nullable=False),
    Index("ledger_sums_zero", "account", postgresql_where=text("total = 0")),
)
checkpoint = Table(
    "ledger_checkpoint",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("seq", BigInteger, nullable=False),
    Column("mark", BigInteger, nullable=False),
    Column("mark_xid", BigInteger, nullable=False),
    CheckConstraint("one", name="ledger_checkpoint_one"),
)
receivables = Table(
    "receivables",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("player", Text, nullable=False),
    asset_column(),
    Column("campaign", Uuid, ForeignKey("campaigns.id")),
    Column("reference", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("recovered", BigInteger, nullable=False),
    Column("written_off", BigInteger, nullable=False),
    Column("lifted", BigInteger, nullable=False),
    Column("restored", BigInteger, nullable=False, server_default=text("0")),
    Column(
        "open",
        BigInteger,
        Computed("amount - recovered - written_off - lifted", persisted=True),
        nullable=False,
    ),
    *cause_columns(at="opened_at"),
    Column("version", Integer, nullable=False),
    *(
        CheckConstraint(condition, name=f"receivables_{name}")
        for name, condition in (
            ("amount", "amount > 0"),
            ("recovered", "recovered >= 0"),
            ("written_off", "written_off >= 0"),
            ("lifted", "lifted >= 0"),
            ("restored", "restored BETWEEN 0 AND written_off"),
            ("open", "open >= 0"),
        )
    ),
    Index("receivables_owed", "player", "asset", postgresql_where=text("open > 0")),
    Index(
        "receivables_unpaid",
        "reference",
        "player",
        postgresql_where=text("amount - recovered - lifted - restored > 0"),
    ),
    Index("receivables_listed", "opened_at", "id"),
    Index("receivables_correlation", "correlation_id"),
    Index("receivables_campaign", "campaign", postgresql_where=text("campaign IS NOT NULL")),
)
