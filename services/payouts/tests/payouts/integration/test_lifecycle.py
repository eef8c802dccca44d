"""From approved to an end, over a rail with a book and over one whose answers the test writes."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from prizewire_chassis.testing import event_bytes, make_key, records
from prizewire_chassis.tracing import derived
from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import CancelOutcome, Outcome, PayoutInstruction, ProviderResult
from prizewire_contracts.topics import PROVIDER_WEBHOOKS
from prizewire_money import Amount
from prizewire_payouts.approval.domain import PauseScope
from prizewire_payouts.approval.handlers import pause, resume
from prizewire_payouts.methods.handlers import remove
from prizewire_payouts.payouts.consumers.hints import HintsConsumer, hints_spec
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.handlers.outcomes import Answer, record_answers
from prizewire_payouts.payouts.handlers.submission import open_attempts
from prizewire_payouts.payouts.handlers.watching import claim_status_queries
from prizewire_payouts.payouts.storage.lineage import PayoutLineage
from prizewire_rail_fake import Scenario
from services.payouts.tests.rig import ADDRESS, ASSETS, EURC, SCHEDULE, Rig, Storages

AMOUNT = Amount(EURC, 1250)
TX_HASH = "ab" * 32


def paid(amount: Amount = AMOUNT) -> ProviderResult:
    return ProviderResult(
        outcome=Outcome.PAID,
        provider_ref=TX_HASH,
        amount=amount,
        proof={"tx_hash": TX_HASH, "ledger": 41, "op": 0},
    )


async def transitions_shown(rig: Rig, payout_id: UUID) -> list[str]:
    """The summaries of a payout's steps in the lineage, behind the payout and its player, which each of them names."""
    payout = await rig.payout(payout_id)
    async with rig.db.transaction() as tx:
        published = await PayoutLineage(assets=ASSETS)(tx, payout.correlation_id)
    steps = [one.summary for one in published if one.id == str(payout_id) and one.kind != "payout.requested"]
    named = f"payout {payout_id} of {payout.player}: "
    assert all(step.startswith(named) for step in steps)
    return [step.removeprefix(named) for step in steps]


def said(outcome: Outcome, code: str | None = None) -> ProviderResult:
    return ProviderResult(outcome=outcome, code=code)


async def on_chain(rig: Rig) -> UUID:
    """An approved payout to an address, on the rail that a test writes."""
    return await rig.request(await rig.method(kind="stellar", address=ADDRESS))


async def commit_only(rig: Rig, rail: str = "fake") -> list[PayoutInstruction]:
    """Commit attempts as a worker does, and die before the call."""
    found = next(one for one in rig.rails if one.name == rail)

    async def claim(storages: Storages) -> list[PayoutInstruction]:
        return await open_attempts(
            storages.payouts,
            storages.methods,
            rig.clearance(storages.unit_of_work),
            rail=found,
            vault=rig.vault,
            intents=rig.intents,
            permission=storages.permission,
            schedule=SCHEDULE,
            now=rig.clock.now(),
            limit=10,
        )

    return await rig.run(claim)


async def test_a_payment_is_made_and_published_with_proof(rig: Rig) -> None:
    """One payout, one effect, and events without gaps that end with the proof."""
    payout_id = await rig.request(await rig.method())
    await rig.submit()
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.attempts, rig.journal.effects(payout_id)) == ("paid", 1, 1)
    events = await rig.events(payout_id)
    assert [event.type for event in events] == ["payout.approved", "payout.submitted", "payout.paid"]
    assert [event.version for event in events] == [1, 2, 3]
    assert events[2].data["amount"] == "12.50"
    assert events[2].data["proof"]["reference"] == payout.provider_ref
    (attempt,) = await rig.attempts(payout_id)
    assert attempt.state == "effected"
    assert await rig.breaches() == []


