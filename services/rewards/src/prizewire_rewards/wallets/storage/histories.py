"""Histories: pages of transfers. Each page uses an index and has a bounded cost, whatever the length of the history.

An index has the entries of each account by time and sequence number. No index has the whole ledger by time, so it is read
by sequence number. Times and numbers have the same order except for the duration of transactions (``SKEW_MAX``), so a time
can be converted to a number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.ledger.storage.accounts import account_id, group_id
from prizewire_rewards.payouts.domain.model import PayoutState
from prizewire_rewards.wallets.domain.history import (
    EntryFilter,
    EntryPage,
    HistoryEntry,
    MoneyIn,
    PayoutAmounts,
    PayoutFee,
    Position,
)
from prizewire_rewards.wallets.domain.statement import BUCKETS, Statement
from prizewire_rewards.wallets.domain.statuses import Status
from prizewire_rewards.wallets.storage.statuses import HAS_STATUS, PAYOUT_OF, STATUS, plain_types

SKEW_MAX: Final = timedelta(hours=1)
"""The most by which the order of sequence numbers and the order of times may differ."""
LEDGER_SCAN_TIMES: Final = 10
"""A page of the whole ledger reads this many times the entries of a page of a wallet: it reads one index, not several."""
SIDES: Final = ("credit", "debit")


class _Walk(NamedTuple):
    """Entries on one side of accounts, in the order of an index. ``condition`` is that of the index, and ``accounts`` names the
    parameter with the ids of the accounts.
    """

    side: str
    condition: str
    accounts: str


_WALLETS: Final = {side: _Walk(side, f"t.{side}_kind LIKE 'wallet:%'", "wallets") for side in SIDES}
_DEBTS: Final = _Walk("debit", "t.debit_kind = 'receivable'", "debts")
"""The opening of debts, which changes no wallet."""


class _Owned(NamedTuple):
    """The accounts of a player: the buckets of the wallets, and what the player owes."""

    wallets: Sequence[UUID] = ()
    debts: Sequence[UUID] = ()


async def history_page(tx: AsyncConnection, wanted: EntryFilter, *, assets: Sequence[str]) -> EntryPage:
    """A page of transfers, newest first. ``assets`` are the codes of all assets."""
    owned = _Owned()
    if wanted.player is not None:
        owned = _owned(wanted.player, assets if wanted.asset is None else [wanted.asset])
    if wanted.types is not None and not wanted.types:
        return EntryPage(entries=[], resume=None)
    if wanted.correlation_id is not None:
        return await _of_correlation(tx, wanted, owned=owned)
    if wanted.player is not None:
        return await _of_wallets(tx, wanted, owned=owned)
    return await _of_ledger(tx, wanted)


def _owned(player: str, codes: Sequence[str]) -> _Owned:
    return _Owned(
        wallets=[account_id(Account(bucket, player, code)) for bucket in BUCKETS for code in codes],
        debts=[account_id(Account(Kind.RECEIVABLE, player, code)) for code in codes],
    )


def _walks_of(side: str | None) -> list[_Walk]:
    """The walks of a player's history: of one side of the wallets, or of both with the player's debts."""
    return [*_WALLETS.values(), _DEBTS] if side is None else [_WALLETS[side]]


async def find_entry(tx: AsyncConnection, transfer_id: UUID) -> HistoryEntry | None:
    """One transfer; None where it does not exist."""
    row = (await tx.execute(_ONE, {"id": transfer_id})).one_or_none()
    return None if row is None else _entry_of(row)


async def statement_of(
    tx: AsyncConnection,
    *,
    player: str,
    asset: str,
    since: datetime,
    until: datetime,
    limit: int,
) -> Statement | None:
    """A player's entries in one asset over ``since`` ≤ time < ``until``, oldest first, with the opening balance of each
    bucket: the present balance less all later entries. None where there are more than ``limit`` entries. The opening of a
    debt is an entry too; it changes no bucket.

    The transaction must not have read before, so that balances and entries are of one snapshot.
    """
    await tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
    wallets = {bucket: account_id(Account(bucket, player, asset)) for bucket in BUCKETS}
    ids = list(wallets.values())
    opening = await tx.execute(_OPENING, {"wallets": ids, "since": since})
    by_account = {row.id: int(row.balance) for row in opening}
    debts = [account_id(Account(Kind.RECEIVABLE, player, asset))]
    period = {"wallets": ids, "debts": debts, "since": since, "until": until, "reach": limit + 1}
    found = await tx.execute(_PERIOD, period)
    entries = [_entry_of(row) for row in found]
    if len(entries) > limit:
        return None
    return Statement(
        player=player,
        asset=asset,
        since=since,
        until=until,
        opening={bucket: by_account.get(account, 0) for bucket, account in wallets.items()},
        entries=entries,
    )


async def _of_wallets(tx: AsyncConnection, wanted: EntryFilter, *, owned: _Owned) -> EntryPage:
    """A page of wallets. Each side of each wallet, and the debts in each asset, are one backward index scan of at most the
    entries of a page.
    """
    walked = _walks_of(wanted.side)
    conditions, values = _conditions(replace(wanted, asset=None))
    values |= {"reach": wanted.limit + wanted.offset, **_accounts(owned, walked)}
    if wanted.before is not None:
        conditions.append("(t.at, t.seq) < (:before_at, :before_seq)")
        values |= {"before_at": wanted.before.at, "before_seq": wanted.before.seq}
    end = None
    if wanted.types is not None:
        walks = " UNION ALL ".join(
            _walk(walk, [one for one in conditions if "t.type" not in one], what="t.at, t.seq", skip=True)
            for walk in walked
        )
        statement = f"SELECT n.at, n.seq FROM ({walks}) n ORDER BY n.at DESC, n.seq DESC LIMIT 1"  # noqa: S608 - fixed words
        end = await _end(tx, statement, {**values, "scan": wanted.scan})
    if end is not None:
        conditions.append("(t.at, t.seq) >= (:end_at, :end_seq)")
        values |= {"end_at": end.at, "end_seq": end.seq}
    walks = " UNION ".join(_walk(walk, conditions, what="t.*") for walk in walked)
    found = f"SELECT t.* FROM ({walks}) t {_BY_TIME} LIMIT :limit OFFSET :offset"  # noqa: S608 - fixed words
    return await _page(tx, found, _BY_TIME, values, wanted=wanted, end=end)


def _accounts(owned: _Owned, walked: Sequence[_Walk]) -> dict[str, list[UUID]]:
    """The parameters of these walks."""
    return {walk.accounts: list(getattr(owned, walk.accounts)) for walk in walked}


def _walk(walk: _Walk, conditions: Sequence[str], *, what: str, skip: bool = False) -> str:
    mine = [f"t.{walk.side}_account = w.id", walk.condition, *conditions]
    bound = "OFFSET :scan LIMIT 1" if skip else "LIMIT :reach"
    return (
        f"SELECT n.* FROM unnest(CAST(:{walk.accounts} AS uuid[])) AS w(id) CROSS JOIN LATERAL ("  # noqa: S608 - fixed words
        f"SELECT {what} FROM ledger_transfers t WHERE {' AND '.join(mine)} {_BY_TIME} {bound}) n"
    )


async def _of_ledger(tx: AsyncConnection, wanted: EntryFilter) -> EntryPage:
    """A page of the whole ledger: a backward scan of the index of sequence numbers, from the number of ``until`` where given."""
    conditions, values = _conditions(wanted)
    bounds: list[str] = []
    if wanted.until is not None:
        bounds.append("t.seq < :below")
        values["below"] = await _number_at(tx, wanted.until + SKEW_MAX)
    if wanted.since is not None:
        bounds.append("t.seq >= :from_number")
        values["from_number"] = await _number_at(tx, wanted.since - SKEW_MAX)
    if wanted.before is not None:
        bounds.append("t.seq < :before_seq")
        values["before_seq"] = wanted.before.seq
    end = None
    if conditions:
        scan = {**values, "scan": wanted.scan * LEDGER_SCAN_TIMES}
        below = f"WHERE {' AND '.join(bounds)} " if bounds else ""
        walk = f"SELECT t.seq FROM ledger_transfers t {below}{_BY_NUMBER} OFFSET :scan LIMIT 1"  # noqa: S608 - fixed words
        statement = f"SELECT t.at, t.seq FROM ledger_transfers t WHERE t.seq = ({walk})"  # noqa: S608 - fixed words
        end = await _end(tx, statement, scan)
    if end is not None:
        bounds.append("t.seq >= :end_seq")
        values["end_seq"] = end.seq
    wheres = [*conditions, *bounds]
    where = f"WHERE {' AND '.join(wheres)} " if wheres else ""
    found = f"SELECT t.* FROM ledger_transfers t {where}{_BY_NUMBER} LIMIT :limit OFFSET :offset"  # noqa: S608 - fixed words
    return await _page(tx, found, _BY_NUMBER, values, wanted=wanted, end=end)


async def _of_correlation(tx: AsyncConnection, wanted: EntryFilter, *, owned: _Owned) -> EntryPage:
    """A page of one correlation id, by the index of correlation ids."""
    conditions, values = _conditions(wanted)
    values["correlation_id"] = wanted.correlation_id
    if wanted.player is not None:
        walked = _walks_of(wanted.side)
        mine = " OR ".join(
            f"(t.{walk.side}_account = ANY (CAST(:{walk.accounts} AS uuid[])) AND {walk.condition})"
            for walk in walked
        )
        conditions.append(f"({mine})")
        values |= _accounts(owned, walked)
    order = _BY_NUMBER if wanted.player is None else _BY_TIME
    if wanted.before is not None:
        conditions.append(
            "t.seq < :before_seq" if wanted.player is None else "(t.at, t.seq) < (:before_at, :before_seq)"
        )
        values |= {"before_seq": wanted.before.seq}
        values |= {} if wanted.player is None else {"before_at": wanted.before.at}
    where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
    # OFFSET 0 prevents that the planner scans another index and filters by correlation id.
    found = (
        "SELECT t.* FROM (SELECT * FROM ledger_journal WHERE correlation_id = :correlation_id OFFSET 0) t "  # noqa: S608 - fixed words
        f"{where}{order} LIMIT :limit OFFSET :offset"
    )
    return await _page(tx, found, order, values, wanted=wanted, end=None)


def _conditions(wanted: EntryFilter) -> tuple[list[str], dict[str, Any]]:
    """The conditions of the given filters only, so that each combination has its own plan."""
    filters: dict[str, tuple[str, Any]] = {
        "types": ("t.type = ANY (CAST(:types AS text[]))", sorted(wanted.types or ())),
        "asset": ("t.asset = :asset", wanted.asset),
        "since": ("t.at >= :since", wanted.since),
        "until": ("t.at < :until", wanted.until),
    }
    named = [name for name in filters if getattr(wanted, name) is not None]
    conditions, values = [filters[name][0] for name in named], {name: filters[name][1] for name in named}
    if wanted.status is not None:
        conditions.append(HAS_STATUS)
        values |= {"status": wanted.status, "plain": plain_types(wanted.status)}
    return conditions, values


async def _page(
    tx: AsyncConnection,
    found: str,
    order: str,
    values: Mapping[str, Any],
    *,
    wanted: EntryFilter,
    end: Position | None,
) -> EntryPage:
    statement = f"{_COLUMNS} FROM ({found}) t {_JOINS} {order}"
    rows = await tx.execute(text(statement), {**values, "limit": wanted.limit, "offset": wanted.offset})
    entries = [_entry_of(row) for row in rows]
    full = len(entries) == wanted.limit
    resume = Position(entries[-1].at, entries[-1].seq) if full else end
    return EntryPage(entries=entries, resume=resume)


async def _end(tx: AsyncConnection, statement: str, values: Mapping[str, Any]) -> Position | None:
    """The last entry that this page may read; None where it may read to the end."""
    row = (await tx.execute(text(statement), dict(values))).one_or_none()
    return None if row is None else Position(row.at, row.seq)


async def _number_at(tx: AsyncConnection, moment: datetime) -> int:
    """The sequence number at ``moment``, except for the skew: earlier transfers have smaller numbers. It is found by binary
    search.
    """
    low, high = 1, (await tx.execute(_TOP)).scalar_one() + 1
    while low < high:
        middle = (low + high) // 2
        row = (await tx.execute(_FROM_NUMBER, {"number": middle})).one()
        if row.at >= moment:
            high = middle
        else:
            low = row.seq + 1
    return low


def _entry_of(row: Any) -> HistoryEntry:
    return HistoryEntry(
        seq=row.seq,
        id=row.id,
        group=group_id(row.cause),
        type=row.type,
        asset=row.asset,
        amount=row.amount,
        debit_kind=row.debit_kind,
        debit_owner=row.debit_owner,
        credit_kind=row.credit_kind,
        credit_owner=row.credit_owner,
        cause=row.cause,
        correlation_id=row.correlation_id,
        at=row.at,
        status=Status(row.status),
        payout=None if row.payout_state is None else _amounts_of(row),
        money_in=None if row.reference is None else MoneyIn(row.reference, row.booked_by, row.repeats),
    )


def _amounts_of(row: Any) -> PayoutAmounts:
    """The costs of a payout. A payout that ended without payment costs nothing."""
    ended = row.payout_state in _WITHOUT_EFFECT
    outcome = {} if row.outcome is None else orjson.loads(row.outcome)
    rail = None
    if not ended and str(outcome.get("fee", "")).strip("0."):
        rail = PayoutFee(outcome["fee_asset"], outcome["fee"], outcome["fee_borne_by"])
    code = outcome.get("code") if ended else None
    return PayoutAmounts(
        fee=0 if ended else row.fee, rail=rail, ended=ended, code=code, exchanged=row.pay_asset is not None
    )


_BY_TIME: Final = "ORDER BY t.at DESC, t.seq DESC"
_BY_NUMBER: Final = "ORDER BY t.seq DESC"
_COLUMNS: Final = (
    "SELECT t.seq, t.id, t.type, t.asset, t.amount, t.debit_kind, d.owner AS debit_owner, "
    f"t.credit_kind, c.owner AS credit_owner, g.cause, g.correlation_id, t.at, {STATUS} AS status, "
    "p.state AS payout_state, p.fee, p.pay_asset, p.outcome, m.reference, m.actor AS booked_by, m.repeats"
)
_JOINS: Final = (
    "JOIN ledger_groups g ON g.no = t.group_no JOIN ledger_accounts d ON d.id = t.debit_account JOIN ledger_accounts c ON c.id = t.credit_account "
    f"{PAYOUT_OF} LEFT JOIN money_in m ON m.id = t.id"
)
_WITHOUT_EFFECT: Final = frozenset({PayoutState.FAILED, PayoutState.REJECTED, PayoutState.CANCELLED})
_ONE = text(f"{_COLUMNS} FROM ledger_transfers t {_JOINS} WHERE t.id = :id")
_TOP = text("SELECT coalesce(max(seq), 0) FROM ledger_transfers")
_FROM_NUMBER = text("SELECT seq, at FROM ledger_transfers WHERE seq >= :number ORDER BY seq LIMIT 1")
_OPENING = text(
    "SELECT a.id, a.balance "
    "- coalesce((SELECT sum(t.amount) FROM ledger_transfers t WHERE t.credit_account = a.id "
    "AND t.credit_kind LIKE 'wallet:%' AND t.at >= :since), 0) "
    "+ coalesce((SELECT sum(t.amount) FROM ledger_transfers t WHERE t.debit_account = a.id "
    "AND t.debit_kind LIKE 'wallet:%' AND t.at >= :since), 0) AS balance "
    "FROM ledger_accounts a WHERE a.id = ANY (CAST(:wallets AS uuid[]))"
)
_PERIOD_WALKS: Final = " UNION ".join(
    f"SELECT n.* FROM unnest(CAST(:{walk.accounts} AS uuid[])) AS w(id) CROSS JOIN LATERAL ("  # noqa: S608 - fixed words
    f"SELECT t.* FROM ledger_transfers t WHERE t.{walk.side}_account = w.id AND {walk.condition} "
    "AND t.at >= :since AND t.at < :until ORDER BY t.at, t.seq LIMIT :reach) n"
    for walk in _walks_of(None)
)
_PERIOD = text(f"{_COLUMNS} FROM ({_PERIOD_WALKS}) t {_JOINS} ORDER BY t.at, t.seq LIMIT :reach")
