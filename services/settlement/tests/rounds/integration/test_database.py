"""Statements that the database refuses without any code of the service."""

import importlib.util
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from prizewire_settlement.rounds.domain.model import EDGES
from services.settlement.tests.rounds.integration.test_intake import make_token
from services.settlement.tests.service import Opener, Service, match_event, results, subject_of

MIGRATIONS = Path(__file__).parents[3] / "migrations" / "versions"


@pytest.fixture
async def settled(service: Service) -> Service:
    """m1 is settled and final, m2 is open."""
    await service.take(match_event("completed"), match_event("opened", "m2"))
    return service


@pytest.mark.parametrize(
    ("gross", "platform", "organizer"),
    [("99999999999.9999999", 1_000, 500), ("50000000000.0000009", 999, 9_000), ("0.0000009", 9_999, 1)],
)
async def test_fees_of_any_size_follow_their_rule(
    service: Service, gross: str, platform: int, organizer: int
) -> None:
    """The check rounds the fees down as the service does, with the most digits that an amount may have."""
    fees = {"platform_fee_bps": platform, "organizer_fee_bps": organizer}
    await service.create(id="huge", asset="XLM", gross_prize=gross, **fees)
    await service.take(match_event("completed", data={"competition": "huge"}))
    assert await service.count("settlements") == 1
    assert await service.breaches() == {}


async def refusal(service: Service, statement: str, *, as_owner: bool = True) -> asyncpg.PostgresError:
    """The error with which the database refuses a statement; its transaction is rolled back."""
    connection = await asyncpg.connect(service.urls.migration if as_owner else service.urls.runtime)
    try:
        with pytest.raises(asyncpg.PostgresError) as error:
            await connection.execute(statement)
    finally:
        await connection.close()
    return error.value


async def refused(service: Service, statement: str, *, as_owner: bool = True) -> str:
    """The SQLSTATE with which the database refuses a statement."""
    state: str = (await refusal(service, statement, as_owner=as_owner)).sqlstate
    return state


APPEND_ONLY = (
    "competition_rules",
    "round_transitions_allowed",
    "round_transitions",
    "settlements",
    "settlement_lines",
    "entries",
    "round_refusals",
    "round_disownments",
)
"""Tables that refuse UPDATE, DELETE and TRUNCATE."""
CHECK = "23514"
NOT_ALLOWED = "42501"
APPEND = "23000"


def step(seq: int, before: str, after: str, *, match: str = "m2", through: str = "NULL") -> str:
    return (
        "INSERT INTO round_transitions VALUES "
        f"('{subject_of(match)}', {seq}, '{before}', '{after}', 'x', 'x', 'x', 'x', now(), NULL, {through})"
    )


FROM_NEW = "ARRAY['OPEN', 'CLOSED', 'RESOLVED', 'SETTLED', 'RESOLVED', 'SETTLED']"


@pytest.mark.parametrize(
    "statement",
    [
        step(2, "OPEN", "SETTLED"),
        step(2, "CLOSED", "RESOLVED"),
        step(3, "OPEN", "CLOSED"),
        step(6, "FINALIZED", "VOIDED", match="m1"),
        step(6, "FINALIZED", "VOIDED", match="m1").replace(
            "'x', 'x', 'x', 'x', now(), NULL", "'admin.resolve', 'x', 'x', 'x', now(), 'x'"
        ),
        step(6, "FINALIZED", "SETTLED", match="m1"),
        step(6, "FINALIZED", "RESOLVED", match="m1"),
        step(6, "FINALIZED", "RESOLVED", match="m1").replace("'x', 'x', 'x'", "'admin.resolve', 'x', 'x'"),
        step(2, "OPEN", "VOIDED") + "; " + step(3, "VOIDED", "OPEN"),
        f"INSERT INTO round_transitions VALUES ('{uuid4()}', 1, 'OPEN', 'CLOSED', 'x', 'x', 'x', 'x', now())",
        step(7, "NEW", "VOIDED", match="m1", through=FROM_NEW),
        step(
            6,
            "NEW",
            "SETTLED",
            match="m1",
            through="ARRAY['OPEN', 'CLOSED', 'RESOLVED', 'SETTLED', 'RESOLVED']",
        ),
        step(1, "NEW", "VOIDED", match="m1"),
        step(2, "OPEN", "VOIDED", through="ARRAY[['CLOSED'], ['RESOLVED']]"),
        step(14, "OPEN", "VOIDED", through="array_fill('CLOSED'::text, ARRAY[12])"),
    ],
    ids=[
        "skips",
        "does not follow",
        "leaves a gap",
        "voids what is final",
        "voids what is final and not refused",
        "goes back",
        "corrects what is final without an admin",
        "corrects what is final without a reason",
        "leaves VOIDED",
        "begins in the middle",
        "begins again, and ends behind the last step",
        "begins again, and reopens what is final",
        "lies among the steps that are there",
        "has states in a matrix",
        "has more states than there are",
    ],
)
async def test_a_step_outside_the_table_is_refused(settled: Service, statement: str) -> None:
    """The history of a round can only be continued along the table's edges, also by the owner."""
    assert await refused(settled, statement) == CHECK
    assert await settled.breaches() == {}


