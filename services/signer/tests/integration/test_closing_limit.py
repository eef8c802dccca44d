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
from prizewire_signer.messages import requests
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


async def tombstoned(signer: Signer, closed_on: str) -> None:
    """With the login of the signer's database: every free payout is closed, and counted on this day."""
    await signer.rows(
        "UPDATE payouts SET state = 'free', slot_id = NULL, free_at = NULL WHERE state = 'bound' RETURNING 1"
    )
    await signer.rows(
        f"UPDATE payouts SET state = 'tombstoned', closed_on = '{closed_on}' WHERE state = 'free' RETURNING 1"
    )


async def test_a_closing_that_was_not_counted_is_a_breach(open_signer: Callable[..., Signer]) -> None:
    """A tombstone by hand is not in the day's limit."""
    signer = open_signer(context=limited(2 * EACH))
    await freed(signer, 1, 2)
    await signer.take(close_requested(1))
    await tombstoned(signer, signer.clock.now().date().isoformat())
    await signer.submit(close_requested(1), close_requested(2))
    assert [name for name, found in (await signer.breaches()).items() if found] == ["limits_kept"]


async def test_a_day_without_a_limit_is_compared(open_signer: Callable[..., Signer]) -> None:
    """A tombstone by hand on a day on which nothing was counted."""
    signer = open_signer(context=limited(EACH))
    await freed(signer, 1)
    await tombstoned(signer, "2020-01-02")
    broken = [name for name, found in (await signer.breaches()).items() if found]
    assert broken == ["limits_kept", "closings_answered"]


async def test_a_closing_on_another_day_is_a_breach(open_signer: Callable[..., Signer]) -> None:
    """A tombstone that is counted on a day of its own, with a row for its limit: the answer has another day."""
    signer = open_signer(context=limited(EACH))
    await freed(signer, 1)
    await tombstoned(signer, "2020-01-02")
    await signer.rows(
        "INSERT INTO limit_use (scope, key, window_start, asset, used_minor, ceiling_minor) "
        f"VALUES ('again', '', '2020-01-02', 'USDC', {EACH}, {EACH}) RETURNING 1"
    )
    assert [name for name, found in (await signer.breaches()).items() if found] == ["closings_answered"]
    (answer,) = await signer.submit(close_requested(1))
    assert isinstance(answer, ClosedEvent)
    assert [name for name, found in (await signer.breaches()).items() if found] == ["closings_answered"]


async def test_an_answer_that_was_written_with_an_earlier_date_is_a_breach(signer: Signer) -> None:
    """Else the day of a closing could be given an answer."""
    await signer.submit(close_requested(1))
    await signer.rows(
        "INSERT INTO answers (counter, kind, subject, cause, at) VALUES (2, 'closed', 'x', 'x', '2020-01-02') RETURNING 1"
    )
    await signer.rows("UPDATE watermark SET counter = 2 RETURNING 1")
    assert [name for name, found in (await signer.breaches()).items() if found] == ["answers_counted"]


async def test_a_raised_ceiling_allows_nothing(open_signer: Callable[..., Signer]) -> None:
    """What was used today is compared with the policy, whatever the row says."""
    signer = open_signer(context=limited(3 * EACH))
    await freed(signer, 1, 2)
    await signer.submit(close_requested(1), close_requested(2))
    signer.context = limited(EACH)
    assert [name for name, found in (await signer.breaches()).items() if found] == ["limits_kept"]


async def test_a_payout_that_was_written_with_a_smaller_amount_is_not_signed(
    open_signer: Callable[..., Signer],
) -> None:
    """With the login of the signer's database: slot, payout and count exist before the genuine request, so that less is
    counted. A count of another amount than the payout's is refused, and so is a payout of another amount than the intent's.
    """
    signer = open_signer(context=limited(EACH))
    data = on_channel(0, 1)
    terms = f"\\x{requests._intent(intent(1)).terms.hex()}"
    await signer.rows(
        "INSERT INTO slots (slot_id, chain, account, sequence, state) VALUES "
        f"('{data.slot.slot_id}', 'stellar', '{data.slot.account}', {data.slot.sequence}, 'open') RETURNING 1"
    )
    await signer.rows(
        "INSERT INTO payouts (payout_id, state, slot_id, slots_used, terms, asset, amount_minor, counted_on) VALUES "
        f"('{payout_id(1)}', 'bound', '{data.slot.slot_id}', 1, '{terms}', 'USDC', 1, '2026-01-01') RETURNING 1"
    )
    count = (
        "INSERT INTO limit_counts (payout_id, slot_id, day, asset, amount_minor, again) VALUES "
        f"('{payout_id(1)}', '{data.slot.slot_id}', '{signer.clock.now().date()}', 'USDC', {{}}, false) RETURNING 1"
    )
    with pytest.raises(DBAPIError, match="is not its amount"):
        await signer.rows(count.format(2))
    await signer.rows(count.format(1))
    (answer,) = await signer.submit(data)
    assert [item.code for item in answer.data.items] == ["intent_terms_changed"]
