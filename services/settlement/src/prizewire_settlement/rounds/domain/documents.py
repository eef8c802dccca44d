"""Results as text: one form for one result, whatever order its players were listed in."""

import hashlib
import json
from collections.abc import Iterable

from prizewire_settlement.prizes.domain import PlayerResult


def document_of(results: Iterable[PlayerResult]) -> str:
    """Compact JSON ``[[player, place, {score: millionths}], …]``, sorted by player.

    Equal results have equal documents: order and trailing zeros of scores make no difference.
    """
    ordered = sorted(results, key=lambda result: result.player)
    return json.dumps(ordered, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def hash_of(document: str) -> bytes:
    """SHA-256 of a result's document."""
    return hashlib.sha256(document.encode()).digest()


def results_of(document: str) -> tuple[PlayerResult, ...]:
    """The results that ``document_of`` wrote."""
    return tuple(PlayerResult(player, place, scores) for player, place, scores in json.loads(document))
