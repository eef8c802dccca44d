"""The metrics of payouts: gauges equal what the API lists, and counters count what was committed, once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from prometheus_client import REGISTRY

from prizewire_chassis.metrics.definitions import defined
from prizewire_chassis.stuck_events import StuckEvents
from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import Outcome, PayoutInstruction, ProviderResult
from prizewire_money import Amount
from prizewire_payouts import metrics
from prizewire_payouts.approval.domain import PauseScope
from prizewire_payouts.batches.domain import LineOutcome
from prizewire_payouts.payouts.domain.states import FINAL, AttemptState, PayoutState
from prizewire_payouts.payouts.handlers.outcomes import Answer
from prizewire_payouts.payouts.jobs.treasury import treasury_job
from prizewire_payouts.payouts.storage.counting import Beginning
from prizewire_payouts.payouts.storage.figures import _COUNTS, _NEEDED, _WAITING, measure
from prizewire_payouts.quotes import domain as quotes
from prizewire_payouts.reviews.domain import EvidenceState
from prizewire_payouts.screening.domain import Verdict
from prizewire_payouts.stellar.domain.states import HOLDING, TransactionState
from services.payouts.tests.http import Client, as_, pages
from services.payouts.tests.payouts.integration.test_announcing import (
    approved,
    failed,
    held,
    paid_one,
    pending,
    returned,
    unknown,
)
from services.payouts.tests.payouts.integration.test_attempt_macs import APPROVE, END, write
from services.payouts.tests.payouts.integration.test_lifecycle import on_chain, paid, said
from services.payouts.tests.payouts.integration.test_plans import steps_of
from services.payouts.tests.payouts.integration.test_retries import filed, retry
from services.payouts.tests.rig import ASSETS, EURC, Rig

STAFF = as_("op", "operator")
ENDED = 20_000
READ_MAX = 200
"""Rows of the table that one figure may look at, found and dropped ones together."""


def value(name: str, **labels: str) -> float | None:
    """The present value of a series; None where there is none."""
    return REGISTRY.get_sample_value(name, labels)


def series(name: str) -> dict[tuple[str, ...], float]:
    """All series of a metric, by the values of their labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == name
    }


def stopped() -> dict[str, float]:
    """How many second payments each guard has stopped."""
    return {
        where: value("prizewire_payout_duplicates_stopped_total", where=where) or 0
        for where in metrics.DUPLICATE_GUARDS
    }


def more(before: dict[str, float]) -> dict[str, float]:
    """What was stopped since then, by guard, but for guards that stopped nothing."""
    return {where: n - before[where] for where, n in stopped().items() if n != before[where]}


async def measured(rig: Rig) -> None:
    async with rig.db.transaction() as tx:
        await measure(tx, now=rig.clock.now(), rails=rig.rails)


def test_label_values_are_those_of_the_code() -> None:
    """Each closed set names the states, scopes and outcomes that the code has."""
    final = {*FINAL, PayoutState.PAID}
    assert set(metrics.ENDED_STATES) == final
    assert set(metrics.OPEN_STATES) == {*PayoutState} - final
    assert set(metrics.ATTEMPT_STATES) == {*AttemptState}
    assert set(metrics.HOLDING_STATES) == HOLDING
    assert set(metrics.TRANSACTION_STATES) == {*TransactionState}
    closed = {
        "prizewire_payout_pauses": ("scope", {*PauseScope}),
        "prizewire_payout_batch_lines_total": ("outcome", {*LineOutcome, "refused"}),
        "prizewire_payout_screenings_total": ("verdict", {*Verdict}),
        "prizewire_payout_evidence_total": ("state", {*EvidenceState}),
        "prizewire_payout_quotes_total": (
            "outcome",
            {
                quotes.OFFERED,
                quotes.UNAVAILABLE,
                quotes.FAILED,
                quotes.LIMIT,
                quotes.WRONG,
                quotes.UNSUPPORTED,
            },
        ),
    }
    known = {one.name: one for one in defined()}
    assert {name: (label, known[name].labels[label].closed) for name, (label, _) in closed.items()} == closed


async def test_open_payouts_equal_the_lists(rig: Rig, client: Client) -> None:
    """Of each rail, asset and state the gauge is the length of the list that the API has; the ended ones are in no gauge."""
    for make in (approved, held, held, pending, unknown, failed, paid_one):
        await make(rig, client)
    await on_chain(rig)
    await measured(rig)
    figures = series("prizewire_payouts")
    for rail in rig.rails:
        for asset in rail.capabilities.assets:
            for state in metrics.OPEN_STATES:
                wanted = {"rail": rail.name, "asset": asset, "state": state}
                listed = await pages(client, "/api/admin/payouts", STAFF, **wanted)
                assert figures.pop((rail.name, asset, state)) == len(listed), wanted
    assert figures == {}
    assert value("prizewire_payouts_awaiting_approval") == 2


