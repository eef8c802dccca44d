"""`prizewire doctor` over a real database, and over facts of a server that no test machine has."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prizewire_devstack.components.postgres import DatabaseUrls, PostgresServer
from prizewire_devstack.database_factory import DatabaseFactory
from prizewire_devstack.doctor.databases import DatabaseFacts, judge_database, privileges_of, read_database
from prizewire_devstack.doctor.findings import Finding
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.routes import SERVICES
from tools.devstack.tests.doctor import sound
from tools.devstack.tests.doctor.sound import SERVICE


def judged(facts: DatabaseFacts, service: str = SERVICE) -> list[Finding]:
    # The server of the tests has several databases of one service.
    others = f"may connect to the database {service}_"
    facts = dataclasses.replace(
        facts, attributes=tuple(one for one in facts.attributes if not one.startswith(others))
    )
    return list(judge_database(service, facts, privileges=privileges_of(service), archived=True))


NOT_OF_TESTS = {"database_plaintext", "durability", "backups"}
"""Test databases have no encryption, write without waiting for the disk, and have no backups."""


@pytest.mark.parametrize("service", SERVICES)
def test_a_migrated_database_has_the_rights_of_the_table(
    make_database: DatabaseFactory, service: str
) -> None:
    """What the migrations grant is what the doctor wants, column by column, in tables and views."""
    found = judged(read_database(sound.migrated(make_database, service).runtime), service)
    assert [one.sentence for one in found if one.code not in NOT_OF_TESTS] == []
    assert sound.codes(found) == NOT_OF_TESTS


UNCHANGED = "FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
MORE_RIGHTS = [
    ("GRANT DELETE ON payouts TO payouts", "role_rights", "DELETE on payouts"),
    ("GRANT UPDATE (payout_id) ON payouts TO payouts", "role_rights", "UPDATE on payouts.payout_id"),
    ("GRANT TRUNCATE ON payouts TO PUBLIC", "role_rights", "TRUNCATE on payouts"),
    ("REVOKE INSERT ON approvals FROM payouts", "role_rights", "lacks INSERT on approvals"),
    ("GRANT CREATE ON SCHEMA public TO payouts", "role_attributes", "may create tables"),
    ("CREATE TABLE own (x int); ALTER TABLE own OWNER TO payouts", "role_attributes", "owns own"),
    ("GRANT UPDATE ON SEQUENCE outbox_id_seq TO payouts", "role_rights", "UPDATE on outbox_id_seq"),
    ("GRANT USAGE ON SEQUENCE outbox_id_seq TO PUBLIC", "role_rights", "USAGE on outbox_id_seq"),
    ("GRANT EXECUTE ON FUNCTION pg_read_file(text) TO payouts", "role_rights", "may call pg_read_file(text)"),
    (
        "CREATE FUNCTION own() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION own() OWNER TO payouts",
        "role_attributes",
        "owns the function own()",
    ),
    (
        "CREATE SCHEMA side; GRANT USAGE ON SCHEMA side TO payouts",
        "role_attributes",
        "may use the schema side",
    ),
    (
        "CREATE SCHEMA side; GRANT CREATE ON SCHEMA side TO PUBLIC",
        "role_attributes",
        "may create in the schema side",
    ),
    ("CREATE SCHEMA side AUTHORIZATION payouts", "role_attributes", "owns the schema side"),
    (
        "CREATE SCHEMA side; CREATE TABLE side.own (x int); ALTER TABLE side.own OWNER TO payouts",
        "role_attributes",
        "owns side.own",
    ),
    (
        "CREATE SCHEMA side; CREATE FUNCTION side.more() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        "role_rights",
        "may call side.more()",
    ),
    (
        "ALTER TABLE payouts DISABLE TRIGGER payouts_decided",
        "guards_off",
        "payouts_decided of payouts is disabled",
    ),
    ("ALTER TABLE payouts DISABLE TRIGGER ALL", "guards_off", "RI_ConstraintTrigger"),
    (
        "ALTER TABLE payouts ENABLE REPLICA TRIGGER payouts_decided",
        "guards_off",
        "payouts_decided of payouts runs for replication only",
    ),
    ("DROP TRIGGER payouts_decided ON payouts", "guards_off", "payouts_decided of payouts is missing"),
    (
        "DROP TRIGGER payouts_decided ON payouts; "
        "CREATE TRIGGER payouts_decided BEFORE UPDATE ON payouts " + UNCHANGED,
        "guards_off",
        "payouts_decided of payouts calls suppress_redundant_updates_trigger",
    ),
    (
        "CREATE TRIGGER more BEFORE UPDATE ON payouts " + UNCHANGED,
        "guards_off",
        "more of payouts is of no migration",
    ),
    (
        "CREATE FUNCTION more() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        "role_rights",
        "may call more()",
    ),
]


@pytest.mark.parametrize(("statement", "code", "part"), MORE_RIGHTS)
def test_other_rights_are_found(
    urls: DatabaseUrls, postgres_server: PostgresServer, statement: str, code: str, part: str
) -> None:
    """A right too many or too few in a real database is found, and the sentence names it."""
    postgres_server.run_sql(statement, database=urls.name)
    sentences = [one.sentence for one in judged(read_database(urls.runtime)) if one.code == code]
    assert any(part in sentence for sentence in sentences), sentences


@pytest.mark.parametrize("who", ["payouts", "PUBLIC"])
@pytest.mark.parametrize("right", ["SET", "ALTER SYSTEM"])
def test_a_right_on_a_parameter_is_found(
    urls: DatabaseUrls, postgres_server: PostgresServer, right: str, who: str
) -> None:
    """A role that may set session_replication_role passes every trigger."""
    postgres_server.run_sql(f"GRANT {right} ON PARAMETER session_replication_role TO {who}")
    try:
        found = judged(read_database(urls.runtime))
    finally:
        postgres_server.run_sql(f"REVOKE {right} ON PARAMETER session_replication_role FROM {who}")
    verb = "set" if right == "SET" else "alter"
    sentence = f"The role payouts may {verb} the parameter session_replication_role: take that back."
    assert sentence in [one.sentence for one in found if one.code == "role_attributes"]


@pytest.mark.parametrize(
    "setting",
    [
        "session_replication_role=replica",
        "search_path=side, public",
        "synchronous_commit=off",
        "row_security=off",
    ],
)
@pytest.mark.parametrize(
    "owner", ["ROLE payouts", "ROLE payouts IN DATABASE {database}", "DATABASE {database}", "ROLE ALL"]
)
def test_a_setting_of_a_role_or_a_database_is_found(
    urls: DatabaseUrls, postgres_server: PostgresServer, owner: str, setting: str
) -> None:
    """Provisioning sets none, so each is found, and the sentence has the command that takes it back."""
    command = f"ALTER {owner}".format(database=urls.name)
    name = setting.partition("=")[0]
    postgres_server.run_sql(f"{command} SET {setting}")
    try:
        found = judged(read_database(urls.runtime))
    finally:
        postgres_server.run_sql(f"{command} RESET {name}")
    [sentence] = [one.sentence for one in found if one.code == "role_settings"]
    assert sentence.endswith(f"{command} RESET {name}.")
    assert sound.codes(found) - NOT_OF_TESTS == {"role_settings"}


@pytest.mark.parametrize(
    ("name", "value"), [("session_replication_role", "replica"), ("search_path", "side")]
)
def test_a_setting_of_the_server_is_found(
    urls: DatabaseUrls, postgres_server: PostgresServer, name: str, value: str
) -> None:
    """A setting that no role has, but that holds in sessions of the service."""
    facts = read_database(urls.runtime)
    guards = dataclasses.replace(facts.guards, effective={**facts.guards.effective, name: value})
    found = judged(dataclasses.replace(facts, guards=guards))
    [sentence] = [one.sentence for one in found if one.code == "role_settings"]
    assert sentence.startswith(f"{name} is {value} in sessions of the service")


def test_temporary_tables_are_found(urls: DatabaseUrls, postgres_server: PostgresServer) -> None:
    """A temporary table stands in for one of the service's."""
    for who in ("payouts", "PUBLIC"):
        postgres_server.run_sql(f'GRANT TEMPORARY ON DATABASE "{urls.name}" TO {who}')
        sentences = [one.sentence for one in judged(read_database(urls.runtime))]
        assert "The role payouts may create temporary tables: take that back." in sentences
        postgres_server.run_sql(f'REVOKE TEMPORARY ON DATABASE "{urls.name}" FROM {who}')


