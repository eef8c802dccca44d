"""Ends of slots and payouts: what frees a payout, what binds it for ever, and when a payout is tombstoned."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from prizewire_contracts.events.signing import (
    ClosedEvent,
    CloseRefusedEvent,
    SigningCompletedEvent,
    SigningRequested,
)
from prizewire_signer.jobs import refusals_job
from services.signer.tests.fakes import (
    CHANNELS,
    MARGIN_S,
    NOW_S,
    close_requested,
    intent,
    payment_of,
    payout_id,
    policy,
    request,
    rules,
    signing_context,
    slot_closed,
    transaction,
)
from services.signer.tests.integration.conftest import Signer

OWN = "the digest's own hash"


def on_channel(number: int, *labels: int, **parts: Any) -> SigningRequested:
    """A request that pays these labels on a channel's slot."""
    source = CHANNELS[number].public_key
    operations = [payment_of(intent(label)) for label in labels]
    envelope = transaction(operations, source=source, **parts)
    return request([intent(label) for label in labels], envelope=envelope)


async def states(signer: Signer) -> dict[str, str]:
    rows = await signer.rows("SELECT payout_id, state FROM payouts")
    return {str(row.payout_id): row.state for row in rows}


@pytest.mark.parametrize("result", ["failed", "expired"])
async def test_slot_closed_without_success_frees_its_payouts(signer: Signer, result: str) -> None:
    """Payouts reports that the first slot paid nothing. Another slot is signed once no digest of the first one can be
    applied any more by the signer's own clock. The refusal before that names the time.
    """
    first, second = on_channel(0, 1, max_time=NOW_S + 30), on_channel(1, 1)
    await signer.submit(first)
    (refused,) = await signer.submit(second)
    assert [(item.code, item.not_before) for item in refused.data.items] == [("payout_bound_elsewhere", None)]
    await signer.take(slot_closed(first, result=result))
    free_at = NOW_S + 30 + MARGIN_S
    for moment in (NOW_S, free_at - 1):
        signer.until(moment)
        (refused,) = await signer.submit(second)
        assert [(item.code, item.not_before) for item in refused.data.items] == [("payout_waits", free_at)]
    signer.until(free_at)
    (answer,) = await signer.submit(second)
    assert isinstance(answer, SigningCompletedEvent)
    assert not any((await signer.breaches()).values())


async def test_a_second_report_under_the_same_version_holds_the_slot(signer: Signer) -> None:
    """A false report takes the version, and with it the id, of the genuine one, which is dead then. One of the two is false:
    the payouts stay bound for ever.
    """
    await signer.submit(data := on_channel(0, 1, max_time=NOW_S + 30))
    await signer.take(slot_closed(data, result="failed"))
    job = refusals_job(db=signer.db, clock=signer.clock, unit_of_work=signer.unit_of_work)
    await job.run()
    assert await signer.count("payouts WHERE free_at IS NOT NULL") == 1
    signer.versions[str(data.slot.slot_id)] -= 1
    await signer.take(slot_closed(data, result="succeeded"))
    (stuck,) = await signer.rows("SELECT state, reason FROM stuck_events")
    assert (stuck.state, stuck.reason) == ("dead", "id_conflict")
    await job.run()
    signer.until(NOW_S + 1_000)
    (refused,) = await signer.submit(on_channel(1, 1, max_time=NOW_S + 1_100))
    assert [(item.code, item.not_before) for item in refused.data.items] == [("payout_bound_elsewhere", None)]
    (refused,) = await signer.submit(close_requested(1))
    assert isinstance(refused, CloseRefusedEvent)


async def test_payout_waits_for_the_last_digest_that_pays_it(signer: Signer) -> None:
    """Several digests of a slot pay a payout: it waits for the latest maxTime among them, and for no other digest."""
    await signer.submit(
        on_channel(0, 1, 2, max_time=NOW_S + 30),
        on_channel(0, 1, max_time=NOW_S + 90),
        last := on_channel(0, 3, max_time=NOW_S + 200),
    )
    await signer.take(slot_closed(last, result="failed"))
    (refused,) = await signer.submit(on_channel(1, 1, 2, 3))
    assert [item.not_before for item in refused.data.items] == [
        NOW_S + latest + MARGIN_S for latest in (90, 30, 200)
    ]


