"""Transactions that ended without success are compared with the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from prizewire_chassis.clock import ManualClock
from prizewire_chassis.metrics import ROWS_POSTPONED
from prizewire_devstack.waiting import eventually
from prizewire_payouts.stellar.adapters.rpc import StellarRpc
from prizewire_payouts.stellar.domain.model import LedgerMoment, LookUp, LookUpStatus
from prizewire_payouts.stellar.handlers import comparing
from prizewire_payouts.stellar.handlers.comparing import OVERDUE, PAUSE_FIRST, Comparison
from prizewire_payouts.stellar.handlers.delivering import send_signed
from prizewire_payouts.stellar.ports import ChainRpc, RpcUnavailable
from prizewire_payouts.stellar.storage.checks import compared_check
from prizewire_payouts.stellar.storage.endings import EndingStorage
from services.payouts.tests.stellar.integration.conftest import PLAYER_KEYS, World

LATER_S = 3_600


@dataclass
class Later:
    """A node whose last ledger is an hour further on: the maxTime of every transaction has passed."""

    real: Any
    later_s: int = LATER_S
    forgot: bool = False
    silent: bool = False
    away: bool = False
    refused: str = "never"
    """The beginning of the hashes about which the node does not answer."""
    asked: list[str] = field(default_factory=list)

    async def latest_ledger(self) -> LedgerMoment:
        if self.away:
            raise RpcUnavailable("away")
        moment = await self.real.latest_ledger()
        return replace(moment, close_time=moment.close_time + self.later_s)

    async def look_up(self, tx_hash: str) -> LookUp:
        self.asked.append(tx_hash)
        if self.silent or self.away or tx_hash.startswith(self.refused):
            raise RpcUnavailable("silent")
        found: LookUp = await self.real.look_up(tx_hash)
        return (
            LookUp(status=LookUpStatus.NOT_FOUND, latest=found.latest, oldest=found.oldest)
            if self.forgot
            else found
        )


def comparison(world: World, *nodes: Any) -> Comparison:
    rpcs: Sequence[ChainRpc] = nodes
    return Comparison(store=EndingStorage(world.execution), rpcs=rpcs)


async def run(one: Comparison, world: World, *, later: timedelta = timedelta()) -> int:
    return len(await one.run(now=world.clock.now() + later))


async def overdue(one: Comparison, world: World, *, later: timedelta) -> list[str]:
    """The breaches of the check some time later."""
    check = compared_check(one, clock=ManualClock(world.clock.now() + later))
    async with world.db.transaction() as tx:
        return await check.run(tx)


async def contradicted(world: World) -> list[tuple[str, str]]:
    rows = await world.rows("SELECT tx_hash, state FROM stellar_contradictions")
    return [(row.tx_hash, row.state) for row in rows]


async def applied(world: World) -> str:
    """The ledger applies a transaction, of which payouts does not know yet; its hash."""
    await world.submit([await world.payout(PLAYER_KEYS[0].public_key, 100)])

    async def signed() -> bool:
        return [state for _, state in await world.states()] == ["signed"]

    await world.run_until(signed)
    await send_signed(store=world.store, rpc=world.rpc, options=world.options, now=world.clock.now())

    async def paid() -> bool:
        return bool(world.paid())

    await eventually(paid, poll_s=0.05)
    (row,) = await world.rows("SELECT tx_hash FROM stellar_attempts")
    return str(row.tx_hash)


async def end_as_dead(world: World) -> None:
    """With the login of payouts' database: the transaction can never be applied."""
    for state in ("checking", "dead"):
        await world.rows(f"UPDATE stellar_attempts SET state = '{state}' RETURNING 1")


