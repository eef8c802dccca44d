"""How entry points open the ports over a transaction; the composition root says what stands behind them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_signer.ports import Answers, Book, ClosingBook, QueueState, Refusals


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The records of one signer. ``breaches`` answers by the name of the invariant."""

    book: Callable[[AsyncConnection], Book]
    closing_book: Callable[[AsyncConnection], ClosingBook]
    answers: Callable[[AsyncConnection], Answers]
    breaches: Callable[[AsyncConnection, datetime], Awaitable[Mapping[str, list[str]]]]
    refusals: Callable[[AsyncConnection], Refusals]
    queue: Callable[[AsyncConnection, datetime], Awaitable[QueueState]]
