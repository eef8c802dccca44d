"""The signer's three state machines as tables: every edge with its reason. The database enforces the same edges."""

from collections.abc import Mapping
from enum import StrEnum


class SlotState(StrEnum):
    """Whether the network may still apply a transaction to a slot."""

    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"


SLOT_STARTS: Mapping[SlotState, str] = {
    SlotState.OPEN: "its first digest is recorded",
    SlotState.EXPIRED: "closed by payouts before anything was signed on it",
}
SLOT_EDGES: Mapping[tuple[SlotState, SlotState], str] = {
    (SlotState.OPEN, SlotState.SUCCEEDED): "payouts proved that one of its digests was applied",
    (SlotState.OPEN, SlotState.FAILED): "payouts proved that one of its digests consumed it without effect",
    (
        SlotState.OPEN,
        SlotState.EXPIRED,
    ): "payouts reported, by two persons, that no digest of this signer consumed it",
}


class PayoutState(StrEnum):
    """The state of a payout in the signer. An unknown payout has no row."""

    BOUND = "bound"
    FREE = "free"
    PAID = "paid"
    TOMBSTONED = "tombstoned"


PAYOUT_STARTS: Mapping[PayoutState, str] = {
    PayoutState.BOUND: "a digest that pays it is recorded",
    PayoutState.TOMBSTONED: "closed before anything was signed for it",
}
PAYOUT_EDGES: Mapping[tuple[PayoutState, PayoutState], str] = {
    (
        PayoutState.BOUND,
        PayoutState.FREE,
    ): "its slot closed, and every digest there that pays it is past its maxTime",
    (PayoutState.BOUND, PayoutState.PAID): "its slot closed with a digest that pays it: bound for ever",
    (PayoutState.FREE, PayoutState.BOUND): "a digest that pays it is recorded on another slot",
    (PayoutState.FREE, PayoutState.TOMBSTONED): "closed while no signature for it was usable",
}


class WorkState(StrEnum):
    """How far a signing request has come."""

    QUEUED = "queued"
    RECORDED = "recorded"
    COMPLETED = "completed"
    REFUSED = "refused"


WORK_STARTS: Mapping[WorkState, str] = {WorkState.QUEUED: "received from Kafka"}
WORK_EDGES: Mapping[tuple[WorkState, WorkState], str] = {
    (WorkState.QUEUED, WorkState.RECORDED): "every check passed: digest and bindings are committed",
    (WorkState.QUEUED, WorkState.REFUSED): "a check failed",
    (WorkState.RECORDED, WorkState.COMPLETED): "signed, verified, stored and answered",
    (WorkState.RECORDED, WorkState.REFUSED): "its bytes were not approved: the database was changed",
}
