"""Ends of slots and payouts: what frees a payout, what binds it for ever, and when the tombstone is given."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from prizewire_contracts.events.signing import (
    ClosedEvent,
    CloseRefusedEvent,
    SigningCompletedEvent,
    SigningRequested,
)
from services.signer.tests.fakes import (
    CHANNELS,
    NOW_S,
    close_requested,
    desk,
    intent,
    payment_of,
    payout_id,
    policy,
    request,
    rules,
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
    """Another slot may be signed only after payouts' signed word that the first one paid nothing."""
    first, second = on_channel(0, 1, max_time=NOW_S + 30), on_channel(1, 1)
    await signer.submit(first)
    (refused,) = await signer.submit(second)
    assert [item.code for item in refused.data.items] == ["payout_bound_elsewhere"]
    signer.clock.advance(timedelta(seconds=31))
    await signer.take(slot_closed(first, result=result))
    (answer,) = await signer.submit(second)
    assert isinstance(answer, SigningCompletedEvent)
    assert not any((await signer.breaches()).values())


async def test_success_keeps_its_payouts_and_frees_the_others(signer: Signer) -> None:
    """Of two digests on a slot one was applied: what it pays stays bound for ever, what it left out is free."""
    both, one = on_channel(0, 1, 2), on_channel(0, 1, fee_each=300)
    await signer.submit(both, one)
    await signer.take(slot_closed(one, result="succeeded"))
    assert await states(signer) == {str(payout_id(1)): "paid", str(payout_id(2)): "free"}
    (paid_again,) = await signer.submit(on_channel(1, 1))
    assert [item.code for item in paid_again.data.items] == ["payout_paid"]
    (freed,) = await signer.submit(on_channel(2, 2))
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
async def test_closing_that_contradicts_what_was_signed_changes_nothing(
    signer: Signer, result: str, consumed_by: str
) -> None:
    """A digest that was never recorded cannot have consumed a slot, nor can one of ours be nobody's: parked, with an
    audit record.
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
async def test_nobodys_slot_frees_only_what_can_no_longer_be_applied(
    signer: Signer, consumed_by: str | None
) -> None:
    """That no digest of ours consumed a slot is believed once none of them could be applied any more, not before."""
    early, late = on_channel(0, 1, max_time=NOW_S + 30), on_channel(0, 1, max_time=NOW_S + 60)
    await signer.submit(early, late)
    signer.clock.advance(timedelta(seconds=60))
    await signer.take(slot_closed(early, result="expired", consumed_by=consumed_by))
    assert await states(signer) == {str(payout_id(1)): "bound"}
    (stuck,) = await signer.rows("SELECT state, reason FROM stuck_events")
    assert (stuck.state, stuck.reason) == ("parked", "event_mismatch")


@pytest.mark.parametrize("consumed_by", [None, "ab" * 32])
async def test_foreign_transaction_frees_the_slot_once_all_is_over(
    signer: Signer, consumed_by: str | None
) -> None:
    """Two persons' word that a foreign transaction consumed the slot frees its payouts for another one."""
    await signer.submit(data := on_channel(0, 1, max_time=NOW_S + 30))
    signer.clock.advance(timedelta(seconds=31))
    await signer.take(slot_closed(data, result="expired", consumed_by=consumed_by))
    assert await states(signer) == {str(payout_id(1)): "free"}
    (row,) = await signer.rows("SELECT state, consumed_by FROM slots")
    assert (row.state, row.consumed_by) == (
        "expired",
        None if consumed_by is None else bytes.fromhex(consumed_by),
    )


async def test_slot_is_closed_once(signer: Signer) -> None:
    """The same closing told twice changes nothing more; another one is refused."""
    await signer.submit(data := on_channel(0, 1))
    await signer.take(slot_closed(data, result="failed"))
    await signer.take(slot_closed(data, result="failed"))
    assert await signer.count("stuck_events") == 0
    await signer.take(slot_closed(data, result="succeeded"))
    (stuck,) = await signer.rows("SELECT reason FROM stuck_events")
    assert stuck.reason == "event_mismatch"
    assert await states(signer) == {str(payout_id(1)): "free"}


async def test_tombstone_of_a_payout_never_met_or_free(signer: Signer) -> None:
    """With nothing out the closing is signed, under the payout's own correlation id, and again when asked again."""
    await signer.submit(data := on_channel(0, 2))
    await signer.take(slot_closed(data, result="failed"))
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
    """Asked to close while a request lies in the queue, the tombstone wins and the request is refused."""
    await signer.take(on_channel(0, 1), close_requested(1))
    await signer.work()
    closed, refused = await signer.answers()
    assert isinstance(closed, ClosedEvent)
    assert [item.code for item in refused.data.items] == ["payout_tombstoned"]
    assert await signer.count("digests") == 0


async def test_slots_of_one_payout_are_capped(open_signer: Callable[..., Signer]) -> None:
    """A payout that keeps failing needs people after so many slots."""
    signer = open_signer(desk=desk(of_rules=rules(policy=policy(slots_per_payout_max=2))))
    answers = []
    for number in range(3):
        data = on_channel(number, 1)
        answers += await signer.submit(data)
        if number < 2:
            await signer.take(slot_closed(data, result="failed"))
    assert [type(answer) for answer in answers[:2]] == [SigningCompletedEvent] * 2
    assert [item.code for item in answers[2].data.items] == ["slots_over_cap"]


async def test_request_waits_for_a_closing_that_is_on_its_way(open_signer: Callable[..., Signer]) -> None:
    """Closing and next request come over different partitions: the later slot's request waits a little."""
    signer = open_signer(desk=desk(race_grace_s=15))
    await signer.submit(first := on_channel(0, 1))
    await signer.submit(on_channel(1, 1))
    assert len(await signer.answers()) == 1, "neither signed nor refused yet"
    await signer.take(slot_closed(first, result="failed"))
    signer.clock.advance(timedelta(seconds=1))
    await signer.work()
    assert isinstance((await signer.answers())[1], SigningCompletedEvent)


async def test_request_does_not_wait_for_ever(open_signer: Callable[..., Signer]) -> None:
    """After the grace a payout bound to another slot is refused."""
    signer = open_signer(desk=desk(race_grace_s=2))
    await signer.submit(on_channel(0, 1), on_channel(1, 1))
    for _ in range(3):
        signer.clock.advance(timedelta(seconds=1))
        await signer.work()
    refused = (await signer.answers())[1]
    assert [item.code for item in refused.data.items] == ["payout_bound_elsewhere"]


async def test_history_tells_every_edge_with_its_cause(signer: Signer) -> None:
    """Slots and payouts keep the path they took, and which event made them take it."""
    await signer.submit(data := on_channel(0, 1))
    await signer.take(slot_closed(data, result="failed"))
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
    """A tombstone request or slot closing that speaks of something else than its event does nothing."""
    await signer.submit(data := on_channel(0, 1))
    for number, closing in enumerate((close_requested(2), slot_closed(data, result="failed"))):
        await signer.take_events([signer.event(closing, subject=str(payout_id(f"elsewhere {number}")))])
    assert await states(signer) == {str(payout_id(1)): "bound"}
    rows = await signer.rows("SELECT state, reason FROM stuck_events ORDER BY id")
    assert {row.reason for row in rows} == {"event_mismatch"}
    assert len(await signer.audits("signing.closing_refused")) == 2
