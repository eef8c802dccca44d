"""What a person with the login of the signer's database cannot do: have bytes signed that nobody approved."""

from uuid import uuid4

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.signer.tests.fakes import (
    CHANNELS,
    NOW,
    NOW_S,
    SEQUENCE,
    intent,
    payment_of,
    request,
    transaction,
)
from services.signer.tests.integration.conftest import Signer

STOLEN = transaction([payment_of(intent(1), amount="9999.00")], sequence=SEQUENCE + 7)


async def record(signer: Signer, *, payload: bytes | None = None, paid: bool = False) -> None:
    """Write the queued request as recorded for the stolen transaction, with a slot and a digest of it. ``payload`` replaces
    the request by another one.
    """
    work = (await signer.rows("SELECT id, subject, payload FROM signing_work"))[0]
    slot, work_id = uuid4(), work.id
    async with signer.db.transaction() as tx:
        await tx.execute(
            text(
                "INSERT INTO slots (slot_id, chain, account, sequence, state) VALUES (:slot, 'stellar', :account, :n, 'open')"
            ),
            {"slot": slot, "account": CHANNELS[0].public_key, "n": SEQUENCE + 7},
        )
        if payload is not None:
            slot = orjson.loads(payload)["slot"]["slot_id"]
            await tx.execute(
                text(
                    "INSERT INTO slots (slot_id, chain, account, sequence, state) "
                    "VALUES (:slot, 'stellar', :account, :n, 'open')"
                ),
                {"slot": slot, "account": CHANNELS[0].public_key, "n": SEQUENCE},
            )
            work_id = (
                await tx.execute(
                    text(
                        "INSERT INTO signing_work (event_id, subject, payload, event_time, received_at, state, ready_at) "
                        "VALUES ('invented', :slot, :payload, :now, :now, 'queued', :now) RETURNING id"
                    ),
                    {"slot": str(slot), "payload": payload, "now": NOW},
                )
            ).scalar_one()
        await tx.execute(
            text(
                "INSERT INTO digests (tx_hash, slot_id, revision, work_id, kind, max_time, fee, fee_cap, approval, recorded_at) "
                "VALUES (:hash, :slot, 1, :work, 'payment', :max_time, 1, 1, CAST('{\"items\": []}' AS jsonb), :now)"
            ),
            {"hash": STOLEN.hash(), "slot": slot, "work": work_id, "max_time": NOW_S + 300, "now": NOW},
        )
        if paid:
            await tx.execute(
                text(
                    "INSERT INTO payouts (payout_id, state, slot_id, slots_used, terms, asset, amount_minor, counted_on) "
                    "VALUES (CAST(:id AS uuid), 'bound', :slot, 1, 'x', 'USDC', 1, CURRENT_DATE)"
                ),
                {"id": intent(1).payout_id, "slot": slot},
            )
            await tx.execute(
                text(
                    "INSERT INTO digest_payouts (tx_hash, op, payout_id) VALUES (:hash, 0, CAST(:id AS uuid))"
                ),
                {"hash": STOLEN.hash(), "id": intent(1).payout_id},
            )
        await tx.execute(
            text("UPDATE signing_work SET state = 'recorded', tx_hash = :hash WHERE id = :id"),
            {"hash": STOLEN.hash(), "id": work_id},
        )


async def test_a_hash_that_was_written_into_a_request_is_not_signed(signer: Signer) -> None:
    """The transaction of the request is signed or none: not the hash in its row."""
    await signer.take(request([intent(1)]))
    await record(signer)
    await signer.work()
    (answer,) = await signer.answers()
    assert answer.data.code == "record_missing"
    assert (signer.backend.signed, await signer.count("signatures")) == ([], 0)


@pytest.mark.parametrize("paid", [True, False])
async def test_a_request_that_was_inserted_as_recorded_is_examined(signer: Signer, paid: bool) -> None:
    """An inserted request looks like one that was recorded before: it still needs the approval of its bytes."""
    genuine = request([intent(1)])
    await signer.take(genuine)
    stolen = genuine.model_copy(update={"xdr": STOLEN.to_xdr(), "tx_hash": STOLEN.hash_hex()})
    payload = orjson.dumps(stolen.model_dump(mode="json"))
    await record(signer, payload=payload, paid=paid)
    await signer.work()
    answers = [one.data for one in await signer.answers()]
    assert [one.code for one in answers if one.tx_hash == STOLEN.hash_hex()] == (
        ["approval_mismatch"] if paid else ["record_missing"]
    )
    assert STOLEN.hash() not in [tx_hash for _, tx_hash in signer.backend.signed]


@pytest.mark.parametrize("event_time", ["-infinity", "infinity", "4000-01-01 BC", "10000-01-01"])
async def test_a_request_whose_time_cannot_be_read_is_refused(signer: Signer, event_time: str) -> None:
    """Claiming it would fail, and every later request would wait behind it."""
    with pytest.raises(DBAPIError, match="signing_work_times"):
        await signer.rows(
            "INSERT INTO signing_work (event_id, subject, payload, event_time, received_at, state, ready_at) "
            f"VALUES ('invented', 'x', '', '{event_time}', now(), 'queued', now()) RETURNING id"
        )
