"""The database's own guards: edges, uniqueness, append-only histories."""

from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from prizewire_chassis.db.database import sqlstate
from prizewire_payouts.stellar.domain.review import EVIDENCE_EDGES, EVIDENCE_START
from prizewire_payouts.stellar.domain.states import (
    ATTEMPT_EDGES,
    ATTEMPT_START,
    PAYMENT_EDGES,
    PAYMENT_START,
)
from services.payouts.tests.stellar.integration.conftest import PLAYER_KEYS, World


@pytest.mark.parametrize(
    ("table", "edges", "start"),
    [
        ("stellar_attempts", ATTEMPT_EDGES, ATTEMPT_START),
        ("stellar_payments", PAYMENT_EDGES, PAYMENT_START),
        ("stellar_evidence", EVIDENCE_EDGES, EVIDENCE_START),
    ],
)
async def test_edges_in_the_database_are_the_domains(
    leased: World, table: str, edges: dict[tuple[str, str], str], start: frozenset[str]
) -> None:
    """The triggers' tables hold exactly the edges of the domain."""
    rows = await leased.rows(f"SELECT from_state, to_state FROM {table}_state_edges")
    stored = {(row.from_state, row.to_state) for row in rows}
    assert stored == {(str(a), str(b)) for a, b in edges} | {("", str(state)) for state in start}


@pytest.fixture(scope="module")
async def leased(make_module_world: Callable[..., World]) -> AsyncIterator[World]:
    """A world with one lease that nobody builds; what is refused leaves it as it was."""
    world = make_module_world()
    await world.submit([await world.payout(PLAYER_KEYS[0].public_key, 100)])
    assert (await world.store.lease(now=world.clock.now())).taken
    yield world
    await world.close()


FORBIDDEN: dict[str, str] = {
    "an edge that is not there": "UPDATE stellar_attempts SET state = 'succeeded', result_ledger = 1",
    "built without a hash": "UPDATE stellar_attempts SET state = 'built'",
    "paid without proof": "UPDATE stellar_payments SET state = 'paid'",
    "an end without a code": "UPDATE stellar_payments SET state = 'no_effect'",
    "a second holder of a channel": (
        "INSERT INTO stellar_attempts (account, kind, memo, state, leased_at, changed_at) "
        "SELECT account, kind, memo, state, leased_at, changed_at FROM stellar_attempts"
    ),
    "a second live payment of a payout": (
        "INSERT INTO stellar_payments (provider_key, payout_id, attempt_no, rail, asset, amount_minor, stroops, "
        "destination, account, memo, state, offered, rebuilds, refusals, due_at, queued_at, changed_at) "
        "SELECT gen_random_uuid(), payout_id, 2, rail, asset, amount_minor, stroops, destination, account, memo, "
        "'queued', false, 0, 0, due_at, queued_at, changed_at FROM stellar_payments"
    ),
    "evidence that begins as confirmed": (
        "INSERT INTO stellar_evidence (evidence_id, attempt_id, state, outcome, found, reason, filed_by, filed_at, "
        "decided_by, decided_at) SELECT gen_random_uuid(), attempt_id, 'confirmed', 'failed', 'x', 'x', 'olga', "
        "leased_at, 'paul', leased_at FROM stellar_attempts"
    ),
    "an operation in a transaction that voids its slot": (
        "WITH a AS (UPDATE stellar_attempts SET kind = 'void_slot') UPDATE stellar_items SET op = 0"
    ),
    "a kind that is not served": "UPDATE stellar_attempts SET kind = 'reclaim'",
    "more attempts waived than made": "UPDATE payouts SET attempts_waived = attempts + 1",
    "history rewritten": "UPDATE stellar_transitions SET cause = 'other'",
    "history erased": "DELETE FROM stellar_transitions",
}
REFUSALS = {"23000", "23505", "23514", "42501"}
"""SQLSTATE: integrity, unique and check violations, and a privilege that was taken away."""


@pytest.mark.parametrize("name", FORBIDDEN)
async def test_database_refuses_what_must_not_be(leased: World, name: str) -> None:
    """Whatever a program may try, these rows cannot come to be."""
    with pytest.raises(DBAPIError) as refused:
        await leased.rows(FORBIDDEN[name])
    assert sqlstate(refused.value) in REFUSALS