async def test_ages_grow_until_the_last_one_is_gone(rig: Rig, client: Client) -> None:
    """The oldest hold and the oldest unknown payout are as old as their state, and 0 where there is none."""
    await measured(rig)
    waiting = "prizewire_payouts_awaiting_approval_oldest_seconds"
    assert (value(waiting), value("prizewire_payout_unknown_age_seconds", rail="fake")) == (0, 0)
    held_id = await held(rig, client)
    rig.clock.advance(timedelta(seconds=30))
    await held(rig, client)
    rig.clock.advance(timedelta(seconds=60))
    await measured(rig)
    assert value(waiting) == 90
    await rig.feed(rig.cancel_asked(held_id))
    await measured(rig)
    assert value(waiting) == 60


async def test_a_rail_that_is_gone_shows_no_series(rig: Rig, client: Client) -> None:
    """A payout of a rail that is no longer configured is shown, and the rail's series vanish with it."""
    payout_id = await approved(rig, client)
    kept, rig.rails = rig.rails, [rail for rail in rig.rails if rail.name != "fake"]
    await measured(rig)
    assert series("prizewire_payouts")["fake", "EURC", "approved"] == 1
    assert ("fake", "EURC", "held") not in series("prizewire_payouts")
    await rig.feed(rig.cancel_asked(payout_id))
    await measured(rig)
    assert [key for key in series("prizewire_payouts") if key[0] == "fake"] == []
    rig.rails = kept


async def test_an_end_is_counted_once_with_its_code(rig: Rig, client: Client) -> None:
    """Each end counts under rail, asset, state and code, equal to the payouts that the API lists; a second answer changes nothing."""
    name = "prizewire_payouts_ended_total"
    before = Counter(series(name))
    await paid_one(rig, client)
    back = await returned(rig, client)
    lost = [await failed(rig, client), await failed(rig, client)]
    await measured(rig)
    for again in (1, 2):
        after = Counter(series(name))
        after.subtract(before)
        assert {key: n for key, n in after.items() if n} == {
            ("stellar", "EURC", "paid", "none", "none"): 1,
            ("fake", "EURC", "paid", "none", "none"): 1,
            ("fake", "EURC", "returned", "none", "none"): 1,
            ("fake", "EURC", "failed", "provider_rejected", "payee"): 2,
        }, again
        repeated = Answer(payout_id=back, attempt_no=1, result=said(Outcome.PENDING))
        await rig.workers["fake"]._store([repeated])
    listed = await pages(client, "/api/admin/payouts", STAFF, state="failed", code="provider_rejected")
    assert sorted(listed) == sorted(map(str, lost))


async def test_counters_begin_with_the_labels_of_recent_steps(rig: Rig, client: Client) -> None:
    """A process that begins again shows 0 for what its predecessor counted. Older steps are not read."""
    for make in (failed, paid_one, held):
        await make(rig, client)
    counters = (metrics.PAYOUTS_ENDED, metrics.HOLDS)
    found = []
    for steps in (1_000, 1):
        for counter in counters:
            counter.clear()
        beginning = Beginning(steps=steps)
        async with rig.db.transaction() as tx:
            await beginning.once(tx)
        ended, holds = (series(f"prizewire_{name}_total") for name in ("payouts_ended", "payout_holds"))
        assert not any((*ended.values(), *holds.values()))
        found.append((set(ended), set(holds)))
    held_for = {("above_automatic_limit",)}
    assert found[0] == (
        {
            ("stellar", "EURC", "paid", "none", "none"),
            ("fake", "EURC", "failed", "provider_rejected", "payee"),
        },
        held_for,
    )
    assert found[1] == (set(), held_for)
    metrics.HOLDS.clear()
    async with rig.db.transaction() as tx:
        await beginning.once(tx)
    assert series("prizewire_payout_holds_total") == {}


def test_an_unknown_code_adds_no_label_value() -> None:
    """A code that a rail has made up is counted as `other`, and none as `none`."""
    said_codes = (PayoutCode.TX_FAILED, "tx_failed", "made_up", None)
    assert [metrics.code_label(code) for code in said_codes] == ["tx_failed", "tx_failed", "other", "none"]
    assert [metrics.cause_label(code) for code in said_codes] == [*["installation"] * 3, "none"]


