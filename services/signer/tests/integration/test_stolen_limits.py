"""What a person with the login of the signer's database cannot do: have more signed than the limits allow."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from prizewire_chassis.db import Database
from prizewire_contracts.events.signing import SigningCompletedEvent, SigningRequested, SlotRef
from prizewire_devstack.testing import DatabaseFactory
from prizewire_signer.domain.model import AssetLimits
from prizewire_signer.messages import requests
from services.signer.tests.fakes import (
    CHANNELS,
    MARGIN_S,
    NOW_S,
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
TODAY = "2030-01-01"


def limited(*, day: int = 99_000, again: int = 99_000, **changes: Any) -> Any:
    limits = {"USDC": AssetLimits(payout_minor_max=EACH, day_minor_max=day, again_minor_max=again)}
    return signing_context(of_rules=rules(policy=policy(limits=limits, **changes)))


def on_channel(number: int, label: int, *, max_time: int = NOW_S + 300) -> SigningRequested:
    """A request that pays this label on a channel's slot."""
    envelope = transaction([payment_of(intent(label))], source=CHANNELS[number].public_key, max_time=max_time)
    return request([intent(label)], envelope=envelope)


async def write(signer: Signer, *statements: str) -> None:
    """With the login of the signer's database."""
    async with signer.db.transaction() as tx:
        for statement in statements:
            await tx.execute(text(statement))


def slot_row(slot: SlotRef) -> str:
    return (
        "INSERT INTO slots (slot_id, chain, account, sequence, state) "
        f"VALUES ('{slot.slot_id}', 'stellar', '{slot.account}', {slot.sequence}, 'open')"
    )


def payout_row(slot: SlotRef, label: int) -> str:
    terms = requests._intent(intent(label)).terms.hex()
    return (
        "INSERT INTO payouts (payout_id, state, slot_id, slots_used, terms, asset, amount_minor, counted_on) VALUES "
        f"('{payout_id(label)}', 'bound', '{slot.slot_id}', 1, '\\x{terms}', 'USDC', {EACH}, '{TODAY}')"
    )


def count_row(slot: SlotRef, label: int) -> str:
    return (
        "INSERT INTO limit_counts (payout_id, slot_id, day, asset, amount_minor, again) "
        f"VALUES ('{payout_id(label)}', '{slot.slot_id}', '{TODAY}', 'USDC', {EACH}, false)"
    )


def digest_rows(data: SigningRequested, label: int, *, max_time: int) -> list[str]:
    return [
        (
            "INSERT INTO digests (tx_hash, slot_id, revision, work_id, kind, max_time, fee, fee_cap, approval, recorded_at) "
            f"SELECT '\\x{data.tx_hash}', '{data.slot.slot_id}', 1, id, 'payment', {max_time}, 1, 1, '{{}}', received_at "
            "FROM signing_work"
        ),
        f"INSERT INTO digest_payouts (tx_hash, op, payout_id) VALUES ('\\x{data.tx_hash}', 0, '{payout_id(label)}')",
    ]


def moved(slot: SlotRef, label: int) -> list[str]:
    """A payout of a closed slot is taken to another slot, as if it had not been counted again."""
    return [
        slot_row(slot),
        f"UPDATE payouts SET state = 'free', slot_id = NULL, free_at = NULL WHERE payout_id = '{payout_id(label)}'",
        f"UPDATE payouts SET state = 'bound', slot_id = '{slot.slot_id}' WHERE payout_id = '{payout_id(label)}'",
    ]


async def refused(signer: Signer, data: SigningRequested) -> list[str]:
    """The codes with which this request is refused; no key was used for it."""
    (answer,) = await signer.submit(data)
    assert not isinstance(answer, SigningCompletedEvent)
    assert data.tx_hash not in [tx_hash.hex() for _, tx_hash in signer.backend.signed]
    return [str(item.code) for item in answer.data.items] or [str(answer.data.code)]