def test_names_are_those_of_postgresql(urls: DatabaseUrls, postgres_server: PostgresServer) -> None:
    """A schema that comes first in the role's search path cannot hide a right from the doctor."""
    postgres_server.run_sql(
        "CREATE SCHEMA side; CREATE VIEW side.pg_parameter_acl AS SELECT * FROM pg_catalog.pg_parameter_acl WHERE false; "
        "GRANT USAGE ON SCHEMA side TO payouts; GRANT SELECT ON side.pg_parameter_acl TO payouts; "
        "GRANT SET ON PARAMETER session_replication_role TO payouts; "
        "ALTER ROLE payouts SET search_path = side, pg_catalog, public",
        database=urls.name,
    )
    try:
        found = judged(read_database(urls.runtime))
    finally:
        postgres_server.run_sql(
            "ALTER ROLE payouts RESET search_path; REVOKE SET ON PARAMETER session_replication_role FROM payouts"
        )
    assert any("may set the parameter session_replication_role" in one.sentence for one in found)


def test_the_owner_is_no_role_for_a_service(urls: DatabaseUrls) -> None:
    """A service that logs in as the owner of its database could change its own tables and triggers."""
    sentences = [
        one.sentence for one in judged(read_database(urls.migration)) if one.code == "role_attributes"
    ]
    assert any("owns the database" in sentence for sentence in sentences)
    assert any("owns payouts" in sentence for sentence in sentences)