def test_the_counters_of_a_rail_begin_at_zero() -> None:
    """Prometheus sees the first call, surprise and quote of a rail."""
    metrics.begin_rail("begun")
    for outcome in Outcome:
        for call in ("create", "look"):
            assert value("prizewire_rail_calls_total", rail="begun", call=call, outcome=outcome) == 0
    assert value("prizewire_rail_surprises_total", rail="begun") == 0
    assert value("prizewire_payout_quotes_total", rail="begun", outcome=quotes.OFFERED) == 0


async def test_the_share_of_failures_has_a_value_before_the_first_one(rig: Rig) -> None:
    """Each rail and asset begins with no payment and no failure, so that panels show 0 and not nothing."""
    await measured(rig)
    ends = series("prizewire_payouts_ended_total")
    for rail in rig.rails:
        for asset in rail.capabilities.assets:
            assert (rail.name, asset, "paid", "none", "none") in ends
            assert (rail.name, asset, "failed", "attempts_exhausted", "installation") in ends


def test_a_worker_begins_the_counters_of_its_rail(rig: Rig) -> None:
    """Each configured rail has its counters before its first call."""
    for rail in rig.rails:
        assert value("prizewire_payout_quotes_total", rail=rail.name, outcome=quotes.WRONG) is not None


async def test_times_are_observed_once_a_payout(rig: Rig) -> None:
    """From the first send, not the last one, to the proof; and from the request."""
    names = ("prizewire_payout_confirmation_seconds", "prizewire_payout_duration_seconds")

    def observed() -> list[tuple[float, float]]:
        return [
            (value(f"{name}_count", rail="stellar") or 0, value(f"{name}_sum", rail="stellar") or 0)
            for name in names
        ]

    payout_id = await on_chain(rig)
    rig.clock.advance(timedelta(seconds=100))
    before = observed()
    rig.chain.answers.extend([said(Outcome.NO_EFFECT, PayoutCode.RAIL_UNAVAILABLE), said(Outcome.PENDING)])
    await rig.submit("stellar")
    rig.clock.advance(timedelta(seconds=20))
    await rig.submit("stellar")
    assert observed() == before
    rig.chain.looks.extend([paid(), paid()])
    await rig.watch("stellar", after=timedelta(seconds=40))
    assert (await rig.payout(payout_id)).state == "paid"
    late = Answer(payout_id=payout_id, attempt_no=2, result=paid())
    await rig.workers["stellar"]._store([late])
    counted = [(n - was_n, total - was) for (n, total), (was_n, was) in zip(observed(), before, strict=True)]
    assert counted == [(1, pytest.approx(60)), (1, pytest.approx(160))]


async def test_a_request_on_other_terms_is_counted_once(rig: Rig) -> None:
    """A payout's id with another amount is a second payment; the same message again, and its replay by a person, are none."""
    method = await rig.method()
    intent = rig.intent(method)
    await rig.feed(rig.requested(method, intent))
    before = stopped()
    same = rig.requested(method, intent)
    await rig.feed(same)
    assert more(before) == {}
    other = rig.requested(
        method, rig.intent(method, amount="13.00", payout_id=UUID(intent.payout_id)), version=2
    )
    await rig.feed(other)
    assert await rig.stuck() == [("parked", "event_mismatch")]
    assert more(before) == {"request": 1}
    stuck = StuckEvents(db=rig.db, processor=rig.processor, specs=[rig.spec], clock=rig.clock)
    (parked,) = await stuck.page(after=0, limit=9)
    await stuck.replay(parked["id"], actor="op")
    assert await rig.stuck() == [("parked", "event_mismatch")]
    assert more(before) == {"request": 1}


async def test_a_second_retry_is_counted(rig: Rig, client: Client) -> None:
    """A new payout for one that another new payout retries already is parked, and counted."""
    old = await failed(rig, client)
    await retry(client, old)
    await filed(rig, old)
    before = stopped()
    await filed(rig, old)
    assert more(before) == {"request": 1}


async def test_an_attempt_that_is_not_proved_is_counted_once(rig: Rig) -> None:
    """Where somebody ended an attempt in the database, the next one is not begun, however often the rail is asked."""
    payout_id = await on_chain(rig)
    rig.chain.answers.append(said(Outcome.UNKNOWN))
    await rig.submit("stellar")
    await write(rig, payout_id, END, APPROVE)
    before = stopped()
    await rig.submit("stellar")
    assert (await rig.payout(payout_id)).code == "attempt_unproved"
    rig.chain.looks.extend([paid(), paid()])
    for _ in range(2):
        await rig.watch("stellar", after=timedelta(hours=2))
    assert more(before) == {"attempt": 1}