async def test_margin_is_the_policys(open_signer: Callable[..., Signer]) -> None:
    """The reviewed policy has the time that a payout waits after maxTime."""
    signer = open_signer(context=signing_context(of_rules=rules(policy=policy(free_margin_s=7))))
    await signer.submit(first := on_channel(0, 1, max_time=NOW_S + 30))
    await signer.take(slot_closed(first, result="failed"))
    (refused,) = await signer.submit(on_channel(1, 1))
    assert [item.not_before for item in refused.data.items] == [NOW_S + 37]


async def test_closed_slot_binds_until_its_digests_are_over(signer: Signer) -> None:
    """A tombstone is refused while a digest that pays the payout may still be applied, whatever payouts reports of its slot."""
    await signer.submit(data := on_channel(0, 1, max_time=NOW_S + 30))
    await signer.take(slot_closed(data, result="failed"))
    free_at = NOW_S + 30 + MARGIN_S
    signer.until(free_at - 1)
    (refused,) = await signer.submit(close_requested(1))
    assert isinstance(refused, CloseRefusedEvent)
    assert (refused.data.slot, refused.data.not_before) == (data.slot, free_at)
    signer.until(free_at)
    (closed,) = await signer.submit(close_requested(1))
    assert isinstance(closed, ClosedEvent)


async def test_contradicting_closings_of_a_slot_free_nothing(signer: Signer) -> None:
    """A slot is reported failed and then succeeded: one report is false, so its payouts stay bound for ever."""
    await signer.submit(data := on_channel(0, 1, max_time=NOW_S + 30))
    await signer.take(slot_closed(data, result="failed"))
    await signer.take(slot_closed(data, result="succeeded"))
    signer.until(NOW_S + 1_000)
    (refused,) = await signer.submit(on_channel(1, 1, max_time=NOW_S + 1_100))
    assert [(item.code, item.not_before) for item in refused.data.items] == [("payout_bound_elsewhere", None)]
    assert len(await signer.audits("signing.closing_refused")) == 1


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE payouts SET state = 'free', slot_id = NULL", "not free to leave"),
        ("UPDATE payouts SET free_at = to_timestamp(0)", "may still pay"),
    ],
)
async def test_database_frees_no_payout_before_its_time(signer: Signer, statement: str, said: str) -> None:
    """On a closed slot too: whatever the code does, no payout leaves without a moment after its digests' maxTime."""
    await signer.submit(on_channel(0, 2), data := on_channel(0, 1, 2, fee_each=300))
    await signer.take(slot_closed(data, result="failed"))
    await signer.rows("UPDATE payouts SET free_at = NULL RETURNING 1")
    with pytest.raises(DBAPIError, match=said):
        await signer.rows(statement)


async def test_success_keeps_its_payouts_and_frees_the_others(signer: Signer) -> None:
    """Of two digests on a slot one was applied: what it pays stays bound for ever, what it left out is free."""
    both, one = on_channel(0, 1, 2), on_channel(0, 1, fee_each=300)
    await signer.submit(both, one)
    await signer.take(slot_closed(one, result="succeeded"))
    assert await states(signer) == {str(payout_id(1)): "paid", str(payout_id(2)): "bound"}
    (again,) = await signer.submit(on_channel(1, 1, 2))
    assert [item.code for item in again.data.items] == ["payout_paid", "payout_waits"]
    signer.until(NOW_S + 300 + MARGIN_S)
    (paid_again,) = await signer.submit(on_channel(1, 1, max_time=NOW_S + 900))
    assert [item.code for item in paid_again.data.items] == ["payout_paid"]
    (freed,) = await signer.submit(on_channel(2, 2, max_time=NOW_S + 900))
    assert isinstance(freed, SigningCompletedEvent)
    closed = await signer.submit(close_requested(1), close_requested(2))
    assert [type(answer) for answer in closed] == [CloseRefusedEvent, CloseRefusedEvent]


