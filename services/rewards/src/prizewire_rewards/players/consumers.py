"""``player.updated``: facts of players, from the sources that a file names, each event signed by its source."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import after_commit
from prizewire_chassis.inbox import ConsumerSpec, Incoming, Refusal, never
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.player_sources import GROUPS, PlayerSource, SourceRefused, signing_key
from prizewire_contracts.topics import PLAYERS
from prizewire_contracts.trust import NotTrusted, verify_raw
from prizewire_rewards import metrics
from prizewire_rewards.players.domain import KycState, PlayerFacts, UpdatePlayers
from prizewire_rewards.players.handlers import update_players
from prizewire_rewards.players.ports import PlayerHasher, PlayerPorts


def players_spec(
    *,
    ports_of: Callable[[AsyncConnection], PlayerPorts],
    clock: Clock,
    hasher: PlayerHasher,
    sources: Mapping[str, PlayerSource],
) -> ConsumerSpec:
    """The consumer of players' facts. The events have no versions: of each fact the report with the newest event time counts."""

    async def admit(tx: AsyncConnection, incoming: Sequence[Incoming]) -> Mapping[int, Refusal]:
        refused: dict[int, Refusal] = {}
        for index, item in enumerate(incoming):
            refusal = _refusal(item, sources=sources)
            if refusal is not None:
                after_commit(tx, metrics.PLAYER_EVENTS_REFUSED.labels(refusal.code).inc)
                refused[index] = refusal
        return refused

    async def players(tx: AsyncConnection, incoming: Sequence[Incoming]) -> Mapping[int, Refusal]:
        refused: dict[int, Refusal] = {}
        reports: list[PlayerFacts] = []
        now = clock.now()
        for index, item in enumerate(incoming):
            if item.event.subject != item.event.data.player:
                detail = f"the subject {item.event.subject} is not {item.event.data.player}"
                refused[index] = Refusal(RefusalCode.EVENT_MISMATCH, detail)
                continue
            reports.append(_facts(item, now=now, hasher=hasher))
        if reports:
            await update_players(UpdatePlayers(reports=tuple(reports)), ports=ports_of(tx), now=now)
        return refused

    return ConsumerSpec(
        name="rewards.players", topic=PLAYERS, handler=players, version_rule=never, admit=admit
    )


def _refusal(item: Incoming, *, sources: Mapping[str, PlayerSource]) -> Refusal | None:
    """The refusal of an event that its source may not report or did not sign; None for an authentic one."""
    event = item.event
    try:
        key = signing_key(
            sources=sources,
            source=event.source,
            facts=[fact for fact in GROUPS if getattr(event.data, fact) is not None],
            keyid=event.keyid,
            at=event.time,
        )
        verify_raw(topic=PLAYERS.name, raw=item.raw, public_key=key.public_key)
    except (SourceRefused, NotTrusted) as error:
        return Refusal(RefusalCode(error.code), error.detail)
    return None


def _facts(item: Incoming, *, now: datetime, hasher: PlayerHasher) -> PlayerFacts:
    """The facts of an event, at the event's time. A time in the future counts as now: else a source whose clock is ahead
    would win over every later report.
    """
    data = item.event.data
    at = min(item.event.time, now)
    kyc = data.kyc_state
    return PlayerFacts(
        player=data.player,
        registered_at=data.registered_at,
        registered_at_told=at if data.registered_at is not None else None,
        kyc_state=KycState(kyc) if kyc is not None else None,
        kyc_state_told=at if kyc is not None else None,
        device_hash=hasher.hashed("device", data.device_hash) if data.device_hash is not None else None,
        device_hash_told=at if data.device_hash is not None else None,
        address_hash=hasher.hashed("address", data.address_hash) if data.address_hash is not None else None,
        address_hash_told=at if data.address_hash is not None else None,
    )
