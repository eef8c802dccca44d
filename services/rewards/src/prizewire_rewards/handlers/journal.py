"""Turning decided moves into transfers with deterministic ids."""

from collections.abc import Iterable
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
                ids.transfer_id(cause=f"{cause}/{move.type}", index=move.ordinal),
                group,
                move.type,
                move.debit,
                move.credit,
                move.amount,
                cause,
                correlation_id,
            )
            for move in moves
        ]
        self.transfers.extend(added)
        return [transfer.id for transfer in added]
