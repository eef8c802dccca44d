"""A player's statement in one asset over a period, from the opening to the closing balance (minor units)."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from prizewire_rewards.ledger.domain.accounts import Kind, TransferType
from prizewire_rewards.wallets.domain.history import CATEGORY_OF, Category, HistoryEntry

BUCKETS = (Kind.WINNINGS, Kind.TOPUP, Kind.PENDING)
"""The buckets of a wallet, in the order in which they are shown."""


class StatementLine(NamedTuple):
    """An entry of a statement: its credit or debit, and the balance of all buckets after it. A move between two buckets, and
    the opening of a debt, have the credit and the debit zero.
    """

    entry: HistoryEntry
    credit: int
    debit: int
    balance: int


class Total(NamedTuple):
    """The sums of credits and debits of a category."""

    credit: int
    debit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Entries over ``since`` ≤ time < ``until``, oldest first; ``opening`` has the balance of each bucket at ``since``."""

    player: str
    asset: str
    since: datetime
    until: datetime
    opening: Mapping[Kind, int]
    entries: Sequence[HistoryEntry]

    def closing(self) -> dict[Kind, int]:
        """The balance of each bucket at ``until``."""
        balances = {bucket: self.opening.get(bucket, 0) for bucket in BUCKETS}
        for entry in self.entries:
            for kind, delta in self._legs(entry):
                balances[kind] += delta
        return balances

    def lines(self) -> Iterator[StatementLine]:
        """Every entry with the balance after it."""
        balance = sum(self.opening.values())
        for entry in self.entries:
            delta = sum(part for _, part in self._legs(entry))
            balance += delta
            yield StatementLine(entry, max(delta, 0), max(-delta, 0), balance)

    def totals(self) -> dict[Category, Total]:
        """The totals of each category that occurs, in the order of the categories."""
        sums: defaultdict[Category, list[int]] = defaultdict(lambda: [0, 0])
        for line in self.lines():
            found = sums[CATEGORY_OF[TransferType(line.entry.type)]]
            found[0] += line.credit
            found[1] += line.debit
        return {category: Total(*sums[category]) for category in Category if any(sums.get(category, ()))}

    def _legs(self, entry: HistoryEntry) -> Iterator[tuple[Kind, int]]:
        """The changes of the buckets of this wallet by an entry."""
        for kind, owner, delta in (
            (entry.debit_kind, entry.debit_owner, -entry.amount),
            (entry.credit_kind, entry.credit_owner, entry.amount),
        ):
            if owner == self.player and kind in BUCKETS:
                yield Kind(kind), delta