async def test_many_payouts_are_paid_once_each(rig: Rig) -> None:
    """More payouts than the rail takes at once, by two workers at the same time: one effect each."""
    method = await rig.method()
    intents = [rig.intent(method, amount=f"{n}.01") for n in range(1, 61)]
    await rig.feed(*(rig.requested(method, intent) for intent in intents))
    other = rig.worker(rig.rails[1])

    async def work() -> None:
        while await other.submit():
            continue

    await asyncio.gather(rig.submit(), work())
    assert rig.journal.effects() == 60
    assert [row.state for row in await rig.rows("SELECT DISTINCT state FROM payouts")] == ["paid"]
    assert await rig.breaches() == []


async def test_pending_is_followed_until_it_is_paid(rig: Rig) -> None:
    """A rail that takes its time is asked again, each time later, and nothing is published twice."""
    rig.fake.scenario = Scenario.PENDING
    payout_id = await rig.request(await rig.method())
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "pending"
    for _ in range(3):
        await rig.watch()
    assert (await rig.payout(payout_id)).state == "paid"
    assert await rig.event_types(payout_id) == [
        "payout.approved",
        "payout.submitted",
        "payout.pending",
        "payout.paid",
    ]
    assert rig.journal.effects(payout_id) == 1


async def test_a_transition_of_an_attempt_shows_nothing_later(rig: Rig) -> None:
    """The lineage shows the rail's reference from the step on that brought it, and not before."""
    rig.fake.scenario = Scenario.PENDING
    payout_id = await rig.request(await rig.method())
    await rig.submit()
    for _ in range(3):
        await rig.watch()
    payout = await rig.payout(payout_id)
    async with rig.db.transaction() as tx:
        published = await PayoutLineage(assets=ASSETS)(tx, payout.correlation_id)
    assert payout.provider_ref is not None
    assert [
        (one.kind, one.detail["provider_ref"]) for one in published if one.kind.startswith("attempt.")
    ] == [
        ("attempt.sent", None),
        ("attempt.accepted", payout.provider_ref),
        ("attempt.effected", payout.provider_ref),
    ]


async def test_causes_come_before_effects_of_one_time(rig: Rig) -> None:
    """A payout is submitted before its attempt is sent, and an attempt ends before its payout is paid."""
    payout_id = await rig.request(await rig.method())
    await rig.submit()
    payout = await rig.payout(payout_id)
    async with rig.db.transaction() as tx:
        published = await PayoutLineage(assets=ASSETS)(tx, payout.correlation_id)
    assert published[0].summary.endswith("12.50 EURC requested, to a payout method of the type fake")
    assert [one.kind for one in published[-4:]] == [
        "payout.submitting",
        "attempt.sent",
        "attempt.effected",
        "payout.paid",
    ]


async def test_a_payout_that_waits_for_a_paused_rail_names_the_pause(rig: Rig) -> None:
    """The lineage names scope, person and reason while the payout waits, and nothing after the pause or for another rail."""
    payout_id = await rig.request(await rig.method())
    assert await awaited(rig, payout_id) is None
    await paused_for(rig, PauseScope.RAIL, "stellar")
    paused = await paused_for(rig, PauseScope.RAIL, "fake")
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "approved"
    assert await awaited(rig, payout_id) == "the end of the pause of rail fake, by op: drill"
    await lift(rig, paused)
    assert await awaited(rig, payout_id) is None


async def awaited(rig: Rig, payout_id: UUID) -> str | None:
    """What a payout waits for now, by its lineage."""
    payout = await rig.payout(payout_id)
    async with rig.db.transaction() as tx:
        requested, *_ = await PayoutLineage(assets=ASSETS)(tx, payout.correlation_id)
    said: str | None = requested.detail["now"]["waits_for"]
    return said


async def test_a_lost_answer_is_looked_up_and_never_sent_again(rig: Rig) -> None:
    """When the answer is lost the payout is unknown, and only the look-up by our key moves it on."""
    rig.fake.scenario = Scenario.LOST_ANSWER
    payout_id = await rig.request(await rig.method())
    await rig.submit()
    unknown = await rig.payout(payout_id)
    assert (unknown.state, unknown.code) == ("unknown", PayoutCode.OUTCOME_UNKNOWN)
    await rig.submit()
    assert (await rig.payout(payout_id)).attempts == 1
    await rig.watch()
    assert (await rig.payout(payout_id)).state == "paid"
    assert rig.journal.effects(payout_id) == 1
    assert "payout.unknown" in await rig.event_types(payout_id)


