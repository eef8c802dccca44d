"""From a request to a signed answer, with the rows that are stored."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from stellar_sdk import TransactionEnvelope

from prizewire_chassis.db import Database
from prizewire_contracts.events.signing import (
    SigningCompletedEvent,
    SigningRefusedEvent,
    SigningRequested,
)
from prizewire_devstack.testing import DatabaseFactory
from prizewire_signer.domain.model import AssetLimits
from prizewire_signer.errors import BackendCode, BackendError
from prizewire_signer.jobs import check_job
from prizewire_signer.storage.checks import breaches_of, queue_state
from services.signer.tests.fakes import (
    ASSETS,
    CHANNELS,
    MARGIN_S,
    NETWORK,
    NOW_S,
    SEQUENCE,
    TREASURY,
    Crash,
    FakeBackend,
    intent,
    payment_of,
    payout_id,
    policy,
    request,
    rules,
    signed_item,
    signing_context,
    slot_closed,
    transaction,
)
from services.signer.tests.integration.conftest import Signer

PAY_ANOTHER_SLOTS_PAYOUT = """
    INSERT INTO digest_payouts (tx_hash, op, payout_id)
    SELECT d.tx_hash, 9, p.payout_id FROM digests d JOIN payouts p ON p.slot_id <> d.slot_id LIMIT 1"""
CLEAN: dict[str, list[str]] = {
    "one_live_slot": [],
    "signatures_approved": [],
    "limits_kept": [],
    "closings_answered": [],
    "answers_counted": [],
    "requests_answered": [],
}


async def test_checks_may_take_longer_than_other_transactions(make_database: DatabaseFactory) -> None:
    """They read whole tables, and no limit ends them."""
    urls = make_database("signer", migrated=True)
    brief = Database(urls.runtime, application_name="brief", transaction_max_s=1.0)
    signer = Signer(brief)

    async def long(tx: AsyncConnection, now: datetime) -> Mapping[str, list[str]]:
        await tx.execute(text("SELECT pg_sleep(1.2)"))
        return await breaches_of(tx, now, limits=signer.context.rules.policy.limits)

    state = partial(queue_state, limits=signer.context.rules.policy.limits)
    job = check_job(db=brief, clock=signer.clock, breaches_of=long, queue_state=state, assets=ASSETS)
    assert await job.run() is False
    await brief.close()


async def test_request_that_fits_is_signed_by_channel_and_treasury(signer: Signer) -> None:
    """The two signatures make the very transaction valid for the network, and the answer names slot, hash and payouts."""
    intents = [intent(n, memo="Prizewire") for n in range(100)]
    data = request(intents)
    (answer,) = await signer.submit(data)
    assert isinstance(answer, SigningCompletedEvent)
    assert (answer.subject, answer.correlationid) == (str(data.slot.slot_id),) * 2
    assert (answer.data.request_id, answer.data.slot, answer.data.revision) == (data.request_id, data.slot, 1)
    assert answer.data.counter == 1
    digest = TransactionEnvelope.from_xdr(data.xdr, NETWORK).hash()
    assert answer.data.tx_hash == digest.hex()
    assert [one.public_key for one in answer.data.signatures] == [
        CHANNELS[0].raw_public_key().hex(),
        TREASURY.raw_public_key().hex(),
    ]
    for key, one in zip((CHANNELS[0], TREASURY), answer.data.signatures, strict=True):
        key.verify(digest, bytes.fromhex(one.signature))
    assert await signer.breaches() == CLEAN
    assert await signer.audits() == []


async def test_digest_is_committed_before_the_key_is_touched(signer: Signer) -> None:
    """A process that dies while it signs has committed binding and digest, and answered nothing."""
    signer.backend.fail = [Crash()]
    await signer.take(request([intent(1)]))
    with pytest.raises(Crash):
        await signer.work()
    assert (await signer.count("digests"), await signer.count("digest_payouts")) == (1, 1)
    assert await signer.answers() == []
    assert await signer.work() == 0, "another worker does not take it before its lease ends"
    signer.clock.advance(timedelta(seconds=11))
    await signer.work()
    (answer,) = await signer.answers()
    assert isinstance(answer, SigningCompletedEvent)


async def test_same_digest_is_signed_again_with_the_same_result(signer: Signer) -> None:
    """A repeated request gives the same signatures under a new counter, even after its intent has expired."""
    data = request([intent(1, expires_at=NOW_S + 30)])
    (first,) = await signer.submit(data)
    signer.clock.advance(timedelta(seconds=3_600))
    (second,) = await signer.submit(data)
    assert isinstance(second, SigningCompletedEvent)
    assert second.data.signatures == first.data.signatures
    assert (first.data.counter, second.data.counter) == (1, 2)
    assert (await signer.count("digests"), await signer.count("signatures")) == (1, 2)


async def test_wrong_signature_of_a_backend_is_never_answered(signer: Signer) -> None:
    """What a backend returns is verified: a wrong signature is an error, and the digest is signed later."""
    signer.backend.wrong = True
    await signer.take(request([intent(1)]))
    with pytest.raises(BackendError, match="signature_wrong"):
        await signer.work()
    assert (await signer.answers(), await signer.count("signatures")) == ([], 0)
    signer.backend.wrong = False
    signer.clock.advance(timedelta(seconds=11))
    await signer.work()
    assert len(await signer.answers()) == 1


async def test_answer_is_given_once_by_two_workers(open_signer: Callable[..., Signer]) -> None:
    """A worker whose lease ran out while it signed finds its request answered, and answers nothing."""
    slow, quick = open_signer(), open_signer()
    quick.clock.advance(timedelta(seconds=11))

    class Slow(FakeBackend):
        async def sign(self, public_key: bytes, tx_hash: bytes) -> bytes:
            await quick.work()
            return await super().sign(public_key, tx_hash)

    slow.backend = Slow()
    await slow.take(request([intent(1)]))
    await slow.work()
    assert len(await slow.answers()) == 1


async def test_revisions_of_a_slot_are_signed_up_to_the_cap(open_signer: Callable[..., Signer]) -> None:
    """Several digests may sit on one slot, one too many is refused, and the limits count each payout once."""
    capped = policy(
        digests_per_slot_max=2,
        limits={"USDC": AssetLimits(payout_minor_max=1_250, day_minor_max=1_250, again_minor_max=1_250)},
    )
    signer = open_signer(context=signing_context(of_rules=rules(policy=capped)))
    answers = []
    for revision in (1, 2, 3):
        envelope = transaction([payment_of(intent(1))], fee_each=200 + revision)
        answers += await signer.submit(request([intent(1)], envelope=envelope, revision=revision))
    assert [type(one) for one in answers] == [
        SigningCompletedEvent,
        SigningCompletedEvent,
        SigningRefusedEvent,
    ]
    assert answers[2].data.code == "digests_over_cap"
    assert [row.used_minor for row in await signer.rows("SELECT used_minor FROM limit_use")] == [1_250]
    assert await signer.breaches() == CLEAN


async def test_limit_of_a_day_names_the_payouts_that_do_not_fit(open_signer: Callable[..., Signer]) -> None:
    """Payouts are counted in order; those over the day's limit are refused by name, and nothing is reserved."""
    limited = policy(
        limits={"USDC": AssetLimits(payout_minor_max=1_250, day_minor_max=2_600, again_minor_max=1_250)}
    )
    signer = open_signer(context=signing_context(of_rules=rules(policy=limited)))
    intents = [intent(n) for n in range(3)]
    (refused,) = await signer.submit(request(intents))
    assert [(str(item.payout_id), item.code) for item in refused.data.items] == [
        (intents[2].payout_id, "day_over_limit")
    ]
    assert (await signer.count("limit_use"), await signer.count("payouts"), await signer.count("slots")) == (
        0,
        0,
        0,
    )
    (done,) = await signer.submit(request(intents[:2], revision=2))
    assert isinstance(done, SigningCompletedEvent)
    signer.clock.advance(timedelta(days=1))
    next_day = int(signer.clock.now().timestamp())
    later = transaction(
        [payment_of(intents[2])],
        source=CHANNELS[1].public_key,
        max_time=next_day + 300,
    )
    renewed = intent(2, expires_at=next_day + 600)
    (next_one,) = await signer.submit(request([renewed], envelope=later))
    assert isinstance(next_one, SigningCompletedEvent)
    assert await signer.breaches() == CLEAN


