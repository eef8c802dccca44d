"""Switches that keep new payments from starting; what is already sent is followed to its end."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from prizewire_payouts.errors import PauseRefused
from prizewire_payouts.payouts.domain.model import Pause, PauseScope
from prizewire_payouts.payouts.ports import Store


async def pause(
    store: Store,
    *,
    pause_id: UUID,
    scope: PauseScope,
    value: str,
    reason: str,
    by: str,
    known: Mapping[PauseScope, Collection[str]],
    now: datetime,
) -> Pause:
    """Start no payment of this rail, asset or campaign any more. One that is paused already stays as it is. ``known``
    holds the rails and assets that there are; campaigns are known to rewards only, by a UUID.

    Raises:
        PauseRefused: ``pause_value_unknown``.
    """
    value = _existing(scope, value, known)
    for one in await store.pauses():
        if (one.scope, one.value) == (scope, value):
            return one
    new = Pause(pause_id=pause_id, scope=scope, value=value, reason=reason, paused_by=by, paused_at=now)
    await store.save_pause(new)
    return new


def _existing(scope: PauseScope, value: str, known: Mapping[PauseScope, Collection[str]]) -> str:
    """What is to be paused, as payments name it: a pause of nothing would be taken for one that works."""
    if scope in known:
        if value in known[scope]:
            return value
        there = ", ".join(sorted(known[scope]))
        raise PauseRefused("pause_value_unknown", f"there is no {scope} {value}: use one of {there}")
    try:
        return str(UUID(value))
    except ValueError:
        raise PauseRefused("pause_value_unknown", f"{value} is no campaign's id, which is a UUID") from None


async def resume(store: Store, *, pause_id: UUID, by: str, now: datetime) -> Pause:
    """Lift a pause.

    Raises:
        PauseRefused: ``pause_not_found``, or it was lifted before.
    """
    for known in await store.pauses():
        if known.pause_id == pause_id:
            lifted = replace(known, resumed_by=by, resumed_at=now)
            await store.save_pause(lifted)
            return lifted
    raise PauseRefused("pause_not_found", "there is no such pause in force")
