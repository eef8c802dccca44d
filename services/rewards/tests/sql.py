"""SQL statements without the service's code: rows as the service's role or the owner would write them."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from prizewire_chassis.db.database import sqlstate
from prizewire_rewards.ledger.domain.accounts import KINDS, Account
from prizewire_rewards.ledger.storage.accounts import account_id
from services.rewards.tests.rig import START, Rig

Attempt = Callable[[AsyncConnection], Awaitable[Any]]


async def open_account(tx: AsyncConnection, account: Account, *, balance: int | None = 0) -> None:
    """Insert an account if it does not exist."""
    bound = KINDS[account.kind]
    await tx.execute(
        text(
            "INSERT INTO ledger_accounts (id, kind, owner, asset, bound, balance, opened_at) "
            "VALUES (:id, :kind, :owner, :asset, :bound, :balance, :at) ON CONFLICT DO NOTHING"
        ),
        {
            "id": account_id(account),
            "kind": account.kind,
            "owner": account.owner,
            "asset": account.asset,
            "bound": bound,
            "balance": None if bound == "none" else balance,
            "at": START,
        },
    )


async def insert(
    tx: AsyncConnection,
    type_: str,
    debit: Account,
    credit: Account,
    amount: int,
    **changes: Any,
) -> UUID:
    """Insert one transfer. Returns its id."""
    values: dict[str, Any] = {
        "id": uuid4(),
        "type": type_,
        "debit": account_id(debit),
        "debit_kind": debit.kind,
        "credit": account_id(credit),
        "credit_kind": credit.kind,
        "asset": debit.asset,
        "amount": amount,
        "cause": "test",
        "correlation": "test",
        "at": START,
        **changes,
    }
    await tx.execute(
        text(
            "WITH made AS (INSERT INTO ledger_groups (cause, correlation_id) VALUES (:cause, :correlation) RETURNING no) "
            "INSERT INTO ledger_transfers (id, group_no, type, debit_account, debit_kind, credit_account, credit_kind, "
            "asset, amount, at) SELECT :id, no, :type, :debit, :debit_kind, :credit, :credit_kind, :asset, :amount, :at "
            "FROM made"
        ),
        values,
    )
    return UUID(str(values["id"]))


async def refused(rig: Rig, attempt: Attempt) -> tuple[str | None, str]:
    """The SQLSTATE and message of the database's refusal to the service's role."""
    with pytest.raises(DBAPIError) as caught:
        async with rig.db.transaction() as tx:
            await attempt(tx)
    return sqlstate(caught.value), str(caught.value.orig)


async def as_owner(rig: Rig, *statements: str) -> None:
    """Run statements as the owner of the database, in one transaction."""
    engine = create_async_engine(rig.urls.migration.replace("postgresql://", "postgresql+asyncpg://"))
    try:
        async with engine.begin() as tx:
            for statement in statements:
                await tx.execute(text(statement))
    finally:
        await engine.dispose()


async def refused_to_the_owner(rig: Rig, statement: str) -> tuple[str | None, str]:
    """The SQLSTATE and message of the database's refusal to its owner."""
    with pytest.raises(DBAPIError) as caught:
        await as_owner(rig, statement)
    return sqlstate(caught.value), str(caught.value.orig)
