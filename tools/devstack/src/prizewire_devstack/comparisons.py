"""The comparisons between settlement, rewards and payouts, in both directions.

- For every round that ended, rewards has the settled prizes.
- Every round that rewards booked is one that settlement settled, with the same figures and lines.
- Every entry that rewards took is into a round that settlement knows, for its fee.
- Every payout that rewards requested is known to payouts, to the same payee with the same amount.
- Every payout that payouts has was requested by rewards, likewise, and rewards knows its end.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from prizewire_devstack.agreement import SETTLE_DOWN, Item, Listed
from prizewire_devstack.api import Api

PAYOUT_GRACE: Final = timedelta(minutes=5)
"""Seconds that the request of a payout, and its end, may need to reach the other service. Less than the time that is
always compared again.
"""
LINES_PER_PART: Final = 1_000
"""Rounds of more lines are booked in chunks."""
COMPARED: Final = ("settlement_version", "campaign", "asset", "gross", "prizes", "prizes_total")
"""The fields of a round that ended, which must be equal in both services."""
COMPARED_HEADS: Final = (
    "campaign",
    "asset",
    "gross",
    "platform_fee",
    "organizer_fee",
    "organizer_player",
    "unclaimed",
    "digest",
)
"""The fields of a settlement, which must be equal in both services."""
COMPARED_PAYOUTS: Final = ("player", "payee", "asset", "pay_amount")
"""The fields of a payout, which must be equal in both services."""
CLOSED: Final = frozenset({"paid", "failed", "rejected", "cancelled", "returned"})
"""States of a payout whose money has moved, or moves back."""

HOLDS_FEES: Final = frozenset({"paid", "earned"})
"""States of an entry in which its fee is taken."""

Comparison = Callable[[Api, datetime | None, datetime], Listed]
"""Makes one direction of a comparison: items since the first moment; the second moment is now."""


def settled_rounds(api: Api, since: datetime | None, now: datetime) -> Listed:
    """Rounds that ended in settlement, compared with rewards."""
    return Listed(
        name="prizes_are_those_settled",
        key="round_id",
        at="ended_at",
        items=_items(api, "/api/rounds/ended", since=since),
        ask=lambda ids: _known(api, "/api/rewards/rounds", "round_id", ids),
        differs=lambda ended, booked: _of_ended(ended, booked, now=now),
    )


def booked_rounds(api: Api, since: datetime | None, now: datetime) -> Listed:
    """Rounds that rewards booked, compared with settlement, which has them before rewards."""
    return Listed(
        name="rounds_were_settled",
        key="round_id",
        at="changed_at",
        items=_items(api, "/api/rewards/rounds/booked", since=since),
        ask=lambda ids: _known(api, "/api/rounds/settled", "round_id", ids),
        differs=lambda booked, settled: _of_booked(booked, settled, now=now),
    )


def taken_entries(api: Api, since: datetime | None, now: datetime) -> Listed:
    """Entries whose fee rewards took, compared with settlement, which has them before rewards."""
    del now
    return Listed(
        name="entries_are_into_rounds",
        key="round_id",
        at="changed_at",
        items=_items(api, "/api/rewards/rounds/entries", since=since),
        ask=lambda ids: _known(api, "/api/rounds/entry-terms", "round_id", ids),
        differs=_of_entry,
    )


def requested_payouts(api: Api, since: datetime | None, now: datetime) -> Listed:
    """Payouts that rewards requested, compared with payouts."""
    return Listed(
        name="payouts_are_known",
        key="payout_id",
        at="stored_at",
        items=_items(api, "/api/rewards/payouts/asked", since=since),
        ask=lambda ids: _known(api, "/api/admin/payouts/known", "payout_id", ids),
        differs=lambda requested, known: _of_requested(requested, known, now=now),
    )


def taken_payouts(api: Api, since: datetime | None, now: datetime) -> Listed:
    """Payouts that payouts has, compared with rewards, which learns only their ends later."""
    return Listed(
        name="payouts_were_asked_for",
        key="payout_id",
        at="stored_at",
        items=_items(api, "/api/admin/payouts/known/changed", since=since),
        ask=lambda ids: _known(api, "/api/rewards/payouts", "payout_id", ids),
        differs=lambda taken, asked: _of_taken(taken, asked, now=now),
    )


COMPARISONS: Final[Mapping[str, tuple[frozenset[str], Comparison]]] = {
    "prizes_are_those_settled": (frozenset({"settlement", "rewards"}), settled_rounds),
    "rounds_were_settled": (frozenset({"settlement", "rewards"}), booked_rounds),
    "entries_are_into_rounds": (frozenset({"settlement", "rewards"}), taken_entries),
    "payouts_are_known": (frozenset({"rewards", "payouts"}), requested_payouts),
    "payouts_were_asked_for": (frozenset({"rewards", "payouts"}), taken_payouts),
}
"""Every comparison by its name, with the services that it asks."""


def _items(api: Api, path: str, *, since: datetime | None) -> Iterator[dict[str, Any]]:
    return api.items(path, since=None if since is None else since.isoformat())


def _known(api: Api, path: str, key: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {str(one[key]): one for one in api.get(path, ids=",".join(ids))["items"]}


def _of_ended(ended: Item, booked: Item | None, *, now: datetime) -> str | None:
    """The difference in rewards, as a sentence; None where both agree, or where rewards may still be booking a round of many
    lines.
    """
    said = _contradiction(ended, booked)
    if said is None:
        return None
    large = ended["prizes"] > LINES_PER_PART or (booked is not None and booked["state"] == "booking")
    if large and booked is not None and datetime.fromisoformat(ended["ended_at"]) > now - SETTLE_DOWN:
        return None
    return f"round {ended['round_id']}: {said}"


def _contradiction(ended: Item, booked: Item | None) -> str | None:
    if ended["state"] == "VOIDED":
        gone = booked is None or booked["state"] == "voided"
        return None if gone else f"settlement voided it, rewards has it as {booked and booked['state']}"
    if ended["disowned"]:
        return "two admins disowned it in rewards, settlement has it as final: void it"
    if ended["refused"]:
        return f"rewards refused settlement {ended['settlement_version']} for good: resettle it, or void it"
    settled = f"settled {ended['prizes']} prizes of {ended['prizes_total']} {ended['asset']}"
    if booked is None:
        return f"{settled}, rewards has nothing"
    if booked["state"] == "booking":
        return f"{settled}, rewards is still booking them"
    if not booked["final"]:
        return f"{settled}, rewards does not know that they are final"
    for name in COMPARED:
        if ended[name] != booked[name]:
            return f"{settled}, rewards has {booked['prizes']} of {booked['prizes_total']} {booked['asset']} ({name} differs)"
    return None


def _of_booked(booked: Item, settled: Item | None, *, now: datetime) -> str | None:
    """The difference in settlement for a booked round. A settlement that rewards has not booked yet is no difference: the
    comparison of rounds that ended finds it.
    """
    version = booked["settlement_version"]
    has = f"round {booked['round_id']}: rewards booked settlement {version} of {booked['gross']} {booked['asset']}"
    if settled is None:
        # Two admins disowned the round, so it is not booked any more.
        gone = booked["state"] == "voided"
        return None if gone else f"{has}, settlement never settled the round"
    if booked["state"] == "voided":
        return (
            None
            if settled["state"] == "VOIDED"
            else f"{has} and voided it, settlement has it as {settled['state']}"
        )
    if settled["settlement_version"] < version:
        return f"{has}, settlement has only version {settled['settlement_version']}"
    if booked["final"] and settled["state"] not in {"FINALIZED", "VOIDED"}:
        return f"{has} as final, settlement has it as {settled['state']}"
    if Decimal(booked["taken_back"]) > Decimal(settled["lowered"]):
        taken, lowered = booked["taken_back"], settled["lowered"]
        return f"{has}, its corrections took back {taken} or made it a debt, settlement lowered prizes by {lowered}"
    if settled["settlement_version"] > version:
        return None
    for name in COMPARED_HEADS:
        if booked[name] != settled[name]:
            return f"{has}, settlement says otherwise ({name} differs)"
    lines = booked["lines_digest"]
    if lines is None:
        late = datetime.fromisoformat(booked["changed_at"]) <= now - SETTLE_DOWN
        return f"{has}, work on its prizes has been left since {booked['changed_at']}" if late else None
    if lines != settled["digest"]:
        return f"{has}, its prizes are not the settled lines (lines_digest differs)"
    return None


def _of_entry(entry: Item, terms: Item | None) -> str | None:
    """The difference in settlement for an entry whose fee was taken."""
    if entry["state"] not in HOLDS_FEES:
        return None
    took = f"entry {entry['entry_id']}: rewards took {entry['amount']} {entry['asset']} of {entry['player']}"
    if terms is None:
        return f"{took}, settlement does not know round {entry['round_id']}"
    if (entry["amount"], entry["asset"]) != (terms["fee"], terms["asset"]):
        asks = "no fee" if terms["fee"] is None else f"{terms['fee']} {terms['asset']}"
        return f"{took}, settlement asks for {asks} in round {entry['round_id']}"
    if entry["state"] == "earned" and terms["state"] != "FINALIZED":
        return f"{took} for good, settlement has round {entry['round_id']} as {terms['state']}"
    return None


def _of_requested(requested: Item, known: Item | None, *, now: datetime) -> str | None:
    has = f"payout {requested['payout_id']}: rewards requested {requested['pay_amount']} {requested['asset']}"
    if known is None:
        if datetime.fromisoformat(requested["requested_at"]) > now - PAYOUT_GRACE:
            return None
        return f"{has}, payouts does not know it: look on the ledger whether it was paid"
    if (name := _other_terms(requested, known)) is not None:
        return f"{has}, payouts says otherwise ({name} differs)"
    ended = requested["state"] in CLOSED
    same = requested["state"] == known["state"] or (requested["state"], known["state"]) == (
        "paid",
        "returned",
    )
    if ended and not same:
        return f"{has} and has it as {requested['state']}, payouts has it as {known['state']}"
    return None


def _of_taken(taken: Item, asked: Item | None, *, now: datetime) -> str | None:
    has = f"payout {taken['payout_id']}: payouts has it with {taken['pay_amount']} {taken['asset']}"
    if asked is None:
        return f"{has}, rewards never asked for it"
    if (name := _other_terms(taken, asked)) is not None:
        return f"{has}, rewards says otherwise ({name} differs)"
    late = datetime.fromisoformat(taken["stored_at"]) <= now - PAYOUT_GRACE
    if late and taken["state"] in CLOSED and taken["state"] != asked["state"]:
        return f"{has} and has it as {taken['state']}, rewards has it as {asked['state']}"
    return None


def _other_terms(one: Item, other: Item) -> str | None:
    return next((name for name in COMPARED_PAYOUTS if one[name] != other[name]), None)
