"""Two signers over one database at the same moment."""

import asyncio
from collections.abc import Callable

from prizewire_contracts.events.signing import ClosedEvent, CloseRefusedEvent, SigningCompletedEvent
from prizewire_signer.domain.model import AssetLimits
from services.signer.tests.fakes import (
    CHANNELS,
    close_requested,
    intent,
    payment_of,
    policy,
    request,
    rules,
    signing_context,
    transaction,
)
from services.signer.tests.integration.conftest import Signer

ROUNDS = 12


async def test_two_signers_never_sign_one_payout_for_two_slots(open_signer: Callable[..., Signer]) -> None:
    """Requests for the same payouts on two slots, worked at once: exactly one of each pair is signed."""
    signers = [open_signer(), open_signer()]
    for number in range(ROUNDS):
        labels = [f"{number}-{n}" for n in range(5)]
        pair = []
        for channel in (0, 1):
            ordered = labels if channel == 0 else labels[::-1]
            envelope = transaction(
                [payment_of(intent(label)) for label in ordered],
                source=CHANNELS[channel].public_key,
                sequence=1_000 + number,
            )
            pair.append(request([intent(label) for label in ordered], envelope=envelope))
        await signers[0].take(*pair)
        await asyncio.gather(*(signer.work() for signer in signers))
    answers = await signers[0].answers()
    signed = [answer for answer in answers if isinstance(answer, SigningCompletedEvent)]
    assert (len(answers), len(signed)) == (2 * ROUNDS, ROUNDS)
    assert await signers[0].count("digest_payouts") == 5 * ROUNDS
    assert all(not found for found in (await signers[0].breaches()).values())


async def test_limit_holds_under_two_signers(open_signer: Callable[..., Signer]) -> None:
    """Of two payouts at once for which the day's limit has room for one, one is signed."""
    limits = {
        "USDC": AssetLimits(payout_minor_max=1_250, day_minor_max=1_250 * ROUNDS, again_minor_max=1_250)
    }
    tight = signing_context(of_rules=rules(policy=policy(limits=limits)))
    signers = [open_signer(context=tight), open_signer(context=tight)]
    requests = [
        request(
            [intent(n)],
            envelope=transaction(
                [payment_of(intent(n))], source=CHANNELS[n % 4].public_key, sequence=1_000 + n
            ),
        )
        for n in range(2 * ROUNDS)
    ]
    await signers[0].take(*requests)
    await asyncio.gather(*(signer.work() for signer in signers))
    answers = await signers[0].answers()
    assert sum(isinstance(answer, SigningCompletedEvent) for answer in answers) == ROUNDS
    assert len(answers) == 2 * ROUNDS
    (use,) = await signers[0].rows("SELECT used_minor, ceiling_minor FROM limit_use")
    assert use.used_minor == use.ceiling_minor == 1_250 * ROUNDS


async def test_closing_and_signing_at_once_never_both(open_signer: Callable[..., Signer]) -> None:
    """Each payout is either tombstoned or signed, in whatever order."""
    worker, closer = open_signer(), open_signer()
    for number in range(ROUNDS):
        envelope = transaction([payment_of(intent(number))], sequence=1_000 + number)
        await worker.take(request([intent(number)], envelope=envelope))
        await asyncio.gather(worker.work(), closer.take(close_requested(number)))
    answers = await worker.answers()
    closed = {str(one.data.payout_id) for one in answers if isinstance(one, ClosedEvent)}
    refused = {str(one.data.payout_id) for one in answers if isinstance(one, CloseRefusedEvent)}
    signed = {str(row.payout_id) for row in await worker.rows("SELECT payout_id FROM digest_payouts")}
    assert signed == refused
    assert len(closed) + len(signed) == ROUNDS
    assert not closed & signed


async def test_same_request_twice_at_once_gives_one_digest(open_signer: Callable[..., Signer]) -> None:
    """Two workers with the same bytes: one digest, the same signatures in both answers."""
    signers = [open_signer(), open_signer()]
    for number in range(ROUNDS):
        envelope = transaction([payment_of(intent(number))], sequence=1_000 + number)
        data = request([intent(number)], envelope=envelope)
        await signers[0].take(data, data)
        await asyncio.gather(*(signer.work() for signer in signers))
    answers = await signers[0].answers()
    assert len(answers) == 2 * ROUNDS
    assert len({str(answer.data.signatures) for answer in answers}) == ROUNDS
    assert await signers[0].count("digests") == ROUNDS