async def test_limit_counts_every_signature_that_may_be_applied(open_signer: Callable[..., Signer]) -> None:
    """A payout is counted once for each slot and day: again on another slot, and again on another day."""
    limited = policy(
        limits={"USDC": AssetLimits(payout_minor_max=1_250, day_minor_max=3_750, again_minor_max=2_500)}
    )
    signer = open_signer(context=signing_context(of_rules=rules(policy=limited)))

    async def used() -> dict[tuple[str, str], int]:
        rows = await signer.rows("SELECT scope, window_start, used_minor FROM limit_use")
        return {(row.scope, row.window_start.isoformat()): row.used_minor for row in rows}

    def on(channel: int, *labels: int, max_time: int = NOW_S + 30) -> SigningRequested:
        made = [intent(label) for label in labels]
        operations = [payment_of(of) for of in made]
        source = CHANNELS[channel].public_key
        return request(made, envelope=transaction(operations, source=source, max_time=max_time))

    await signer.submit(first := on(0, 1, 2))
    await signer.submit(on(0, 1, 2, max_time=NOW_S + 31))
    assert await used() == {("day", "2030-01-01"): 2_500}, "of one slot's digests at most one is applied"
    await signer.take(slot_closed(first, result="failed"))
    signer.until(NOW_S + 31 + MARGIN_S)
    (over,) = await signer.submit(on(1, 1, 2, max_time=NOW_S + 900))
    assert [(item.payout_id, item.code) for item in over.data.items] == [(payout_id(2), "day_over_limit")]
    await signer.submit(on(1, 1, max_time=NOW_S + 900))
    assert await used() == {("day", "2030-01-01"): 3_750, ("again", "2030-01-01"): 1_250}
    signer.clock.advance(timedelta(hours=12))
    soon = int(signer.clock.now().timestamp()) + 300
    await signer.submit(on(1, 1, max_time=soon))
    another_day = {scope: minor for (scope, day), minor in (await used()).items() if day == "2030-01-02"}
    assert another_day == {"day": 1_250, "again": 1_250}, "a signature of another day is counted on that day"
    (done,) = await signer.submit(on(2, 2, max_time=soon))
    assert isinstance(done, SigningCompletedEvent)
    assert (await used())["again", "2030-01-02"] == 2_500
    assert await signer.breaches() == CLEAN


