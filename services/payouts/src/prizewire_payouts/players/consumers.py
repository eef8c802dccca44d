"""``player.updated``: identity checks and tax forms, from the sources that a file names, each event signed by its source."""

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import after_commit
from prizewire_chassis.inbox import ConsumerSpec, Incoming, Refusal, never
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.player_sources import GROUPS, PlayerSource, SourceRefused, signing_key
from prizewire_contracts.topics import PLAYERS
from prizewire_contracts.trust import NotTrusted, verify_raw
from prizewire_payouts.metrics import PLAYER_EVENTS_REFUSED
from prizewire_payouts.players.domain import KycState, PlayerFacts, TaxState
from prizewire_payouts.players.handlers import update_players
from prizewire_payouts.players.storage import PlayerStorage
from prizewire_payouts.unit_of_work import UnitOfWorkFactory


def players_spec(
    *, unit_of_work: UnitOfWorkFactory, clock: Clock, sources: Mapping[str, PlayerSource]
) -> ConsumerSpec:
    """The consumer of players' facts. The events have no versions: of each fact the report with the newest event time counts."""

    async def admit(tx: AsyncConnection, incoming: Sequence[Incoming]) -> Mapping[int, Refusal]:
        refused: dict[int, Refusal] = {}
        for index, item in enumerate(incoming):
            refusal = _refusal(item, sources=sources)
            if refusal is not None:
                after_commit(tx, PLAYER_EVENTS_REFUSED.labels(refusal.code).inc)
                refused[index] = refusal
        return refused

    async def players(tx: AsyncConnection, incoming: Sequence[Incoming]) -> Mapping[int, Refusal]:
        refused: dict[int, Refusal] = {}
        reports: list[PlayerFacts] = []
        for index, item in enumerate(incoming):
            data = item.event.data
            if item.event.subject != data.player:
                detail = f"the subject {item.event.subject} is not {data.player}"
                refused[index] = Refusal(RefusalCode.EVENT_MISMATCH, detail)
            elif data.kyc_state is not None or data.tax_state is not None:
                reports.append(_facts(item, clock=clock))
        if reports:
            await update_players(PlayerStorage(unit_of_work(tx)), reports, now=clock.now())
        return refused

    return ConsumerSpec(
        name="payouts.players", topic=PLAYERS, handler=players, version_rule=never, admit=admit
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


def _facts(item: Incoming, *, clock: Clock) -> PlayerFacts:
    """The facts of an event, at the event's time. A time in the future counts as now: else a source whose clock is ahead
    would win over every later report.
    """
    data = item.event.data
    at = min(item.event.time, clock.now())
    kyc, tax = data.kyc_state, data.tax_state
    return PlayerFacts(
        player=data.player,
        kyc_state=None if kyc is None else KycState(kyc),
        kyc_expires_at=data.kyc_expires_at,
        kyc_reported_at=None if kyc is None else at,
        tax_state=None if tax is None else TaxState(tax),
        tax_reported_at=None if tax is None else at,
    )
