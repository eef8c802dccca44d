"""A payout that was signed before is closed only within the day's `again_max`: payouts' report that its slot paid nothing may
be false, and its tombstone then gives back money that was paid.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from prizewire_contracts.events.signing import (
    ClosedEvent,
    CloseRefusedEvent,
    SigningCompletedEvent,
    SigningRequested,
)
from prizewire_signer.domain.model import AssetLimits
from services.signer.tests.fakes import (
    CHANNELS,
    MARGIN_S,
    NOW_S,
    close_requested,
    intent,
    payment_of,
    policy,
    request,
    rules,
    signing_context,
    slot_closed,
    transaction,
)
from services.signer.tests.integration.conftest import Signer

EACH = 1_250
"""Minor units of each payout of these tests."""


def limited(again: int) -> Any:
    limits = {"USDC": AssetLimits(payout_minor_max=EACH, day_minor_max=99_000, again_minor_max=again)}
    return signing_context(of_rules=rules(policy=policy(limits=limits)))


def on_channel(number: int, *labels: int, max_time: int = NOW_S + 30) -> SigningRequested:
    """A request that pays these labels on a channel's slot."""
    operations = [payment_of(intent(label)) for label in labels]
    envelope = transaction(operations, source=CHANNELS[number].public_key, max_time=max_time)
    return request([intent(label) for label in labels], envelope=envelope)


async def freed(signer: Signer, *labels: int) -> SigningRequested:
    """These payouts were signed on one slot, which payouts reports as failed; it is over."""
    await signer.submit(data := on_channel(0, *labels))
    await signer.take(slot_closed(data, result="failed"))
    signer.until(NOW_S + 30 + MARGIN_S)
    return data


async def again_use(signer: Signer) -> tuple[int, int]:
    (row,) = await signer.rows("SELECT used_minor, ceiling_minor FROM limit_use WHERE scope = 'again'")
    return row.used_minor, row.ceiling_minor


def midnight_after(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(UTC).date() + timedelta(days=1), time(), UTC)


async def test_closings_after_a_signature_have_a_limit_of_a_day(open_signer: Callable[..., Signer]) -> None:
    """Two of three fit. The third stays open until the next UTC day, and its answer names slot, reason and time."""
    signer = open_signer(context=limited(2 * EACH))
    data = await freed(signer, 1, 2, 3)
    answers = await signer.submit(close_requested(1), close_requested(2), close_requested(3))
    by_payout = {answer.data.payout_id: answer for answer in answers}
    refused = [one for one in by_payout.values() if isinstance(one, CloseRefusedEvent)]
    assert sum(isinstance(one, ClosedEvent) for one in by_payout.values()) == 2
    tomorrow = midnight_after(signer.clock.now())
    assert [(one.data.code, one.data.slot, one.data.not_before) for one in refused] == [
        ("again_over_limit", data.slot, int(tomorrow.timestamp()))
    ]
    assert await again_use(signer) == (2 * EACH, 2 * EACH)
    again = CloseRequestedAgain(refused[0].data.payout_id)
    signer.until(int(tomorrow.timestamp()) - 1)
    (answer,) = await signer.submit(again.request())
    assert isinstance(answer, CloseRefusedEvent)
    signer.until(int(tomorrow.timestamp()))
    (answer,) = await signer.submit(again.request())
    assert isinstance(answer, ClosedEvent)
    assert not any((await signer.breaches()).values())


class CloseRequestedAgain:
    """Close requests for one payout, by its id."""

    def __init__(self, payout_id: Any) -> None:
        self._payout_id = payout_id

    def request(self) -> Any:
        return close_requested(1).model_copy(update={"payout_id": self._payout_id})


async def test_nothing_is_closed_without_a_limit(open_signer: Callable[..., Signer]) -> None:
    """With `again_max: "0.00"` a person raises the limit first; after that the payout is closed on the same day."""
    signer = open_signer(context=limited(0))
    await freed(signer, 1)
    (answer,) = await signer.submit(close_requested(1))
    assert isinstance(answer, CloseRefusedEvent)
    assert answer.data.code == "again_over_limit"
    signer.context = limited(EACH)
    (answer,) = await signer.submit(close_requested(1))
    assert isinstance(answer, ClosedEvent)
    assert await again_use(signer) == (EACH, EACH)


async def test_an_asset_that_left_the_policy_is_not_closed(open_signer: Callable[..., Signer]) -> None:
    """Without a limit for its asset a payout that was signed before stays open."""
    signer = open_signer(context=limited(EACH))
    await freed(signer, 1)
    signer.context = signing_context(of_rules=rules(policy=policy(limits={})))
    (answer,) = await signer.submit(close_requested(1))
    assert isinstance(answer, CloseRefusedEvent)
    assert answer.data.code == "again_over_limit"


async def test_payouts_without_a_signature_need_no_limit(open_signer: Callable[..., Signer]) -> None:
    """Nothing was signed, so nothing was paid: the tombstone counts nowhere."""
    signer = open_signer(context=limited(0))
    answers = await signer.submit(*(close_requested(label) for label in (1, 2, 3)))
    assert [type(answer) for answer in answers] == [ClosedEvent] * 3
    assert await signer.count("limit_use") == 0


