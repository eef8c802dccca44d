"""Exports of histories as streamed CSV, and statements as PDF."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Final

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Problem
from prizewire_chassis.http.cells import safe_cell
from prizewire_chassis.http.moments import END_SCHEMA, MOMENT_SCHEMA, period_of
from prizewire_money import Asset
from prizewire_rewards.http.bodies import ASSET_PATTERN, PlayerFilter
from prizewire_rewards.http.context import Amounts, player_of
from prizewire_rewards.ledger.domain.accounts import TransferType
from prizewire_rewards.wallets.domain.history import CATEGORY_OF, EntryFilter, EntryPage, HistoryEntry
from prizewire_rewards.wallets.domain.statement import Statement
from prizewire_rewards.wallets.http.listing import (
    FILTER_REFUSALS,
    HistoryFilters,
    HistoryQuery,
    WalletContext,
    arrives_of,
    fees_of,
    filter_of,
    side_of,
)
from prizewire_rewards.wallets.storage.histories import history_page, statement_of

ROWS_PER_READ: Final = 2_000
"""Rows of one read, in a transaction of its own. A slow reader must neither fill the memory nor hold back the
database's vacuum.
"""
SCAN_PER_READ: Final = 20_000
STATEMENT_ENTRIES_MAX: Final = 2_000
_CSV: Final = "text/csv; charset=utf-8; header=present"
_BEGIN = (
    "The beginning of the statement: a date, which means its beginning in UTC, or an RFC 3339 moment with its time zone. "
    "1970 to 9998."
)
_END = (
    "The end of the statement, exclusive, after `from`: a date, which means its beginning in UTC, or an RFC 3339 moment with its time zone. "
    "1970 to 9998."
)


def _common(amounts: Amounts, entry: HistoryEntry) -> tuple[str, ...]:
    type_ = TransferType(entry.type)
    return (
        str(entry.id),
        entry.at.isoformat(),
        entry.type,
        CATEGORY_OF[type_],
        entry.status,
        entry.asset,
        amounts.text(entry.asset, entry.amount),
        "; ".join(f"{fee.amount} {fee.asset} ({fee.borne_by})" for fee in fees_of(amounts, entry)),
        arrives_of(amounts, entry) or "",
        (entry.payout and entry.payout.code) or "",
    )


_COMMON: Final = ("id", "at", "type", "category", "status", "asset", "amount", "fees", "arrives", "code")
_OF_PLAYER: Final = (
    *_COMMON,
    "direction",
    "from_bucket",
    "to_bucket",
    "correlation_id",
    "group_id",
    "debt_id",
)
_OF_ALL: Final = (
    *_COMMON, "debit_kind", "debit_owner", "credit_kind", "credit_owner", "cause", "correlation_id", "group_id",
    "reference", "booked_by", "repeats", "debt_id",
)  # fmt: skip


def _row_of_player(amounts: Amounts, entry: HistoryEntry, *, player: str) -> tuple[str, ...]:
    side = [word or "" for word in side_of(entry, player=player)]
    return (*_common(amounts, entry), *side, entry.correlation_id, str(entry.group), str(entry.debt or ""))


def _row_of_all(amounts: Amounts, entry: HistoryEntry) -> tuple[str, ...]:
    accounts = (entry.debit_kind, entry.debit_owner, entry.credit_kind, entry.credit_owner)
    came = entry.money_in
    booked = ("", "", "") if came is None else (came.reference, came.booked_by, str(came.repeats or ""))
    of = (entry.cause, entry.correlation_id, str(entry.group))
    return (*_common(amounts, entry), *accounts, *of, *booked, str(entry.debt or ""))


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    """Rows as CSV, by RFC 4180."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([[safe_cell(cell) for cell in row] for row in rows])
    return text.getvalue().encode()


async def _export(context: WalletContext, query: HistoryFilters, *, player: str | None) -> Stream:
    """Every entry that the filters select, newest first. Wrong filters are refused before the first row.

    Raises:
        Problem: as ``filter_of``.
    """
    wanted = replace(
        filter_of(context.amounts, query, player=player, limit=ROWS_PER_READ), scan=SCAN_PER_READ
    )
    row_of: Callable[[HistoryEntry], Sequence[str]]
    columns: Sequence[str]
    if player is None:
        columns, row_of = _OF_ALL, partial(_row_of_all, context.amounts)
    else:
        columns, row_of = _OF_PLAYER, partial(_row_of_player, context.amounts, player=player)
    first = await context.read(partial(history_page, wanted=wanted, assets=list(context.amounts.assets)))
    return Stream(
        _rows(context, wanted, first, columns=columns, row_of=row_of),
        media_type=_CSV,
        headers={"content-disposition": 'attachment; filename="transactions.csv"'},
    )