@pytest.fixture(autouse=True)
def stop_before_the_send(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The world's own steps end with the signature, so that a test decides what payouts knows of the ledger."""

    async def nothing(**_: Any) -> bool:
        return False

    for step in ("send_signed", "confirm_sent", "resolve_checking", "expire_unsigned"):
        monkeypatch.setattr(f"services.payouts.tests.stellar.integration.conftest.{step}", nothing)


async def test_an_applied_transaction_that_ended_is_reported(world: World) -> None:
    """Once, with its payouts, by a check that stays broken: the money may be given back or paid again."""
    tx_hash = await applied(world)
    await end_as_dead(world)
    one = comparison(world, Later(world.rpc))
    assert await run(one, world) == 1
    assert await run(one, world) == 0
    assert await run(comparison(world, Later(world.rpc)), world) == 0
    assert await contradicted(world) == [(tx_hash, "dead")]
    (payout,) = await world.rows("SELECT payout_id FROM stellar_payments")
    (breach,) = [one for one in await world.breaches() if tx_hash in one]
    assert str(payout.payout_id) in breach


async def test_any_node_is_enough(world: World) -> None:
    """The first node does not know the transaction any more, the second does."""
    tx_hash = await applied(world)
    await end_as_dead(world)
    await run(comparison(world, Later(world.rpc, forgot=True), Later(world.rpc)), world)
    assert await contradicted(world) == [(tx_hash, "dead")]


async def test_a_silent_node_hides_nothing(world: World) -> None:
    """The answer of another node is enough."""
    tx_hash = await applied(world)
    await end_as_dead(world)
    await run(comparison(world, Later(world.rpc, silent=True), Later(world.rpc)), world)
    assert await contradicted(world) == [(tx_hash, "dead")]


async def test_a_transaction_is_compared_after_its_max_time(world: World) -> None:
    """Before that the ledger may still apply it."""
    await applied(world)
    await end_as_dead(world)
    node = Later(world.rpc, later_s=0)
    one = comparison(world, node)
    await run(one, world)
    assert (node.asked, await contradicted(world)) == ([], [])
    node.later_s = LATER_S
    await run(one, world)
    assert len(await contradicted(world)) == 1


async def test_a_silent_node_is_asked_again(world: World) -> None:
    """No answer is no proof: the next run asks once more."""
    await applied(world)
    await end_as_dead(world)
    node = Later(world.rpc, silent=True)
    one = comparison(world, node)
    await run(one, world)
    assert await contradicted(world) == []
    await run(comparison(world, node, Later(world.rpc, forgot=True)), world)
    node.silent = False
    await run(one, world)
    assert await contradicted(world) == []  # left out for a minute
    await run(one, world, later=PAUSE_FIRST)
    assert len(await contradicted(world)) == 1


async def test_a_transaction_without_effect_is_no_contradiction(world: World) -> None:
    """The ledger does not know it, or has it as failed: it is looked up once, and nothing is reported."""
    await world.submit([await world.payout(PLAYER_KEYS[0].public_key, 100)])

    async def signed() -> bool:
        return [state for _, state in await world.states()] == ["signed"]

    await world.run_until(signed)
    await end_as_dead(world)
    node = Later(world.rpc)
    one = comparison(world, node)
    await run(one, world)
    await run(one, world)
    assert (len(node.asked), await contradicted(world)) == (1, [])


async def test_a_contradiction_is_stored_once(world: World) -> None:
    """Two processes find it at the same time: one of them counts it."""
    tx_hash = await applied(world)
    await end_as_dead(world)
    store = EndingStorage(world.execution)
    (ended,) = await store.ended(since=0, until=2**40, after=None, limit=10)
    assert ended.tx_hash == tx_hash
    assert await store.contradict(ended, ledger=7, now=world.clock.now())
    assert not await store.contradict(ended, ledger=7, now=world.clock.now())


_CHANNEL = "'G' || translate(lpad(CAST(n AS text), 55, '0'), '0189', 'ABCD')"
_NUMBERS = "generate_series(CAST(:first AS int), CAST(:last AS int)) n"
INVENTED = (
    f"INSERT INTO stellar_channels (account, sequence) SELECT {_CHANNEL}, 0 FROM {_NUMBERS} RETURNING 1",
    (
        "INSERT INTO stellar_slots (slot_id, account, sequence, state, version, opened_at) "
        f"SELECT gen_random_uuid(), {_CHANNEL}, 1, 'open', 0, now() FROM {_NUMBERS} RETURNING 1"
    ),
    (
        "INSERT INTO stellar_attempts (account, kind, memo, state, slot_id, revision, tx_hash, unsigned_xdr, max_time, "
        "leased_at, changed_at) SELECT account, 'payment', '', 'leased', slot_id, 1, "
        "CAST(:kind AS text) || lpad(to_hex(n), 60, '0'), 'AAAA', "
        "(SELECT max_time + :shift FROM stellar_attempts WHERE signed_xdr IS NOT NULL), now(), now() "
        f"FROM {_NUMBERS} JOIN stellar_slots ON account = {_CHANNEL} RETURNING 1"
    ),
    "UPDATE stellar_attempts SET state = 'built' WHERE state = 'leased' RETURNING 1",
    "UPDATE stellar_attempts SET state = 'refused' WHERE state = 'built' RETURNING 1",
)
"""With the login of payouts' database: transactions that were refused, on channels of their own."""
REFUSED, ABSENT = "dead", "beef"
"""How hashes begin about which the node does not answer, and of which it says that they are not there."""


async def invent(world: World, kind: str, *, first: int, last: int, shift: int) -> None:
    for statement in INVENTED:
        names = ("first", "last", "kind", "shift")
        values = dict(zip(names, (first, last, kind, shift), strict=True))
        await world.rows(statement, **{name: values[name] for name in names if f":{name}" in statement})


@pytest.mark.parametrize("kind", [REFUSED, ABSENT])
@pytest.mark.parametrize("shifts", [(-1, -2), (1, 2), (-1, 1)])
async def test_no_row_keeps_another_from_being_compared(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: str, shifts: tuple[int, int]
) -> None:
    """Older ones, newer ones, or both, whether the node answers about them or not."""
    monkeypatch.setattr(comparing, "AT_ONCE", 5)
    monkeypatch.setattr(comparing, "PAGE", 20)
    tx_hash = await applied(world)
    await end_as_dead(world)
    await invent(world, kind, first=1, last=60, shift=shifts[0])
    await invent(world, kind, first=101, last=160, shift=shifts[1])
    node = Later(world.rpc, refused=REFUSED)
    one = comparison(world, node)
    now = world.clock.now()
    for _ in range(121):
        await one.run(now=now)
        if not one.more:
            break
    assert await contradicted(world) == [(tx_hash, "dead")]
    assert len(node.asked) == len(set(node.asked)) == 121
    assert (one.more, one.covered_at, len(one.resting(now=now))) == (
        False,
        now,
        120 if kind == REFUSED else 0,
    )


async def test_a_new_end_waits_for_no_round(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest transactions are looked up by each run, whatever number of older ones is left."""
    monkeypatch.setattr(comparing, "AT_ONCE", 5)
    await applied(world)
    await end_as_dead(world)
    await invent(world, ABSENT, first=1, last=60, shift=-1)
    one = comparison(world, Later(world.rpc))
    assert await run(one, world) == 1
    assert one.more


async def test_a_full_memory_of_postponed_rows_is_no_whole_round(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows that find no place in it are asked about in the next round, and named when that has no answer either."""
    monkeypatch.setattr(comparing, "POSTPONED_MAX", 3)
    await applied(world)
    await end_as_dead(world)
    await invent(world, REFUSED, first=1, last=5, shift=0)
    node = Later(world.rpc, refused=REFUSED)
    one = comparison(world, node)
    began = world.clock.now()
    await one.run(now=began)
    assert len(one.postponed) == 3
    assert len(await contradicted(world)) == 1
    await run(one, world)
    assert one.covered_at == began
    assert len(node.asked) == 6 + 2
    named = await overdue(one, world, later=timedelta(seconds=LATER_S))
    assert len(named) == 5


async def test_a_process_without_the_job_names_nothing(world: World) -> None:
    """It does not know what the other processes compared."""
    await applied(world)
    await end_as_dead(world)
    one = comparison(world, Later(world.rpc))
    assert await overdue(one, world, later=timedelta(seconds=LATER_S)) == []


async def test_what_is_not_compared_is_a_breach(world: World) -> None:
    """A node that is silent for a quarter of an hour, and one that does not answer about a transaction; no sooner."""
    tx_hash = await applied(world)
    await end_as_dead(world)
    node = Later(world.rpc, away=True)
    one = comparison(world, node)
    later = timedelta(seconds=LATER_S)
    assert await run(one, world) == 0
    assert await overdue(one, world, later=OVERDUE - timedelta(minutes=1)) == []
    (breach,) = await overdue(one, world, later=later)
    assert tx_hash in breach
    node.away, node.silent = False, True
    await run(one, world)
    await run(one, world, later=OVERDUE)  # the node answers, but not about this one
    (breach,) = await overdue(one, world, later=OVERDUE + timedelta(minutes=1))
    assert tx_hash in breach
    assert await overdue(one, world, later=timedelta(minutes=1)) == []
    node.silent = False
    await run(one, world, later=later)
    assert await overdue(one, world, later=later) == []


async def test_a_node_that_goes_away_postpones_nothing(world: World) -> None:
    """It says nothing about a transaction: the next run asks at once."""
    await applied(world)
    await end_as_dead(world)

    class Going(Later):
        async def look_up(self, tx_hash: str) -> LookUp:
            self.away = True
            return await super().look_up(tx_hash)

    node = Going(world.rpc)
    one = comparison(world, node)
    await run(one, world)
    assert (one.postponed, one.more) == ({}, False)
    one.rpcs = (Later(world.rpc),)
    assert await run(one, world) == 1


async def test_a_transaction_without_an_answer_is_logged_and_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the job: `row postponed` names its hash, and the metric counts it."""
    tx_hash = await applied(world)
    await end_as_dead(world)
    node = Later(world.rpc, silent=True)
    monkeypatch.setattr(StellarRpc, "latest_ledger", lambda _: node.latest_ledger())
    monkeypatch.setattr(StellarRpc, "look_up", lambda _, one: node.look_up(one))
    real = StellarRpc(world.sandbox.url)
    monkeypatch.setattr(real, "latest_ledger", partial(_LATEST, real))
    node.real = real
    (job,) = [one for one in world.parts.jobs if one.name == "stellar.compare"]
    with capture_logs() as lines:
        assert not await job.run()
    await real.close()
    assert [(line["event"], line["row"]) for line in lines] == [("row postponed", tx_hash)]
    assert ROWS_POSTPONED.labels("stellar.compare")._value.get() == 1


_LATEST = StellarRpc.latest_ledger
