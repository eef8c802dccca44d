"""Triggers of the database. Each statement is run as the owner, whom no privilege restricts."""

from collections.abc import AsyncIterator, Mapping

import asyncpg
import pytest

from prizewire_chassis.db import Database
from prizewire_devstack.testing import DatabaseFactory
from prizewire_signer.domain.states import (
    PAYOUT_EDGES,
    PAYOUT_STARTS,
    SLOT_EDGES,
    SLOT_STARTS,
    WORK_EDGES,
    WORK_STARTS,
)
from services.signer.tests.fakes import CHANNELS, intent, payment_of, request, slot_closed, transaction
from services.signer.tests.integration.conftest import Signer

COPY_OF_A_DIGEST = """
    INSERT INTO digests SELECT (jsonb_populate_record(d, '{"tx_hash": "\\\\xcd"}')).* FROM digests d
    JOIN slots s USING (slot_id) WHERE s.state <> 'open' LIMIT 1"""
PAY_ONE_OF_ANOTHER_SLOT = """
    INSERT INTO digest_payouts (tx_hash, op, payout_id) SELECT d.tx_hash, 9, p.payout_id
    FROM digests d JOIN payouts p ON p.slot_id <> d.slot_id WHERE p.state = 'bound' LIMIT 1"""
PAY_ONE_THAT_IS_PAID = """
    INSERT INTO digest_payouts (tx_hash, op, payout_id) SELECT d.tx_hash, 9, p.payout_id
    FROM digests d JOIN payouts p USING (slot_id) WHERE p.state = 'paid' AND NOT EXISTS (
        SELECT 1 FROM digest_payouts i WHERE i.tx_hash = d.tx_hash AND i.payout_id = p.payout_id)"""
OTHER_SLOT = "(SELECT slot_id FROM slots s WHERE s.slot_id <> payouts.slot_id LIMIT 1)"


@pytest.fixture(scope="module")
async def owner_url(make_module_database: DatabaseFactory) -> AsyncIterator[str]:
    """A signer's database: a payout bound on an open slot, and a slot of two digests that closed with payouts paid."""
    urls = make_module_database("signer", migrated=True)
    db = Database(urls.runtime, application_name="signer-test", pool_size=4)
    signer = Signer(db)

    def on_channel(number: int, *labels: int, fee_each: int = 100):  # type: ignore[no-untyped-def] # a request
        envelope = transaction(
            [payment_of(intent(label)) for label in labels],
            source=CHANNELS[number].public_key,
            fee_each=fee_each,
        )
        return request([intent(label) for label in labels], envelope=envelope)

    one, both = on_channel(1, 3), on_channel(1, 2, 3, fee_each=300)
    await signer.submit(on_channel(0, 1), one, both)
    await signer.take(slot_closed(both, result="succeeded"))
    yield urls.migration
    await db.close()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (f"UPDATE payouts SET slot_id = {OTHER_SLOT} WHERE state = 'bound'", "is bound to slot"),
        ("UPDATE payouts SET amount_minor = amount_minor + 1", "terms of payout .* are fixed"),
        ("UPDATE payouts SET asset = 'OTHER'", "terms of payout .* are fixed"),
        ("UPDATE payouts SET terms = '\\xab'", "terms of payout .* are fixed"),
        ("UPDATE payouts SET counted_on = counted_on + 1", "terms of payout .* are fixed"),
        ("UPDATE payouts SET slots_used = slots_used - 1", "terms of payout .* are fixed"),
        ("UPDATE payouts SET state = 'free', slot_id = NULL WHERE state = 'bound'", "not free to leave"),
        ("UPDATE payouts SET free_at = 'infinity' WHERE state = 'bound'", "may still pay payout"),
        ("UPDATE payouts SET state = 'bound' WHERE state = 'paid'", "payouts: paid -> bound is not allowed"),
        ("UPDATE slots SET state = 'failed' WHERE state <> 'open'", "slots: .* -> failed is not allowed"),
        (
            "UPDATE signing_work SET state = 'queued', tx_hash = NULL",
            "signing_work: .* -> queued is not allowed",
        ),
        (COPY_OF_A_DIGEST, "is not open"),
        (PAY_ONE_OF_ANOTHER_SLOT, "pays what is not bound to its slot"),
        (PAY_ONE_THAT_IS_PAID, "pays what is not bound to its slot"),
        ("UPDATE watermark SET counter = counter - 1", "the watermark only rises"),
        ("UPDATE watermark SET counter = counter", "the watermark only rises"),
        ("UPDATE limit_use SET used_minor = used_minor - 1", "a reserved limit is not given back"),
        ("UPDATE digests SET fee = fee", "digests is append-only"),
        ("DELETE FROM digest_payouts", "digest_payouts is append-only"),
        ("UPDATE signatures SET signature = ''", "signatures is append-only"),
        ("DELETE FROM answers", "answers is append-only"),
        ("DELETE FROM transitions", "transitions is append-only"),
        ("DELETE FROM limit_counts", "limit_counts is append-only"),
    ],
)
async def test_the_database_refuses(owner_url: str, statement: str, said: str) -> None:
    """Each statement is refused by its own trigger; the message proves which one."""
    connection = await asyncpg.connect(owner_url)
    try:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=said):
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("table", "starts", "edges"),
    [
        ("slots", SLOT_STARTS, SLOT_EDGES),
        ("payouts", PAYOUT_STARTS, PAYOUT_EDGES),
        ("signing_work", WORK_STARTS, WORK_EDGES),
    ],
)
async def test_edges_are_the_same_in_code_and_database(
    signer: Signer, table: str, starts: Mapping[str, str], edges: Mapping[tuple[str, str], str]
) -> None:
    """The state machines of the code and those behind the triggers hold the same edges."""
    rows = await signer.rows(f"SELECT from_state, to_state FROM {table}_state_edges")
    assert {(row.from_state, row.to_state) for row in rows} == {*edges, *(("", state) for state in starts)}