async def broken(signer: Signer) -> list[str]:
    return [name for name, found in (await signer.breaches()).items() if found]


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        (
            (
                "INSERT INTO payouts (payout_id, state, slots_used, asset, amount_minor, counted_on) "
                f"VALUES ('{payout_id(1)}', 'tombstoned', 0, 'USDC', -9000, '{TODAY}')"
            ),
            "payouts_amount",
        ),
        *(
            (
                (
                    "INSERT INTO payouts (payout_id, state, slots_used, terms, asset, amount_minor, counted_on, closed_on) "
                    f"VALUES ('{payout_id(1)}', 'tombstoned', 1, 'x', 'USDC', {amount}, '{TODAY}', '{TODAY}')"
                ),
                "payouts_amount",
            )
            for amount in ("-9000", "0", "NULL")
        ),
        (
            f"INSERT INTO answers (counter, kind, subject, cause, at) VALUES (0, 'closed', 'x', 'x', '{TODAY}')",
            "answers_counter",
        ),
    ],
)
async def test_an_amount_that_lowers_a_sum_is_refused(
    signer: Signer, statement: str, constraint: str
) -> None:
    """A negative amount, none where one counts, and an answer in front of the first one."""
    with pytest.raises(DBAPIError, match=constraint):
        await write(signer, statement)


async def test_a_fee_below_zero_is_refused(signer: Signer) -> None:
    """A digest's fee."""
    data = on_channel(0, 1)
    await signer.take(data)
    invented = digest_rows(data, 1, max_time=1)[0].replace(" 1, 1, '{}'", " -1, 1, '{}'")
    with pytest.raises(DBAPIError, match="digests_amounts"):
        await write(signer, slot_row(data.slot), invented)


async def test_a_count_below_zero_hides_nothing(make_database: DatabaseFactory) -> None:
    """Such rows are refused; one that is there from before is not summed, so the count that it was to hide is a breach."""
    urls = make_database("signer", migrated=True)
    db, owner = (Database(url, application_name="signer-test") for url in (urls.runtime, urls.migration))
    signer, data = Signer(db), on_channel(0, 1)
    negative = (
        payout_row(data.slot, 2).replace(f", {EACH},", f", -{EACH},").replace("'bound'", "'tombstoned'")
    )
    negative = negative.replace(f"'{data.slot.slot_id}', 1,", "NULL, 1,").replace(
        "counted_on)", "counted_on, closed_on)"
    )
    negative = negative.replace(f"'{TODAY}')", f"'{TODAY}', '{TODAY}')")
    below = count_row(data.slot, 2).replace(f", {EACH},", f", -{EACH},")
    try:
        async with owner.transaction() as tx:
            await tx.execute(text("ALTER TABLE payouts DROP CONSTRAINT payouts_amount"))
        await write(signer, slot_row(data.slot), payout_row(data.slot, 1), count_row(data.slot, 1), negative)
        with pytest.raises(DBAPIError, match="limit_counts_amount"):
            await write(signer, below)
        async with owner.transaction() as tx:
            await tx.execute(text("ALTER TABLE limit_counts DROP CONSTRAINT limit_counts_amount"))
        await write(signer, below)
        assert await broken(signer) == ["limits_kept", "closings_answered"]
        (breach,) = (await signer.breaches())["limits_kept"]
        assert breach.startswith("USDC on 2030-01-01 (day): 0.00 USDC reserved, 12.50 USDC counted")
        signer.context = limited(day=EACH - 1)
        assert await refused(signer, data) == ["day_over_limit"]
    finally:
        await db.close()
        await owner.close()