async def _rows(
    context: WalletContext,
    wanted: EntryFilter,
    page: EntryPage,
    *,
    columns: Sequence[str],
    row_of: Callable[[HistoryEntry], Sequence[str]],
) -> AsyncIterator[bytes]:
    yield _csv([columns])
    while True:
        if page.entries:
            yield _csv([row_of(entry) for entry in page.entries])
        if page.resume is None:
            return
        page = await context.read(
            partial(
                history_page, wanted=replace(wanted, before=page.resume), assets=list(context.amounts.assets)
            )
        )


def _rendered(statement: Statement, asset: Asset) -> bytes:
    # The PDF library takes tens of megabytes of memory, so it is loaded with the first document.
    from prizewire_rewards.wallets.http.statement_pdf import render_statement  # noqa: PLC0415 - see above

    return render_statement(statement, asset=asset)


class WalletExportController(Controller):
    """Exports of one player. Operators and admins may name a player."""

    path = "/api/wallet"
    tags = ["wallet"]  # noqa: RUF012 - Litestar reads a plain list

    @get(
        "/transactions.csv",
        guards=[require()],
        summary="The whole history as CSV, newest first",
        media_type=_CSV,
        refusals={400: FILTER_REFUSALS},
    )
    async def transactions(
        self,
        *,
        context: NamedDependency[WalletContext],
        request: Request[Principal, Any, Any],
        history: HistoryQuery,
        player: PlayerFilter = None,
    ) -> Stream:
        """All entries that the filters of the listing select, with a header, by RFC 4180."""
        return await _export(context, history, player=player_of(request.user, player))

    @get(
        "/statement.pdf",
        guards=[require()],
        summary="A statement in one asset over a period, as PDF, oldest entry first",
        media_type="application/pdf",
        refusals={400: ("asset_unknown", "period_invalid"), 422: ("statement_too_long",)},
    )
    async def statement(
        self,
        *,
        context: NamedDependency[WalletContext],
        request: Request[Principal, Any, Any],
        asset: Annotated[
            str,
            QueryParameter(
                name="asset", description="An asset's code.", schema_extra={"pattern": ASSET_PATTERN}
            ),
        ],
        since: Annotated[str, QueryParameter(name="from", description=_BEGIN, schema_extra=MOMENT_SCHEMA)],
        until: Annotated[str, QueryParameter(name="to", description=_END, schema_extra=END_SCHEMA)],
        player: PlayerFilter = None,
    ) -> Response[bytes]:
        """Opening balance, entries from the oldest to the newest with the balance after each, closing balance, and totals
        by category. Use the CSV for a longer history.
        """
        owner = player_of(request.user, player)
        of = context.amounts.asset(asset, status=400)
        begin, end = period_of(since, until)
        found = await context.read(
            lambda tx: statement_of(
                tx, player=owner, asset=of.code, since=begin, until=end, limit=STATEMENT_ENTRIES_MAX
            )
        )
        if found is None:
            detail = (
                f"the period has more than {STATEMENT_ENTRIES_MAX} entries: use a shorter period, or the CSV"
            )
            raise Problem(status=422, code="statement_too_long", detail=detail)
        document = await asyncio.to_thread(_rendered, found, of)
        name = f"statement-{of.code}-{begin:%Y%m%d}-{end:%Y%m%d}.pdf"
        return Response(
            document,
            media_type="application/pdf",
            headers={"content-disposition": f'attachment; filename="{name}"'},
        )


class TransactionExportController(Controller):
    """The whole ledger, for admins."""

    path = "/api/transactions"
    tags = ["transactions"]  # noqa: RUF012 - Litestar reads a plain list

    @get(
        "/all.csv",
        guards=[require(Role.ADMIN)],
        summary="Every transfer as CSV, newest first; or one player's",
        media_type=_CSV,
        refusals={400: FILTER_REFUSALS},
    )
    async def everything(
        self,
        *,
        context: NamedDependency[WalletContext],
        history: HistoryQuery,
        player: FromQuery[str | None] = None,
    ) -> Stream:
        """All transfers that the filters of the listing select, with a header, by RFC 4180."""
        return await _export(context, history, player=player)
