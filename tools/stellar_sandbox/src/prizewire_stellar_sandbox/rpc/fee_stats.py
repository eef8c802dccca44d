"""The fee distribution of getFeeStats: percentiles by nearest rank, as the real RPC takes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

_PERCENTILES: Final = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99)


def distribution(fees: Sequence[int], *, ledgers: int) -> dict[str, Any]:
    """Describe inclusion fees per operation, in stroops. Zeros where no transaction was seen."""
    ordered = sorted(fees)
    count = len(ordered)
    # The most frequent fee; of several equally frequent ones the lowest.
    mode = min(Counter(ordered).items(), key=lambda item: (-item[1], item[0]))[0] if ordered else 0
    answer: dict[str, Any] = {
        "max": str(ordered[-1] if ordered else 0),
        "min": str(ordered[0] if ordered else 0),
        "mode": str(mode),
    }
    for percentile in _PERCENTILES:
        rank = (percentile * count + 99) // 100
        answer[f"p{percentile}"] = str(ordered[rank - 1] if ordered else 0)
    return answer | {"transactionCount": str(count), "ledgerCount": ledgers}
