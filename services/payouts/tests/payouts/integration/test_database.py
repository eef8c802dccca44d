"""What the database itself refuses, whatever the code does."""

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from prizewire_chassis.db import Database
from prizewire_payouts.payouts.domain.states import ATTEMPT_EDGES, PAYOUT_EDGES, AttemptState, PayoutState
from services.payouts.tests.payouts.integration.test_lifecycle import commit_only
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
    """No update skips a state or leaves a final one, and no row begins in another than a first state."""
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


async def test_the_database_counts_approvals(rig: Rig) -> None:
    """No update sends off a payout that waits for two approvers before two persons have approved this hold."""
    payout_id = await rig.request(await rig.method(), amount="10000.01")
    where = f"WHERE payout_id = '{payout_id}'"
    approve = f"UPDATE payouts SET state = 'approved', rail = 'fake', due_at = now() {where}"
    assert "has 0 of 2 approvals" in await refused(rig, approve)
    for change in ("approvers_needed = 0", "approvers_needed = 0, hold_no = hold_no + 1"):
        said = await refused(rig, f"UPDATE payouts SET state = 'approved', {change} {where}")
        assert "needs 2 approvers, and not 0" in said
    for change in ("hold_no = 0", "hold_no = hold_no + 1", "hold_no = hold_no + 2, state = 'approved'"):
        assert "does not become hold" in await refused(rig, f"UPDATE payouts SET {change} {where}")
    assert "does not change" in await refused(rig, f"UPDATE payouts SET rail = 'other' {where}")
    vote = f"INSERT INTO approvals (payout_id, hold_no, approver, at) VALUES ('{payout_id}', {{}}, '{{}}', now())"
    async with rig.db.transaction() as tx:
        await tx.execute(text(vote.format(1, "ann")))
        await tx.execute(text(vote.format(2, "bob")))
    assert "has 1 of 2 approvals" in await refused(rig, approve)
    for column in (
        "amount_minor = 1",
        "asset = 'XLM'",
        "player = 'eve'",
        "method_id = NULL",
        "method_type = 'x'",
    ):
        assert "permission denied" in await refused(rig, f"UPDATE payouts SET {column} {where}")


async def test_a_closed_payout_is_not_sent_without_its_approvals(rig: Rig) -> None:
    """The way over a close that was refused leads to no rail either."""
    payout_id = await rig.request(await rig.method(), amount="10000.01")
    where = f"WHERE payout_id = '{payout_id}'"
    async with rig.db.transaction() as tx:
        for state in ("closing_cancelled", "unknown"):
            await tx.execute(text(f"UPDATE payouts SET state = '{state}' {where}"))
    said = await refused(rig, f"UPDATE payouts SET state = 'approved' {where}")
    assert "has 0 of 2 approvals" in said


async def test_a_payout_goes_to_no_rail_of_another_type(rig: Rig) -> None:
    """A rail that was written into an approved payout, and cannot carry it, gets nothing to pay."""
    method = await rig.method(
        kind="stellar", address="GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"
    )
    payout_id = await rig.request(method)
    async with rig.db.transaction() as tx:
        await tx.execute(
            text("UPDATE payouts SET rail = 'fake', due_at = requested_at WHERE payout_id = :id"),
            {"id": payout_id},
        )
    await rig.submit()
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code, payout.attempts) == ("closing_failed", "rail_unsupported", 0)


async def test_the_count_of_a_day_only_rises(rig: Rig) -> None:
    """Neither the service nor the owner of the table makes room in a day that is used up."""
    await rig.request(await rig.method())
    lower = "UPDATE automatic_use SET used_minor = used_minor - 1"
    for owner in (False, True):
        assert "only rises" in await refused(rig, lower, owner=owner)
    for change in ("day = day - 1", "asset = 'XLM'"):
        assert "permission denied" in await refused(rig, f"UPDATE automatic_use SET {change}")
        assert "only rises" in await refused(rig, f"UPDATE automatic_use SET {change}", owner=True)
    assert "permission denied" in await refused(rig, "DELETE FROM automatic_use")
    assert "only rises" in await refused(rig, "DELETE FROM automatic_use", owner=True)


@pytest.mark.parametrize(
    "change",
    [
        "due_at = '4000-01-01 BC'",
        "due_at = 'infinity'",
        "intent_expires_at = '4000-01-01 BC'",
        "intent_expires_at = 'infinity'",
        "ends_as = 'xyz'",
        "fee_minor = 1, fee_asset = 'NOPE'",
        "fee_minor = 1",
        "attempts = 2147483647",
        "version = 2147483647",
        "version = -1",
    ],
)
async def test_a_payout_that_the_service_could_not_read_is_refused(rig: Rig, change: str) -> None:
    """One such row would end the work of its rail for every other payout."""
    await rig.request(await rig.method())
    said = await refused(rig, f"UPDATE payouts SET {change}")
    assert any(
        reason in said for reason in ("check constraint", "foreign key constraint", "counter of payouts")
    )


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(
            (column, value)
            for column in ("reward_ids", "sources", "one_person")
            for value in ("{}", "1", '"x"', "null")
        ),
        ("reward_ids", '["x"]'),
        ("reward_ids", '[["00000000-0000-4000-8000-000000000000"]]'),
        ("reward_ids", '["00000000-0000-4000-8000-000000000000", 1]'),
        ("sources", '["x"]'),
        ("sources", '[["funder"]]'),
        ("sources", '[["funder", "ann"], ["funder", 1]]'),
        ("sources", '[["funder", "ann", "x"]]'),
        ("one_person", "[1]"),
        ("one_person", '["ann", ["bob"]]'),
    ],
)
async def test_json_of_another_form_is_refused(rig: Rig, column: str, value: str) -> None:
    """A payout that has it could not be read, neither by a job nor for a list."""
    await rig.request(await rig.method())
    assert f"payouts_{column}" in await refused(rig, f"UPDATE payouts SET {column} = '{value}'", owner=True)


async def test_json_of_its_form_is_stored(rig: Rig) -> None:
    """Empty arrays and several items."""
    payout_id = await rig.request(await rig.method())
    connection = await asyncpg.connect(rig.urls.migration)
    await connection.execute(
        """UPDATE payouts SET reward_ids = '["00000000-0000-4000-8000-00000000000f"]',
        sources = '[["funder", "ann"], ["payee", "bob"]]', one_person = '["ann", "bob"]'"""
    )
    await connection.close()
    assert (await rig.payout(payout_id)).sources == (("funder", "ann"), ("payee", "bob"))
