"""The store in memory and the store in PostgreSQL pass the same tests."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Conflict, Write
from prizewire_chassis.db.database import sqlstate
from prizewire_chassis.outbox import Outbox
from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.ids import round_id
from prizewire_devstack.waiting import eventually
from prizewire_money import Asset, AssetRegistry
from prizewire_settlement.competitions.domain.model import (
    CampaignState,
    EntryFee,
    PerPoint,
    PlaceRange,
    RankBy,
    Rule,
    Source,
    SourceChange,
    TiePolicy,
)
from prizewire_settlement.competitions.ports import CompetitionStore
from prizewire_settlement.competitions.storage import Competitions, PostgresCampaigns, RuleReader
from prizewire_settlement.rounds.domain.model import MatchReport, RoundState
from prizewire_settlement.rounds.handlers.matches import Applied, admit_reports, apply_reports
from prizewire_settlement.rounds.handlers.resolution import finalize_due
from prizewire_settlement.rounds.ports import UnitOfWork
from prizewire_settlement.rounds.storage import writes
from prizewire_settlement.rounds.storage.macs import mac_of
from prizewire_settlement.rounds.storage.rounds import Rounds
from services.settlement.tests.fakes import (
    EURC,
    KEY,
    NOW,
    SOURCE,
    FakeWorld,
    completed,
    corrected,
    entered,
    make_campaign,
    make_competition,
    make_rule,
    opened,
    placed,
    source_key,
)
from services.settlement.tests.service import Opener, Service

Store = Callable[[], AbstractAsyncContextManager[UnitOfWork]]
Keeper = Callable[[], AbstractAsyncContextManager[CompetitionStore]]
HOUR = timedelta(hours=1)
SERIALIZATION_FAILURE = "40001"
LOCK_NOT_AVAILABLE = "55P03"
XLM = Asset("XLM", 7, True)


@pytest.fixture(params=["memory", "postgresql"])
async def stores(request: pytest.FixtureRequest, open_service: Opener) -> AsyncIterator[tuple[Store, Keeper]]:
    """Both ports; each use is a transaction of its own."""
    if request.param == "memory":
        world = FakeWorld()

        @asynccontextmanager
        async def memory() -> AsyncIterator[FakeWorld]:
            yield world

        yield memory, memory
        return
    service: Service = await open_service()
    assets = AssetRegistry({asset.code: asset for asset in (EURC, XLM)})

    @asynccontextmanager
    async def rounds() -> AsyncIterator[UnitOfWork]:
        async with service.db.transaction() as tx:
            yield Rounds(
                tx,
                rules=RuleReader(assets),
                consumer="settlement.matches",
                outbox=service.runtime.outbox,
                mac=mac_of(KEY),
            )

    @asynccontextmanager
    async def keeper() -> AsyncIterator[CompetitionStore]:
        async with service.db.transaction() as tx:
            yield Competitions(tx, rules=RuleReader(assets))

    yield rounds, keeper


def full_rule() -> Rule:
    """A rule that uses every field."""
    return make_rule(
        competition="full",
        asset=XLM,
        gross=2**62,
        platform_bps=1,
        organizer_bps=2,
        organizer_player="org",
        template=None,
        places=(PlaceRange(first=1, last=1, amount_each=7), PlaceRange(first=2, last=9, amount_each=3)),
        per_point=PerPoint(score="points", per=500_000, amount=11),
        ties=TiePolicy.REFUSE,
        rank_by=RankBy(score="points", descending=False),
        sources=(Source(source=SOURCE, keys=(source_key(KEY),)), Source(source="/games/go")),
        dispute_window=HOUR,
        entry_fee=EntryFee(asset=EURC, amount=2**61),
        writers=("olga",),
    )


async def test_competitions_come_back_whole(stores: tuple[Store, Keeper]) -> None:
    """Every field of every rule, by name and by version; an id is used once; a lock returns the newest state."""
    rounds, keeper = stores
    made = [make_competition(), make_competition(full_rule())]
    async with keeper() as store:
        assert [await store.create(one) for one in made] == [True, True]
        assert await store.create(made[0]) is False
    changed = make_competition(make_rule(version=2, gross=5, writers=("ada", "olga")))
    async with keeper() as store:
        assert await store.lock("cup") == made[0]
        await store.replace(changed, by="ada")
        assert await store.lock("unheard") is None
    async with rounds() as found:
        assert await found.competitions({"cup", "full", "unheard"}) == {"cup": changed, "full": made[1]}
        assert await found.rules({("cup", 1), ("full", 1)}) == {
            ("cup", 1): made[0].rule,
            ("full", 1): made[1].rule,
        }


async def test_changes_of_sources_are_found_by_version(stores: tuple[Store, Keeper]) -> None:
    """Those whose sources or keys differ from the version before, inside the bounds; a rename is none."""
    rounds, keeper = stores
    keyed, another = Source(source=SOURCE, keys=(source_key(KEY),)), Source(source="/games/go")
    async with keeper() as store:
        assert await store.create(make_competition(make_rule(sources=(keyed,))))
        assert await store.create(make_competition(full_rule()))
        for version, (by, source) in enumerate(
            [("ada", keyed), ("bob", another), ("cyd", another), ("eve", keyed)], start=2
        ):
            changed = make_competition(make_rule(version=version, sources=(source,)))
            await store.replace(changed, by=by)
    async with rounds() as found:
        bob, eve = SourceChange(3, (another,), "bob"), SourceChange(5, (keyed,), "eve")
        assert await found.source_changes([("cup", 1, 5)]) == {"cup": (bob, eve)}
        assert (await found.source_changes([("cup", 1, 4), ("full", 0, 0)]))["cup"] == (bob,)
        assert (await found.source_changes([("cup", 3, 5)]))["cup"] == (eve,)


async def take(store: UnitOfWork, *reports: MatchReport) -> Applied:
    """Admit all reports, and apply them."""
    admitted = await admit_reports(reports, unit_of_work=store)
    assert admitted.refused == {}
    return await apply_reports(
        reports,
        competitions=admitted.competitions,
        unit_of_work=store,
        now=NOW,
        lines_per_part=1_000,
    )


async def apply(store: Store, *reports: MatchReport) -> None:
    async with store() as found:
        applied = await take(found, *reports)
    assert applied.refused == {}


def ids(*matches: str) -> list[UUID]:
    return [round_id(source=SOURCE, match_id=match) for match in matches]


async def test_rounds_and_parts_come_back_as_they_were_saved(stores: tuple[Store, Keeper]) -> None:
    """New, moved, settled and corrected rounds; the heads of parts, and their results and lines where they are asked for;
    who entered.
    """
    rounds, keeper = stores
    async with keeper() as store:
        await store.create(make_competition(dispute_window=HOUR, entry_fee=EntryFee(asset=EURC, amount=250)))
    first = completed("m2", event_id="p1", part=1, parts=2, results=placed("ann"))
    await apply(rounds, opened("m1"), first)
    (m1, m2) = ids("m1", "m2")
    async with rounds() as found:
        held = await found.rounds({m1, m2, *ids("unheard")})
        assert {one.state for one in held.values()} == {RoundState.OPEN, RoundState.CLOSED}
        waiting = await found.parts({m1, m2})
        head = waiting[m2][1, 1]
        assert (head.results, head.document, head.players, head.reason) == ((), "", 1, None)
        assert await found.results([head]) == {1: first.results}
        assert m1 not in waiting
        assert held[m2].waiting_since == NOW
    again = completed("m2", event_id="q1", part=1, parts=2, results=placed("bob"))
    last = completed("m2", event_id="q2", part=2, parts=2, results=placed(cyd=2))
    await apply(rounds, again, last)
    async with rounds() as found:
        settled = (await found.rounds({m2}))[m2]
        assert (settled.state, settled.state_seq, settled.version) == (RoundState.SETTLED, 4, 1)
        assert (settled.settlement_version, settled.result_version, settled.final_at) == (1, 1, NOW + HOUR)
        parts = (await found.parts({m2}))[m2]
        assert {key: part.event_id for key, part in parts.items()} == {(1, 1): "q1", (1, 2): "q2"}
        assert await found.results(list(parts.values())) == {1: placed("bob"), 2: placed(cyd=2)}
        assert [line.player for line in await found.lines(m2, 1)] == ["bob", "cyd"]
        assert settled.waiting_since is None
    await apply(rounds, corrected("m2", results=placed("cyd")), entered("ann", "m1"), entered("bob", "m1"))
    async with rounds() as found:
        settled = (await found.rounds({m2}))[m2]
        assert (settled.settlement_version, settled.result_version, settled.final_at) == (2, 2, NOW + HOUR)
        assert [line.player for line in await found.lines(m2, 2)] == ["cyd"]
        assert (await found.parts({m2}))[m2][2, 1].reason == "a judge said so"
        wanted = {(m1, "ann"), (m1, "cyd"), (m2, "bob")}
        assert await found.entered(wanted) == {m1: {"ann"}}


async def test_rounds_are_due_when_their_window_has_passed(stores: tuple[Store, Keeper]) -> None:
    """Oldest first, no more than asked for, each once."""
    rounds, keeper = stores
    async with keeper() as store:
        await store.create(make_competition(dispute_window=HOUR))
    await apply(rounds, opened("open"), *(completed(f"m{n}") for n in range(3)))

    async def finalize(limit: int) -> int:
        async with rounds() as found:
            return await finalize_due(unit_of_work=found, now=NOW + HOUR, actor="x", limit=limit)

    async with rounds() as found:
        assert await found.due(now=NOW + HOUR - timedelta(microseconds=1), limit=9) == []
        due = await found.due(now=NOW + HOUR, limit=2)
        assert [one.id for one in due] == sorted(ids("m0", "m1", "m2"))[:2]
    assert [await finalize(2), await finalize(2), await finalize(2)] == [2, 1, 0]


class NoOutbox(Outbox):
    """Discards events, so that a race for a round is found at the tables of rounds."""

    async def add(self, tx: AsyncConnection, events: Sequence[EncodedEvent]) -> None:
        del tx, events


@asynccontextmanager
async def transaction(
    service: Service, *, lock_timeout_ms: int = 0
) -> AsyncIterator[tuple[Rounds, Competitions]]:
    """Both ports in one transaction, whose wait for a lock ends after ``lock_timeout_ms``."""
    reader = RuleReader(AssetRegistry({"EURC": EURC}))
    async with service.db.transaction() as tx:
        await tx.exec_driver_sql(f"SET LOCAL lock_timeout = {lock_timeout_ms}")
        outbox = NoOutbox(service="settlement", key=KEY, clock=service.clock)
        rounds = Rounds(tx, rules=reader, consumer="settlement.matches", outbox=outbox, mac=mac_of(KEY))
        yield rounds, Competitions(tx, rules=reader)


async def test_one_of_two_transactions_that_begin_a_round_is_retried(open_service: Opener) -> None:
    """Neither found a round; the second one waits for the first, fails as a serialization failure, and is retried."""
    service: Service = await open_service()
    async with transaction(service) as (_, keeper):
        await keeper.create(make_competition())

    async def second() -> None:
        async with transaction(service) as (rounds, _):
            both_looked.set()
            await take(rounds, completed(event_id="b"))

    both_looked = asyncio.Event()
    async with transaction(service) as (rounds, _):
        await take(rounds, completed())
        assert await rounds.competitions({"cup"})  # what was written is sent before
        waiting = asyncio.create_task(second())
        await both_looked.wait()
        await eventually(lambda: _somebody_waits(service))
    with pytest.raises(Conflict) as error:
        await waiting
    assert sqlstate(error.value) == SERIALIZATION_FAILURE
    await second()
    assert await service.count("settlements") == 1


def test_whichever_row_finds_out_first_it_is_a_race() -> None:
    """The parts of one statement are run in an order that is PostgreSQL's: each plain insert names the keys at which it
    may come second.
    """
    plain = [
        write
        for write in vars(writes).values()
        if isinstance(write, Write)
        and write.parts[0].startswith("INSERT")
        and "ON CONFLICT" not in write.parts[0]
    ]
    assert len(plain) == 5
    for write in plain:
        assert f"{write.table}_pkey" in write.raced, write.table


async def _somebody_waits(service: Service) -> bool:
    return bool(await service.rows("SELECT 1 FROM pg_locks WHERE NOT granted"))


async def test_rounds_and_competitions_are_held_by_one_at_a_time(open_service: Opener) -> None:
    """A transaction waits for rounds that another one has locked; the finality job skips them."""
    service: Service = await open_service()
    async with transaction(service) as (rounds, keeper):
        await keeper.create(make_competition(dispute_window=HOUR))
    async with transaction(service) as (rounds, _):
        await take(rounds, opened("m1"), completed("m2"))
    async with transaction(service) as (rounds, keeper):
        assert len(await rounds.rounds(ids("m1"))) == 1
        assert len(await rounds.due(now=NOW + HOUR, limit=9)) == 1
        assert await keeper.lock("cup") is not None
        async with transaction(service, lock_timeout_ms=2_000) as (others, _):
            assert await others.due(now=NOW + HOUR, limit=9) == []
        for what in ("round", "competition"):
            with pytest.raises(DBAPIError) as error:
                async with transaction(service, lock_timeout_ms=50) as (others, other_keeper):
                    await (others.rounds(ids("m1")) if what == "round" else other_keeper.lock("cup"))
            assert sqlstate(error.value) == LOCK_NOT_AVAILABLE


async def test_an_older_state_of_a_campaign_is_not_kept(open_service: Opener) -> None:
    """Whatever order its events come in, a campaign that has ended stays so."""
    service: Service = await open_service()
    found = make_campaign(state=CampaignState.ENDED, version=7)
    async with service.db.transaction() as tx:
        store = PostgresCampaigns(tx)
        await store.keep([found])
        for version in (3, 7):
            await store.keep([replace(found, state=CampaignState.ACTIVE, version=version)])
        assert await store.campaign(found.id) == found
