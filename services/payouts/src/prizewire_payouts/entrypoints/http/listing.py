"""Lists of payouts, page by page."""

from datetime import datetime
from uuid import UUID

from prizewire_chassis.http import Page, Problem, decode_cursor, encode_cursor, page_limit
from prizewire_payouts.domain.states import CLOSING, PayoutState
from prizewire_payouts.entrypoints.http.parts import HttpParts, shown_payout
from prizewire_payouts.ports import PayoutFilter

__all__ = ["page_of"]

_PAGE_MAX = 10_000


async def page_of(
    parts: HttpParts,
    *,
    cursor: str | None,
    limit: int | None,
    page: int | None = None,
    states: str | None = None,
    player: str | None = None,
    correlation_id: str | None = None,
    rail: str | None = None,
    asset: str | None = None,
) -> Page:
    """One page. ``states`` is a comma list, in which ``closing`` stands for every closing state; ``page`` counts
    from 1, as earlier systems did.

    Raises:
        Problem: 400 for an unknown state or asset, a cursor that was not given here, a page or limit out of range.
    """
    size = page_limit(limit)
    if page is not None and not 1 <= page <= _PAGE_MAX:
        raise Problem(status=400, code="page_invalid", detail=f"page is between 1 and {_PAGE_MAX}")
    if asset is not None and asset not in parts.assets:
        raise Problem(status=400, code="asset_unknown", detail=f"there is no asset {asset}")
    wanted = PayoutFilter(
        states=_states(states),
        player=player,
        correlation_id=correlation_id,
        rail=rail,
        asset=asset,
        after=_after(cursor),
        offset=0 if page is None or cursor is not None else (page - 1) * size,
        limit=size,
    )
    async with parts.db.transaction() as tx:
        found = await parts.store(tx).list_payouts(wanted)
    following = None
    if len(found) == size:
        last = found[-1]
        following = encode_cursor([last.requested_at.isoformat(), str(last.payout_id)])
    return {"items": [shown_payout(payout) for payout in found], "next_cursor": following}


def _states(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    found: list[str] = []
    for name in filter(None, (part.strip() for part in text.split(","))):
        if name == "closing":
            found.extend(CLOSING)
        elif name in [*PayoutState]:
            found.append(name)
        else:
            known = ", ".join(PayoutState)
            raise Problem(status=400, code="state_unknown", detail=f"state is one of closing, {known}")
    return tuple(found)


def _after(cursor: str | None) -> tuple[datetime, UUID] | None:
    values = decode_cursor(cursor, length=2)
    if values is None:
        return None
    try:
        return datetime.fromisoformat(values[0]), UUID(values[1])
    except (ValueError, TypeError, AttributeError):
        detail = "the cursor is not one that this route gave"
        raise Problem(status=400, code="cursor_invalid", detail=detail) from None