async def test_closings_and_second_signatures_share_the_limit(open_signer: Callable[..., Signer]) -> None:
    """One payout is signed again, and uses up what the closing of the other needs; and the other way round."""
    signer = open_signer(context=limited(EACH))
    await freed(signer, 1, 2)
    (answer,) = await signer.submit(on_channel(1, 1, max_time=NOW_S + 300))
    assert isinstance(answer, SigningCompletedEvent)
    (answer,) = await signer.submit(close_requested(2))
    assert isinstance(answer, CloseRefusedEvent)
    signer.until(int(midnight_after(signer.clock.now()).timestamp()))
    (answer,) = await signer.submit(close_requested(2))
    assert isinstance(answer, ClosedEvent)
    day_s = int(signer.clock.now().timestamp())
    await signer.submit(data := on_channel(2, 3, max_time=day_s + 30))
    await signer.take(slot_closed(data, result="expired"))
    signer.until(day_s + 30 + MARGIN_S)
    (answer,) = await signer.submit(on_channel(3, 3, max_time=day_s + 300))
    assert [item.code for item in answer.data.items] == ["again_over_limit"]
    assert not any((await signer.breaches()).values())


async def test_two_signers_share_the_limit_of_closings(open_signer: Callable[..., Signer]) -> None:
    """Closings and second signatures at once: never more than the limit, and none of them is lost."""
    labels = list(range(8))
    signers = [open_signer(context=limited(3 * EACH)) for _ in range(2)]
    await freed(signers[0], *labels)
    await signers[1].take(*(on_channel(1 + n % 3, n, max_time=NOW_S + 300 + n) for n in labels[:4]))
    before = len(await signers[0].answers())
    await asyncio.gather(signers[1].work(), *(signers[0].take(close_requested(n)) for n in labels[4:]))
    answers = (await signers[0].answers())[before:]
    assert len(answers) == len(labels)
    counted = [one for one in answers if isinstance(one, ClosedEvent | SigningCompletedEvent)]
    assert len(counted) == 3
    assert await again_use(signers[0]) == (3 * EACH, 3 * EACH)
    assert not any((await signers[0].breaches()).values())


async def test_a_repeated_request_counts_once(open_signer: Callable[..., Signer]) -> None:
    """The same payout again, in one batch and in a later one: closed again, counted once."""
    signer = open_signer(context=limited(EACH))
    await freed(signer, 1)
    answers = await signer.submit(close_requested(1), close_requested(1))
    answers += await signer.submit(close_requested(1))
    assert [type(answer) for answer in answers] == [ClosedEvent] * 3
    assert await again_use(signer) == (EACH, EACH)


@pytest.mark.parametrize("state", ["bound", "waits", "paid"])
async def test_a_refusal_names_its_reason(signer: Signer, state: str) -> None:
    """A payout on an open slot, on a closed slot whose time is not over, and one that was paid."""
    await signer.submit(data := on_channel(0, 1))
    if state != "bound":
        await signer.take(slot_closed(data, result="succeeded" if state == "paid" else "failed"))
    (answer,) = await signer.submit(close_requested(1))
    assert isinstance(answer, CloseRefusedEvent)
    expected = NOW_S + 30 + MARGIN_S if state == "waits" else None
    assert (answer.data.code, answer.data.slot, answer.data.not_before) == (
        f"payout_{state}",
        data.slot,
        expected,
    )


async def test_the_database_wants_the_day_of_a_closing(open_signer: Callable[..., Signer]) -> None:
    """A tombstone of a payout that was signed has its day, by which the limit is compared; no other row has one."""
    signer = open_signer(context=limited(EACH))
    await freed(signer, 1)
    with pytest.raises(DBAPIError, match="payouts_closed_on"):
        await signer.rows("UPDATE payouts SET closed_on = '2026-01-01' RETURNING 1")
    await signer.rows("UPDATE payouts SET state = 'free', slot_id = NULL, free_at = NULL RETURNING 1")
    with pytest.raises(DBAPIError, match="payouts_closed_on"):
        await signer.rows("UPDATE payouts SET state = 'tombstoned' RETURNING 1")


async def test_a_closing_that_was_not_counted_is_a_breach(open_signer: Callable[..., Signer]) -> None:
    """A tombstone by hand is not in the day's limit: `limits_kept` reports it where the day has a row."""
    signer = open_signer(context=limited(2 * EACH))
    await freed(signer, 1, 2)
    await signer.submit(close_requested(1))
    await signer.rows(
        "UPDATE payouts SET state = 'free', slot_id = NULL, free_at = NULL WHERE state = 'bound' RETURNING 1"
    )
    day = signer.clock.now().date().isoformat()
    await signer.rows(
        f"UPDATE payouts SET state = 'tombstoned', closed_on = '{day}' WHERE state = 'free' RETURNING 1"
    )
    assert len((await signer.breaches())["limits_kept"]) == 1