async def test_a_crash_between_commit_and_call_is_looked_up(rig: Rig) -> None:
    """A worker that dies after committing its attempt and before the call: the lease runs out, the key is looked
    up, a new attempt pays, and a late call under the old key has no effect.
    """
    payout_id = await rig.request(await rig.method())
    (lost,) = await commit_only(rig)
    assert (await rig.payout(payout_id)).state == "submitting"
    await rig.watch(after=timedelta(seconds=5))
    assert (await rig.payout(payout_id)).state == "submitting"
    await rig.watch(after=SCHEDULE.lease)
    back = await rig.payout(payout_id)
    assert (back.state, back.code) == ("approved", PayoutCode.RAIL_UNAVAILABLE)
    rig.clock.advance(timedelta(minutes=1))
    await rig.submit()
    assert (await rig.payout(payout_id)).attempts == 2
    late = await rig.fake.create_payout(lost, now=rig.clock.now())
    assert late.outcome is Outcome.NO_EFFECT
    assert rig.journal.effects(payout_id) == 1
    assert await rig.breaches() == []


async def test_a_crash_between_call_and_commit_is_looked_up(rig: Rig) -> None:
    """A worker that dies after the call and before storing its answer: the look-up finds the payment, once."""
    payout_id = await rig.request(await rig.method())
    (sent,) = await commit_only(rig)
    await rig.fake.create_payout(sent, now=rig.clock.now())
    await rig.watch(after=SCHEDULE.lease + timedelta(seconds=1))
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.attempts) == ("paid", 1)
    assert rig.journal.effects(payout_id) == 1


async def test_a_worker_that_was_frozen_does_not_send(rig: Rig) -> None:
    """A call that would begin when its lease is nearly over is not made: somebody else may look it up already."""
    payout_id = await on_chain(rig)
    worker = rig.workers["stellar"]
    (instruction,) = await commit_only(rig, "stellar")
    begun = rig.clock.now()
    rig.clock.advance(SCHEDULE.lease)
    assert (
        await worker._create(instruction, begun=begun, traceparent=derived(instruction.correlation_id))
        is None
    )
    assert rig.chain.created == []
    assert (await rig.payout(payout_id)).state == "submitting"


async def test_a_provider_that_raises_proves_nothing(rig: Rig) -> None:
    """An exception out of a provider leaves the outcome unknown, never failed."""
    payout_id = await on_chain(rig)
    rig.chain.answers.append(RuntimeError("boom"))
    await rig.submit("stellar")
    assert (await rig.payout(payout_id)).state == "unknown"
    rig.chain.looks.append(ConnectionError("away"))
    await rig.watch("stellar")
    assert (await rig.payout(payout_id)).state == "unknown"
    rig.chain.looks.append(paid())
    await rig.watch("stellar")
    assert (await rig.payout(payout_id)).state == "paid"
    assert rig.chain.looked[0].provider_key == rig.chain.created[0].provider_key


async def test_retryable_failures_are_bounded(rig: Rig) -> None:
    """Each proved failure makes a new attempt with a new key, until there are no more; only then it fails. A step back to
    approved names no person: nobody approved it again.
    """
    payout_id = await rig.request(await rig.method(account="outage+ana"))
    for number in range(1, 4):
        await rig.submit()
        assert (await rig.payout(payout_id)).attempts == number
        rig.clock.advance(timedelta(minutes=10))
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code, payout.reason) == (
        "failed",
        "attempts_exhausted",
        "last: rail_unavailable",
    )
    keys = {attempt.provider_key for attempt in await rig.attempts(payout_id)}
    assert len(keys) == 3
    steps = await transitions_shown(rig, payout_id)
    assert "submitting → approved for another attempt, rail_unavailable" in steps
    assert [step for step in steps if "approved by" in step] == [steps[0]]
    last = (await rig.events(payout_id))[-1]
    assert (last.type, last.data["attempts"], last.data["closure"]) == ("payout.failed", 3, None)
    assert await rig.breaches() == []