def test_an_empty_database_is_not_migrated(make_database: DatabaseFactory) -> None:
    """A database without tables has one finding about it, not one for each right."""
    found = judged(read_database(make_database(SERVICE).runtime))
    assert sound.codes(found) - NOT_OF_TESTS == {"not_migrated"}


NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def sound_database() -> DatabaseFacts:
    """A database that is encrypted, durable, archived, and in time. Its tables are not looked at."""
    return DatabaseFacts(
        role=SERVICE,
        version=180_004,
        encrypted=True,
        settings={"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "archive_mode": "on"},
        time=NOW,
        read_at=NOW,
        archived_at=NOW - timedelta(minutes=5),
        archive_failed_at=NOW - timedelta(minutes=6),
        attributes=(),
        tables=frozenset(),
        rights=frozenset(),
        functions=frozenset(),
        numbered={},
    )


def test_nothing_is_found_in_a_sound_server() -> None:
    """Encrypted, durable, archived and in time: only the missing tables are found."""
    assert sound.codes(judged(sound_database())) == {"not_migrated"}


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("database_version", {"version": 170_005}),
        ("database_plaintext", {"encrypted": False}),
        ("durability", {"settings": {**sound_database().settings, "fsync": "off"}}),
        ("durability", {"settings": {**sound_database().settings, "synchronous_commit": "off"}}),
        ("backups", {"settings": {**sound_database().settings, "archive_mode": "off"}}),
        ("backups", {"archived_at": None}),
        ("backups", {"archived_at": NOW - timedelta(minutes=16)}),
        ("backups", {"archive_failed_at": NOW - timedelta(minutes=4)}),
        ("clock", {"read_at": NOW + timedelta(seconds=3)}),
        ("clock", {"read_at": NOW - timedelta(seconds=3)}),
        ("role_attributes", {"attributes": ("is a superuser",)}),
    ],
)
def test_a_mistake_of_a_server_is_found(code: str, changes: dict[str, Any]) -> None:
    """Each weakness of a server is found under its code."""
    assert code in sound.codes(judged(dataclasses.replace(sound_database(), **changes)))


def test_a_database_that_does_not_answer_is_one_sentence(urls: DatabaseUrls) -> None:
    """The sentence says what to check, and has no password."""
    wrong = urls.runtime.replace(f"{SERVICE}:", f"{SERVICE}:wrong", 1)
    with pytest.raises(DevstackError, match="check address, role, password") as refused:
        read_database(wrong)
    assert "wrong" not in str(refused.value)


def test_a_url_is_read_as_the_services_read_it(make_database: DatabaseFactory) -> None:
    """`ssl=` is the parameter of the services' driver; psql's `sslmode=` is refused by both. No message has the password."""
    url = make_database(SERVICE).runtime
    assert not read_database(f"{url}?ssl=disable").encrypted
    with pytest.raises(DevstackError, match="rejected SSL upgrade") as refused:
        read_database(f"{url}?ssl=require")
    assert url.split("@", maxsplit=1)[0] not in str(refused.value)
    with pytest.raises(DevstackError, match="write ssl= instead"):
        read_database(f"{url}?sslmode=verify-full")