@pytest.mark.parametrize(
    "change",
    [
        "state = 'SETTLED'",
        "state = 'VOIDED'",
        "state_seq = 2",
        "correlation_id = 'another'",
        "source = '/another'",
        "match_id = 'another'",
        "competition_id = 'other'",
        "created_at = created_at + interval '1 s'",
        "rule_version = 2",
        "version = 0",
        "id = gen_random_uuid()",
    ],
)
async def test_a_round_agrees_with_its_history_and_keeps_its_binding(settled: Service, change: str) -> None:
    """A state needs its transition; binding and counters never change back, even to a rule that exists."""
    await settled.create(id="other")
    await settled.create_rule(gross_prize="200.00")
    statement = f"UPDATE rounds SET {change} WHERE match_id = 'm2'"
    assert await refused(settled, statement) == CHECK


async def test_a_round_counts_its_settlements_up(settled: Service) -> None:
    """The number of the newest settlement does not fall."""
    error = await refusal(settled, "UPDATE rounds SET settlement_version = 0 WHERE match_id = 'm1'")
    assert "its counters only grow" in str(error)


async def test_a_round_is_not_inserted_without_its_steps(settled: Service) -> None:
    """A row with a state needs the transitions that lead to it."""
    statement = (
        "INSERT INTO rounds SELECT gen_random_uuid(), source, 'm9', competition_id, correlation_id, rule_version, "
        "state, state_seq, version, settlement_version, result_version, final_at, created_at, updated_at, waiting_since "
        "FROM rounds WHERE match_id = 'm1'"
    )
    assert await refused(settled, statement) == CHECK


@pytest.mark.parametrize("table", APPEND_ONLY)
async def test_append_only_tables_refuse_changes(settled: Service, table: str) -> None:
    """Neither the owner nor the service changes or deletes what was written."""
    column = (await settled.columns(table))[-1]
    for statement in (
        f"UPDATE {table} SET {column} = {column}",
        f"DELETE FROM {table}",
        f"TRUNCATE {table} CASCADE",
    ):
        assert await refused(settled, statement) == APPEND
        assert await refused(settled, statement, as_owner=False) == NOT_ALLOWED


@pytest.mark.parametrize("table", ["rounds", "round_results"])
async def test_rounds_and_results_stay(settled: Service, table: str) -> None:
    """Their rows change, but are never deleted."""
    for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        assert await refused(settled, statement) == APPEND
        assert await refused(settled, statement, as_owner=False) == NOT_ALLOWED


async def test_the_result_of_a_settled_round_stays(settled: Service) -> None:
    """The result of a settlement cannot be changed, also after a correction has superseded it."""
    assert await refused(settled, "UPDATE round_results SET document = '[]'") == CHECK
    await settled.create(id="slow", dispute_window_s=60)
    slow = {"competition": "slow"}
    await settled.take(
        match_event("completed", "m3", data=slow),
        match_event("corrected", "m3", data={**slow, "results": results("cyd", "ann")}),
    )
    ours = f"WHERE round_id = '{subject_of('m3')}'"
    for version in (1, 2):
        statement = f"UPDATE round_results SET document = '[]' {ours} AND result_version = {version}"
        assert await refused(settled, statement) == CHECK
    back = "UPDATE rounds SET result_version = 1 WHERE match_id = 'm3'"
    assert await refused(settled, back) == CHECK
    later = "UPDATE rounds SET final_at = final_at + interval '1 s' WHERE match_id = 'm3'"
    assert await refused(settled, later) == CHECK


@pytest.mark.parametrize(
    "change",
    [
        "rule_version = 2",
        "campaign = gen_random_uuid()",
        "asset = 'USDC'",
        "gross = gross + 1, net = net + 1",
        "platform_fee = platform_fee - 1, organizer_fee = organizer_fee + 1",
        "organizer_player = 'eve'",
        "final_at = final_at + interval '1 s'",
        "version = 4",
        "reason = NULL",
    ],
)
async def test_a_correction_moves_lines_and_nothing_else(settled: Service, change: str) -> None:
    """A further settlement has the rule, campaign, asset, gross, fees and finality of the one before, and a reason."""
    names = await settled.columns("settlements")
    changed = {"version": "version + 1", "reason": "'x'"} | dict(
        part.split(" = ") for part in change.split(", ")
    )
    values = ", ".join(changed.get(name, name) for name in names)
    statement = f"INSERT INTO settlements ({', '.join(names)}) SELECT {values} FROM settlements"
    assert await refused(settled, statement) == CHECK


