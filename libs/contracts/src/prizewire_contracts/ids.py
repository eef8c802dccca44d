"""Deterministic identifiers: UUIDv5 over the canonical JSON array of what caused the thing.

A replay derives the same ids and so converges on the same rows instead of adding new ones. Things that are created
together (prizes of a round, transfers of a cause) have ids with a common prefix, as UUIDv8 (RFC 9562, 5.8). They are
neighbours in an index, so that a batch writes one page for each match instead of one for each prize.
"""

from collections.abc import Iterable
from hashlib import sha1
from typing import Final
from uuid import UUID

from prizewire_contracts.canonical import render_checked

_INTEGER_END = 2**53
_TRANSFERS_END: Final = 2**20
_LOW_HALF: Final = 2**64 - 1
_VERSION_MASK: Final = ~(0xF000 << 64)
_VARIANT_MASK: Final = ~(0xC000 << 48)
_VERSION_5: Final = 0x5000 << 64
_VERSION_8: Final = 0x8000 << 64
_VARIANT: Final = 0x8000 << 48
NAMESPACE = UUID("7f0f7a53-7d2c-5c0e-9d8b-2a6a4f1c9e10")
"""Prizewire's UUIDv5 namespace. It never changes: every id in every database is derived from it."""
_NAMESPACE_BYTES: Final = NAMESPACE.bytes


def derive(kind: str, *causes: str | int) -> UUID:
    """The id of a thing of this kind with these causes.

    ``kind`` keeps the id spaces apart; causes are strings or integers below 2^53, in a fixed order.

    Raises:
        TypeError: a cause is neither.
    """
    return _uuid(_digest(kind, causes) & _VERSION_MASK & _VARIANT_MASK | _VERSION_5 | _VARIANT)


def _digest(kind: str, causes: tuple[str | int, ...]) -> int:
    """The first 128 bits of SHA-1 over namespace and name, as RFC 9562 (5.5) has it."""
    for cause in causes:
        if type(cause) is not str and not (type(cause) is int and abs(cause) < _INTEGER_END):
            msg = f"an id is derived from strings and integers below 2^53, not from {cause!r}"
            raise TypeError(msg)
    name = render_checked([kind, *causes])
    return int.from_bytes(sha1(_NAMESPACE_BYTES + name, usedforsecurity=False).digest()[:16], "big")


def _uuid(value: int) -> UUID:
    return UUID(int=value)


def match_correlation_id(*, source: str, match_id: str) -> UUID:
    """The correlation id of a match whose game server sent none."""
    return derive("match", source, match_id)


def round_id(*, source: str, match_id: str) -> UUID:
    """One round for each (source, match)."""
    return derive("round", source, match_id)


def reward_id(*, round_id: UUID, player: str) -> UUID:
    """One reward for each (round, player): a UUIDv8 that begins as the round's id does, and ends in 62 bits that
    (round, player) decide.
    """
    return reward_ids(round_id=round_id, players=[player])[0]


def reward_ids(*, round_id: UUID, players: Iterable[str]) -> list[UUID]:
    """The ids of the rewards of several players of a round, in their order; see ``reward_id``."""
    high = round_id.int & ~_LOW_HALF & _VERSION_MASK | _VERSION_8 | _VARIANT
    begun = sha1(_NAMESPACE_BYTES + b'["reward","%s",' % str(round_id).encode(), usedforsecurity=False)
    answer = []
    for player in players:
        hashed = begun.copy()
        hashed.update(render_checked(player) + b"]")
        low = int.from_bytes(hashed.digest()[8:16], "big") & _VARIANT_MASK
        answer.append(_uuid(high | low))
    return answer


def payout_id_for_round(*, round_id: UUID, player: str, ordinal: int) -> UUID:
    """The ``ordinal``-th direct payout of a player's prize in a round, counted from 1."""
    return derive("payout", str(round_id), player, ordinal)


def payout_id_for_retry(payout_id: UUID) -> UUID:
    """The payout that retries an ended one. A payout is retried once: a retry that ends without effect is retried itself."""
    return derive("payout", "retry", str(payout_id))


def payout_id_for_batch(*, batch_id: UUID, line: int) -> UUID:
    """The payout of a line of a batch of operators' payouts, counted from 1."""
    return derive("payout", "batch", str(batch_id), line)


def inline_method_id(payout_id: UUID) -> UUID:
    """The payout method that payouts makes of the details in a payout's request."""
    return derive("method", "inline", str(payout_id))


def entry_id(*, round_id: UUID, player: str) -> UUID:
    """A player enters a round once."""
    return derive("entry", str(round_id), player)


def receivable_id(*, cause: str, player: str) -> UUID:
    """The receivable of a player from one cause (a correction, a reversed top-up)."""
    return derive("receivable", cause, player)


def http_id(*, actor: str, route: str, idempotency_key: str) -> UUID:
    """The id of a thing that an HTTP request creates."""
    return derive("http", actor, route, idempotency_key)


def transfer_id(*, cause: str, index: int) -> UUID:
    """The ``index``-th ledger transfer of one cause; see ``transfer_ids``."""
    return transfer_ids(cause=cause, indexes=[index])[0]


def transfer_ids(*, cause: str, indexes: Iterable[int]) -> list[UUID]:
    """The ids of several ledger transfers of one cause: UUIDv8 with 102 bits that the cause decides, and the index
    (below 2^20) as the last 20.

    Raises:
        ValueError: an index is negative or too large.
    """
    found = _digest("transfer", (cause,)) & _VERSION_MASK & _VARIANT_MASK & ~(_TRANSFERS_END - 1)
    base = found | _VERSION_8 | _VARIANT
    answer = []
    for index in indexes:
        if not 0 <= index < _TRANSFERS_END:
            msg = f"a cause has fewer than {_TRANSFERS_END} transfers of a type, so none with index {index}"
            raise ValueError(msg)
        answer.append(_uuid(base | index))
    return answer


def event_id(*, source: str, subject: str, version: int, kind: str) -> UUID:
    """The CloudEvents id of a service's event."""
    return derive("event", source, subject, version, kind)


def provider_key(*, payout_id: UUID, attempt_no: int) -> UUID:
    """The idempotency key of one attempt at its provider."""
    return derive("provider", str(payout_id), attempt_no)


def slot_id(*, chain: str, network: str, account: str, sequence: int) -> UUID:
    """The id of a slot: one sequence number of one source account. Sequence numbers exceed 2^53: text."""
    return derive("slot", chain, network, account, str(sequence))


def refusals_id(service: str) -> UUID:
    """The correlation id of a service's reports about messages that it did not apply."""
    return derive("refusals", service)
