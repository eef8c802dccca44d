"""Listings of transfers, with the same filters for players and admins."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, NamedTuple

from litestar.di import NamedDependency
from litestar.params import QueryParameter

from prizewire_chassis.http import Problem, cursor_key, page_limit
from prizewire_chassis.http.answers import PageOf
from prizewire_chassis.http.cursors import MOMENT, number
from prizewire_chassis.http.moments import END_SCHEMA, MOMENT_SCHEMA, period_of
from prizewire_rewards.http.bodies import ASSET_PATTERN
from prizewire_rewards.http.context import Amounts, Context
from prizewire_rewards.ledger.domain.accounts import Kind, TransferType
from prizewire_rewards.payouts.ports import PayoutTools
from prizewire_rewards.wallets.domain.history import (
    CATEGORY_OF,
    SCAN_MAX,
    Category,
    EntryFilter,
    HistoryEntry,
    PayoutFee,
    Position,
    types_of,
)
from prizewire_rewards.wallets.domain.statuses import Status, types_with
from prizewire_rewards.wallets.http.transfer_answers import (
    AccountAnswer,
    Bucket,
    Direction,
    LedgerTransferAnswer,
    PayoutFeeAnswer,
    PlayerTransferAnswer,
)
from prizewire_rewards.wallets.ports import WalletPorts
from prizewire_rewards.wallets.storage.histories import history_page

WalletContext = Context[WalletPorts, PayoutTools]
_BY_TIME_AND_SEQUENCE: Final = cursor_key(MOMENT, number(0, 2**63 - 1))

_BUCKET_OF: dict[str, Bucket] = {Kind.WINNINGS: "winnings", Kind.TOPUP: "topup", Kind.PENDING: "pending"}
PAGES_SCAN_MAX = 50_000
"""The most entries that a filtered page by number reads."""
PAGE_MAX = 200
"""The last page by number. It lies within ``PAGES_SCAN_MAX`` also with the largest pages. Use a cursor for more pages."""
FILTER_REFUSALS = ("asset_unknown", "type_unknown", "status_unknown", "period_invalid")
"""The codes of wrong filters (400)."""
PAGE_REFUSALS = (*FILTER_REFUSALS, "page_invalid")
_TYPES = (
    "A type of transfer or a category. In the history of one player, `credit` finds what a bucket receives and `debit` "
    "what a bucket pays: a move between two buckets is found by both, and the opening of a debt by neither."
)
_FROM = (
    "No earlier than this: a date, which means its beginning in UTC, or an RFC 3339 moment with its time zone. "
    "1970 to 9998."
)
_TO = (
    "Earlier than this, which is after `from`: a date, which means its beginning in UTC, or an RFC 3339 moment with its time zone. "
    "1970 to 9998."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilters:
    """The filters of a history. ``type`` is a transfer type or a category. In a player's history ``credit`` and ``debit`` are
    sides.
    """

    type: str | None
    status: str | None
    asset: str | None
    since: str | None
    until: str | None
    correlation_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPaging:
    """The page of a history: by cursor, or by number as in earlier systems."""

    cursor: str | None
    limit: int | None
    page: int | None


class WalletSide(NamedTuple):
    """The effect of a transfer on one player's wallet."""

    direction: Direction
    from_bucket: Bucket | None
    to_bucket: Bucket | None


def provide_history(
    *,
    type_: Annotated[
        str | None,
        QueryParameter(
            name="type", description=_TYPES, schema_extra={"enum": sorted({*TransferType, *Category})}
        ),
    ] = None,
    status: Annotated[
        str | None,
        QueryParameter(
            name="status",
            description="The status of the entry's money.",
            schema_extra={"enum": sorted(Status)},
        ),
    ] = None,
    asset: Annotated[
        str | None,
        QueryParameter(name="asset", description="An asset's code.", schema_extra={"pattern": ASSET_PATTERN}),
    ] = None,
    since: Annotated[
        str | None,
        QueryParameter(name="from", description=_FROM, schema_extra=MOMENT_SCHEMA),
    ] = None,
    until: Annotated[
        str | None,
        QueryParameter(name="to", description=_TO, schema_extra=END_SCHEMA),
    ] = None,
    correlation_id: Annotated[
        str | None, QueryParameter(name="correlation_id", description="Only entries of one match or payout.")
    ] = None,
) -> HistoryFilters:
    """The filters of a request."""
    return HistoryFilters(
        type=type_,
        status=status,
        asset=asset,
        since=since,
        until=until,
        correlation_id=correlation_id,
    )


