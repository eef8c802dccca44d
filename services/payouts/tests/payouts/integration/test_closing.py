"""If the signer may have signed, a payout ends only with the signer's closure."""

from uuid import UUID, uuid4

import orjson
import pytest
from sqlalchemy.exc import DBAPIError

from prizewire_chassis.inbox import BatchProcessor, ConsumerSpec, Incoming, Refusal, strict
from prizewire_chassis.testing import event_bytes, make_key, make_trust, records
from prizewire_contracts.decode import decode
from prizewire_contracts.events.signing import ClosedEvent
from prizewire_contracts.rails import Outcome, ProviderResult
from prizewire_contracts.topics import SIGNING_REQUESTS, SIGNING_RESULTS
from services.payouts.tests.payouts.integration.test_lifecycle import on_chain, paid, said
from services.payouts.tests.rig import Rig


def answer(payout_id: UUID, kind: str, *, version: int = 1, **extra: int) -> bytes:
    """The signer's answer to a close."""
    slot = {"slot_id": str(uuid4()), "chain": "stellar", "account": "G", "sequence": "7"}
    more = {"counter": 5} if kind == "closed" else {"slot": slot}
    return event_bytes(
        topic=SIGNING_RESULTS.name,
        kind=f"prizewire.signing.{kind}.v1",
        source="/prizewire/signer",
        subject=str(payout_id),
        data={"payout_id": str(payout_id), **more, **extra},
        key=make_key("signer"),
        correlationid="corr-1",
        aggregateversion=version,
    )


async def deliver(rig: Rig, value: bytes) -> list[int]:
    """Hand the signer's answer to the lifecycle, as the consumer of signing results does; answers which of them speak of
    a payout that does not exist.
    """
    strangers: list[int] = []

    async def handler(tx: object, events: list[Incoming]) -> dict[int, Refusal]:
        for index, event in enumerate(events):
            take = (
                rig.reports.on_closed
                if isinstance(event.event, ClosedEvent)
                else rig.reports.on_close_refused
            )
            if not await take(tx, event):  # type: ignore[arg-type] # the transaction, untyped here
                strangers.append(index)
        return {}

    spec = ConsumerSpec("payouts.signing", SIGNING_RESULTS, handler, strict)  # type: ignore[arg-type] # as above
    processor = BatchProcessor(db=rig.db, trust=rig.trust, clock=rig.clock)
    await processor.process(spec, records(value, topic=SIGNING_RESULTS.name, start=next(rig._offsets) * 1000))
    return strangers


async def failed(rig: Rig) -> UUID:
    """A payout on a chain that was proved without effect, and waits for the tombstone."""
    payout_id = await on_chain(rig)
    rig.chain.answers.append(said(Outcome.NO_EFFECT, "no_trustline"))
    await rig.submit("stellar")
    assert (await rig.payout(payout_id)).state == "closing_failed"
    return payout_id


async def test_the_tombstone_ends_it_and_travels_with_the_event(rig: Rig) -> None:
    """Nothing is given back before the signer has closed; the final event carries the whole closure."""
    payout_id = await failed(rig)
    asked = (await rig.events(payout_id))[-1]
    assert (asked.topic, asked.type, asked.version) == (SIGNING_REQUESTS.name, "signing.close_requested", 1)
    word = answer(payout_id, "closed")
    await deliver(rig, word)
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code) == ("failed", "no_trustline")
    last = (await rig.events(payout_id))[-1]
    assert (last.type, last.version) == ("payout.failed", 3)
    carried = last.data["closure"]["event"].encode()
    assert carried == word
    event = decode(topic=SIGNING_RESULTS, value=carried, trust=make_trust()).event
    assert isinstance(event, ClosedEvent)
    assert event.data.payout_id == payout_id
    assert await rig.breaches() == []