async def test_a_hopeless_failure_ends_at_once(rig: Rig) -> None:
    """A code with the decision give_up fails the payout with the first attempt; no signer is involved here."""
    payout_id = await rig.request(await rig.method(account="failure+ana"))
    await rig.submit()
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code, payout.attempts) == ("failed", "provider_rejected", 1)
    assert await rig.breaches() == []


async def test_an_unknown_code_proves_nothing(rig: Rig) -> None:
    """A rail's answer of no effect with an unknown code is not applied: no retry, no give-back."""
    payout_id = await on_chain(rig)
    rig.chain.answers.append(said(Outcome.NO_EFFECT, "moon_phase"))
    await rig.submit("stellar")
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code) == ("unknown", "moon_phase")
    assert [surprise.payout_id for surprise in rig.impossible] == [payout_id]


@pytest.mark.parametrize("amount", [None, Amount(EURC, 1249), Amount(EURC, 1251)])
async def test_paid_means_the_amount_of_the_intent(rig: Rig, amount: Amount | None) -> None:
    """A proof of another amount, or of none, is no proof: the payout is unknown and the outcome is reported."""
    payout_id = await on_chain(rig)
    rig.chain.answers.append(ProviderResult(outcome=Outcome.PAID, provider_ref="x", amount=amount))
    await rig.submit("stellar")
    assert (await rig.payout(payout_id)).state == "unknown"
    assert len(rig.impossible) == 1


async def test_a_payment_that_was_proved_absent_cannot_appear(rig: Rig) -> None:
    """A late answer that a closed attempt was paid changes nothing by itself, and is reported."""
    payout_id = await rig.request(await rig.method(account="failure+ana"))
    await rig.submit()
    late = Answer(payout_id=payout_id, attempt_no=1, result=paid())
    impossible = await rig.run(
        lambda storages: record_answers(
            storages.payouts, [late], rail=rig.rails[1], schedule=SCHEDULE, now=rig.clock.now()
        )
    )
    assert [one.attempt_no for one in impossible] == [1]
    assert (await rig.payout(payout_id)).state == "failed"


async def test_a_paid_payout_may_come_back_once(rig: Rig) -> None:
    """A rail that proves a return turns paid into returned, with a reference of its own."""
    payout_id = await rig.request(await rig.method(account="returned+ana"))
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "paid"
    for _ in range(3):
        await rig.watch()
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.returned) == ("returned", AMOUNT)
    last = (await rig.events(payout_id))[-1]
    assert (last.type, last.data["amount"]) == ("payout.returned", "12.50")
    assert await rig.breaches() == []


@pytest.mark.parametrize("was", ["paid", "unknown"])
async def test_a_payment_of_the_signer_never_comes_back(rig: Rig, was: str) -> None:
    """A return on a rail that the signer serves is impossible: it changes nothing, is reported, and no event says so."""
    payout_id = await on_chain(rig)
    rig.chain.answers.append(paid() if was == "paid" else said(Outcome.UNKNOWN))
    await rig.submit("stellar")
    back = replace(paid(), outcome=Outcome.RETURNED, return_ref="r-1")
    answer = Answer(payout_id=payout_id, attempt_no=1, result=back)
    impossible = await rig.run(
        lambda storages: record_answers(
            storages.payouts, [answer], rail=rig.rails[0], schedule=SCHEDULE, now=rig.clock.now()
        )
    )
    assert [one.detail for one in impossible] == [
        "a return on a rail that the signer serves, where a payment is final"
    ]
    assert (await rig.payout(payout_id)).state == was
    assert (await rig.events(payout_id))[-1].type == f"payout.{was}"
    assert await rig.breaches() == []


