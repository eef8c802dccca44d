"""Each check of the Stellar execution finds what was changed behind the service's back; reviews are listed newest first."""

from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Database
from prizewire_payouts.stellar.storage.reviews import ReviewStorage
from services.payouts.tests.stellar.integration.conftest import PLAYER_KEYS, World

_ASKED, _AMOUNTS, _PAYMENTS, _SLOTS, _ENDS, _OVERDUE, _QUARANTINE = (
    "stellar_answers_were_asked",
    "stellar_amounts_as_asked",
    "stellar_payments_match_transactions",
    "stellar_payout_on_one_open_slot",
    "stellar_ends_are_on_the_ledger",
    "stellar_no_transaction_is_overdue",
    "stellar_no_channel_in_quarantine",
)
_PASSED = "max_time = extract(epoch FROM now()) - {}"
_STUCK = "is {} 16 minutes after its maxTime; its payouts: none"
_OPEN = "UPDATE stellar_slots SET state = 'open'"
_OTHER_SLOT = (
    "INSERT INTO stellar_slots (slot_id, account, sequence, state, version, opened_at) "
    "SELECT gen_random_uuid(), min(c.account), 1, 'open', 0, now() FROM stellar_channels c, stellar_slots s "
    "WHERE c.account <> s.account"
)
_OTHER_ATTEMPT = (
    "INSERT INTO stellar_attempts (account, kind, memo, state, slot_id, revision, tx_hash, unsigned_xdr, signed_xdr, "
    "max_time, leased_at, changed_at) SELECT s.account, a.kind, a.memo, '{}', s.slot_id, 1, repeat('0', 64), 'AAAA', 'AAAA', 0, "
    "a.leased_at, a.changed_at FROM stellar_slots s, stellar_attempts a WHERE s.account <> a.account"
)
_OTHER_ITEM = (
    "INSERT INTO stellar_items (attempt_id, provider_key, op) SELECT a.attempt_id, p.provider_key, 0 "
    "FROM stellar_attempts a, stellar_payments p WHERE a.tx_hash = repeat('0', 64)"
)
BROKEN: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "paid in another ledger than its transaction": (
        ("UPDATE stellar_attempts SET result_ledger = result_ledger + 1",),
        {_PAYMENTS: "is paid without a transaction"},
    ),
    "paid by a transaction that failed": (
        ("UPDATE stellar_attempts SET state = 'failed'",),
        {_PAYMENTS: "is paid without a transaction"},
    ),
    "paid by a transaction that paid nobody": (
        ("UPDATE stellar_attempts SET kind = 'void_slot'",),
        {_PAYMENTS: "is paid without a transaction"},
    ),
    "another amount than the payout's and the transaction's": (
        ("UPDATE stellar_payments SET amount_minor = amount_minor + 1, stroops = stroops + 100000",),
        {_AMOUNTS: "which is not its amount"},
    ),
    "a stroop more than the transaction pays": (
        ("UPDATE stellar_payments SET stroops = stroops + 1",),
        {_AMOUNTS: "transaction"},
    ),
    "another destination than the transaction's": (
        ("UPDATE stellar_payments SET destination = 'G' || repeat('A', 55)",),
        {_AMOUNTS: "its operation in transaction"},
    ),
    "applied and not paid": (
        ("UPDATE stellar_payments SET state = 'no_effect', code = 'x'",),
        {_PAYMENTS: "stands in an applied transaction and is not paid"},
    ),
    "applied, not paid, and the item has a code": (
        (
            "UPDATE stellar_payments SET state = 'no_effect', code = 'x'",
            "UPDATE stellar_items SET code = 'x'",
        ),
        {_PAYMENTS: "stands in an applied transaction and is not paid"},
    ),
    "an end that the ledger contradicts": (
        (
            "INSERT INTO stellar_contradictions SELECT tx_hash, attempt_id, 'failed', 7, now() FROM stellar_attempts",
        ),
        {_ENDS: "ended as failed, and ledger 7 applied it"},
    ),
    "a signature that payouts did not ask for": (
        (
            "INSERT INTO stellar_unasked SELECT tx_hash, slot_id, account, '{}', NULL, 'x', now() FROM stellar_attempts",
        ),
        {_ASKED: "somebody else uses payouts' key"},
    ),
    "a payment that waits in a transaction that has ended": (
        (
            "UPDATE stellar_payments SET state = 'batched'",
            "UPDATE stellar_attempts SET state = 'dead'",
            "UPDATE stellar_items SET op = NULL",
        ),
        {_PAYMENTS: "which has ended as dead"},
    ),
    "sent, with a payment, and held back from look-ups": (
        (
            "UPDATE stellar_payments SET state = 'batched'",
            f"UPDATE stellar_attempts SET state = 'sent', due_at = '9000-01-01', {_PASSED.format(1000)}",
        ),
        {_OVERDUE: "is sent 16 minutes after its maxTime; its payouts: "},
    ),
    **{
        f"{state} long after its maxTime": (
            (
                "UPDATE stellar_payments SET attempt_id = NULL, state = 'no_effect', code = 'x'",
                "UPDATE stellar_items SET op = NULL",
                f"UPDATE stellar_attempts SET state = '{state}', {_PASSED.format(1000)}",
            ),
            {_OVERDUE: _STUCK.format(state)},
        )
        for state in ("built", "exported", "signed", "checking")
    },
    "signed for on two slots": (
        (_OPEN, _OTHER_SLOT, _OTHER_ATTEMPT.format("signed"), _OTHER_ITEM),
        {_SLOTS: "may be signed for on two open slots", _OVERDUE: "minutes after its maxTime"},
    ),
    "a consumed slot that nothing explains": (
        (_OTHER_SLOT, _OTHER_ATTEMPT.format("review")),
        {_QUARANTINE: "waits for two persons' decision"},
    ),
}


