"""Claims, entries and what players owe or paid in: the ``claim.*``, ``entry.*`` and ``wallet.*`` events of
``prizewire.rewards.v1``. Subject: the reward id, the entry id, and the receivable or top-up id.
"""

from typing import ClassVar, Literal
from uuid import UUID

from prizewire_contracts.envelope import Amount, AssetCode, Data, ServiceEnvelope, Timestamp
from prizewire_contracts.text import Ascii, EventLine, Name, Word


class FromRewards(ServiceEnvelope):
    """Base of every event of rewards."""

    signed: ClassVar[bool] = True
    producer: ClassVar[str | None] = "rewards"


class ClaimChanged(Data):
    """A prize that must be claimed, and the state of its claim. ``code`` says only that it is under review or why it
    ended; the rule that held it is shown only to operators. ``deadline`` is when it expires, or when a decision is due.
    """

    reward_id: UUID
    round_id: UUID
    campaign: UUID
    player: Name
    asset: AssetCode
    amount: Amount
    state: Literal["open", "held", "approved", "rejected", "expired"]
    code: Word | None = None
    deadline: Timestamp | None = None
    actor: EventLine


class ReceivableChanged(Data):
    """A receivable of a player: ``amount`` was opened, recovered, written off or restored; ``open`` is the rest.

    ``campaign`` is the campaign whose pool it goes back to; None where it is owed for a top-up.
    """

    receivable_id: UUID
    player: Name
    asset: AssetCode
    amount: Amount
    open: Amount
    campaign: UUID | None = None
    reference: EventLine


class TopupBooked(Data):
    """A top-up was credited to, or reversed from, a wallet. ``reference`` is the provider's id of the payment, refund
    or dispute; ``owed`` is what was spent already and became a receivable.
    """

    topup_id: UUID
    player: Name
    asset: AssetCode
    amount: Amount
    owed: Amount | None = None
    reference: EventLine


class EntryChanged(Data):
    """A player's entry into a round. ``from_winnings`` and ``from_topup`` are what each bucket paid, zero where the
    entry was refused; ``code`` says why it was refused, or closed without a refund.
    """

    entry_id: UUID
    round_id: UUID
    match_id: Name
    match_source: Ascii
    player: Name
    asset: AssetCode
    amount: Amount
    from_winnings: Amount
    from_topup: Amount
    state: Literal["paid", "refused", "refunded", "earned", "closed"]
    code: Word | None = None


class ClaimOpenedEvent(FromRewards):
    """Envelope of ``claim.opened``."""

    type: Literal["prizewire.claim.opened.v1"] = "prizewire.claim.opened.v1"
    data: ClaimChanged


class ClaimHeldEvent(FromRewards):
    """Envelope of ``claim.held``."""

    type: Literal["prizewire.claim.held.v1"] = "prizewire.claim.held.v1"
    data: ClaimChanged


class ClaimApprovedEvent(FromRewards):
    """Envelope of ``claim.approved``."""

    type: Literal["prizewire.claim.approved.v1"] = "prizewire.claim.approved.v1"
    data: ClaimChanged


class ClaimRejectedEvent(FromRewards):
    """Envelope of ``claim.rejected``."""

    type: Literal["prizewire.claim.rejected.v1"] = "prizewire.claim.rejected.v1"
    data: ClaimChanged


class ClaimExpiredEvent(FromRewards):
    """Envelope of ``claim.expired``."""

    type: Literal["prizewire.claim.expired.v1"] = "prizewire.claim.expired.v1"
    data: ClaimChanged


class ReceivableOpenedEvent(FromRewards):
    """Envelope of ``wallet.receivable_opened``."""

    type: Literal["prizewire.wallet.receivable_opened.v1"] = "prizewire.wallet.receivable_opened.v1"
    data: ReceivableChanged


class ReceivableRecoveredEvent(FromRewards):
    """Envelope of ``wallet.receivable_recovered``."""

    type: Literal["prizewire.wallet.receivable_recovered.v1"] = "prizewire.wallet.receivable_recovered.v1"
    data: ReceivableChanged


class ReceivableWrittenOffEvent(FromRewards):
    """Envelope of ``wallet.receivable_written_off``."""

    type: Literal["prizewire.wallet.receivable_written_off.v1"] = "prizewire.wallet.receivable_written_off.v1"
    data: ReceivableChanged


class ReceivableRestoredEvent(FromRewards):
    """Envelope of ``wallet.receivable_restored``."""

    type: Literal["prizewire.wallet.receivable_restored.v1"] = "prizewire.wallet.receivable_restored.v1"
    data: ReceivableChanged


class TopupCreditedEvent(FromRewards):
    """Envelope of ``wallet.topup_credited``."""

    type: Literal["prizewire.wallet.topup_credited.v1"] = "prizewire.wallet.topup_credited.v1"
    data: TopupBooked


class TopupReversedEvent(FromRewards):
    """Envelope of ``wallet.topup_reversed``."""

    type: Literal["prizewire.wallet.topup_reversed.v1"] = "prizewire.wallet.topup_reversed.v1"
    data: TopupBooked


class EntryPaidEvent(FromRewards):
    """Envelope of ``entry.paid``."""

    type: Literal["prizewire.entry.paid.v1"] = "prizewire.entry.paid.v1"
    data: EntryChanged


class EntryRefusedEvent(FromRewards):
    """Envelope of ``entry.refused``."""

    type: Literal["prizewire.entry.refused.v1"] = "prizewire.entry.refused.v1"
    data: EntryChanged


class EntryRefundedEvent(FromRewards):
    """Envelope of ``entry.refunded``."""

    type: Literal["prizewire.entry.refunded.v1"] = "prizewire.entry.refunded.v1"
    data: EntryChanged


class EntryEarnedEvent(FromRewards):
    """Envelope of ``entry.earned``."""

    type: Literal["prizewire.entry.earned.v1"] = "prizewire.entry.earned.v1"
    data: EntryChanged


class EntryClosedEvent(FromRewards):
    """Envelope of ``entry.closed``."""

    type: Literal["prizewire.entry.closed.v1"] = "prizewire.entry.closed.v1"
    data: EntryChanged
