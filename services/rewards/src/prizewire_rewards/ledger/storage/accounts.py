"""Accounts, transfers and the history of states over PostgreSQL."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Read, Write, fetch, later
from prizewire_contracts import ids
from prizewire_rewards.ledger.domain.accounts import KINDS, Account, Transfer
from prizewire_rewards.ledger.domain.records import EarlierBooking, Transition


@lru_cache(maxsize=65_536)
def account_id(account: Account) -> UUID:
    """Derive an account's id from its kind, owner and asset."""
    return ids.derive("account", account.kind.value, account.owner, account.asset)


def group_id(cause: str) -> UUID:
    """The id by which people know the transfers of one cause."""
    return ids.derive("group", cause)


class SqlLedger:
    """Postings and locked balances in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def post(self, transfers: Sequence[Transfer], *, now: datetime) -> None:
        """See the port."""
        accounts = {transfer.debit for transfer in transfers} | {transfer.credit for transfer in transfers}
        by_id = {account_id(account): account for account in accounts}
        order = sorted(by_id, key=lambda key: key.int)
        await later(
            self._tx,
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
        found = {account: key for key, account in by_id.items()}
        causes = dict.fromkeys((transfer.cause, transfer.correlation_id) for transfer in transfers)
        groups = {group: number for number, group in enumerate(causes, 1)}
        await later(
            self._tx,
            POST,
            {
                "causes": [cause for cause, _ in groups],
                "correlations": [correlation_id for _, correlation_id in groups],
                "groups": [groups[transfer.cause, transfer.correlation_id] for transfer in transfers],
                "ids": [transfer.id for transfer in transfers],
                "types": [transfer.type for transfer in transfers],
                "debits": [found[transfer.debit] for transfer in transfers],
                "debit_kinds": [transfer.debit.kind for transfer in transfers],
                "credits": [found[transfer.credit] for transfer in transfers],
                "credit_kinds": [transfer.credit.kind for transfer in transfers],
                "assets": [transfer.debit.asset for transfer in transfers],
                "amounts": [transfer.amount for transfer in transfers],
                "now": now,
            },
        )

    async def document(
        self,
        transfers: Sequence[Transfer],
        *,
        actor: str,
        references: Sequence[str],
        now: datetime,
        repeats: UUID | None = None,
    ) -> None:
        """See the port."""
        await later(
            self._tx,
            _DOCUMENT,
            {
                "ids": [transfer.id for transfer in transfers],
                "types": [transfer.type for transfer in transfers],
                "accounts": [account_id(transfer.credit) for transfer in transfers],
                "assets": [transfer.credit.asset for transfer in transfers],
                "amounts": [transfer.amount for transfer in transfers],
                "references": list(references),
                "causes": [transfer.cause for transfer in transfers],
                "correlations": [transfer.correlation_id for transfer in transfers],
                "actor": actor,
                "now": now,
                "repeats": repeats,
            },
        )

    async def earlier_funding(self, account: Account, *, reference: str) -> EarlierBooking | None:
        """See the port."""
        values = {"account": account_id(account), "reference": reference}
        row = (await self._tx.execute(_EARLIER, values)).one_or_none()
        if row is None:
            return None
        return EarlierBooking(id=row.id, reference=row.reference, amount=row.amount, by=row.actor, at=row.at)

    async def lock_balance(self, account: Account) -> int:
        """See the port."""
        rows = await fetch(self._tx, _LOCK, {"ids": [account_id(account)]})
        return int(rows[0].balance) if rows else 0

    async def lock_balances(self, accounts: Iterable[Account]) -> dict[Account, int]:
        """See the port."""
        by_id = {account_id(account): account for account in accounts}
        rows = await fetch(self._tx, _LOCK, {"ids": list(by_id)})
        return {by_id[row.id]: int(row.balance) for row in rows}

    async def lock_intake(self, asset: str) -> int:
        """See the port."""
        await self._tx.execute(_LOCK_INTAKE, {"asset": asset})
        return int((await self._tx.execute(_INTAKE, {"asset": asset})).scalar_one())


async def roll_up(tx: AsyncConnection, *, rows_max: int) -> int:
    """Roll movements of unbounded accounts up into their balances. Returns their number."""
    return int((await tx.execute(_ROLL_UP, {"rows_max": rows_max})).scalar_one())


_OPEN = Write(
    "ledger_accounts",
    "INSERT INTO ledger_accounts (id, kind, owner, asset, bound, balance, opened_at) "
    "SELECT u.id, u.kind, u.owner, u.asset, u.bound, CASE WHEN u.bound <> 'none' THEN 0 END, "
    "CAST(:now AS timestamptz) "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:owners AS text[]), CAST(:assets AS text[]), "
    "CAST(:bounds AS text[])) WITH ORDINALITY AS u(id, kind, owner, asset, bound, n) "
    "WHERE NOT EXISTS (SELECT 1 FROM ledger_accounts a WHERE a.id = u.id) ORDER BY u.n "
    "ON CONFLICT (id) DO NOTHING",
)


# The numbers of new groups rise in their order, so the array has them as ``:groups`` counts them.
POST = Write(
    "ledger_transfers",
    "INSERT INTO ledger_groups (cause, correlation_id) SELECT u.cause, u.correlation_id "
    "FROM unnest(CAST(:causes AS text[]), CAST(:correlations AS text[])) WITH ORDINALITY AS u(cause, correlation_id, n) "
    "ORDER BY u.n RETURNING no",
    "INSERT INTO ledger_transfers (group_no, id, type, debit_account, debit_kind, credit_account, credit_kind, asset, "
    "amount, at) SELECT g.numbers[u.group_n], u.id, u.type, u.debit_account, u.debit_kind, u.credit_account, "
    "u.credit_kind, u.asset, u.amount, CAST(:now AS timestamptz) "
    "FROM (SELECT array_agg(no ORDER BY no) AS numbers FROM {0}) AS g, "
    "unnest(CAST(:groups AS integer[]), CAST(:ids AS uuid[]), CAST(:types AS text[]), CAST(:debits AS uuid[]), "
    "CAST(:debit_kinds AS text[]), CAST(:credits AS uuid[]), CAST(:credit_kinds AS text[]), CAST(:assets AS text[]), "
    "CAST(:amounts AS bigint[])) WITH ORDINALITY AS u(group_n, id, type, debit_account, debit_kind, credit_account, "
    "credit_kind, asset, amount, n) ORDER BY u.n",
)


_DOCUMENT = Write(
    "money_in",
    "INSERT INTO money_in (id, type, account, asset, amount, reference, cause, correlation_id, actor, at, "
    "repeats) SELECT u.*, CAST(:actor AS text), CAST(:now AS timestamptz), CAST(:repeats AS uuid) FROM unnest(CAST(:ids AS uuid[]), "
    "CAST(:types AS text[]), CAST(:accounts AS uuid[]), CAST(:assets AS text[]), CAST(:amounts AS bigint[]), "
    "CAST(:references AS text[]), CAST(:causes AS text[]), CAST(:correlations AS text[])) AS u",
)


# Bookings from before references were compared without case may differ by case alone: then several repeat none, and the first counts.
_EARLIER = text(
    "SELECT id, reference, amount, actor, at FROM money_in WHERE account = :account "
    "AND lower(reference) = lower(CAST(:reference AS text)) AND type IN ('campaign_funded', 'funding_added') "
    "ORDER BY repeats IS NOT NULL, at, id LIMIT 1"
)


_LOCK = Read("SELECT id, balance FROM ledger_lock(CAST(:ids AS uuid[]))")


_LOCK_INTAKE = text("SELECT pg_advisory_xact_lock(hashtext('prizewire.intake'), hashtext(:asset))")


# A separate statement sees what the lock's last holder committed.
_INTAKE = text(
    "SELECT coalesce(-sum(balance), 0) FROM ledger_balances WHERE kind = 'external_in' AND asset = :asset"
)


_ROLL_UP = text("SELECT ledger_roll_up(:rows_max)")


class SqlHistory:
    """The history in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def add(self, transitions: Sequence[Transition], *, now: datetime) -> None:
        """Append transitions in their order."""
        await later(
            self._tx,
            _ADD,
            {
                "machines": [step.machine for step in transitions],
                "subjects": [step.subject for step in transitions],
                "froms": [step.was for step in transitions],
                "tos": [step.to for step in transitions],
                "causes": [step.cause for step in transitions],
                "correlations": [step.correlation_id for step in transitions],
                "now": now,
            },
        )


