"""The interface of a screening service, which says whether a destination or its payee is on a list of persons who may not be paid.

It uses no framework, so that handlers may import it. A package announces a factory under the entry point group below.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import UUID

from prizewire_money import Amount

SCREENING_ENTRY_POINTS: Final = "prizewire.screenings"
"""Entry point group; the name is the one that the setting names, the object a factory ``(ScreeningContext) -> ScreeningService``."""


class ScreeningVerdict(StrEnum):
    """What a screening service says about one question."""

    CLEAR = "clear"
    """Nothing was found."""
    HIT = "hit"
    """Something was found: persons decide."""
    UNANSWERED = "unanswered"
    """Nothing is known: time-out, refusal, or an answer that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningQuestion:
    """One question about one payout. ``details`` are the recipient's details by method type, in clear only here (never logged:
    no ``repr``). ``payee`` is who is paid, None for an operator's payout.
    """

    question_id: UUID
    payout_id: UUID
    method_type: str
    details: Mapping[str, Any] = field(repr=False)
    payee: str | None
    amount: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningAnswer:
    """The answer to one question. ``reference`` is the service's own name of it: 1 to 128 visible ASCII characters, required but where
    nothing was answered. ``reason`` is for approvers: it may name a person (never logged: no ``repr``).
    """

    verdict: ScreeningVerdict
    reference: str | None = None
    reason: str | None = field(default=None, repr=False)


class ScreeningService(Protocol):
    """A screening service. A question may be asked again, also after a crash."""

    async def screen(self, question: ScreeningQuestion, *, now: datetime) -> ScreeningAnswer:
        """Ask the service. Anything unclear is ``UNANSWERED``; what is raised counts as unanswered too."""
        ...

    async def close(self) -> None:
        """Close what is open."""
        ...
