"""What the database itself refuses, whatever the code does."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from prizewire_chassis.db import Database
from prizewire_payouts.domain.states import ATTEMPT_EDGES, PAYOUT_EDGES, AttemptState, PayoutState
from services.payouts.tests.integration.test_lifecycle import commit_only
from services.payouts.tests.rig import Rig


@pytest.mark.parametrize(
    ("table", "edges", "start"),
    [
        ("payouts", PAYOUT_EDGES, PayoutState.REQUESTED),
        ("attempts", ATTEMPT_EDGES, AttemptState.OPENED),
    ],
)
async def test_edges_are_the_same_in_code_and_database(
    rig: Rig,
    table: str,
    edges: dict[tuple[PayoutState, PayoutState], str] | dict[tuple[AttemptState, AttemptState], str],
    start: str,
) -> None:
    """The state machine of the code and the one behind the trigger hold the same edges."""
    rows = await rig.rows(f"SELECT from_state, to_state FROM {table}_state_edges")
    assert {(row.from_state, row.to_state) for row in rows} == {*edges, ("", start)}


async def refused(rig: Rig, statement: str, *, owner: bool = False) -> str:
    """Why the database does not do this."""
    db = Database(rig.urls.migration, application_name="test-owner", pool_size=1) if owner else rig.db
    try:
        with pytest.raises(DBAPIError) as caught:
            async with db.transaction() as tx:
                await tx.execute(text(statement))
    finally:
        if owner:
            await db.close()
    return str(caught.value)


async def test_a_second_open_attempt_is_refused(rig: Rig) -> None:
    """While an attempt is open no other can be added, under any number."""
    payout_id = await rig.request(await rig.method())
    await commit_only(rig)
    said = await refused(
        rig,
        "INSERT INTO attempts (payout_id, attempt_no, rail, provider_key, request_hash, state, opened_at, changed_at) "
        f"SELECT '{payout_id}', 2, 'fake', gen_random_uuid(), 'x', 'opened', opened_at, changed_at FROM attempts",
    )
    assert "attempts_one_open" in said


async def test_states_move_only_along_edges(rig: Rig) -> None:
    """No update skips a state, leaves a final one, or is born elsewhere than at the start."""
    await rig.request(await rig.method())
    await rig.submit()
    assert "paid -> approved is not allowed" in await refused(rig, "UPDATE payouts SET state = 'approved'")
    assert "effected -> sent is not allowed" in await refused(rig, "UPDATE attempts SET state = 'sent'")
    said = await refused(
        rig,
        "INSERT INTO attempts (payout_id, attempt_no, rail, provider_key, request_hash, state, opened_at, changed_at) "
        "SELECT payout_id, 2, 'fake', gen_random_uuid(), 'x', 'effected', opened_at, changed_at FROM attempts",
    )
    assert "is not allowed" in said


async def test_a_provider_key_belongs_to_one_attempt(rig: Rig) -> None:
    """Two attempts cannot share the key under which a rail knows them."""
    method = await rig.method()
    await rig.request(method)
    await rig.submit()
    other = await rig.request(method)
    said = await refused(
        rig,
        "INSERT INTO attempts (payout_id, attempt_no, rail, provider_key, request_hash, state, opened_at, changed_at) "
        f"SELECT '{other}', 1, 'fake', provider_key, 'x', 'opened', opened_at, changed_at FROM attempts",
    )
    assert "provider_key" in said


@pytest.mark.parametrize("table", ["payout_transitions", "attempt_transitions", "payout_method_changes"])
async def test_histories_only_grow(rig: Rig, table: str) -> None:
    """Neither the service nor the owner of the tables can change or remove history."""
    await rig.request(await rig.method())
    await rig.submit()
    assert "permission denied" in await refused(rig, f"DELETE FROM {table}")
    assert "append-only" in await refused(rig, f"DELETE FROM {table}", owner=True)


async def test_edges_cannot_be_added_by_the_service(rig: Rig) -> None:
    """The service's role may read the tables of edges, and nothing else."""
    said = await refused(rig, "INSERT INTO payouts_state_edges VALUES ('paid', 'approved')")
    assert "permission denied" in said


async def test_a_return_is_at_most_what_was_paid(rig: Rig) -> None:
    """More can never come back than left."""
    await rig.request(await rig.method())
    await rig.submit()
    said = await refused(rig, "UPDATE payouts SET state = 'returned', returned_minor = amount_minor + 1")
    assert "payouts_returned" in said


async def test_checks_see_what_is_broken(rig: Rig) -> None:
    """An invariant that is broken behind the service's back is named."""
    await rig.request(await rig.method())
    await rig.submit()
    assert await rig.breaches() == []
    owner = Database(rig.urls.migration, application_name="test-owner", pool_size=1)
    async with owner.transaction() as tx:
        await tx.execute(text("ALTER TABLE attempts DISABLE TRIGGER USER"))
        await tx.execute(text("UPDATE attempts SET state = 'no_effect'"))
        await tx.execute(text("ALTER TABLE payouts DISABLE TRIGGER USER"))
        await tx.execute(text("UPDATE payouts SET attempts = 2"))
    await owner.close()
    breaches = " ".join(await rig.breaches())
    assert "with 0 effects" in breaches
    assert "not counted" in breaches
