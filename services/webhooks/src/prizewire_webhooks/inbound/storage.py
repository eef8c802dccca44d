"""What providers said, once for each (provider, event id)."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_webhooks.inbound.domain import ProviderCall


class SqlProviders:
    """``ports.ProviderStore`` over one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def record(self, call: ProviderCall, *, now: datetime) -> bytes | None:
        """See the port. A concurrent call with the same id waits for the first."""
        added = await self._tx.execute(
            _ADD,
            {
                "provider": call.provider,
                "event_id": call.event_id,
                "rail": call.rail,
                "event_type": call.event_type,
                "provider_key": call.provider_key,
                "provider_ref": call.provider_ref,
                "body_hash": call.body_hash,
                "now": now,
            },
        )
        if added.rowcount:
            return None
        place = {"provider": call.provider, "event_id": call.event_id}
        return bytes((await self._tx.execute(_FIND, place)).scalar_one())

    async def record_conflict(self, call: ProviderCall, *, now: datetime) -> bool:
        """See the port."""
        added = await self._tx.execute(
            _ADD_CONFLICT,
            {
                "provider": call.provider,
                "event_id": call.event_id,
                "body_hash": call.body_hash,
                "now": now,
            },
        )
        return bool(added.rowcount)


_ADD = text(
    "INSERT INTO provider_events (provider, event_id, rail, event_type, provider_key, provider_ref, body_hash, "
    "received_at) VALUES (:provider, :event_id, :rail, :event_type, :provider_key, :provider_ref, :body_hash, :now) "
    "ON CONFLICT (provider, event_id) DO NOTHING"
)
_FIND = text("SELECT body_hash FROM provider_events WHERE provider = :provider AND event_id = :event_id")
_ADD_CONFLICT = text(
    "INSERT INTO provider_event_conflicts (provider, event_id, body_hash, received_at) "
    "VALUES (:provider, :event_id, :body_hash, :now) ON CONFLICT DO NOTHING"
)