async def test_a_token_cannot_be_changed(settled: Service) -> None:
    """Its source stays, its validity is never extended, a revocation is final, and the service cannot delete it."""
    owner = await asyncpg.connect(settled.urls.migration)
    await owner.execute(
        "INSERT INTO source_tokens VALUES (gen_random_uuid(), '/games/chess', '\\x00', '', 'ada', now(), now(), now())"
    )
    await owner.close()
    for change in (
        "source = '/games/go'",
        "digest = '\\x01'",
        "created_by = 'eve'",
        "label = 'other'",
        "id = gen_random_uuid()",
        "created_at = created_at - interval '1 s'",
        "expires_at = expires_at + interval '1 s'",
        "revoked_at = NULL",
    ):
        assert await refused(settled, f"UPDATE source_tokens SET {change}") == CHECK
    for gone in ("DELETE FROM source_tokens", "TRUNCATE source_tokens"):
        assert await refused(settled, gone) == APPEND
        assert await refused(settled, gone, as_owner=False) == NOT_ALLOWED


async def test_a_rule_has_a_whole_entry_fee_or_none(settled: Service) -> None:
    """A fee has an amount above zero and an asset; a player has one entry in a round."""
    names = await settled.columns("competition_rules")
    for asset, amount in (("'EURC'", "NULL"), ("NULL", "1"), ("'EURC'", "0")):
        changed = {"version": "version + 1", "entry_asset": asset, "entry_amount": amount}
        values = ", ".join(changed.get(name, name) for name in names)
        statement = (
            f"INSERT INTO competition_rules ({', '.join(names)}) SELECT {values} FROM competition_rules"
        )
        assert await refused(settled, statement) == CHECK
    entry = f"(gen_random_uuid(), '{subject_of('m2')}', 'ann', 'EURC', 5, 'x', now())"
    assert await refused(settled, f"INSERT INTO entries VALUES {entry}, {entry}") == "23505"


async def test_the_service_cannot_add_edges(settled: Service) -> None:
    """The table of allowed steps is the migrations' alone."""
    statement = "INSERT INTO round_transitions_allowed VALUES ('FINALIZED', 'OPEN', 'why not')"
    assert await refused(settled, statement, as_owner=False) == NOT_ALLOWED


OTHER_EDGES = (
    "CREATE TEMPORARY TABLE round_transitions_allowed AS TABLE round_transitions_allowed; "
    "INSERT INTO pg_temp.round_transitions_allowed VALUES ('OPEN', 'SETTLED', 'why not')"
)
OTHER_STEPS = (
    "CREATE TEMPORARY TABLE round_transitions AS "
    "SELECT round_id, seq + 1 AS seq, 'CLOSED' AS to_state FROM round_transitions"
)


@pytest.mark.parametrize(
    ("shadow", "statement"),
    [
        (
            OTHER_EDGES,
            step(2, "OPEN", "SETTLED"),
        ),
        (
            OTHER_STEPS,
            step(3, "CLOSED", "RESOLVED").replace("INTO round", "INTO public.round"),
        ),
        (
            OTHER_STEPS,
            "UPDATE rounds SET state = 'CLOSED', state_seq = 2 WHERE match_id = 'm2'",
        ),
        (
            "CREATE TEMPORARY TABLE rounds AS SELECT * FROM rounds WHERE false",
            "UPDATE round_results SET document = '[]'",
        ),
    ],
    ids=["edges", "the step before", "the last step", "what a round was settled by"],
)
async def test_a_temporary_table_does_not_replace_another(
    settled: Service, shadow: str, statement: str
) -> None:
    """Triggers read the tables of the schema, not a temporary table of the same name."""
    assert await refused(settled, f"{shadow}; {statement}") == CHECK


