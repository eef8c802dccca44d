"""Voiding a slot: signed by the channel alone, on a slot that is known, and freeing all that was bound to it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.exc import DBAPIError

from prizewire_contracts.events.signing import ClosedEvent, SigningCompletedEvent, SigningRefusedEvent
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
    void,
)
from services.signer.tests.integration.conftest import Signer


async def states(signer: Signer) -> dict[str, str]:
    rows = await signer.rows("SELECT payout_id, state FROM payouts")
    return {str(row.payout_id): row.state for row in rows}


async def test_void_is_signed_by_the_channel_alone(signer: Signer) -> None:
    """One signature, by the channel; the treasury's key is not used, and nothing is bound or counted."""
    await signer.submit(request([intent(1)]))
    touched = len(signer.backend.signed)
    (answer,) = await signer.submit(data := void())
    assert isinstance(answer, SigningCompletedEvent)
    assert [one.public_key for one in answer.data.signatures] == [CHANNELS[0].raw_public_key().hex()]
    assert [key for key, _ in signer.backend.signed[touched:]] == [CHANNELS[0].raw_public_key()]
    CHANNELS[0].verify(bytes.fromhex(data.tx_hash), bytes.fromhex(answer.data.signatures[0].signature))
    assert await signer.count("digest_payouts") == 1
    assert not any((await signer.breaches()).values())


@pytest.mark.parametrize("result", ["succeeded", "failed"])
async def test_slot_consumed_by_its_void_frees_all(signer: Signer, result: str) -> None:
    """Applied or failed, a void consumes the slot and pays nobody: its payouts are free for another slot, or an end."""
    payments = transaction([payment_of(intent(n)) for n in (1, 2)], max_time=NOW_S + 30)
    await signer.submit(request([intent(1), intent(2)], envelope=payments), data := void())
    await signer.take(slot_closed(data, result=result))
    assert await states(signer) == {str(payout_id(n)): "bound" for n in (1, 2)}
    # the void's own maxTime is later: it pays no payout, so no payout waits for it
    signer.until(NOW_S + 30 + MARGIN_S)
    elsewhere = transaction([payment_of(intent(1))], source=CHANNELS[1].public_key)
    (paid,) = await signer.submit(request([intent(1)], envelope=elsewhere))
    assert isinstance(paid, SigningCompletedEvent)
    (closed,) = await signer.submit(close_requested(2))
    assert isinstance(closed, ClosedEvent)
    (late,) = await signer.submit(void(max_time=NOW_S + 301))
    assert late.data.code == "slot_closed"
    assert not any((await signer.breaches()).values())


async def test_payment_that_overtakes_the_void_stays_bound(signer: Signer) -> None:
    """Where a payment on the slot was applied after all, its payout stays bound for ever and the void frees nothing."""
    await signer.submit(data := request([intent(1)]), void())
    await signer.take(slot_closed(data, result="succeeded"))
    assert await states(signer) == {str(payout_id(1)): "paid"}


async def test_slot_that_was_never_signed_on_is_not_voided(signer: Signer) -> None:
    """Nothing is bound to a slot without a digest: there is nothing to void, and no key is used."""
    (answer,) = await signer.submit(void())
    assert isinstance(answer, SigningRefusedEvent)
    assert (answer.data.code, answer.data.items) == ("slot_unknown", [])
    assert signer.backend.signed == []
    assert await signer.count("slots") == 0


async def test_voids_are_counted_apart_from_payments(open_signer: Callable[..., Signer]) -> None:
    """A slot that is full of payments can still be voided, and voids have a cap of their own."""
    signer = open_signer(
        context=signing_context(of_rules=rules(policy=policy(digests_per_slot_max=1, voids_per_slot_max=2)))
    )
    await signer.submit(request([intent(1)]))
    full = transaction([payment_of(intent(1))], fee_each=300)
    (refused,) = await signer.submit(request([intent(1)], envelope=full))
    assert refused.data.code == "digests_over_cap"
    answers = await signer.submit(*(void(max_time=NOW_S + 300 + n) for n in range(3)))
    assert [type(one) for one in answers[:2]] == [SigningCompletedEvent] * 2
    assert answers[2].data.code == "voids_over_cap"


async def test_voids_do_not_use_up_the_payments_cap(open_signer: Callable[..., Signer]) -> None:
    """What voids a slot leaves room for payments on it."""
    signer = open_signer(context=signing_context(of_rules=rules(policy=policy(digests_per_slot_max=2))))
    await signer.submit(request([intent(1)]), void())
    again = transaction([payment_of(intent(1))], fee_each=300)
    (answer,) = await signer.submit(request([intent(1)], envelope=again))
    assert isinstance(answer, SigningCompletedEvent)


async def test_same_void_is_signed_again(signer: Signer) -> None:
    """A repeated request for a void gets the same answer, whatever has changed since."""
    await signer.submit(request([intent(1)]))
    (first,) = await signer.submit(data := void())
    signer.clock.advance(timedelta(seconds=3_600))
    (second,) = await signer.submit(data)
    assert isinstance(second, SigningCompletedEvent)
    assert second.data.signatures == first.data.signatures


async def test_void_asked_for_again_as_a_payment_is_refused(signer: Signer) -> None:
    """The bytes of a void under another kind are not the request that was signed: the treasury does not sign it."""
    await signer.submit(request([intent(1)]), data := void())
    touched = len(signer.backend.signed)
    made = transaction([], max_time=NOW_S + 300)
    lying = request([], envelope=made, items=[], xdr=data.xdr, tx_hash=data.tx_hash)
    (answer,) = await signer.submit(lying)
    assert isinstance(answer, SigningRefusedEvent)
    assert answer.data.code == "no_items"
    assert len(signer.backend.signed) == touched


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            (
                "INSERT INTO digest_payouts (tx_hash, op, payout_id) SELECT d.tx_hash, 0, p.payout_id "
                "FROM digests d, payouts p WHERE d.kind = 'void_slot'"
            ),
            "pays nobody",
        ),
        (
            (
                "INSERT INTO signatures (tx_hash, position, public_key, signature, signed_at) "
                "SELECT tx_hash, 2, decode('ab', 'hex'), decode('ab', 'hex'), recorded_at "
                "FROM digests WHERE kind = 'void_slot'"
            ),
            "signed once",
        ),
        (
            "UPDATE slots SET state = 'succeeded', ledger = 1, consumed_by = decode('ab', 'hex')",
            "succeeded by",
        ),
        (
            "UPDATE slots SET state = 'expired', ledger = 1, consumed_by = (SELECT min(tx_hash) FROM digests)",
            "expired by",
        ),
    ],
)
async def test_database_refuses_what_no_void_may_be(signer: Signer, statement: str, said: str) -> None:
    """A void has no payout and one signature; a slot is closed by one of its own digests, or expired by none of them."""
    await signer.submit(request([intent(1)]), void())
    with pytest.raises(DBAPIError, match=said):
        await signer.rows(statement)