_ADD = Write(
    "transitions",
    "INSERT INTO transitions (machine, subject, from_state, to_state, cause, correlation_id, at) "
    "SELECT u.machine, u.subject, u.was, u.became, u.cause, u.correlation_id, CAST(:now AS timestamptz) "
    "FROM unnest(CAST(:machines AS text[]), CAST(:subjects AS uuid[]), CAST(:froms AS text[]), "
    "CAST(:tos AS text[]), CAST(:causes AS text[]), CAST(:correlations AS text[])) "
    "WITH ORDINALITY AS u(machine, subject, was, became, cause, correlation_id, n) ORDER BY u.n",
)


Place = tuple[datetime, UUID]
"""Time of the last change, and id, of a row."""


def page_of_changes(
    select: str, *, since: datetime | None, before: Place | None, limit: int
) -> tuple[TextClause, dict[str, Any]]:
    """Build a statement and its values: the rows of ``select`` that the database stored at
    ``since`` or later and that follow ``before``. Nobody who writes a row can choose that time.

    The statement has only the conditions that the caller names. A plan that fits all conditions would scan the index from
    its end for each page.
    """
    wheres = ["true"]
    values: dict[str, Any] = {"limit": limit}
    if since is not None:
        wheres.append("stored_at >= CAST(:since AS timestamptz)")
        values["since"] = since
    if before is not None:
        wheres.append("(stored_at, id) < (CAST(:at AS timestamptz), CAST(:id AS uuid))")
        values |= {"at": before[0], "id": before[1]}
    return text(
        f"{select} WHERE {' AND '.join(wheres)} ORDER BY stored_at DESC, id DESC LIMIT :limit"
    ), values
