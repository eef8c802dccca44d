"""The statuses of histories: a closed list that covers every type and every state."""

from prizewire_rewards.entries.domain import EntryState
from prizewire_rewards.ledger.domain.accounts import TransferType
from prizewire_rewards.payouts.domain.model import PayoutState
from prizewire_rewards.prizes.domain.states import RewardState
from prizewire_rewards.wallets.domain.statuses import (
    CHANGING,
    CLAIM_STATUSES,
    ENTRY_STATUSES,
    PAYOUT_STATUSES,
    PRIZE_STATUSES,
    STATUS_OF,
    Status,
    types_with,
)


def test_every_type_has_a_status() -> None:
    """A type has one fixed status or several possible ones, and each status belongs to a type."""
    assert set(STATUS_OF) | set(CHANGING) == set(TransferType)
    assert not set(STATUS_OF) & set(CHANGING)
    assert all(types_with(status) for status in Status)


def test_no_final_state_is_pending() -> None:
    """No final state of a payout, an entry or a prize is pending."""
    assert Status.PENDING not in STATUS_OF.values()
    waiting = {state for state, status in PAYOUT_STATUSES.items() if status is Status.PENDING}
    assert waiting == {PayoutState.REQUESTED, PayoutState.CANCEL_REQUESTED}
    assert {state for state, status in ENTRY_STATUSES.items() if status is Status.PENDING} == {
        EntryState.PAID
    }


def test_every_state_has_a_possible_status_of_its_type() -> None:
    """Else a filter would miss entries of the type."""
    assert set(PAYOUT_STATUSES) == set(PayoutState)
    assert set(ENTRY_STATUSES) == set(EntryState) - {EntryState.REFUSED}, (
        "nothing was taken for a refused entry"
    )
    assert set(PRIZE_STATUSES) == set(CLAIM_STATUSES) == set(RewardState)
    for type_, known in (
        (TransferType.PAYOUT_REQUESTED, PAYOUT_STATUSES),
        (TransferType.ENTRY_FEE_HELD, ENTRY_STATUSES),
        (TransferType.PRIZE_PENDING, PRIZE_STATUSES),
        (TransferType.CLAIM_OPENED, CLAIM_STATUSES),
    ):
        assert set(known.values()) == CHANGING[type_]
