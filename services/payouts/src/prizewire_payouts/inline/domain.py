"""Sealed details of a request, and why a payout with such details fails."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

UNREAD_TYPE: Final = "unknown"
"""The method type of a payout whose details could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """Details as they arrive: ``box`` was sealed for payouts' message key ``key_id``."""

    key_id: str
    box: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a box holds. It was sealed for ``payout_id``; ``salt`` is that of the commitment in the intent."""

    payout_id: UUID
    type: str
    details: Mapping[str, str] = field(repr=False)
    salt: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """Details that nothing can be paid to. The payout fails with ``code``, so that its money goes back; ``reason`` is a sentence that
    holds no detail. ``type`` is the method type, ``UNREAD_TYPE`` where it is not known.
    """

    code: str
    reason: str
    type: str = UNREAD_TYPE
