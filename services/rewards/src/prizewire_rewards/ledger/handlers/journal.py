"""Turning decided moves into transfers with deterministic ids."""

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from uuid import UUID

from prizewire_contracts import ids
from prizewire_rewards.ledger.domain.accounts import Move, Transfer


class Journal:
    """Transfers of one transaction, in the order in which they were decided."""

    def __init__(self) -> None:
        self.transfers: list[Transfer] = []

    def add(self, moves: Iterable[Move], *, cause: str, correlation_id: str) -> list[UUID]:
        """Append the moves of one cause as one group; answers their ids, the same at every repetition."""
        group = ids.derive("group", cause)
        found: list[UUID] = []
        for type_, run in groupby(moves, key=_TYPE):
            alike = list(run)
            numbers = [move.ordinal for move in alike]
            added = ids.transfer_ids(cause=f"{cause}/{type_}", indexes=numbers)
            self.transfers += [
                Transfer(transfer_id, group, type_, debit, credit, amount, cause, correlation_id)
                for transfer_id, (_, debit, credit, amount, _) in zip(added, alike, strict=True)
            ]
            found += added
        return found


_TYPE = attrgetter("type")