@pytest.fixture(scope="module")
async def paid(make_module_world: Callable[..., World]) -> AsyncIterator[World]:
    """A world with one payment that was made."""
    world = make_module_world()
    await world.submit([await world.payout(PLAYER_KEYS[0].public_key, 100)])

    async def done() -> bool:
        return bool(await world.rows("SELECT 1 FROM stellar_slots WHERE state = 'closed'"))

    await world.run_until(done, deadline_s=600)
    yield world
    await world.close()


@pytest.fixture
async def owner(paid: World) -> AsyncIterator[AsyncConnection]:
    """A connection of the tables' owner whose changes are undone."""
    database = Database(paid.migration_url, application_name="test-owner", pool_size=1)
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="READ COMMITTED")
        for table in ("slots", "attempts", "payments", "items", "transitions"):
            await connection.execute(text(f"ALTER TABLE stellar_{table} DISABLE TRIGGER USER"))
        yield connection
        await connection.rollback()
    await database.close()


async def breaches_after(world: World, owner: AsyncConnection) -> dict[str, str]:
    """What each check says."""
    found = {check.name: await check.run(owner) for check in world.parts.checks}
    return {name: " ".join(breaches) for name, breaches in found.items() if breaches}


async def test_sound_rows_have_no_breach(paid: World, owner: AsyncConnection) -> None:
    """No check has anything to say, and each is tried below."""
    assert await breaches_after(paid, owner) == {}
    tried = {name for _, expected in BROKEN.values() for name in expected}
    tried.add("stellar_ends_are_compared")  # by test_comparing.py
    assert tried == {check.name for check in paid.parts.checks}


@pytest.mark.parametrize("name", BROKEN)
async def test_each_breach_is_found(paid: World, owner: AsyncConnection, name: str) -> None:
    """By the check that it belongs to, and by no other."""
    statements, expected = BROKEN[name]
    for statement in statements:
        await owner.execute(text(statement))
    found = await breaches_after(paid, owner)
    assert found.keys() == expected.keys()
    for check, said in expected.items():
        assert said in found[check]


async def test_a_transaction_is_not_overdue_before(paid: World, owner: AsyncConnection) -> None:
    """A quarter of an hour is enough for look-ups and for an outage of the nodes; the payouts are named after it."""
    await owner.execute(text("UPDATE stellar_payments SET state = 'batched'"))
    await owner.execute(text(f"UPDATE stellar_attempts SET state = 'sent', {_PASSED.format(14 * 60)}"))
    assert await breaches_after(paid, owner) == {}
    await owner.execute(text(f"UPDATE stellar_attempts SET {_PASSED.format(15 * 60 + 5)}"))
    (payment,) = await owner.execute(text("SELECT payout_id FROM stellar_payments"))
    assert str(payment.payout_id) in (await breaches_after(paid, owner))[_OVERDUE]


async def test_reviews_are_listed_newest_first(paid: World, owner: AsyncConnection) -> None:
    """By the time at which each came into review, not by the order in which they were built."""
    for statement in (
        _OTHER_SLOT,
        _OTHER_ATTEMPT.format("review"),
        "UPDATE stellar_attempts SET state = 'review'",
        (
            "INSERT INTO stellar_transitions (attempt_id, from_state, to_state, reason, cause, at) "
            "SELECT attempt_id, 'checking', 'review', 'x', 'x', now() - attempt_id * interval '1 minute' FROM stellar_attempts"
        ),
    ):
        await owner.execute(text(statement))
    listed = [
        review.attempt_id
        for review in await ReviewStorage(owner, execution=paid.execution, assets=paid.assets).open()
    ]
    assert listed == sorted(listed)
    assert len(listed) == 2
