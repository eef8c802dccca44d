"""Each check of `prizewire verify` finds what was changed behind the service's back."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from prizewire_chassis.db import Database
from prizewire_devstack.components.postgres import PostgresServer, owner_of
from prizewire_devstack.testing import DatabaseFactory
from prizewire_payouts.checks import CHECKS
from services.payouts.tests.rig import Rig

_EFFECT, _OPEN, _PATHS, _ATTEMPTS, _AMOUNTS, _MISSING = (
    "payout_has_at_most_one_effect",
    "payout_attempts_open_where_they_may",
    "payout_histories_are_paths",
    "attempt_histories_are_paths",
    "payout_amounts_as_asked",
    "payout_rows_have_their_payout",
)
_COUNTED = "payout_automatic_use_is_counted"
_GATES = "payout_gates_were_passed"
_SCREENED = "payouts_were_screened"
_ANSWERED = (
    "INSERT INTO screenings (payout_id, verdict, reference, at) "
    "SELECT payout_id, '{}', 'R', at - interval '{}' FROM gate_judgements"
)
_BATCHES = "payout_batches_fit"
_INLINE = "payout_inline_methods_are_bound"
_STEP = (
    "INSERT INTO payout_transitions (payout_id, from_state, to_state, cause, actor, correlation_id, at) "
    "SELECT payout_id, '{}', '{}', 'x', 'x', correlation_id, changed_at FROM payouts WHERE state = '{}'"
)
_APPROVAL = (
    "INSERT INTO approvals (payout_id, hold_no, approver, at) SELECT payout_id, 1, '{}', now() FROM payouts "
    "WHERE state = 'held'"
)
_ATTEMPT = (
    "INSERT INTO attempts (payout_id, attempt_no, rail, provider_key, request_hash, state, opened_at, changed_at) "
    "SELECT payout_id, 2, rail, gen_random_uuid(), 'x', '{}', opened_at, changed_at FROM attempts"
)
_TWO_ATTEMPTS = "UPDATE payouts SET attempts = 2 WHERE state = 'paid'"
_REPLICA = "SET LOCAL session_replication_role = replica"
_EVIDENCE = (
    "INSERT INTO payout_evidence (evidence_id, payout_id, attempt_no, rail, state, finding, reference, note, filed_by, "
    "filed_at, decided_by, decided_at) SELECT gen_random_uuid(), payout_id, attempt_no, rail, 'confirmed', '{}', 'ref', "
    "'note', '{}', changed_at, 'olga', changed_at FROM attempts"
)
_ENDED = (
    "ALTER TABLE payouts DROP CONSTRAINT payouts_closure",
    _STEP.format("held", "closing_rejected", "held"),
    _STEP.format("closing_rejected", "rejected", "held"),
)
BROKEN: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "evidence by who is paid": (
        (_EVIDENCE.format("paid", "ana"),),
        {"evidence_is_of_two_persons": "was filed or confirmed by a party"},
    ),
    "evidence that nothing followed": (
        (_EVIDENCE.format("no_effect", "otto"),),
        {"confirmed_evidence_was_applied": "no_effect"},
    ),
    "a legal approval by one person": (
        (
            "ALTER TABLE legal_approvals DROP CONSTRAINT legal_approvals_by_two_persons",
            (
                "INSERT INTO legal_approvals (approval_id, scope, value, reference, jurisdictions, ends_at, state, filed_by, "
                "filed_at, confirmed_by, confirmed_at) VALUES (gen_random_uuid(), 'rail', 'a', 'ref', '{}', now(), "
                "'confirmed', 'olga', now(), 'olga', now())"
            ),
        ),
        {"legal_approvals_by_two_persons": "confirmed by one person"},
    ),
    "a retry of no payout": (
        ("UPDATE payouts SET retry_of = gen_random_uuid() WHERE state = 'paid'",),
        {"payout_retries_fit": "retries payout None"},
    ),
    "a method that nobody verified": (
        ("UPDATE payout_methods SET verified = true",),
        {"payout_methods_verified_by_proof": "is verified, and no verification of it was confirmed"},
    ),
    "a rail's row of no payout": (
        (
            (
                "INSERT INTO rail_rows (rail, collection, name, state, payout_id, document, version, changed_at) "
                "VALUES ('bank', 'lines', 'a', 'open', gen_random_uuid(), '{}', 1, now())"
            ),
        ),
        {"rail_rows_name_payouts": "names a payout that there is not"},
    ),
    "an open line of a payment that was made": (
        (
            (
                "INSERT INTO rail_rows (rail, collection, name, state, payout_id, document, version, changed_at) "
                "SELECT rail, 'lines', 'a', 'open', payout_id, jsonb_build_object('attempt_no', attempt_no), 1, now() "
                "FROM attempts WHERE state = 'effected' LIMIT 1"
            ),
        ),
        {"lines_fit_their_attempts": "is effected"},
    ),
    "a quote that the intent does not name": (
        (
            """UPDATE payouts SET quote = '{"quote_id": "x", "pay_amount": "1.00", "expires_at": 4102444800}'""",
        ),
        {"payout_quotes_are_bound": "name different quotes"},
    ),
    "an attempt after the quote had expired": (
        ("""UPDATE payouts SET quote = '{"quote_id": "x", "pay_amount": "12.50", "expires_at": 1}'""",),
        {"payout_quotes_are_bound": "began after its quote had expired"},
    ),
    "paid without an effect": (
        ("UPDATE attempts SET state = 'no_effect'",),
        {_EFFECT: "is paid with 0 effects"},
    ),
    "an effect of what is not paid": (
        (
            "UPDATE payouts SET state = 'approved' WHERE state = 'paid'",
            _STEP.format("paid", "approved", "approved"),
        ),
        {_EFFECT: "is approved with 1 effects", _PATHS: "a history holds paid → approved"},
    ),
    "a reversal of what is paid": (
        ("UPDATE attempts SET state = 'reversed'",),
        {_EFFECT: "is paid with 0 effects and 1 reversals"},
    ),
    "two effects of what is paid": (
        (_ATTEMPT.format("effected"), _TWO_ATTEMPTS),
        {
            _EFFECT: "is paid with 2 effects and 0 reversals",
            _AMOUNTS: "attempt 2 of payout",
            _GATES: "paid, and no gate was judged before it",
        },
    ),
    "a reversal beside the effect": (
        (_ATTEMPT.format("reversed"), _TWO_ATTEMPTS),
        {_EFFECT: "is paid with 1 effects and 1 reversals", _AMOUNTS: "attempt 2 of payout"},
    ),
    "a return without a reversal": (
        (
            _STEP.format("paid", "returned", "paid"),
            "UPDATE payouts SET state = 'returned' WHERE state = 'paid'",
            "UPDATE attempts SET state = 'no_effect'",
        ),
        {_EFFECT: "is returned with 0 effects and 0 reversals"},
    ),
    "a payment without an attempt": (
        ("DELETE FROM attempts", "UPDATE payouts SET attempts = 0"),
        {_EFFECT: "is paid with 0 effects"},
    ),
    **{
        f"an attempt that is {state}, of what is paid": (
            (_ATTEMPT.format(state), _TWO_ATTEMPTS),
            {_OPEN: "is paid with an open attempt", _AMOUNTS: "attempt 2 of payout"},
        )
        for state in ("opened", "sent", "accepted", "ambiguous")
    },
    "a payment before which no gate was judged": (
        (_REPLICA, "DELETE FROM gate_judgements"),
        {_GATES: "paid, and no gate was judged before it"},
    ),
    "attempts that are not counted": (
        (_TWO_ATTEMPTS,),
        {_OPEN: "are not counted 1…n"},
    ),
    "attempts that are gone": (
        ("DELETE FROM attempts",),
        {_EFFECT: "is paid with 0 effects", _OPEN: "are not counted 1…n"},
    ),
    "a first attempt that is gone": (
        ("UPDATE attempts SET attempt_no = 2", _TWO_ATTEMPTS),
        {_OPEN: "are not counted 1…n", _AMOUNTS: "attempt 2 of payout", _GATES: "no gate was judged"},
    ),
    "attempts with a gap": (
        ("UPDATE attempts SET attempt_no = 2",),
        {_OPEN: "are not counted 1…n", _AMOUNTS: "attempt 2 of payout", _GATES: "no gate was judged"},
    ),
    "less than was paid": (
        ("UPDATE payouts SET amount_minor = amount_minor - 1 WHERE state = 'paid'",),
        {_AMOUNTS: "was made for something else than", _COUNTED: "payouts over 12.49 EURC"},
    ),
    "less than the intent says, and an intent that says so": (
        (
            "UPDATE payouts SET amount_minor = 1, intent = jsonb_set(intent, '{pay_amount}', '\"0.01\"') WHERE state = 'paid'",
        ),
        {_AMOUNTS: "attempt 1 of payout", _COUNTED: "payouts over 0.01 EURC"},
    ),
    "another amount than is to be approved": (
        ("UPDATE payouts SET amount_minor = amount_minor + 1 WHERE state = 'held'",),
        {_AMOUNTS: "is over 5000.01 EURC, its intent over 5000.00 EURC"},
    ),
    "less counted than was approved": (
        ("UPDATE automatic_use SET used_minor = used_minor - 1",),
        {_COUNTED: "were approved without a person, and 12.49 EURC are counted"},
    ),
    "a day that is not counted": (
        ("DELETE FROM automatic_use",),
        {_COUNTED: "were approved without a person, and 0.00 EURC are counted"},
    ),
    "a payout that is gone": (
        (_REPLICA, "DELETE FROM payouts WHERE state = 'paid'"),
        {_MISSING: "is missing, its history is there", _COUNTED: "payouts over 0.00 EURC"},
    ),
    "a payout that is gone with its history": (
        (
            _REPLICA,
            "DELETE FROM payout_transitions WHERE payout_id IN (SELECT payout_id FROM attempts)",
            "DELETE FROM payouts WHERE state = 'paid'",
        ),
        {_MISSING: "is missing, its attempt is there", _COUNTED: "payouts over 0.00 EURC"},
    ),
    "a payout that is gone, and was approved": (
        (
            _REPLICA,
            _APPROVAL.format("paul"),
            "DELETE FROM payout_transitions WHERE to_state = 'held'",
            "DELETE FROM payouts WHERE state = 'held'",
        ),
        {_MISSING: "is missing, its approval is there"},
    ),
    "an intent without its members": (
        ("UPDATE payouts SET intent = '{}' WHERE state = 'paid'",),
        {_AMOUNTS: "holds no intent that can be read"},
    ),
    "an intent that is none": (
        ("UPDATE payouts SET intent = 'null' WHERE state = 'held'",),
        {_AMOUNTS: "holds no intent that can be read"},
    ),
    "an intent of no moment": (
        ("UPDATE payouts SET intent = jsonb_set(intent, '{issued_at}', '\"soon\"') WHERE state = 'held'",),
        {_AMOUNTS: "holds no intent that can be read"},
    ),
    "an intent that was renewed": (
        (
            (
                "UPDATE payouts SET intent = jsonb_set(intent, '{issued_at}', "
                "to_jsonb(CAST(extract(epoch FROM requested_at) AS bigint) + 60)) WHERE state = 'paid'"
            ),
        ),
        {},
    ),
    "a state without its step": (
        ("UPDATE payouts SET state = 'approved' WHERE state = 'held'",),
        {_PATHS: "does not lead to approved"},
    ),
    "no history": (
        ("DELETE FROM payout_transitions WHERE to_state = 'held'",),
        {_PATHS: "does not lead to held"},
    ),
    "a history with a gap": (
        ("DELETE FROM payout_transitions WHERE to_state = 'submitting'",),
        {_PATHS: "does not lead to paid"},
    ),
    "an attempt without its first step": (
        ("DELETE FROM attempt_transitions WHERE from_state = 'opened'",),
        {_ATTEMPTS: "has a gap, or does not lead to effected"},
    ),
    "an attempt without its last step": (
        ("DELETE FROM attempt_transitions WHERE to_state = 'effected'",),
        {_ATTEMPTS: "has a gap, or does not lead to effected"},
    ),
    "an attempt without history": (
        ("DELETE FROM attempt_transitions",),
        {_ATTEMPTS: "has a gap, or does not lead to effected"},
    ),
    "a step of an attempt that is not declared": (
        (
            "UPDATE attempt_transitions SET to_state = 'reversed' WHERE to_state = 'effected'",
            "UPDATE attempts SET state = 'reversed'",
        ),
        {_ATTEMPTS: "a history of an attempt holds", _EFFECT: "is paid with 0 effects and 1 reversals"},
    ),
    "a step that is not declared": (
        (_STEP.format("held", "paid", "held"), _STEP.format("paid", "held", "held")),
        {_PATHS: "a history holds paid → held"},
    ),
    "a history that begins in the middle": (
        ("UPDATE payout_transitions SET from_state = 'approved' WHERE to_state = 'held'",),
        {_PATHS: "does not lead to held"},
    ),
    "an end without the signer's closure": (
        (*_ENDED, "UPDATE payouts SET state = 'rejected', needs_closure = true WHERE state = 'held'"),
        {"payout_closures_are_stored": "ended without the signer's closure"},
    ),
    "a cancel without the signer's closure": (
        (
            "ALTER TABLE payouts DROP CONSTRAINT payouts_closure",
            _STEP.format("held", "closing_cancelled", "held"),
            _STEP.format("closing_cancelled", "cancelled", "held"),
            "UPDATE payouts SET state = 'cancelled', needs_closure = true WHERE state = 'held'",
        ),
        {"payout_closures_are_stored": "ended without the signer's closure"},
    ),
    "a failure without the signer's closure": (
        (
            "ALTER TABLE payouts DROP CONSTRAINT payouts_closure",
            _STEP.format("held", "approved", "held"),
            _STEP.format("approved", "closing_failed", "held"),
            _STEP.format("closing_failed", "failed", "held"),
            "UPDATE payouts SET state = 'failed', needs_closure = true WHERE state = 'held'",
        ),
        {"payout_closures_are_stored": "ended without the signer's closure"},
    ),
    "an end that needs no word of the signer": (
        (*_ENDED, "UPDATE payouts SET state = 'rejected', needs_closure = false WHERE state = 'held'"),
        {},
    ),
    "an end with the signer's closure": (
        (
            *_ENDED,
            "UPDATE payouts SET state = 'rejected', needs_closure = true, closure = '{}' WHERE state = 'held'",
        ),
        {},
    ),
    "a payment without an answer of the screening service": (
        (
            "ALTER TABLE gate_judgements DISABLE TRIGGER USER",
            "UPDATE gate_judgements SET screened_after = at",
        ),
        {_SCREENED: "paid without an answer of the screening service in time"},
    ),
    "a payment by an old answer of the screening service": (
        (
            "ALTER TABLE gate_judgements DISABLE TRIGGER USER",
            _ANSWERED.format("clear", "1 hour"),
            "UPDATE gate_judgements SET screened_after = at, screening = (SELECT max(number) FROM screenings)",
        ),
        {_SCREENED: "paid without an answer of the screening service in time"},
    ),
    "a payment in spite of a hit": (
        (
            "ALTER TABLE gate_judgements DISABLE TRIGGER USER",
            _ANSWERED.format("hit", "0"),
            "UPDATE gate_judgements SET screened_after = at, screening = (SELECT max(number) FROM screenings)",
        ),
        {_SCREENED: "paid without an answer of the screening service in time"},
    ),
    "details of another payout": (
        (
            "UPDATE payout_methods SET is_default = false",
            "UPDATE payout_methods m SET payout_id = p.payout_id FROM payouts p WHERE p.method_id = m.method_id AND p.state = 'paid'",
        ),
        {_INLINE: "names the inline method"},
    ),
    "details of no payout": (
        ("UPDATE payout_methods SET payout_id = gen_random_uuid() WHERE NOT is_default",),
        {_INLINE: "which does not name it"},
    ),
    "details that no intent leads to": (
        (
            "DELETE FROM payout_transitions t USING payouts p WHERE p.payout_id = t.payout_id AND p.state = 'held'",
            "DELETE FROM payouts WHERE state = 'held'",
            "UPDATE payout_methods SET is_default = false, commitment = 'other'",
            "UPDATE payout_methods m SET payout_id = p.payout_id FROM payouts p WHERE p.method_id = m.method_id",
        ),
        {_INLINE: "allows no way to its inline method"},
    ),
    "a line of a batch twice": (
        ("UPDATE payouts SET batch_line = 1",),
        {_BATCHES: "is 2 payouts"},
    ),
    "a batch of two sizes": (
        ("UPDATE payouts SET batch_lines = 3 WHERE batch_line = 2",),
        {_BATCHES: "names another number or another line"},
    ),
    "a line behind the last one": (
        ("UPDATE payouts SET batch_line = 3 WHERE batch_line = 2",),
        {_BATCHES: "names another number or another line"},
    ),
    "a batch that is not stored": (
        ("UPDATE payouts SET batch_id = gen_random_uuid() WHERE batch_line = 2",),
        {_BATCHES: "which is not stored"},
    ),
    "two defaults": (
        ("DROP INDEX payout_methods_default", "UPDATE payout_methods SET is_default = true"),
        {"payout_methods_one_default": "ana has two default methods"},
    ),
    "an approval by who asked for it": (
        (_APPROVAL.format("rewards"),),
        {"payout_approvals_by_no_party": "approved by rewards, a party of it"},
    ),
    "an approval by who is paid": (
        (_APPROVAL.format("ana"),),
        {"payout_approvals_by_no_party": "approved by ana, a party of it"},
    ),
    "an approval by who is behind the money": (
        ('UPDATE payouts SET sources = \'[["reporter", "ron"]]\'', _APPROVAL.format("ron")),
        {"payout_approvals_by_no_party": "approved by ron, a party of it"},
    ),
}


@pytest.fixture(scope="module")
async def lived(
    make_module_database: DatabaseFactory, postgres_server: PostgresServer
) -> AsyncIterator[Database]:
    """One payout that is paid, one that is held, and a second method; seen by the owner of the tables, who may go past
    foreign keys too.
    """
    rig = Rig(make_module_database("payouts", migrated=True))
    postgres_server.run_sql(f'GRANT SET ON PARAMETER session_replication_role TO "{owner_of("payouts")}"')
    method = await rig.method()
    await rig.request(method)
    await rig.submit()
    await rig.request(method, amount="5000.00")
    await rig.rows(
        "INSERT INTO payout_batches SELECT gen_random_uuid(), 2, 'rewards', min(requested_at) FROM payouts RETURNING 1"
    )
    await rig.method(account="other")
    owner = Database(rig.urls.migration, application_name="test-owner", pool_size=1)
    async with owner.transaction() as tx:
        await tx.execute(
            text(
                "UPDATE payouts p SET batch_id = b.batch_id, batch_lines = 2, batch_line = CASE p.state WHEN 'paid' THEN 1 ELSE 2 END "
                "FROM payout_batches b"
            )
        )
    yield owner
    await owner.close()
    await rig.close()


async def breaches_after(lived: Database, statements: tuple[str, ...]) -> dict[str, str]:
    """The breaches that the checks find after these statements, which are then undone."""
    async with lived.engine.connect() as connection:
        await connection.execution_options(isolation_level="READ COMMITTED")
        for table in (
            "payouts",
            "attempts",
            "approvals",
            "payout_transitions",
            "attempt_transitions",
            "payout_methods",
            "automatic_use",
            "payout_evidence",
            "legal_approvals",
        ):
            await connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        for statement in statements:
            await connection.execute(text(statement))
        found = {check.name: await check.run(connection) for check in CHECKS}
        await connection.rollback()
    return {name: " ".join(breaches) for name, breaches in found.items() if breaches}


async def test_sound_rows_have_no_breach(lived: Database) -> None:
    """No check finds a breach, and each check has rows to read."""
    assert await breaches_after(lived, ()) == {}


@pytest.mark.parametrize("name", BROKEN)
async def test_each_breach_is_found(lived: Database, name: str) -> None:
    """By its own check, and by no other; a permitted state is found by none. The history of a changed attempt is a breach too."""
    statements, expected = BROKEN[name]
    found = await breaches_after(lived, statements)
    if _ATTEMPTS not in expected and any(" attempts " in one for one in statements):
        found.pop(_ATTEMPTS, None)
    assert found.keys() == expected.keys()
    for invariant, said in expected.items():
        assert said in found[invariant]


def test_each_check_is_tried() -> None:
    """A check that is added comes with its breach; that of the signer's records is in the tests of `signer_audit`."""
    tried = {invariant for _, expected in BROKEN.values() for invariant in expected}
    assert tried | {"signer_audit.chain"} == {check.name for check in CHECKS}
