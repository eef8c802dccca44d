"""The transactions that wait for the next ledger, with the network's rules for accepting them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from stellar_sdk.xdr import TransactionResultCode as Code

from prizewire_stellar_sandbox.core.balances import available_balance
from prizewire_stellar_sandbox.core.frames import FeeBumpFrame, Frame
from prizewire_stellar_sandbox.core.model import AccountId
from prizewire_stellar_sandbox.core.results import plain_result
from prizewire_stellar_sandbox.core.validity import Moment, check, minimum_fee
from prizewire_stellar_sandbox.core.view import View

REPLACE_FEE_MULTIPLIER: Final = 10
"""A fee bump takes the place of a queued transaction only if it pays ten times as much per operation."""

BAN_LEDGERS: Final = 10
"""For how many ledgers a transaction is not taken again, once it was dropped or applied.

So a transaction that was sent again after it was applied is answered TRY_AGAIN_LATER at first, and txBAD_SEQ
later.
"""


class Status(StrEnum):
    """The answers of sendTransaction."""

    PENDING = "PENDING"
    DUPLICATE = "DUPLICATE"
    TRY_AGAIN_LATER = "TRY_AGAIN_LATER"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a transaction was queued. ``error`` is TransactionResult XDR; ``replaced`` left the queue for it."""

    status: Status
    error: bytes | None = None
    replaced: Frame | None = None


@dataclass(slots=True)
class TransactionQueue:
    """One transaction for each source account, as stellar-core's TransactionQueue keeps it."""

    _by_source: dict[AccountId, Frame] = field(default_factory=dict)
    _bids: Counter[AccountId] = field(default_factory=Counter)
    _banned: dict[bytes, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._by_source)

    def frames(self) -> list[Frame]:
        """The waiting transactions, in the order of arrival."""
        return list(self._by_source.values())

    def offer(self, frame: Frame, *, view: View, moment: Moment) -> Admission:
        """Judge a transaction that was sent, and queue it if it may enter."""
        if self._banned.get(frame.envelope_hash, 0) >= moment.header.sequence:
            return Admission(Status.TRY_AGAIN_LATER)
        queued = self._by_source.get(frame.source)
        if queued is not None:
            refused = self._against_queued(frame, queued)
            if refused is not None:
                return refused
        error = check(frame, view=view, moment=moment)
        if error is not None:
            return Admission(Status.ERROR, error=error)
        payer = view.account(frame.fee_source)
        assert payer is not None
        bids = self._bids[frame.fee_source] + frame.fee
        if queued is not None and queued.fee_source == frame.fee_source:
            bids -= queued.fee
        if available_balance(account=payer, header=moment.header) < bids:
            fee = minimum_fee(frame, moment.header)
            return Admission(Status.ERROR, plain_result(code=Code.txINSUFFICIENT_BALANCE, fee=fee))
        self.restore(frame)
        return Admission(Status.PENDING, replaced=queued)

    def restore(self, frame: Frame) -> None:
        """Put a transaction in without judging it: it was accepted before a restart, or just now."""
        self._forget(frame.source)
        self._by_source[frame.source] = frame
        self._bids[frame.fee_source] += frame.fee

    def settle(self, *, closed: int, applied: list[Frame], dropped: list[Frame]) -> None:
        """A ledger closed: remove its applied and dropped transactions, and refuse both for a while."""
        for frame in applied:  # and what has replaced it since: its sequence number is used up
            queued = self._by_source.get(frame.source)
            if queued is not None and queued.sequence <= frame.sequence:
                self._forget(frame.source)
        for frame in dropped:
            if self._by_source.get(frame.source) is frame:
                self._forget(frame.source)
        until = closed + BAN_LEDGERS - 1
        self._banned = {key: last for key, last in self._banned.items() if last > closed}
        self._banned |= dict.fromkeys((frame.envelope_hash for frame in (*applied, *dropped)), until)

    def _forget(self, source: AccountId) -> None:
        frame = self._by_source.pop(source, None)
        if frame is not None:
            self._bids[frame.fee_source] -= frame.fee
            if not self._bids[frame.fee_source]:
                del self._bids[frame.fee_source]

    @staticmethod
    def _against_queued(frame: Frame, queued: Frame) -> Admission | None:
        """The rules for an account that has a transaction waiting already; None if it may be replaced."""
        if frame.envelope_hash == queued.envelope_hash or (
            isinstance(queued, FeeBumpFrame) and frame.envelope_hash == queued.inner.envelope_hash
        ):
            return Admission(Status.DUPLICATE)
        if frame.sequence < queued.sequence:
            return Admission(Status.ERROR, plain_result(code=Code.txBAD_SEQ, fee=0))
        if not isinstance(frame, FeeBumpFrame) or frame.sequence != queued.sequence:
            return Admission(Status.TRY_AGAIN_LATER)
        operations, queued_operations = frame.operation_count, queued.operation_count
        least = REPLACE_FEE_MULTIPLIER * queued.fee * operations
        if frame.fee * queued_operations < least:
            needed = -(-least // queued_operations)
            return Admission(Status.ERROR, plain_result(code=Code.txINSUFFICIENT_FEE, fee=needed))
        return None