RULE, OTHER_ROUND = {"version": "version + 1"}, {"round_id": "gen_random_uuid()"}
ROWS: dict[str, tuple[str, dict[str, str]]] = {
    "gross_not_negative": ("competition_rules", {**RULE, "gross": "-1"}),
    "fees_fit": ("competition_rules", {**RULE, "platform_bps": "9999", "organizer_bps": "2"}),
    "fees_fit of the platform": ("competition_rules", {**RULE, "platform_bps": "-1"}),
    "fees_fit of the organizer": ("competition_rules", {**RULE, "organizer_bps": "-1"}),
    "ties_known": ("competition_rules", {**RULE, "ties": "'toss'"}),
    "tie_score_breaks": ("competition_rules", {**RULE, "ties": "'break'"}),
    "unclaimed_known": ("competition_rules", {**RULE, "unclaimed": "'house'"}),
    "gross_is_fees_and_net": ("settlements", {**OTHER_ROUND, "gross": "gross + 1"}),
    "parts_not_negative of the platform": (
        "settlements",
        {**OTHER_ROUND, "platform_fee": "-1", "net": "net + platform_fee + 1"},
    ),
    "parts_not_negative of the organizer": (
        "settlements",
        {**OTHER_ROUND, "organizer_fee": "-1", "net": "net + organizer_fee + 1"},
    ),
    "unclaimed_within_net": ("settlements", {**OTHER_ROUND, "unclaimed": "net + 1"}),
    "unclaimed_within_net above zero": ("settlements", {**OTHER_ROUND, "unclaimed": "-1"}),
    "corrections_have_a_reason": ("settlements", {**OTHER_ROUND, "version": "2"}),
    "amount_positive": ("settlement_lines", {"line": "line + 100", "amount": "0"}),
    "part_of_parts": ("round_results", {"part": "2"}),
    "rounds_one_per_match": ("rounds", {"id": "gen_random_uuid()"}),
    "rounds_rule": ("rounds", {"id": "gen_random_uuid()", "match_id": "'m9'", "rule_version": "99"}),
    "source_tokens_digest": ("source_tokens", {"id": "gen_random_uuid()"}),
}


@pytest.mark.parametrize("name", ROWS)
async def test_invalid_rows_are_refused(settled: Service, name: str) -> None:
    """Each row is refused by a constraint of its own."""
    if name == "source_tokens_digest":
        await make_token(settled)
    table, changed = ROWS[name]
    names = await settled.columns(table)
    values = ", ".join(changed.get(column, column) for column in names)
    statement = f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} LIMIT 1"
    assert (await refusal(settled, statement)).constraint_name == name.split(maxsplit=1)[0]


async def test_the_database_knows_the_same_edges_as_the_code(settled: Service) -> None:
    """The copies in the migrations, the rows in the database and the domain's table are equal."""
    rows = await settled.rows("SELECT from_state, to_state, reason FROM round_transitions_allowed")
    table = {(str(edge.before), str(edge.after), edge.reason) for edge in EDGES}
    assert {tuple(row) for row in rows} == table
    copies: list[tuple[str, str, str]] = []
    for path in sorted(MIGRATIONS.glob("*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        copies += getattr(module, "EDGES", ())
    assert sorted(copies) == sorted(table)


async def test_checks_find_what_triggers_would_refuse(open_service: Opener) -> None:
    """With the triggers switched off, each kind of damage is a breach of its check."""
    service: Service = await open_service()
    await service.create(dispute_window_s=60)
    await service.take(match_event("completed"), match_event("completed", "m2"), match_event("opened", "m3"))
    owner = await asyncpg.connect(service.urls.migration)
    await owner.execute(
        "ALTER TABLE settlement_lines DISABLE TRIGGER USER; ALTER TABLE rounds DISABLE TRIGGER USER; "
        "ALTER TABLE round_transitions DISABLE TRIGGER USER; ALTER TABLE settlements DISABLE TRIGGER USER"
    )
    await owner.execute(
        f"UPDATE settlement_lines SET amount = amount + 1 WHERE line = 1 AND round_id = '{subject_of('m1')}'"
    )
    await owner.execute(f"UPDATE rounds SET state = 'VOIDED' WHERE id = '{subject_of('m3')}'")
    await owner.execute(step(4, "SETTLED", "OPEN", match="m3"))
    await owner.execute(
        f"UPDATE settlements SET gross = gross + 1, platform_fee = platform_fee + 1 WHERE round_id = '{subject_of('m2')}'"
    )
    await owner.execute("UPDATE rounds SET settlement_version = 2 WHERE match_id = 'm2'")
    await owner.execute(
        f"INSERT INTO entries VALUES (gen_random_uuid(), '{subject_of('m3')}', 'ann', 'EURC', 5, 'x', now())"
    )
    await owner.execute("DELETE FROM outbox WHERE topic LIKE '%settlements%' AND key = 'corr-m2'")
    await owner.close()
    assert {name.removeprefix("settlement.") for name in await service.breaches()} == {
        "lines_sum_to_net",
        "lines_are_those_sent",
        "fees_follow_the_rule",
        "history_is_a_path",
        "state_is_the_last_step",
        "settlements_match_the_state",
        "settled_rounds_have_their_events",
        "entries_follow_the_rule",
    }
