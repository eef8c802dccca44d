"""What the use cases of quotes need."""

from typing import Protocol

from prizewire_contracts.quotes import PayoutQuote


class QuoteSigner(Protocol):
    """Payouts' message key, used for quotes."""

    @property
    def key_id(self) -> str:
        """The key's name in ``trust.json``."""
        ...

    def sign(self, quote: PayoutQuote) -> str:
        """The signature as 128 hex digits."""
        ...


class QuoteMetrics(Protocol):
    """Counts the answers of rails."""

    def __call__(self, *, rail: str, outcome: str) -> None:
        """``outcome`` is ``offered``, ``unavailable`` (the rail names no price now), ``unsupported`` (it pays no such payout), ``failed`` (no answer in time, or an
        error), ``limit`` (below its minimum or above its maximum) or ``wrong`` (an answer that does not fit the request).
        """
        ...
