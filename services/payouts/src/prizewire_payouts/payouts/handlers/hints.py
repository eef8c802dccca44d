"""What rails say by themselves: only ever a reason to ask them, never a fact."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prizewire_payouts.payouts.ports import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """A rail spoke of a payment, by our key or by its own reference."""

    rail: str
    provider_key: UUID | None
    provider_ref: str | None


async def take_hints(store: Store, hints: Sequence[Hint], *, now: datetime) -> int:
    """Have the rails asked at once about the payments that hints speak of; answers how many are concerned.

    A hint about a payment that is not here, or that has ended, changes nothing.
    """
    keys = [hint.provider_key for hint in hints if hint.provider_key is not None]
    references = [(hint.rail, hint.provider_ref) for hint in hints if hint.provider_ref is not None]
    return await store.look_now(keys=keys, references=references, now=now)