async def test_closed_slot_takes_no_further_digest(signer: Signer) -> None:
    """Nothing is signed on a sequence number that is consumed."""
    await signer.submit(first := on_channel(0, 1))
    await signer.take(slot_closed(first, result="failed"))
    (refused,) = await signer.submit(on_channel(0, 1, fee_each=300))
    assert refused.data.code == "slot_closed"


async def test_slot_closed_before_anything_was_signed_on_it(signer: Signer) -> None:
    """A slot that the signer never met can be closed as expired, and is then closed for signing too."""
    data = on_channel(0, 1)
    await signer.take(slot_closed(data, result="expired"))
    (refused,) = await signer.submit(data)
    assert refused.data.code == "slot_closed"
    assert await states(signer) == {}


@pytest.mark.parametrize(
    ("result", "consumed_by"),
    [("succeeded", "ab" * 32), ("failed", "ab" * 32), ("expired", OWN)],
)
async def test_closing_that_contradicts_a_signature_changes_nothing(
    signer: Signer, result: str, consumed_by: str
) -> None:
    """A digest that was never recorded cannot have consumed a slot, and a recorded one cannot have expired
    the slot: the event is parked, with an audit record.
    """
    await signer.submit(data := on_channel(0, 1))
    signer.clock.advance(timedelta(seconds=301))
    named = data.tx_hash if consumed_by == OWN else consumed_by
    await signer.take(slot_closed(data, result=result, consumed_by=named))
    assert await states(signer) == {str(payout_id(1)): "bound"}
    (stuck,) = await signer.rows("SELECT state, reason FROM stuck_events")
    assert (stuck.state, stuck.reason) == ("parked", "event_mismatch")
    assert len(await signer.audits("signing.closing_refused")) == 1


@pytest.mark.parametrize("consumed_by", [None, "ab" * 32])
async def test_foreign_transaction_frees_the_slot_once_all_is_over(
    signer: Signer, consumed_by: str | None
) -> None:
    """Two persons report that a foreign transaction consumed the slot: its payouts become free after the same wait."""
    await signer.submit(data := on_channel(0, 1, max_time=NOW_S + 30))
    await signer.take(slot_closed(data, result="expired", consumed_by=consumed_by))
    assert await states(signer) == {str(payout_id(1)): "bound"}
    signer.until(NOW_S + 30 + MARGIN_S)
    (answer,) = await signer.submit(on_channel(1, 1))
    assert isinstance(answer, SigningCompletedEvent)
    (row,) = await signer.rows("SELECT state, consumed_by FROM slots WHERE state <> 'open'")
    assert (row.state, row.consumed_by) == (
        "expired",
        None if consumed_by is None else bytes.fromhex(consumed_by),
    )


async def test_slot_is_closed_once(signer: Signer) -> None:
    """The same closing again changes nothing; another one is refused."""
    await signer.submit(data := on_channel(0, 1))
    await signer.take(slot_closed(data, result="failed"))
    await signer.take(slot_closed(data, result="failed"))
    assert await signer.count("stuck_events") == 0
    await signer.take(slot_closed(data, result="succeeded"))
    (stuck,) = await signer.rows("SELECT reason FROM stuck_events")
    assert stuck.reason == "event_mismatch"
    assert await states(signer) == {str(payout_id(1)): "bound"}


async def test_tombstone_of_a_payout_never_met_or_free(signer: Signer) -> None:
    """Without a usable signature the closing is signed under the payout's correlation id, and again for a repeated request."""
    await signer.submit(data := on_channel(0, 2))
    await signer.take(slot_closed(data, result="failed"))
    signer.until(NOW_S + 300 + MARGIN_S)
    event = signer.event(close_requested(1), correlation_id="match-1")
    await signer.take_events([event])
    await signer.take(close_requested(2), close_requested(1))
    answers = (await signer.answers())[1:]
    assert [type(answer) for answer in answers] == [ClosedEvent] * 3
    assert [answer.data.payout_id for answer in answers] == [payout_id(1), payout_id(2), payout_id(1)]
    assert [answer.data.counter for answer in answers] == [2, 3, 4]
    assert (answers[0].correlationid, answers[0].subject) == ("match-1", str(payout_id(1)))
    assert [answer.aggregateversion for answer in answers] == [1, 1, 2]
    assert set((await states(signer)).values()) == {"tombstoned"}


