"""Payments that a rail reports of attempts that had ended, each counted once."""

from collections import OrderedDict
from typing import Final
from uuid import UUID

from prizewire_payouts.metrics import DUPLICATES_STOPPED

_KEPT_MAX: Final = 10_000


class SecondPayments:
    """Counts each attempt once in this process, however often its answer is stored again after a failure."""

    def __init__(self) -> None:
        self._counted: OrderedDict[tuple[UUID, int], None] = OrderedDict()

    def note(self, *, payout_id: UUID, attempt_no: int) -> None:
        """The rail reported a payment of this attempt."""
        key = payout_id, attempt_no
        if key in self._counted:
            return
        self._counted[key] = None
        if len(self._counted) > _KEPT_MAX:
            self._counted.popitem(last=False)
        DUPLICATES_STOPPED.labels("rail").inc()
