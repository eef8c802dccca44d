"""The threat model, bullet by bullet: each attack gives no signature, no digest, and one audit record."""

import pytest

from prizewire_chassis.testing import make_key
from prizewire_contracts.events.signing import SigningRefusedEvent, SigningRequested
from services.signer.tests.attacks import ATTACKS, ONE
from services.signer.tests.fakes import CHANNELS, close_requested, payment_of, payout_id, request, transaction
from services.signer.tests.integration.conftest import Signer


async def assert_refused(signer: Signer, data: SigningRequested, code: str) -> None:
    digests, signatures = await signer.count("digests"), await signer.count("signatures")
    audits, touched = len(await signer.audits()), len(signer.backend.signed)
    (answer,) = await signer.submit(data)
    assert isinstance(answer, SigningRefusedEvent)
    named = {answer.data.code, *(item.code for item in answer.data.items)}
    assert code in named
    assert (await signer.count("digests"), await signer.count("signatures")) == (digests, signatures)
    assert len(signer.backend.signed) == touched, "no key was used"
    (record,) = (await signer.audits())[audits:]
    assert (record.target, record.reason) == (str(data.slot.slot_id), answer.data.code)


@pytest.mark.parametrize("name", ATTACKS)
async def test_attack_is_refused(threatened: Signer, name: str) -> None:
    """No signature, no digest, one audit record, and the code of the refusal."""
    attack, code = ATTACKS[name]
    data = attack()
    await assert_refused(threatened, data, code)
    assert await threatened.count("payouts") == 0


async def test_tombstoned_payout_is_refused(signer: Signer) -> None:
    """After the closing was signed, nothing is signed for that payout any more."""
    await signer.take(close_requested(1))
    await assert_refused(signer, request([ONE]), "payout_tombstoned")


async def test_second_slot_is_refused(signer: Signer) -> None:
    """While one slot may still pay a payout, no other one is signed for it."""
    await signer.submit(request([ONE]))
    elsewhere = transaction([payment_of(ONE)], source=CHANNELS[1].public_key)
    await assert_refused(signer, request([ONE], envelope=elsewhere), "payout_bound_elsewhere")


async def test_request_about_another_slot_than_its_event_is_refused(signer: Signer) -> None:
    """The subject of the event and its data must name the same slot."""
    await signer.take_events([signer.event(request([ONE]), subject=str(payout_id("elsewhere")))])
    await signer.work()
    (answer,) = await signer.answers()
    assert answer.data.code == "slot_mismatch"


async def test_event_that_payouts_did_not_sign_is_dead(signer: Signer) -> None:
    """A forged message on Kafka makes no work row."""
    await signer.take_events([signer.event(request([ONE]), key=make_key("rewards"))])
    await signer.take_events([signer.event(close_requested(1), service="rewards", key=make_key("rewards"))])
    assert await signer.count("signing_work") == 0
    assert await signer.count("payouts") == 0
    rows = await signer.rows("SELECT state, reason FROM stuck_events ORDER BY id")
    assert [(row.state, row.reason) for row in rows] == [
        ("dead", "key_not_trusted"),
        ("dead", "source_not_allowed"),
    ]
