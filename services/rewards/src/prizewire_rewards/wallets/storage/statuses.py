"""The status of a transfer as SQL. It is computed from the present state of the payout, the entry or the prize.

Only types whose status changes need a look-up, by a primary key or by the index of prizes by player and round.
"""

from collections.abc import Mapping
from typing import Final

from prizewire_rewards.ledger.domain.accounts import TransferType
from prizewire_rewards.wallets.domain.statuses import (
    CHANGING,
    CLAIM_STATUSES,
    ENTRY_STATUSES,
    PAYOUT_STATUSES,
    PRIZE_STATUSES,
    STATUS_OF,
    Status,
)

_UUID: Final = "'^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'"


def _case(of: str, known: Mapping[str, Status]) -> str:
    found = " ".join(f"WHEN '{state}' THEN '{status}'" for state, status in known.items())
    return f"CASE {of} {found} END"


def _uuid(text: str) -> str:
    """A text as a UUID; NULL where it is none."""
    return f"CASE WHEN {text} ~ {_UUID} THEN CAST({text} AS uuid) END"


def _owned(table: str, known: Mapping[str, Status]) -> str:
    """The status by the state of the row that owns the credited account."""
    return (
        f"(SELECT {_case('s.state', known)} FROM {table} s WHERE s.id = "  # noqa: S608 - our own words
        f"(SELECT {_uuid('a.owner')} FROM ledger_accounts a WHERE a.id = t.credit_account))"
    )


def _prize(side: str, known: Mapping[str, Status]) -> str:
    """The status by the state of a prize: of the player of one side, in the round that the cause names."""
    round_id = _uuid("(SELECT split_part(g.cause, '/', 2) FROM ledger_groups g WHERE g.no = t.group_no)")
    return (
        f"(SELECT {_case('s.state', known)} FROM rounds r "  # noqa: S608 - our own words
        "JOIN rewards s ON s.settled_at = r.settled_at AND s.round_id = r.id "
        f"WHERE r.id = {round_id} AND s.player = "
        f"(SELECT a.owner FROM ledger_accounts a WHERE a.id = t.{side}_account))"
    )


_PLAIN: Final[Mapping[Status, list[str]]] = {
    status: sorted(str(type_) for type_, found in STATUS_OF.items() if found is status) for status in Status
}
_FIXED: Final = " ".join(f"WHEN '{type_}' THEN '{status}'" for type_, status in STATUS_OF.items())
_CHANGING: Final = ", ".join(f"'{type_}'" for type_ in CHANGING)
STATUS: Final = (
    f"coalesce(CASE t.type WHEN '{TransferType.PAYOUT_REQUESTED}' THEN {_owned('payouts', PAYOUT_STATUSES)} "
    f"WHEN '{TransferType.ENTRY_FEE_HELD}' THEN {_owned('entries', ENTRY_STATUSES)} "
    f"WHEN '{TransferType.PRIZE_PENDING}' THEN {_prize('credit', PRIZE_STATUSES)} "
    f"WHEN '{TransferType.CLAIM_OPENED}' THEN CASE WHEN t.debit_kind = 'wallet:pending' "
    f"THEN {_prize('debit', CLAIM_STATUSES)} ELSE '{Status.COMPLETED}' END {_FIXED} END, '{Status.PENDING}')"
)
"""The status of the transfer ``t``. It is pending where the row that it depends on does not exist."""
HAS_STATUS: Final = (
    f"(t.type = ANY (CAST(:plain AS text[])) OR (t.type IN ({_CHANGING}) AND {STATUS} = :status))"
)
"""Whether ``t`` has ``:status``; ``:plain`` are the types that always have it."""
PAYOUT_OF: Final = (
    "LEFT JOIN LATERAL (SELECT s.state, s.fee, s.amount, s.pay_asset, CAST(s.outcome AS text) AS outcome FROM payouts s "  # noqa: S608 - our own words
    f"WHERE s.id = {_uuid('c.owner')} LIMIT 1) p ON t.type = '{TransferType.PAYOUT_REQUESTED}'"
)
"""The payout that ``t`` requests, where ``c`` is the credited account."""


def plain_types(status: Status) -> list[str]:
    """The transfer types that always have a status."""
    return _PLAIN[status]