async def test_a_count_without_a_use_takes_its_room(open_signer: Callable[..., Signer]) -> None:
    """A payout that the database counts already is signed only where all that is counted fits into the limit."""
    signer = open_signer(context=limited(day=EACH))
    await signer.submit(on_channel(0, 1))
    data = on_channel(1, 2)
    await write(signer, slot_row(data.slot), payout_row(data.slot, 2), count_row(data.slot, 2))
    assert await refused(signer, data) == ["day_over_limit"]
    assert await broken(signer) == ["limits_kept"]


async def test_a_second_slot_counts_as_such_whatever_the_rows_say(open_signer: Callable[..., Signer]) -> None:
    """A payout that was signed on another slot counts into `again_max`, also where a row has it bound to this one."""
    signer = open_signer(context=limited(again=EACH - 1))
    await signer.submit(first := on_channel(0, 1, max_time=NOW_S + 30))
    await signer.take(slot_closed(first, result="failed"))
    signer.until(NOW_S + 30 + MARGIN_S)
    second = on_channel(1, 1)
    await write(signer, *moved(second.slot, 1))
    with pytest.raises(DBAPIError, match="was signed on another slot"):
        await write(signer, count_row(second.slot, 1))
    assert await refused(signer, second) == ["again_over_limit"]


async def test_a_count_from_before_the_first_signature_is_not_a_second_one(
    open_signer: Callable[..., Signer],
) -> None:
    """The count of the second slot is written before the payout was signed anywhere."""
    signer = open_signer(context=limited(again=EACH - 1))
    first, second = on_channel(0, 1, max_time=NOW_S + 30), on_channel(1, 1)
    _, *moves = moved(second.slot, 1)
    await write(
        signer,
        slot_row(first.slot),
        slot_row(second.slot),
        payout_row(first.slot, 1),
        count_row(second.slot, 1),
    )
    await signer.submit(first)
    await signer.take(slot_closed(first, result="failed"))
    signer.until(NOW_S + 30 + MARGIN_S)
    await write(signer, *moves)
    assert await refused(signer, second) == ["again_over_limit"]


async def test_slots_of_a_payout_are_those_of_its_digests(open_signer: Callable[..., Signer]) -> None:
    """A payout that was moved to another slot without its number of slots."""
    signer = open_signer(context=limited(slots_per_payout_max=1))
    await signer.submit(first := on_channel(0, 1, max_time=NOW_S + 30))
    await signer.take(slot_closed(first, result="failed"))
    signer.until(NOW_S + 30 + MARGIN_S)
    second = on_channel(1, 1)
    await write(signer, *moved(second.slot, 1))
    assert await refused(signer, second) == ["slots_over_cap"]


@pytest.mark.parametrize("day", [EACH, EACH - 1])
async def test_a_digest_that_was_written_into_the_database_counts(
    open_signer: Callable[..., Signer], day: int
) -> None:
    """A genuine request whose digest looks recorded: signed within the limit, and counted into it."""
    signer = open_signer(context=limited(day=day))
    await signer.take(data := on_channel(0, 1))
    digest = digest_rows(data, 1, max_time=data.max_time)
    await write(signer, slot_row(data.slot), payout_row(data.slot, 1), *digest)
    await signer.work()
    (answer,) = await signer.answers()
    used = [row.used_minor for row in await signer.rows("SELECT used_minor FROM limit_use")]
    if day < EACH:
        assert ([item.code for item in answer.data.items], used) == (["day_over_limit"], [])
    else:
        assert isinstance(answer, SigningCompletedEvent)
        assert used == [EACH]
    assert (await signer.breaches())["limits_kept"] == []


async def test_a_digest_with_another_max_time_is_not_signed(open_signer: Callable[..., Signer]) -> None:
    """By it the payout would be free before the transaction is over."""
    signer = open_signer(context=limited())
    await signer.take(data := on_channel(0, 1))
    await write(signer, slot_row(data.slot), payout_row(data.slot, 1), *digest_rows(data, 1, max_time=1))
    await signer.work()
    (answer,) = await signer.answers()
    assert (answer.data.code, signer.backend.signed) == ("digest_taken", [])