async def test_a_look_at_the_rail_is_no_change(rig: Rig) -> None:
    """While nothing comes back, the payout changed last when it was paid."""
    payout_id = await rig.request(await rig.method())
    await rig.submit()
    before = await rig.payout(payout_id)
    for _ in range(3):
        await rig.watch()
    after = await rig.payout(payout_id)
    assert after.polls > before.polls
    assert (after.state, after.changed_at) == ("paid", before.changed_at)


@pytest.mark.parametrize(
    "change",
    [
        "amount_minor = 999900",
        """amount_minor = 999900, intent = intent || '{"pay_amount": "9999.00", "debit_amount": "9999.00"}'""",
        "player = 'eve', method_id = :other",
        "intent_signature = (SELECT intent_signature FROM payouts WHERE player = 'eve')",
        "intent = '{}'",
        "intent = 'null'",
    ],
)
async def test_a_payout_without_an_intent_of_rewards_is_not_paid(rig: Rig, change: str) -> None:
    """The rail is not called for a payout whose row somebody wrote, with approvals or without."""
    other = await rig.method("eve")
    await rig.request(other)
    payout_id = await rig.request(await rig.method("ana"))
    owner = await asyncpg.connect(rig.urls.migration)
    await owner.execute("ALTER TABLE payouts DISABLE TRIGGER USER")
    chosen = change.replace(":other", f"'{other.method_id}'")
    await owner.execute(f"UPDATE payouts SET {chosen} WHERE payout_id = '{payout_id}'")
    await owner.execute("ALTER TABLE payouts ENABLE TRIGGER USER")
    await owner.close()
    await rig.submit()
    (row,) = await rig.rows("SELECT state, code FROM payouts WHERE payout_id = :id", id=payout_id)
    assert tuple(row) == ("failed", "intent_invalid")
    assert rig.journal.effects(payout_id) == 0


async def test_a_method_removed_since_is_not_paid(rig: Rig) -> None:
    """A request that was valid once fails when its method is gone by the time it would be sent."""
    method = await rig.method()
    payout_id = await rig.request(method)
    await rig.run(
        lambda storages: remove(
            storages.methods, method_id=method.method_id, player="ana", actor="ana", now=rig.clock.now()
        )
    )
    await rig.submit()
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code, payout.attempts) == ("failed", "method_unknown", 0)
    assert rig.journal.effects() == 0


async def test_details_changed_in_the_database_are_not_paid(rig: Rig) -> None:
    """Sealed details that were swapped for another method's do not open: nothing is sent."""
    mine, theirs = await rig.method("ana"), await rig.method("eve")
    payout_id = await rig.request(mine)
    owner = await asyncpg.connect(rig.urls.migration)
    await owner.execute(
        "UPDATE payout_methods SET details = (SELECT details FROM payout_methods WHERE method_id = $1) "
        "WHERE method_id = $2",
        theirs.method_id,
        mine.method_id,
    )
    await owner.close()
    await rig.submit()
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code) == ("failed", "method_mismatch")
    assert rig.journal.effects() == 0


async def test_an_intent_that_runs_out_is_not_paid(rig: Rig) -> None:
    """An approved payout whose intent expired before it was sent is held, and rewards is asked to renew, once."""
    payout_id = await rig.request(await rig.method())
    rig.clock.advance(timedelta(hours=2))
    await rig.submit()
    await rig.submit()
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code) == ("held", "intent_expired")
    assert await rig.event_types(payout_id) == ["payout.approved", "payout.held"]
    held = "approved → held, intent_expired"
    assert (await transitions_shown(rig, payout_id))[-1] == held
    await rig.feed(rig.cancel_asked(payout_id, code="cancelled_by_player", reason="too late"))
    assert held in await transitions_shown(rig, payout_id), (
        "a transition does not show a reason that came after it"
    )
    assert rig.journal.effects() == 0