@pytest.fixture(scope="module")
async def built(make_module_world: Callable[..., World]) -> AsyncIterator[World]:
    """A world with one transaction that nobody signs."""
    world = make_module_world()
    world.signer.deaf = True
    await world.submit([await world.payout(PLAYER_KEYS[0].public_key, 100)])

    async def done() -> bool:
        return [state for _, state in await world.states()] == ["built"]

    await world.run_until(done)
    await world.submit([await world.payout(PLAYER_KEYS[1].public_key, 100)])  # stays in the queue
    yield world
    await world.close()


_PAYMENT = (
    "INSERT INTO stellar_payments (provider_key, payout_id, attempt_no, rail, asset, amount_minor, stroops, destination, "
    "account, memo, state, code, offered, rebuilds, refusals, due_at, queued_at, changed_at) "
    "SELECT gen_random_uuid(), payout_id, 3, rail, asset, amount_minor, stroops, {1}, {0}, memo, "
    "'no_effect', 'x', false, 0, 0, due_at, queued_at, changed_at FROM stellar_payments"
)
_HASH, _OTHER = "repeat('0', 63)", "repeat('A', 64)"
_SLOT = (
    "INSERT INTO stellar_slots (slot_id, account, sequence, state, version, opened_at, consumed_by_hash) "
    "SELECT gen_random_uuid(), account, {}, 'open', 0, leased_at, {} FROM stellar_attempts"
)
_EVIDENCE = (
    "INSERT INTO stellar_evidence (evidence_id, attempt_id, state, outcome, tx_hash, found, reason, filed_by, filed_at) "
    "SELECT gen_random_uuid(), attempt_id, 'filed', 'failed', {}, 'x', 'x', 'olga', leased_at FROM stellar_attempts"
)
FORMS: dict[str, str] = {
    "stellar_attempts_tx_hash_form": f"UPDATE stellar_attempts SET tx_hash = {_HASH}",
    "stellar_attempts_unsigned_xdr_form": "UPDATE stellar_attempts SET unsigned_xdr = 'AAAA='",
    "stellar_attempts_signed_xdr_form": "UPDATE stellar_attempts SET signed_xdr = 'AAA'",
    "stellar_attempts_result_xdr_form": "UPDATE stellar_attempts SET result_xdr = 'AAAA AAAA'",
    "stellar_channels_account_form": "INSERT INTO stellar_channels VALUES ('G' || repeat('1', 55), 0)",
    "stellar_channels_sequence_form": "UPDATE stellar_channels SET sequence = -1",
    "stellar_contradictions_tx_hash_form": (
        f"INSERT INTO stellar_contradictions SELECT {_OTHER}, attempt_id, 'dead', 1, now() FROM stellar_attempts"
    ),
    "stellar_evidence_tx_hash_form": _EVIDENCE.format(_OTHER),
    "stellar_payments_account_form": _PAYMENT.format("account || 'A'", "destination"),
    "stellar_payments_destination_form": _PAYMENT.format("account", "'M' || repeat('A', 67)"),
    "stellar_unasked_tx_hash_form": (
        f"INSERT INTO stellar_unasked SELECT {_OTHER}, gen_random_uuid(), account, '{{}}', 1, 'x', now() FROM stellar_attempts"
    ),
    "stellar_slots_sequence_form": _SLOT.format(-1, "NULL"),
    "stellar_slots_consumed_by_hash_form": _SLOT.format(9, _OTHER),
}
"""Constraint; a statement that it refuses."""


@pytest.mark.parametrize("name", FORMS)
async def test_what_reaches_a_node_has_its_form(leased: World, name: str) -> None:
    """A node refuses anything else, so that no look-up of the row would ever have an answer."""
    with pytest.raises(IntegrityError, match=f'"{name}"'):
        await leased.rows(FORMS[name] + " RETURNING 1")


async def test_every_form_is_tried(leased: World) -> None:
    """Each constraint on the form of a column has a statement above."""
    rows = await leased.rows(
        "SELECT conname FROM pg_constraint WHERE conname LIKE 'stellar%form' AND contype = 'c'"
    )
    assert {row.conname for row in rows} == FORMS.keys()


FIXED: dict[str, str] = {
    "another hash": "UPDATE stellar_attempts SET tx_hash = 'other'",
    "another end of validity": "UPDATE stellar_attempts SET max_time = max_time - 1",
    "other bytes": "UPDATE stellar_attempts SET unsigned_xdr = 'other'",
    "another slot": "UPDATE stellar_attempts SET slot_id = NULL",
    "another revision": "UPDATE stellar_attempts SET revision = revision + 1",
    "another operation": "UPDATE stellar_items SET op = op + 1",
    "no operation": "UPDATE stellar_items SET op = NULL",
}