async def test_bound_payout_is_not_closed(signer: Signer) -> None:
    """While a signature may be alive the answer names the slot that binds it."""
    await signer.submit(data := on_channel(0, 1))
    (answer,) = await signer.submit(close_requested(1))
    assert isinstance(answer, CloseRefusedEvent)
    assert answer.data.slot == data.slot
    assert await states(signer) == {str(payout_id(1)): "bound"}


async def test_closing_overtakes_a_request_that_still_waits(signer: Signer) -> None:
    """A close request during a queued signing request wins: the payout is tombstoned and the request is refused."""
    await signer.take(on_channel(0, 1), close_requested(1))
    await signer.work()
    closed, refused = await signer.answers()
    assert isinstance(closed, ClosedEvent)
    assert [item.code for item in refused.data.items] == ["payout_tombstoned"]
    assert await signer.count("digests") == 0


async def test_slots_of_one_payout_are_capped(open_signer: Callable[..., Signer]) -> None:
    """A payout that keeps failing needs people after so many slots."""
    signer = open_signer(context=signing_context(of_rules=rules(policy=policy(slots_per_payout_max=2))))
    answers = []
    for number in range(3):
        data = on_channel(number, 1, max_time=NOW_S + 200 * number + 100)
        answers += await signer.submit(data)
        if number < 2:
            await signer.take(slot_closed(data, result="failed"))
            signer.until(NOW_S + 200 * number + 100 + MARGIN_S)
    assert [type(answer) for answer in answers[:2]] == [SigningCompletedEvent] * 2
    assert [item.code for item in answers[2].data.items] == ["slots_over_cap"]


async def test_history_has_every_edge_with_its_cause(signer: Signer) -> None:
    """Slots and payouts keep their transitions, each with the event that caused it."""
    await signer.submit(data := on_channel(0, 1))
    await signer.take(slot_closed(data, result="failed"))
    signer.until(NOW_S + 300 + MARGIN_S)
    await signer.take(close_requested(1))
    rows = await signer.rows("SELECT machine, from_state, to_state, cause FROM transitions ORDER BY id")
    assert [(row.machine, row.from_state, row.to_state) for row in rows] == [
        ("slot", "", "open"),
        ("payout", "", "bound"),
        ("slot", "open", "failed"),
        ("payout", "bound", "free"),
        ("payout", "free", "tombstoned"),
    ]
    assert len({row.cause for row in rows}) == 3


async def test_replayed_batch_changes_nothing(signer: Signer) -> None:
    """Kafka read again from the start: no second work, no second answer."""
    data = on_channel(0, 1)
    events = [signer.event(one) for one in (data, close_requested(2))]
    await signer.take_events(events)
    await signer.work()
    signer.offset = 0
    await signer.take_events(events)
    await signer.work()
    assert (await signer.count("signing_work"), len(await signer.answers())) == (1, 2)


async def test_closing_under_another_subject_is_dead(signer: Signer) -> None:
    """A close request or slot closing whose data is about another subject than its event has no effect."""
    await signer.submit(data := on_channel(0, 1))
    for number, closing in enumerate((close_requested(2), slot_closed(data, result="failed"))):
        await signer.take_events([signer.event(closing, subject=str(payout_id(f"elsewhere {number}")))])
    assert await states(signer) == {str(payout_id(1)): "bound"}
    rows = await signer.rows("SELECT state, reason FROM stuck_events ORDER BY id")
    assert {row.reason for row in rows} == {"event_mismatch"}
    assert len(await signer.audits("signing.closing_refused")) == 2
