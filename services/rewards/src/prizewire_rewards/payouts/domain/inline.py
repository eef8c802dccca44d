"""Destinations that a request names itself (``method: {type, details}``), in place of a registered payout method."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

INLINE_VERSION: Final = 1
"""The version of the payout method that payouts makes of the details in a request."""


class InlineTerms(NamedTuple):
    """What rewards keeps of such a destination: its method type, its masked form, and the keyed digest of its details, by which
    the same details are recognized.
    """

    type: str
    masked: str
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineDestination:
    """A checked destination of a request. ``rail_types`` are the configured types of rails that may pay it. ``details`` are in
    clear text: they are sealed, and never stored. ``address`` and ``memo`` are set for a destination on a chain.
    """

    terms: InlineTerms
    rail_types: tuple[str, ...]
    details: Mapping[str, str] = field(repr=False)
    address: str | None = field(default=None, repr=False)
    memo: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedDestination:
    """The details of a destination, sealed for payouts and for one payout. ``commitment`` binds the intent to them; None where
    the intent names the address in clear text.
    """

    key_id: str
    box: str = field(repr=False)
    commitment: str | None
