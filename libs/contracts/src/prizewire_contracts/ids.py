"""Deterministic identifiers: UUIDv5 over the canonical JSON array of what caused the thing.

A replay derives the same ids and so converges on the same rows instead of adding new ones.
"""

from uuid import UUID, uuid5

from prizewire_contracts.canonical import render_checked

__all__ = [
    "NAMESPACE",
    "derive",
    "event_id",
    "http_id",
    "match_correlation_id",
    "payout_id_for_round",
    "provider_key",
    "reward_id",
    "round_id",
    "slot_id",
    "transfer_id",
]

_INTEGER_END = 2**53
NAMESPACE = UUID("7f0f7a53-7d2c-5c0e-9d8b-2a6a4f1c9e10")
"""Prizewire's UUIDv5 namespace. It never changes: every id in every database hangs on it."""


def derive(kind: str, *causes: str | int) -> UUID:
    """The id of a thing of this kind that these causes brought about.

    ``kind`` keeps the id spaces apart; causes are strings or integers below 2^53, in a fixed order.

    Raises:
        TypeError: a cause is neither.
    """
    for cause in causes:
        if type(cause) is not str and not (type(cause) is int and abs(cause) < _INTEGER_END):
            msg = f"an id is derived from strings and integers below 2^53, not from {cause!r}"
            raise TypeError(msg)
    return uuid5(NAMESPACE, render_checked([kind, *causes]).decode())


def match_correlation_id(*, source: str, match_id: str) -> UUID:
    """The correlation id of a match whose game server sent none."""
    return derive("match", source, match_id)


def round_id(*, source: str, match_id: str) -> UUID:
    """One round for each (source, match)."""
    return derive("round", source, match_id)


def reward_id(*, round_id: UUID, player: str) -> UUID:
    """One reward for each (round, player)."""
    return derive("reward", str(round_id), player)


def payout_id_for_round(*, round_id: UUID, player: str, ordinal: int) -> UUID:
    """The ``ordinal``-th direct payout of a player's prize in a round, counted from 1."""
    return derive("payout", str(round_id), player, ordinal)


def http_id(*, actor: str, route: str, idempotency_key: str) -> UUID:
    """The id of a thing born over HTTP."""
    return derive("http", actor, route, idempotency_key)


def transfer_id(*, cause: str, index: int) -> UUID:
    """The ``index``-th ledger transfer of one cause."""
    return derive("transfer", cause, index)


def event_id(*, source: str, subject: str, version: int, kind: str) -> UUID:
    """The CloudEvents id of an event of ours."""
    return derive("event", source, subject, version, kind)


def provider_key(*, payout_id: UUID, attempt_no: int) -> UUID:
    """The idempotency key under which one attempt is known to its provider."""
    return derive("provider", str(payout_id), attempt_no)


def slot_id(*, chain: str, network: str, account: str, sequence: int) -> UUID:
    """The id of a slot: one sequence number of one source account. Sequence numbers exceed 2^53: text."""
    return derive("slot", chain, network, account, str(sequence))
