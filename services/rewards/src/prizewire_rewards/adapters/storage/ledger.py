"""The ledger over PostgreSQL. Appending transfers moves balances there (a trigger), so this room only appends."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_contracts import ids
from prizewire_money import AssetRegistry
from prizewire_rewards.domain.ledger import KINDS, Account, Kind, Transfer

__all__ = ["AssetChanged", "SqlLedger", "account_id", "pin_assets", "roll_up"]


class AssetChanged(Exception):
    """An asset was redefined: amounts that are stored would change their worth. The service must not start."""


@lru_cache(maxsize=65_536)
def account_id(account: Account) -> UUID:
    """An account's id: the same wherever and whenever it is derived."""
    return ids.derive("account", account.kind.value, account.owner, account.asset)


class SqlLedger:
    """Postings and locked balances in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def post(self, transfers: Sequence[Transfer], *, now: datetime) -> None:
        """Open missing accounts and append the transfers: two statements for any number of them."""
        accounts = {transfer.debit for transfer in transfers} | {transfer.credit for transfer in transfers}
        by_id = {account_id(account): account for account in accounts}
        order = sorted(by_id, key=lambda key: key.int)
        await self._tx.execute(
            _OPEN,
            {
                "ids": order,
                "kinds": [by_id[key].kind for key in order],
                "owners": [by_id[key].owner for key in order],
                "assets": [by_id[key].asset for key in order],
                "bounds": [KINDS[by_id[key].kind] for key in order],
                "now": now,
            },
        )
        await self._tx.execute(
            _POST,
            {
                "ids": [transfer.id for transfer in transfers],
                "groups": [transfer.group for transfer in transfers],
                "types": [transfer.type for transfer in transfers],
                "debits": [account_id(transfer.debit) for transfer in transfers],
                "debit_kinds": [transfer.debit.kind for transfer in transfers],
                "credits": [account_id(transfer.credit) for transfer in transfers],
                "credit_kinds": [transfer.credit.kind for transfer in transfers],
                "assets": [transfer.debit.asset for transfer in transfers],
                "amounts": [transfer.amount for transfer in transfers],
                "causes": [transfer.cause for transfer in transfers],
                "correlations": [transfer.correlation_id for transfer in transfers],
                "now": now,
            },
        )

    async def lock_balance(self, account: Account) -> int:
        """A kept balance, its account locked; 0 where there is none."""
        row = (await self._tx.execute(_LOCK, {"ids": [account_id(account)]})).one_or_none()
        return 0 if row is None else int(row.balance)

    async def receivables(self, wallets: Iterable[Account]) -> dict[Account, int]:
        """Debts above zero of the wallets' owners, locked."""
        keys = {account_id(owed): owed for owed in (_receivable_of(wallet) for wallet in wallets)}
        rows = await self._tx.execute(_OWED, {"ids": sorted(keys)})
        owing = [row.id for row in rows]
        if not owing:
            return {}
        locked = await self._tx.execute(_LOCK, {"ids": owing})
        return {keys[row.id]: -row.balance for row in locked if row.balance < 0}


def _receivable_of(wallet: Account) -> Account:
    return Account(Kind.RECEIVABLE, wallet.owner, wallet.asset)


async def pin_assets(tx: AsyncConnection, assets: AssetRegistry) -> None:
    """Copy new assets into the immutable table, and hold those there to their definition.

    Raises:
        AssetChanged: decimals or redeemable differ from those stored.
    """
    await tx.execute(
        _PIN,
        {
            "codes": list(assets),
            "decimals": [asset.decimals for asset in assets.values()],
            "redeemables": [asset.redeemable for asset in assets.values()],
        },
    )
    for row in await tx.execute(_PINNED):
        asset = assets.get(row.code)
        if asset is None:
            raise AssetChanged(f"assets.yaml no longer has {row.code}, which the ledger knows")
        if (asset.decimals, asset.redeemable) != (row.decimals, row.redeemable):
            raise AssetChanged(
                f"{row.code} has {row.decimals} decimals and redeemable={row.redeemable} in the ledger, "
                f"{asset.decimals} and {asset.redeemable} in assets.yaml"
            )


async def roll_up(tx: AsyncConnection, *, rows_max: int) -> int:
    """Fold movements of unbounded accounts into their balances; answers how many."""
    return int((await tx.execute(_ROLL_UP, {"rows_max": rows_max})).scalar_one())


_OPEN = text(
    "INSERT INTO ledger_accounts (id, kind, owner, asset, bound, balance, opened_at) "
    "SELECT u.id, u.kind, u.owner, u.asset, u.bound, CASE WHEN u.bound <> 'none' THEN 0 END, "
    "CAST(:now AS timestamptz) "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:owners AS text[]), CAST(:assets AS text[]), "
    "CAST(:bounds AS text[])) WITH ORDINALITY AS u(id, kind, owner, asset, bound, n) "
    "WHERE NOT EXISTS (SELECT 1 FROM ledger_accounts a WHERE a.id = u.id) ORDER BY u.n "
    "ON CONFLICT (id) DO NOTHING"
)
_POST = text(
    "INSERT INTO ledger_transfers (id, group_id, type, debit_account, debit_kind, credit_account, credit_kind, "
    "asset, amount, cause, correlation_id, at) "
    "SELECT u.id, u.group_id, u.type, u.debit, u.debit_kind, u.credit, u.credit_kind, u.asset, u.amount, u.cause, "
    "u.correlation_id, CAST(:now AS timestamptz) "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:groups AS uuid[]), CAST(:types AS text[]), CAST(:debits AS uuid[]), "
    "CAST(:debit_kinds AS text[]), CAST(:credits AS uuid[]), CAST(:credit_kinds AS text[]), "
    "CAST(:assets AS text[]), CAST(:amounts AS bigint[]), CAST(:causes AS text[]), "
    "CAST(:correlations AS text[])) AS u(id, group_id, type, debit, debit_kind, credit, credit_kind, asset, amount, "
    "cause, correlation_id)"
)
_LOCK = text("SELECT id, balance FROM ledger_lock(CAST(:ids AS uuid[]))")
_OWED = text(
    "SELECT a.id FROM ledger_accounts a WHERE a.id = ANY (CAST(:ids AS uuid[])) AND a.balance < 0 ORDER BY a.id"
)
_PIN = text(
    "INSERT INTO ledger_assets (code, decimals, redeemable) SELECT u.code, u.decimals, u.redeemable "
    "FROM unnest(CAST(:codes AS text[]), CAST(:decimals AS int[]), CAST(:redeemables AS boolean[])) "
    "AS u(code, decimals, redeemable) ON CONFLICT (code) DO NOTHING"
)
_PINNED = text("SELECT code, decimals, redeemable FROM ledger_assets ORDER BY code")
_ROLL_UP = text("SELECT ledger_roll_up(:rows_max)")