@pytest.mark.parametrize("name", FIXED)
async def test_a_transaction_stays_as_it_was_built(built: World, name: str) -> None:
    """Else one transaction would be looked up in place of another, and its end taken for the end of both."""
    with pytest.raises(IntegrityError, match="stays as it was built"):
        await built.rows(FIXED[name] + " RETURNING 1")


_SET = "UPDATE stellar_attempts SET state = '{}'"
_SIGNED = _SET.format("signed") + ", signed_xdr = 'AAAA'"
_SENT = (_SIGNED, _SET.format("sent") + ", sent_ledger = 1")
_CHECKING = (_SET.format("checking"),)
_SUCCEEDED = (*_CHECKING, _SET.format("succeeded") + ", result_ledger = 1")
_LIVE: dict[str, tuple[str, ...]] = {
    "built": (),
    "exported": (_SET.format("exported"),),
    "signed": (_SIGNED,),
    "sent": _SENT,
    "checking": _CHECKING,
    "in review": (*_CHECKING, _SET.format("review")),
}
"""How the transaction that is built gets to each state in which the ledger may still apply it."""
_DEAD = (*_CHECKING, _SET.format("dead"))
_NEWEST = "(SELECT max(attempt_id) FROM stellar_attempts)"
_LEASE = (
    "INSERT INTO stellar_attempts (account, kind, memo, state, slot_id, revision, leased_at, changed_at) "
    "SELECT (SELECT min(account) FROM stellar_channels WHERE account <> stellar_attempts.account), '{kind}', memo, 'leased', "
    f"{{slot}}, revision + 1, leased_at, changed_at FROM stellar_attempts WHERE attempt_id = {_NEWEST}"
)
_LEASE_SLOT = _LEASE.format(kind="payment", slot="slot_id")
_HAND_OVER = f"UPDATE stellar_payments SET attempt_id = {_NEWEST} WHERE state = 'batched'"
_VOID = " WHERE kind = 'void_slot'"
_ENDED: dict[str, tuple[str, ...]] = {
    "succeeded": _SUCCEEDED,
    "failed": (*_CHECKING, _SET.format("failed") + ", result_ledger = 1"),
    "refused": (_SET.format("refused"),),
    "dead": _DEAD,
    "a succeeded void": (
        *_DEAD,
        _LEASE.format(kind="void_slot", slot="slot_id"),
        _HAND_OVER,
        _SET.format("built") + ", tx_hash = repeat('0', 64), unsigned_xdr = 'AAAA', max_time = 1" + _VOID,
        _SET.format("checking") + _VOID,
        _SET.format("succeeded") + ", result_ledger = 1" + _VOID,
    ),
}
_MOVES: dict[str, tuple[str, ...]] = {
    "ended": ("UPDATE stellar_payments SET state = 'no_effect', code = 'tx_failed' WHERE state = 'batched'",),
    "queued": ("UPDATE stellar_payments SET state = 'queued', attempt_id = NULL WHERE state = 'batched'",),
    "paid": (
        "UPDATE stellar_payments SET state = 'paid', ledger = 1, op = 0, fee = 1 WHERE state = 'batched'",
    ),
    "handed over": (_LEASE_SLOT, _HAND_OVER),
}
_ALLOWED = {
    ("succeeded", "paid"),
    ("failed", "ended"),
    ("failed", "queued"),
    ("refused", "ended"),
    ("refused", "queued"),
    ("refused", "handed over"),
    ("dead", "handed over"),
    ("a succeeded void", "ended"),
}


async def attempted(world: World, *statements: str) -> None:
    """These changes with the login, one after the other in a transaction that is undone."""
    async with world.db.engine.connect() as connection:
        await connection.execution_options(isolation_level="READ COMMITTED")
        for statement in statements:
            await connection.execute(text(statement))
        await connection.rollback()


@pytest.mark.parametrize("move", _MOVES)
@pytest.mark.parametrize("state", [*_LIVE, *_ENDED])
async def test_a_payment_moves_only_with_its_transaction(built: World, state: str, move: str) -> None:
    """Else payouts would take a payment that the ledger may make for one without effect, and make it again."""
    steps = (*(_LIVE | _ENDED)[state], *_MOVES[move])
    if (state, move) in _ALLOWED:
        await attempted(built, *steps)
        return
    with pytest.raises(IntegrityError, match="moves only with its transaction"):
        await attempted(built, *steps)


