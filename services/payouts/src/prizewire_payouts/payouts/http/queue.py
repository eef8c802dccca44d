"""The filters and orders of the payouts that wait for a person, beside those that every list of payouts has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from litestar.di import NamedDependency
from litestar.params import QueryParameter

from prizewire_chassis.http import BY_TIME_AND_ID, CursorKey, Problem, cursor_key
from prizewire_chassis.http.cursors import ID, MOMENT, TEXT, number
from prizewire_chassis.http.refusals import Refusals
from prizewire_contracts import text
from prizewire_money import Amount, Asset, InvalidAmount
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.domain.states import FINAL, PayoutState
from prizewire_payouts.payouts.storage.queries import Order, PayoutFilter, SortBy

QUEUE_REFUSALS: Refusals = {
    400: ("sort_unknown",),
    422: ("sort_needs_asset", "amount_needs_asset", "amount_invalid", "needs_open_states"),
}
"""400 for an unknown value, 422 for values that do not fit together."""
_CODE_PATTERN: Final = "^[a-z_]{1,64}$"
_AMOUNT_PATTERN: Final = r"^(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?$"
_SORTS: Final = tuple(f"{sign}{sort}" for sort in SortBy for sign in ("", "-"))
_OPEN: Final = frozenset(PayoutState) - FINAL - {PayoutState.PAID}
_MINOR_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFilters:
    """The query parameters of the queue, as they were sent."""

    payee: str | None = None
    code: str | None = None
    batch: UUID | None = None
    amount_from: str | None = None
    amount_to: str | None = None
    sort: str | None = None


def queue_filters(
    *,
    payee: Annotated[
        str | None,
        QueryParameter(
            description="Paid to this person in another player's place.",
            min_length=1,
            max_length=text.NAME_LENGTH_MAX,
        ),
    ] = None,
    code: Annotated[
        str | None,
        QueryParameter(
            description="Why it is held, waits or ended: a code of docs/payout-codes.md.",
            pattern=_CODE_PATTERN,
            schema_extra={"pattern": _CODE_PATTERN},
        ),
    ] = None,
    batch: Annotated[
        UUID | None,
        QueryParameter(description="Of one batch."),
    ] = None,
    amount_from: Annotated[
        str | None,
        QueryParameter(
            description="This much or more, in units of `asset`, which it needs.",
            schema_extra={"type": "string", "pattern": _AMOUNT_PATTERN},
        ),
    ] = None,
    amount_to: Annotated[
        str | None,
        QueryParameter(
            description="This much or less, in units of `asset`, which it needs.",
            schema_extra={"type": "string", "pattern": _AMOUNT_PATTERN},
        ),
    ] = None,
    sort: Annotated[
        str | None,
        QueryParameter(
            description="`age`: the oldest request first. `amount`: the smallest first; it needs `asset`. `rail`, `asset`, `player`: "
            "by name, and of one name the oldest request first. With `-` before it the other way round. Without it the newest "
            "request comes first. All but `age` need `state` with states of payouts that have not ended, such as `held`.",
            schema_extra={"type": "string", "enum": list(_SORTS)},
        ),
    ] = None,
) -> QueueFilters:
    """The parameters of ``QueueQuery``."""
    return QueueFilters(
        payee=payee, code=code, batch=batch, amount_from=amount_from, amount_to=amount_to, sort=sort
    )


QueueQuery = NamedDependency[QueueFilters]
"""The query parameters of the queue, read by ``queue_filters``."""


def order_of(sort: str | None) -> Order:
    """The order that a request names.

    Raises:
        Problem: 400 ``sort_unknown``.
    """
    if sort is None:
        return Order(by=SortBy.AGE, descending=True)
    if sort not in _SORTS:
        detail = f"there is no sort {sort!r}: use one of {', '.join(_SORTS)}"
        raise Problem(status=400, code="sort_unknown", detail=detail)
    return Order(by=SortBy(sort.removeprefix("-")), descending=sort.startswith("-"))


def amount_range(queue: QueueFilters, asset: Asset | None) -> tuple[Amount | None, Amount | None]:
    """The bounds of the amount.

    Raises:
        Problem: 422 ``amount_needs_asset`` or ``amount_invalid``.
    """
    return _bound(queue.amount_from, asset), _bound(queue.amount_to, asset)


def _bound(text: str | None, asset: Asset | None) -> Amount | None:
    if text is None:
        return None
    if asset is None:
        detail = "amount_from and amount_to compare amounts of one asset: name it in `asset`"
        raise Problem(status=422, code="amount_needs_asset", detail=detail)
    try:
        return Amount.parse(asset, text)
    except InvalidAmount as error:
        raise Problem(status=422, code="amount_invalid", detail=str(error)) from None


def check_order(wanted: PayoutFilter) -> None:
    """Whether the database has an index, or a small set, for this order and these bounds. A sort of all payouts that there ever
    were would read the whole table.

    Raises:
        Problem: 422 ``sort_needs_asset`` or ``needs_open_states``.
    """
    by = wanted.order.by
    if by is SortBy.AMOUNT and wanted.asset is None:
        detail = "sort=amount compares amounts of one asset: name it in `asset`"
        raise Problem(status=422, code="sort_needs_asset", detail=detail)
    ranged = wanted.amount_from is not None or wanted.amount_to is not None
    if by is SortBy.AGE and not ranged:
        return
    if not wanted.states or not _OPEN.issuperset(wanted.states):
        detail = (
            "this sort, or this range of amounts, needs `state` with states of payouts that have not ended: "
            f"one or more of {', '.join(sorted(_OPEN))}"
        )
        raise Problem(status=422, code="needs_open_states", detail=detail)


_BY_AMOUNT: Final = cursor_key(number(0, _MINOR_MAX), ID)
_BY_NAME: Final = cursor_key(TEXT, MOMENT, ID)
_CURSORS: Final[Mapping[SortBy, CursorKey[Any]]] = {
    SortBy.AGE: BY_TIME_AND_ID,
    SortBy.AMOUNT: _BY_AMOUNT,
    SortBy.RAIL: _BY_NAME,
    SortBy.ASSET: _BY_NAME,
    SortBy.PLAYER: _BY_NAME,
}


def cursor_of(by: SortBy) -> CursorKey[Any]:
    """The cursor of a list in this order."""
    return _CURSORS[by]


def sort_key(by: SortBy) -> Callable[[Payout], tuple[Any, ...]]:
    """What a list in this order is sorted by."""
    return _KEYS[by]


_KEYS: Final[Mapping[SortBy, Callable[[Payout], tuple[Any, ...]]]] = {
    SortBy.AGE: lambda payout: (payout.requested_at, payout.payout_id),
    SortBy.AMOUNT: lambda payout: (payout.amount.minor, payout.payout_id),
    SortBy.RAIL: lambda payout: (payout.rail or "", payout.requested_at, payout.payout_id),
    SortBy.ASSET: lambda payout: (payout.amount.asset.code, payout.requested_at, payout.payout_id),
    SortBy.PLAYER: lambda payout: (payout.player or "", payout.requested_at, payout.payout_id),
}
