"""``player.updated``: facts that game servers tell of players.

These events are not signed: Kafka's access table says who may write them. So they are believed only as far as a risk
rule may be misled by them: an identity check counts from no source but those that a setting names.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import after_commit
from prizewire_chassis.inbox import ConsumerSpec, Incoming, Refusal, never
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.topics import PLAYERS
from prizewire_rewards import metrics
from prizewire_rewards.domain.commands import TellPlayers
from prizewire_rewards.domain.players import KycState, PlayerFacts
from prizewire_rewards.entrypoints.works import Works
from prizewire_rewards.handlers.players import tell_players
from prizewire_rewards.ports import PlayerHasher

__all__ = ["players_spec"]


def players_spec(
    *, works: Works, clock: Clock, hasher: PlayerHasher, kyc_sources: Collection[str]
) -> ConsumerSpec:
    """The consumer of players' facts. Events have no versions: of each fact the newest by its event's time counts."""

    async def players(tx: AsyncConnection, incoming: Sequence[Incoming]) -> Mapping[int, Refusal]:
        refused: dict[int, Refusal] = {}
        told: list[PlayerFacts] = []
        now = clock.now()
        for index, item in enumerate(incoming):
            if item.event.subject != item.event.data.player:
                detail = f"the subject {item.event.subject} is not {item.event.data.player}"
                refused[index] = Refusal(RefusalCode.EVENT_MISMATCH, detail)
                continue
            if item.event.data.kyc_state is not None and item.event.source not in kyc_sources:
                after_commit(tx, metrics.KYC_IGNORED.inc)
            told.append(_facts(item, now=now, hasher=hasher, kyc_sources=kyc_sources))
        if told:
            await tell_players(TellPlayers(told=tuple(told)), work=works.of(tx), now=now)
        return refused

    return ConsumerSpec(name="rewards.players", topic=PLAYERS, handler=players, version_rule=never)


def _facts(
    item: Incoming, *, now: datetime, hasher: PlayerHasher, kyc_sources: Collection[str]
) -> PlayerFacts:
    """What the event tells, at its time. A time to come counts as now: a clock that is ahead must not have the last
    word for ever.
    """
    data = item.event.data
    at = min(item.event.time, now)
    kyc = data.kyc_state if item.event.source in kyc_sources else None
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