STRAYING: dict[str, tuple[str, ...]] = {
    "to another slot": (*_DEAD, _LEASE.format(kind="payment", slot="NULL"), _HAND_OVER),
    "to a transaction that is not leased": (
        *_DEAD,
        _LEASE_SLOT,
        "UPDATE stellar_attempts SET state = 'released' WHERE state = 'leased'",
        _HAND_OVER,
    ),
    "out of its transaction as it ends": (
        *_ENDED["failed"],
        "UPDATE stellar_payments SET state = 'no_effect', code = 'x', attempt_id = NULL WHERE state = 'batched'",
    ),
    "after its end": (
        *_SUCCEEDED,
        *_MOVES["paid"],
        _LEASE_SLOT,
        f"UPDATE stellar_payments SET attempt_id = {_NEWEST} WHERE state = 'paid'",
    ),
    "from the queue to an end in a transaction": (
        (
            "UPDATE stellar_payments SET state = 'no_effect', code = 'x', "
            f"attempt_id = {_NEWEST} WHERE state = 'queued'"
        ),
    ),
    "from the queue into a transaction that is built": (
        (
            "UPDATE stellar_payments SET state = 'batched', attempt_id = (SELECT attempt_id FROM stellar_attempts) "
            "WHERE state = 'queued'"
        ),
    ),
}


@pytest.mark.parametrize("name", STRAYING)
async def test_a_payment_goes_into_no_other_transaction(built: World, name: str) -> None:
    """Only from the queue, or to the next revision of its slot, and only before that is built."""
    with pytest.raises(IntegrityError, match="moves only with its transaction"):
        await attempted(built, *STRAYING[name])


async def test_confirmed_evidence_ends_a_payment_of_a_success(built: World) -> None:
    """The transaction that two persons found may be another one of the slot, without this payment."""
    evidence = (
        "INSERT INTO stellar_evidence (evidence_id, attempt_id, state, outcome, tx_hash, ledger, found, reason, filed_by, "
        "filed_at) SELECT gen_random_uuid(), attempt_id, 'filed', 'succeeded', repeat('0', 64), 1, 'x', 'x', 'olga', leased_at "
        f"FROM stellar_attempts WHERE attempt_id = {_NEWEST}"
    )
    confirmed = "UPDATE stellar_evidence SET state = 'confirmed', decided_by = 'paul', decided_at = filed_at"
    with pytest.raises(IntegrityError, match="moves only with its transaction"):
        await attempted(built, evidence, *_SUCCEEDED, *_MOVES["ended"])
    await attempted(built, evidence, confirmed, *_SUCCEEDED, *_MOVES["ended"])
    await attempted(built, *_ENDED["a succeeded void"], evidence, confirmed, *_MOVES["paid"])


async def test_a_built_transaction_gets_no_operation(built: World, leased: World) -> None:
    """A payment that its bytes do not have would be taken for paid with it."""
    insert = (
        "INSERT INTO stellar_items (attempt_id, provider_key, op) SELECT a.attempt_id, p.provider_key, 1 "
        "FROM stellar_attempts a, stellar_payments p WHERE p.state = 'queued'"
    )
    with pytest.raises(IntegrityError, match="gets no operation"):
        await attempted(built, insert)
    slot = (
        "INSERT INTO stellar_slots (slot_id, account, sequence, state, version, opened_at) "
        "SELECT gen_random_uuid(), account, 9, 'open', 0, leased_at FROM stellar_attempts "
        "WHERE NOT EXISTS (SELECT 1 FROM stellar_slots WHERE state = 'open')"
    )
    build = (
        "UPDATE stellar_attempts SET state = 'built', tx_hash = repeat('0', 64), unsigned_xdr = 'AAAA', max_time = 1, revision = 1, "
        "slot_id = (SELECT slot_id FROM stellar_slots WHERE state = 'open')"
    )
    with pytest.raises(IntegrityError, match="gets no operation"):
        await attempted(leased, slot, build, "UPDATE stellar_items SET op = 0")


async def test_one_open_slot_for_each_channel(leased: World) -> None:
    """A second open slot on a channel is refused, and so is the same sequence number again."""
    insert: Callable[[int, str], str] = lambda sequence, state: (  # noqa: E731 - one statement, used twice
        "INSERT INTO stellar_slots (slot_id, account, sequence, state, version, opened_at, closed_at, result, ledger) "
        f"SELECT gen_random_uuid(), account, {sequence}, '{state}', 0, leased_at, leased_at, 'failed', 1 "
        "FROM stellar_attempts RETURNING slot_id"
    )
    await leased.rows(insert(5, "open"))
    with pytest.raises(IntegrityError):
        await leased.rows(insert(6, "open"))
    with pytest.raises(IntegrityError):
        await leased.rows(insert(5, "closed"))