async def test_a_conflict_of_a_key_is_counted_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The execution of a chain has another payment of the payout: `slot`; another rail has one under the key: `rail`."""
    conflict = said(Outcome.UNKNOWN, PayoutCode.IDEMPOTENCY_CONFLICT)
    before = stopped()
    await on_chain(rig)
    rig.chain.answers.append(conflict)
    await rig.submit("stellar")
    rig.chain.looks.append(conflict)
    await rig.watch("stellar")
    assert more(before) == {"slot": 1}

    async def create(instruction: PayoutInstruction, *, now: object) -> ProviderResult:
        return conflict

    monkeypatch.setattr(rig.fake, "create_payout", create)
    await rig.request(await rig.method())
    await rig.submit()
    assert more(before) == {"slot": 1, "rail": 1}


async def test_a_payment_of_an_ended_attempt_is_counted_once(rig: Rig) -> None:
    """A rail says that an attempt had no effect, and later that it was paid."""
    payout_id = await on_chain(rig)
    rig.chain.answers.append(said(Outcome.NO_EFFECT, PayoutCode.PROVIDER_REJECTED))
    await rig.submit("stellar")
    before = stopped()
    late = Answer(payout_id=payout_id, attempt_no=1, result=paid())
    for _ in range(2):
        await rig.workers["stellar"]._store([late])
    assert more(before) == {"rail": 1}
    assert len(rig.impossible) == 2


async def test_figures_read_no_ended_payout(rig: Rig) -> None:
    """With twenty thousand ended payouts no figure reads more than a few rows."""
    payout_id = await rig.request(await rig.method())
    owner = await asyncpg.connect(rig.urls.migration)
    await owner.execute("ALTER TABLE payouts DISABLE TRIGGER USER")
    columns = [
        row["name"]
        for row in await owner.fetch(
            "SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'payouts'"
        )
    ]
    ended = {"payout_id": "gen_random_uuid()", "state": "'failed'", "code": "'tx_failed'", "due_at": "NULL"}
    values = ", ".join(ended.get(name, name) for name in columns)
    await owner.execute(
        f"INSERT INTO payouts ({', '.join(columns)}) SELECT {values} FROM payouts, generate_series(1, {ENDED}) n "
        f"WHERE payout_id = '{payout_id}'"
    )
    await owner.execute("ANALYZE payouts")
    await owner.close()
    wanted: Sequence[tuple[Any, dict[str, Any]]] = [
        (_COUNTS, {"open": list(metrics.OPEN_STATES)}),
        (_WAITING, {"now": rig.clock.now()}),
        (_NEEDED, {}),
    ]
    for query, parameters in wanted:
        (row,) = await rig.rows(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", **parameters)
        for step in steps_of(row[0][0]["Plan"]):
            assert step["Actual Rows"] + step.get("Rows Removed by Filter", 0) <= READ_MAX, step


class Accounts:
    """The fake rail, with an account."""

    def __init__(self, rig: Rig) -> None:
        self.has: Amount | None = Amount(EURC, 10_000)
        self._provider = rig.fake

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    async def balances(self, *, now: object) -> dict[str, Amount]:
        if self.has is None:
            raise ConnectionError
        return {"EURC": self.has}


async def test_the_treasury_covers_what_is_approved(rig: Rig, client: Client) -> None:
    """The ratio is what the account has, divided by what approved and pending payouts need; a rail that does not answer shows no
    old number, and counts as a failure.
    """
    account = Accounts(rig)
    rails = [
        replace(rail, provider=account) if rail.name == "fake" else rail  # type: ignore[arg-type] # a proxy
        for rail in rig.rails
    ]
    run = treasury_job(
        db=rig.db, rails=rails, assets=ASSETS, clock=rig.clock, call_timeout=timedelta(seconds=5)
    ).run
    fake = {"rail": "fake", "asset": "EURC"}
    await run()
    assert value("prizewire_treasury_balance", **fake) == 100
    assert value("prizewire_treasury_needed", **fake) == 0
    assert value("prizewire_treasury_cover_ratio", **fake) is None
    for amount in ("150.00", "50.00"):
        await rig.request(await rig.method(), amount=amount)
    await held(rig, client)
    await run()
    assert value("prizewire_treasury_needed", **fake) == 200
    assert value("prizewire_treasury_cover_ratio", **fake) == 0.5
    failures = value("prizewire_treasury_read_failures_total", rail="fake")
    assert failures is not None
    account.has = None
    await run()
    assert value("prizewire_treasury_balance", **fake) is None
    assert value("prizewire_treasury_cover_ratio", **fake) is None
    assert value("prizewire_treasury_needed", **fake) == 200
    assert value("prizewire_treasury_read_failures_total", rail="fake") == failures + 1
    assert value("prizewire_treasury_balance", rail="stellar", asset="EURC") is None
    account.has = Amount(EURC, 40_000)
    await run()
    assert value("prizewire_treasury_cover_ratio", **fake) == 2
