"""What an answer file says, before it is compared with the rail's lines."""

import re
from dataclasses import dataclass
from typing import Final

_DECIMAL: Final = re.compile(r"[0-9]{1,18}(\.[0-9]{0,18})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """One statement of a file. Without ``reference`` it is about the whole batch ``batch_id``, or about its
    payments in ``part_currency``. ``amount`` is a decimal text in
    ``currency``, which is a currency or an asset.
    """

    reference: str | None
    paid: bool | None
    batch_id: str | None = None
    evidence: str | None = None
    code: str | None = None
    amount: str | None = None
    currency: str | None = None
    problem: str | None = None
    part_currency: str | None = None


def units_of(text: str, decimals: int) -> int | None:
    """A decimal text in smallest units; None where it is no decimal number, or has more decimals that are not zero."""
    if not _DECIMAL.fullmatch(text):
        return None
    whole, _, fraction = text.partition(".")
    if fraction[decimals:].strip("0"):
        return None
    return int(whole + fraction[:decimals].ljust(decimals, "0"))
