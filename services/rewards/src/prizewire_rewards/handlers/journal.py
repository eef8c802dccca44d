"""Turning decided moves into transfers with deterministic ids."""

from collections.abc import Iterable
from itertools import groupby
from uuid import UUID

from prizewire_contracts import ids
from prizewire_rewards.domain.ledger import Move, Transfer

__all__ = ["Journal"]


class Journal:
    """Transfers of one transaction, in the order in which they were decided."""

    def __init__(self) -> None:
        self.transfers: list[Transfer] = []

    def add(self, moves: Iterable[Move], *, cause: str, correlation_id: str) -> list[UUID]:
        """Append the moves of one cause as one group; answers their ids, the same at every repetition."""
        group = ids.derive("group", cause)
        added = [
            Transfer(
                transfer_id, group, move.type, move.debit, move.credit, move.amount, cause, correlation_id
            )
            for type_, alike in groupby(moves, key=lambda move: move.type)
            for move, transfer_id in _numbered(list(alike), cause=f"{cause}/{type_}")
        ]
        self.transfers.extend(added)
        return [transfer.id for transfer in added]


def _numbered(moves: list[Move], *, cause: str) -> Iterable[tuple[Move, UUID]]:
    return zip(moves, ids.transfer_ids(cause=cause, indexes=[move.ordinal for move in moves]), strict=True)
