"""Switches that keep new payments from starting; what is already sent is followed to its end."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from prizewire_payouts.domain.errors import PauseRefused
from prizewire_payouts.domain.model import Pause
from prizewire_payouts.ports import Store

__all__ = ["pause", "resume"]

SCOPES = ("rail", "asset", "campaign")


async def pause(
    store: Store, *, pause_id: UUID, scope: str, value: str, reason: str, by: str, now: datetime
) -> Pause:
    """Start no payment of this rail, asset or campaign any more. One that is paused already stays as it is.

    Raises:
        PauseRefused: ``pause_scope_unknown``.
    """
    if scope not in SCOPES:
        raise PauseRefused("pause_scope_unknown", f"a pause is for one of {', '.join(SCOPES)}")
    for known in await store.pauses():
        if (known.scope, known.value) == (scope, value):
            return known
    new = Pause(pause_id=pause_id, scope=scope, value=value, reason=reason, paused_by=by, paused_at=now)
    await store.save_pause(new)
    return new


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