async def test_a_cancel_while_the_rail_works_needs_its_proof(rig: Rig) -> None:
    """A cancel of a pending payout is passed on to the rail; only its confirmation ends the payout."""
    rig.fake.scenario = Scenario.PENDING
    payout_id = await rig.request(await rig.method())
    await rig.submit()
    await rig.feed(rig.cancel_asked(payout_id, code="winnings_taken_back", reason="the first"))
    await rig.feed(rig.cancel_asked(payout_id, version=3, reason="the second"))
    assert (await rig.payout(payout_id)).state == "pending"
    await rig.watch()
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.cancel_answer) == ("cancelled", CancelOutcome.CANCELLED)
    assert (payout.code, payout.reason) == ("winnings_taken_back", "the first")
    [attempt] = await rig.rows("SELECT code FROM attempts WHERE payout_id = :id", id=payout_id)
    assert attempt.code == "cancelled"
    assert rig.journal.effects() == 0
    assert await rig.breaches() == []
    assert (await transitions_shown(rig, payout_id))[-2:] == [
        "pending → closing_cancelled, winnings_taken_back: the first",
        "closing_cancelled → cancelled, winnings_taken_back: the first",
    ]


async def test_a_cancel_that_is_too_late_is_remembered(rig: Rig) -> None:
    """When the rail cannot stop it any more, the payout goes on to its proof and the rail is not asked again."""
    payout_id = await on_chain(rig)
    rig.chain.answers.append(said(Outcome.PENDING))
    await rig.submit("stellar")
    await rig.feed(rig.cancel_asked(payout_id))
    rig.chain.cancels.append(CancelOutcome.TOO_LATE)
    rig.chain.looks.extend([said(Outcome.PENDING), paid()])
    await rig.watch("stellar")
    await rig.watch("stellar")
    assert (await rig.payout(payout_id)).state == "paid"


async def paused_for(rig: Rig, scope: PauseScope, value: str) -> UUID:
    async def work(storages: Storages) -> UUID:
        made = await pause(
            storages.pauses, pause_id=uuid4(), scope=scope, value=value, reason="drill", by="op",
            known={PauseScope.RAIL: {"fake", "stellar"}, PauseScope.ASSET: {"EURC", "USDC"}}, now=rig.clock.now(),
        )  # fmt: skip
        return made.pause_id

    return await rig.run(work)


async def lift(rig: Rig, pause_id: UUID) -> None:
    async def work(storages: Storages) -> None:
        await resume(storages.pauses, pause_id=pause_id, by="op", by_another=False, now=rig.clock.now())

    await rig.run(work)


async def test_a_pause_holds_new_payments_and_drains_sent_ones(rig: Rig) -> None:
    """While a rail, an asset or a campaign is paused nothing new starts; what was sent is followed."""
    rig.fake.scenario = Scenario.PENDING
    method = await rig.method()
    sent = await rig.request(method)
    await rig.submit()
    waiting = await rig.request(method)
    campaign = (await rig.payout(waiting)).campaign
    assert campaign is not None
    for scope, value in (
        (PauseScope.RAIL, "fake"),
        (PauseScope.ASSET, "EURC"),
        (PauseScope.CAMPAIGN, campaign),
    ):
        paused = await paused_for(rig, scope, value)
        await rig.submit()
        assert (await rig.payout(waiting)).state == "approved"
        await lift(rig, paused)
    for _ in range(3):
        await rig.watch()
    assert (await rig.payout(sent)).state == "paid"
    await rig.submit()
    assert (await rig.payout(waiting)).state == "pending"


async def hinted(
    rig: Rig, *, key: str | None = None, reference: str | None = None, rail: str = "stellar"
) -> None:
    """A webhook of the rail, verified, as it comes from Kafka."""
    value = event_bytes(
        topic=PROVIDER_WEBHOOKS.name,
        kind="prizewire.provider.event_received.v1",
        source="/prizewire/webhooks",
        subject=f"{rail}/evt",
        data={
            "provider": rail,
            "event_id": "evt",
            "event_type": "x",
            "provider_key": key,
            "provider_ref": reference,
            "body_sha256": "0" * 64,
        },
        key=make_key("webhooks"),
        correlationid="c",
        aggregateversion=1,
    )
    spec = hints_spec(HintsConsumer(unit_of_work=rig.unit_of_work, clock=rig.clock))
    await rig.processor.process(spec, records(value, topic=PROVIDER_WEBHOOKS.name, start=next(rig._offsets)))


