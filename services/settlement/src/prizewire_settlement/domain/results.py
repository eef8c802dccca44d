"""Results as text: one form for one result, whatever order its players were listed in."""

import hashlib
import json
from collections.abc import Iterable
from decimal import Decimal

from prizewire_settlement.domain.model import SCORE_SCALE, PlayerResult


def score_from_text(text: str) -> int:
    """Millionths of a decimal text with at most six decimals, as the contracts allow them."""
    sign = -1 if text.startswith("-") else 1
    whole, _, fraction = text.lstrip("-").partition(".")
    return sign * (int(whole) * SCORE_SCALE + int(fraction.ljust(6, "0")))


def score_to_text(score: int) -> str:
    """The shortest decimal text of millionths: 8500000 is ``8.5``."""
    return f"{Decimal(score) / SCORE_SCALE:f}"


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