async def test_payouts_signed_again_have_a_limit_of_their_own(open_signer: Callable[..., Signer]) -> None:
    """What was signed before on another slot may have been paid there if payouts' report is false: a small limit of each
    day bounds it, whatever the day's limit leaves.
    """
    limited = policy(
        limits={"USDC": AssetLimits(payout_minor_max=1_250, day_minor_max=99_000, again_minor_max=1_250)}
    )
    signer = open_signer(context=signing_context(of_rules=rules(policy=limited)))
    await signer.submit(first := request([intent(1), intent(2)]))
    await signer.take(slot_closed(first, result="failed"))
    signer.until(NOW_S + 300 + MARGIN_S)
    made = [intent(1), intent(2), intent(3)]
    operations = [payment_of(of) for of in made]
    envelope = transaction(operations, source=CHANNELS[1].public_key, max_time=NOW_S + 900)
    (refused,) = await signer.submit(request(made, envelope=envelope))
    assert [(item.payout_id, item.code) for item in refused.data.items] == [
        (payout_id(2), "again_over_limit")
    ]


async def test_renewed_intent_is_the_same_and_other_terms_are_not(signer: Signer) -> None:
    """A payout that was met keeps its terms: a later expiry passes, anything else is refused."""
    await signer.submit(request([intent(1)]))
    renewed = intent(1, issued_at=NOW_S, expires_at=NOW_S + 90_000)
    envelope = transaction([payment_of(renewed)], fee_each=300)
    (again,) = await signer.submit(request([renewed], envelope=envelope, revision=2))
    assert isinstance(again, SigningCompletedEvent)
    dearer = intent(1, pay_amount="13.00")
    (refused,) = await signer.submit(request([dearer], revision=3))
    assert [item.code for item in refused.data.items] == ["intent_terms_changed"]
    assert await signer.count("digests") == 2


async def test_same_bytes_do_not_stand_for_other_payouts(signer: Signer) -> None:
    """Two payouts of one player over the same amount make the same transaction: it pays one of them."""
    first, other = intent(1), intent(2, destination=intent(1).allowed[0].destination)
    await signer.submit(request([first]))
    (refused,) = await signer.submit(request([other]))
    assert refused.data.code == "digest_taken"
    assert await signer.count("payouts") == 1