async def test_a_hint_has_the_rail_asked_at_once(rig: Rig) -> None:
    """A webhook with the provider key, or with the rail's reference, makes the look-up due; only the rail's answer counts."""
    payout_id = await on_chain(rig)
    rig.chain.answers.append(ProviderResult(outcome=Outcome.PENDING, provider_ref="ref-1"))
    await rig.submit("stellar")
    key = str(rig.chain.created[0].provider_key)
    for hint in ({"key": key}, {"reference": "ref-1"}, {"key": "not ours", "reference": "ref-1"}):
        await hinted(rig, **hint)
        assert (await rig.payout(payout_id)).due_at == rig.clock.now()
        assert (await rig.payout(payout_id)).state == "pending"
        rig.chain.looks.append(said(Outcome.PENDING))
        await rig.watch("stellar", after=timedelta(milliseconds=1))
    due = (await rig.payout(payout_id)).due_at
    await hinted(rig, key=str(uuid4()))
    await hinted(rig, reference="ref-1", rail="fake")
    assert (await rig.payout(payout_id)).due_at == due
    assert await rig.stuck() == []


async def test_news_while_the_rail_is_asked_is_not_lost(rig: Rig) -> None:
    """What an execution proves between a look and its answer's commit makes the payout due at once again."""
    payout_id = await on_chain(rig)
    rig.chain.answers.append(said(Outcome.PENDING))
    await rig.submit("stellar")
    rig.clock.advance(timedelta(minutes=1))
    (query,) = await rig.run(
        lambda storages: claim_status_queries(
            storages.payouts, rail=rig.rails[0], schedule=SCHEDULE, now=rig.clock.now(), limit=9
        )
    )
    async with rig.db.transaction() as tx:
        await rig.reports.on_progress(tx, [payout_id], rig.clock.now())
    stale = Answer(payout_id=payout_id, attempt_no=query.reference.attempt_no, result=said(Outcome.PENDING))
    await rig.run(
        lambda storages: record_answers(
            storages.payouts, [stale], rail=rig.rails[0], schedule=SCHEDULE, now=rig.clock.now()
        )
    )
    assert (await rig.payout(payout_id)).due_at == rig.clock.now()


async def test_looks_grow_apart(rig: Rig) -> None:
    """The first looks are a poll apart, then each gap doubles up to its bound."""
    rig.chain.answers.append(said(Outcome.PENDING))
    payout_id = await on_chain(rig)
    await rig.submit("stellar")
    gaps = []
    for _ in range(20):
        payout: Payout = await rig.payout(payout_id)
        assert payout.due_at is not None
        gaps.append((payout.due_at - rig.clock.now()).total_seconds())
        rig.chain.looks.append(said(Outcome.PENDING))
        await rig.watch("stellar", after=payout.due_at - rig.clock.now())
    assert gaps[:6] == [2.0] * 6
    assert gaps[6:9] == [4.0, 8.0, 16.0]
    assert max(gaps) == gaps[-1] == 3600.0


async def test_an_answer_that_cannot_be_stored_holds_up_no_other(rig: Rig) -> None:
    """A rail proves one payment with what no proof looks like: that one is unknown, the others are paid."""
    bad, good = await on_chain(rig), await on_chain(rig)
    garbage = ProviderResult(outcome=Outcome.PAID, amount=AMOUNT, proof={"tx_hash": TX_HASH, "op": -1})
    by_payout = {bad: garbage, good: paid()}

    async def create(instruction: PayoutInstruction, **_: object) -> ProviderResult:
        return by_payout[instruction.payout_id]

    rig.chain.create_payout = create  # type: ignore[method-assign]  # a rail that answers garbage
    await asyncio.wait_for(rig.submit("stellar"), timeout=600)
    assert (await rig.payout(good)).state == "paid"
    assert (await rig.payout(bad)).state == "unknown"
    assert await rig.breaches() == []
