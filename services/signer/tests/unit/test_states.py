"""The state machines of the domain are whole."""

from prizewire_signer.domain.model import ALLOWED_OPERATIONS, PAYING
from prizewire_signer.domain.states import (
    PAYOUT_EDGES,
    PAYOUT_STARTS,
    SLOT_EDGES,
    SLOT_STARTS,
    WORK_EDGES,
    WORK_STARTS,
    PayoutState,
    SlotState,
    WorkState,
)


def test_every_edge_has_a_reason_and_every_state_is_reached() -> None:
    """No state is without a way in, and no edge without a sentence."""
    for starts, edges, states in (
        (SLOT_STARTS, SLOT_EDGES, SlotState),
        (PAYOUT_STARTS, PAYOUT_EDGES, PayoutState),
        (WORK_STARTS, WORK_EDGES, WorkState),
    ):
        assert all([*starts.values(), *edges.values()])
        assert {*starts, *(becomes for _, becomes in edges)} == set(states)


def test_tombstone_and_payment_are_final() -> None:
    """Nothing leads out of a tombstone, of a paid payout, or of a closed slot."""
    left = {was for was, _ in (*PAYOUT_EDGES, *SLOT_EDGES, *WORK_EDGES)}
    assert left == {PayoutState.BOUND, PayoutState.FREE, SlotState.OPEN, WorkState.QUEUED, WorkState.RECORDED}


def test_a_bound_payout_is_never_tombstoned_directly() -> None:
    """Between a binding and a tombstone lies the closing of the slot."""
    assert (PayoutState.BOUND, PayoutState.TOMBSTONED) not in PAYOUT_EDGES


def test_only_payments_and_voids_are_signed_yet() -> None:
    """Every kind is known; those that are not signed yet may hold no operation at all."""
    assert {kind: allowed for kind, allowed in ALLOWED_OPERATIONS.items() if allowed} == {
        "payment": {"payment"},
        "void_slot": {"bump_sequence"},
    }
    assert {"payment"} == PAYING
    assert set(ALLOWED_OPERATIONS) == {"payment", "fee_bump", "void_slot", "restore", "reclaim"}