def provide_paging(
    *,
    cursor: Annotated[str | None, QueryParameter(name="cursor")] = None,
    limit: Annotated[int | None, QueryParameter(name="limit")] = None,
    page: Annotated[
        int | None,
        QueryParameter(
            name="page",
            description="The number of the page, from 1, as in earlier systems. Use a cursor for further pages.",
            schema_extra={"minimum": 1, "maximum": PAGE_MAX},
        ),
    ] = None,
) -> HistoryPaging:
    """The page that a request asks for."""
    return HistoryPaging(cursor=cursor, limit=limit, page=page)


def filter_of(amounts: Amounts, query: HistoryFilters, *, player: str | None, limit: int) -> EntryFilter:
    """The filter of a request, for one player's wallets or for all transfers, from the beginning of the list.

    Raises:
        Problem: 400 with one of ``FILTER_REFUSALS``.
    """
    if query.asset is not None:
        amounts.asset(query.asset, status=400)
    types = side = status = None
    if query.type in ("credit", "debit") and player is not None:
        side = query.type
    elif query.type is not None:
        types = types_of(query.type)
        if types is None:
            detail = (
                f"there is no type or category {query.type}: see the parameter `type` in the API document"
            )
            raise Problem(status=400, code="type_unknown", detail=detail)
    if query.status is not None:
        if query.status not in set(Status):
            detail = f"there is no status {query.status}: use {', '.join(Status)}"
            raise Problem(status=400, code="status_unknown", detail=detail)
        status = Status(query.status)
        alike = types_with(status)
        types = alike if types is None else types & alike
    begin, end = period_of(query.since, query.until)
    return EntryFilter(
        limit=limit,
        scan=SCAN_MAX,
        player=player,
        types=types,
        status=status,
        asset=query.asset,
        side=side,
        since=begin,
        until=end,
        correlation_id=query.correlation_id,
    )


async def player_page(
    context: WalletContext, query: HistoryFilters, paging: HistoryPaging, *, player: str
) -> PageOf[PlayerTransferAnswer]:
    """One page of a player's history, newest first. A page with filters may be short or empty before the last: it reads
    a bounded part of the history, and its cursor continues there.

    Raises:
        Problem: 400 ``limit_invalid``, ``cursor_invalid``, or one of ``PAGE_REFUSALS``.
    """
    entries, following = await _page(context, query, paging, player=player)
    return PageOf(
        items=[player_transfer(context.amounts, entry, player=player) for entry in entries],
        next_cursor=following,
    )


async def ledger_page(
    context: WalletContext, query: HistoryFilters, paging: HistoryPaging, *, player: str | None
) -> PageOf[LedgerTransferAnswer]:
    """One page of transfers with both accounts, newest first: of one player's wallets, or of the whole ledger.

    Raises:
        Problem: as ``player_page``.
    """
    entries, following = await _page(context, query, paging, player=player)
    return PageOf(
        items=[ledger_transfer(context.amounts, entry, player=player) for entry in entries],
        next_cursor=following,
    )


async def _page(
    context: WalletContext, query: HistoryFilters, paging: HistoryPaging, *, player: str | None
) -> tuple[Sequence[HistoryEntry], str | None]:
    size = page_limit(paging.limit)
    offset = 0
    if paging.page is not None:
        if not 1 <= paging.page <= PAGE_MAX:
            detail = f"page is between 1 and {PAGE_MAX}: use a cursor for further pages"
            raise Problem(status=400, code="page_invalid", detail=detail)
        offset = (paging.page - 1) * size
    filters = filter_of(context.amounts, query, player=player, limit=size)
    resumed = _BY_TIME_AND_SEQUENCE.read(paging.cursor)
    wanted = replace(
        filters,
        before=None if resumed is None else Position(*resumed),
        offset=offset,
        scan=PAGES_SCAN_MAX if offset else SCAN_MAX,
    )
    found = await context.read(lambda tx: history_page(tx, wanted, assets=list(context.amounts.assets)))
    resume = found.resume
    return found.entries, None if resume is None else _BY_TIME_AND_SEQUENCE.write(resume)