async def test_a_refused_close_must_be_proved_first(rig: Rig) -> None:
    """While a slot is bound the payout is unknown again; once its rail proves no effect, it asks once more."""
    payout_id = await failed(rig)
    await deliver(rig, answer(payout_id, "close_refused"))
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.ends_as, payout.code) == ("unknown", "closing_failed", "no_trustline")
    rig.chain.looks.append(said(Outcome.NO_EFFECT, "tx_failed"))
    await rig.watch("stellar")
    again = (await rig.events(payout_id))[-1]
    assert (again.type, again.version) == ("signing.close_requested", 2)
    await deliver(rig, answer(payout_id, "closed", version=2))
    assert (await rig.payout(payout_id)).state == "failed"
    assert [event.version for event in await rig.events(payout_id) if event.type.startswith("payout.")] == [
        1,
        2,
        3,
    ]
    assert await rig.breaches() == []


async def test_a_refused_close_is_requested_again_at_the_signers_time(rig: Rig) -> None:
    """Where the signer says from when on it may close, the payout is looked at then, and not by its polls."""
    payout_id = await failed(rig)
    moment = int(rig.clock.now().timestamp()) + 150
    await deliver(rig, answer(payout_id, "close_refused", not_before=moment))
    payout = await rig.payout(payout_id)
    assert payout.due_at is not None
    assert int(payout.due_at.timestamp()) == moment


async def test_a_payment_after_a_refused_close_is_not_believed_blindly(rig: Rig) -> None:
    """An attempt that was proved without effect cannot become paid: the outcome is reported to a person, and nothing is given back."""
    payout_id = await failed(rig)
    await deliver(rig, answer(payout_id, "close_refused"))
    rig.chain.looks.append(paid())
    await rig.watch("stellar")
    assert (await rig.payout(payout_id)).state == "unknown"
    assert len(rig.impossible) == 1


async def test_a_close_refused_before_any_attempt_is_asked_again(rig: Rig) -> None:
    """A payout that was never attempted has nothing to prove: the signer is asked again later."""
    payout_id = await on_chain(rig)
    await rig.feed(rig.cancel_asked(payout_id))
    await deliver(rig, answer(payout_id, "close_refused"))
    assert (await rig.payout(payout_id)).state == "unknown"
    await rig.watch("stellar")
    assert (await rig.payout(payout_id)).state == "closing_cancelled"
    assert (await rig.events(payout_id))[-1].version == 2


async def test_a_tombstone_that_comes_early_is_kept(rig: Rig) -> None:
    """A tombstone is for ever: one that arrives before the payout closes ends it without asking again."""
    payout_id = await on_chain(rig)
    await deliver(rig, answer(payout_id, "closed"))
    rig.chain.answers.append(said(Outcome.NO_EFFECT, "no_trustline"))
    await rig.submit("stellar")
    assert (await rig.payout(payout_id)).state == "failed"
    assert "signing.close_requested" not in await rig.event_types(payout_id)
    assert await rig.breaches() == []


@pytest.mark.parametrize("kind", ["closed", "close_refused"])
async def test_an_answer_for_an_unknown_payout_changes_nothing(rig: Rig, kind: str) -> None:
    """Answers of the signer about unknown payouts, which somebody requested in payouts' name, are not parked."""
    assert await deliver(rig, answer(uuid4(), kind)) == [0]
    assert await rig.stuck() == []


async def test_the_database_refuses_an_end_without_closure(rig: Rig) -> None:
    """The database refuses to end such a payout without the signer's closure."""
    payout_id = await failed(rig)
    with pytest.raises(DBAPIError, match="payouts_closure"):
        await rig.rows("UPDATE payouts SET state = 'failed' WHERE payout_id = :id RETURNING 1", id=payout_id)


async def test_retry_leaves_the_signer_alone(rig: Rig) -> None:
    """A retryable failure goes back to approved with a new key and asks for no close."""
    payout_id = await on_chain(rig)
    rig.chain.answers.append(ProviderResult(outcome=Outcome.NO_EFFECT, code="tx_expired", retry_after_s=30))
    await rig.submit("stellar")
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code) == ("approved", "tx_expired")
    assert payout.due_at is not None
    assert (payout.due_at - rig.clock.now()).total_seconds() >= 30
    rig.clock.advance(payout.due_at - rig.clock.now())
    rig.chain.answers.append(paid())
    await rig.submit("stellar")
    assert (await rig.payout(payout_id)).state == "paid"
    first, second = rig.chain.created
    assert first.provider_key != second.provider_key
    assert orjson.dumps(await rig.event_types(payout_id)).count(b"close_requested") == 0
