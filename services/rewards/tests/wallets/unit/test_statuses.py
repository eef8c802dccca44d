"""The statuses of histories: a closed list that covers every type and every state."""

from prizewire_rewards.entries.domain import EntryState
from prizewire_rewards.ledger.domain.accounts import TransferType
from prizewire_rewards.payouts.domain.model import PayoutState
from prizewire_rewards.prizes.domain.states import RewardState
from prizewire_rewards.wallets.domain.statuses import (
    CHANGING,
    STATUS_OF,
    Status,
    of_claim,
    of_entry,
    of_payout,
    of_prize,
    types_with,
)


def test_every_type_has_a_status() -> None:
    """Either one for ever, or those that it can come to; and each status is found at some type."""
    assert set(STATUS_OF) | set(CHANGING) == set(TransferType)
    assert not set(STATUS_OF) & set(CHANGING)
    assert all(types_with(status) for status in Status)


def test_nothing_waits_for_ever() -> None:
    """Only what is still to end is pending: no final state of a payout, an entry or a prize is."""
    assert Status.PENDING not in STATUS_OF.values()
    waiting = {state for state, status in of_payout.items() if status is Status.PENDING}
    assert waiting == {PayoutState.REQUESTED, PayoutState.CANCEL_REQUESTED}
    assert {state for state, status in of_entry.items() if status is Status.PENDING} == {EntryState.PAID}


def test_every_state_has_a_status_that_its_type_can_come_to() -> None:
    """A filter that leaves a type out would else miss entries of it."""
    assert set(of_payout) == set(PayoutState)
    assert set(of_entry) == set(EntryState) - {EntryState.REFUSED}, "nothing was taken for a refused entry"
    assert set(of_prize) == set(of_claim) == set(RewardState)
    for type_, known in (
        (TransferType.PAYOUT_REQUESTED, of_payout),
        (TransferType.ENTRY_FEE_HELD, of_entry),
        (TransferType.PRIZE_PENDING, of_prize),
        (TransferType.CLAIM_OPENED, of_claim),
    ):
        assert set(known.values()) == CHANGING[type_]