def player_transfer(amounts: Amounts, entry: HistoryEntry, *, player: str) -> PlayerTransferAnswer:
    """A transfer as its player sees it."""
    direction, from_bucket, to_bucket = side_of(entry, player=player)
    return PlayerTransferAnswer(
        **_shown(amounts, entry), direction=direction, from_bucket=from_bucket, to_bucket=to_bucket
    )


def ledger_transfer(amounts: Amounts, entry: HistoryEntry, *, player: str | None) -> LedgerTransferAnswer:
    """A transfer with both accounts, and with the side of ``player`` where one is given."""
    side = None if player is None else side_of(entry, player=player)
    return LedgerTransferAnswer(
        **_shown(amounts, entry),
        debit=AccountAnswer(kind=Kind(entry.debit_kind), owner=entry.debit_owner),
        credit=AccountAnswer(kind=Kind(entry.credit_kind), owner=entry.credit_owner),
        cause=entry.cause,
        reference=None if entry.money_in is None else entry.money_in.reference,
        booked_by=None if entry.money_in is None else entry.money_in.booked_by,
        repeats=None if entry.money_in is None else entry.money_in.repeats,
        direction=None if side is None else side.direction,
        from_bucket=None if side is None else side.from_bucket,
        to_bucket=None if side is None else side.to_bucket,
    )


def _shown(amounts: Amounts, entry: HistoryEntry) -> dict[str, Any]:
    """The members of every answer with a transfer."""
    type_ = TransferType(entry.type)
    fees = None
    if entry.payout is not None:
        fees = [
            PayoutFeeAnswer(asset=fee.asset, amount=fee.amount, borne_by=fee.borne_by)
            for fee in fees_of(amounts, entry)
        ]
    return {
        "id": entry.id,
        "type": type_,
        "category": CATEGORY_OF[type_],
        "status": entry.status,
        "asset": entry.asset,
        "amount": amounts.text(entry.asset, entry.amount),
        "at": entry.at,
        "correlation_id": entry.correlation_id,
        "group_id": entry.group,
        "debt_id": entry.debt,
        "fees": fees,
        "arrives": arrives_of(amounts, entry),
        "code": None if entry.payout is None else entry.payout.code,
    }


def fees_of(amounts: Amounts, entry: HistoryEntry) -> list[PayoutFee]:
    """The fees of a payout request; empty for all other entries."""
    if entry.payout is None:
        return []
    fees = []
    if entry.payout.fee:
        fees.append(PayoutFee(entry.asset, amounts.text(entry.asset, entry.payout.fee), "player"))
    if entry.payout.rail is not None:
        fees.append(entry.payout.rail)
    return fees


def arrives_of(amounts: Amounts, entry: HistoryEntry) -> str | None:
    """The amount of a payout that arrives, as decimal text: the amount less the fees that player or recipient bear. None for
    a payout that ended without payment or pays in another asset, and for entries that are no payout request.
    """
    if entry.payout is None or entry.payout.ended or entry.payout.exchanged:
        return None
    left = entry.amount - entry.payout.fee
    rail = entry.payout.rail
    if rail is not None and rail.borne_by == "recipient" and rail.asset == entry.asset:
        left -= amounts.parse(rail.asset, rail.amount).minor
    return amounts.text(entry.asset, left)


def side_of(entry: HistoryEntry, *, player: str) -> WalletSide:
    """The effect of an entry on a player's wallet: the bucket that pays and the bucket that receives. The opening of a debt
    has neither.
    """
    from_bucket = _bucket_of(entry.debit_kind) if entry.debit_owner == player else None
    to_bucket = _bucket_of(entry.credit_kind) if entry.credit_owner == player else None
    if from_bucket is not None and to_bucket is not None:
        return WalletSide("internal", from_bucket, to_bucket)
    if entry.type == TransferType.RECEIVABLE_OPENED:
        return WalletSide("none", None, None)
    return WalletSide("debit" if to_bucket is None else "credit", from_bucket, to_bucket)


def _bucket_of(kind: str) -> Bucket | None:
    return _BUCKET_OF.get(kind)


HistoryQuery = NamedDependency[HistoryFilters]
"""The filters of a route with a history, provided by ``provide_history``."""
HistoryPage = NamedDependency[HistoryPaging]
"""The page of a route with a history, provided by ``provide_paging``."""