async def test_answers_count_without_gaps_and_versions_follow_the_slot(signer: Signer) -> None:
    """Completed and refused answers share one rising counter; each slot's events count from 1."""
    good = request([intent(1)])
    elsewhere = transaction([payment_of(intent(2))], sequence=SEQUENCE + 1)
    bad = request([intent(2, expires_at=NOW_S)], envelope=elsewhere)
    answers = await signer.submit(good, bad, good)
    assert [one.data.counter for one in answers] == [1, 2, 3]
    assert [(one.subject, one.aggregateversion) for one in answers] == [
        (str(good.slot.slot_id), 1),
        (str(bad.slot.slot_id), 1),
        (str(good.slot.slot_id), 2),
    ]
    assert await signer.breaches() == CLEAN


async def test_database_itself_refuses_a_second_slot_and_changed_history(signer: Signer) -> None:
    """The database refuses to move a binding, to change digests and tombstones, and to lower the watermark."""
    data = request([intent(1)])
    await signer.submit(data)
    other = transaction([payment_of(intent(2))], sequence=SEQUENCE + 1)
    await signer.submit(request([intent(2)], envelope=other))
    for statement in (
        "UPDATE payouts SET slot_id = (SELECT slot_id FROM slots WHERE slot_id <> payouts.slot_id)",
        "UPDATE payouts SET state = 'free', slot_id = NULL",
        "UPDATE payouts SET state = 'tombstoned', slot_id = NULL",
        "UPDATE payouts SET amount_minor = 1",
        "UPDATE digests SET fee = 1",
        "DELETE FROM digests",
        "DELETE FROM payouts",
        "UPDATE signatures SET signature = ''",
        "UPDATE watermark SET counter = 0",
        "UPDATE limit_use SET used_minor = 0",
        "UPDATE signing_work SET state = 'queued', tx_hash = NULL",
        PAY_ANOTHER_SLOTS_PAYOUT,
    ):
        with pytest.raises(DBAPIError):
            async with signer.db.transaction() as tx:
                await tx.execute(text(statement))
    assert await signer.breaches() == CLEAN


async def test_items_carry_their_own_codes(signer: Signer) -> None:
    """A refusal names each payout with a fault and no other, so that the other payouts can be paid."""
    intents = [intent(1), intent(2, expires_at=NOW_S - 1), intent(3)]
    items = [signed_item(op, of) for op, of in enumerate(intents)]
    items[2] = items[2].model_copy(update={"intent_signature": "0" * 128})
    (refused,) = await signer.submit(request(intents, items=items))
    assert refused.data.code == "intent_expired"
    assert [(str(one.payout_id), one.code) for one in refused.data.items] == [
        (intents[1].payout_id, "intent_expired"),
        (intents[2].payout_id, "intent_signature_invalid"),
    ]


async def test_crash_between_signature_and_answer_is_recovered(signer: Signer) -> None:
    """Signed but not answered: the digest is signed again, with the same result, and answered once."""

    class Dying(FakeBackend):
        async def sign(self, public_key: bytes, tx_hash: bytes) -> bytes:
            await super().sign(public_key, tx_hash)
            if public_key == TREASURY.raw_public_key():
                raise Crash
            return await self.keys.sign(public_key, tx_hash)

    signer.backend = Dying()
    await signer.take(data := request([intent(1)]))
    with pytest.raises(Crash):
        await signer.work()
    signer.backend = FakeBackend()
    signer.clock.advance(timedelta(seconds=11))
    await signer.work()
    (answer,) = await signer.answers()
    digest = bytes.fromhex(data.tx_hash)
    assert [one.signature for one in answer.data.signatures] == [
        CHANNELS[0].sign(digest).hex(),
        TREASURY.sign(digest).hex(),
    ]


async def test_failing_request_does_not_hold_up_the_others(signer: Signer) -> None:
    """A request whose key is unavailable waits; the next one is signed meanwhile."""
    first = request([intent(1)])
    second = request([intent(2)], envelope=transaction([payment_of(intent(2))], sequence=SEQUENCE + 1))
    signer.backend.fail = [BackendError(BackendCode.THROTTLED, "slow down")]
    await signer.take(first, second)
    with pytest.raises(BackendError):
        await signer.work()
    await signer.work()
    assert [answer.subject for answer in await signer.answers()] == [str(second.slot.slot_id)]
    signer.clock.advance(timedelta(seconds=11))
    await signer.work()
    assert len(await signer.answers()) == 2
