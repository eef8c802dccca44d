"""What could pass the guards of a service's database: settings of its role, other schemas, and triggers that do not run."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from prizewire_chassis.db.privileges import Privileges
from prizewire_devstack.doctor.findings import Finding

EFFECTIVE: Final[Mapping[str, str]] = {
    "row_security": "on",
    "search_path": '"$user", public',
    "session_replication_role": "origin",
}
"""PostgreSQL's defaults of the settings that decide which triggers run and which tables a name means."""
TRIGGER_STATES: Final[Mapping[str, str]] = {"D": "is disabled", "R": "runs for replication only"}
"""`pg_trigger.tgenabled` of triggers that do not run for a service (PostgreSQL, "pg_trigger")."""

MakeFinding = Callable[[str, str], Finding]
"""A finding about one database, of a code and a sentence."""


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """A trigger of a table. `state` is empty if it runs for a service; foreign keys have triggers too, which are `internal`."""

    table: str
    name: str
    function: str
    state: str = ""
    internal: bool = False


@dataclass(frozen=True, kw_only=True)
class GuardFacts:
    """What a service's role finds about the guards of its database."""

    effective: Mapping[str, str] = field(default_factory=lambda: EFFECTIVE)
    """The settings of `EFFECTIVE`, as a session of the role has them."""
    role_settings: tuple[tuple[str, str], ...] = ()
    """What `ALTER ROLE` and `ALTER DATABASE` set for sessions of the role: the object in SQL, and NAME=VALUE."""
    triggers: tuple[Trigger, ...] = ()


async def read_guards(connection: Any) -> GuardFacts:
    """Read the guards in the transaction of `connection`. Names are resolved without the search path of the role from then on."""
    # SHOW and SET are commands: no function or operator of another schema can stand in for them.
    effective = {name: await connection.fetchval(f"SHOW {name}") for name in EFFECTIVE}
    await connection.execute("SET LOCAL search_path = pg_catalog, public")
    return GuardFacts(
        effective=effective,
        role_settings=tuple((row[0], row[1]) for row in await connection.fetch(_ROLE_SETTINGS)),
        triggers=tuple(
            Trigger(
                table=row["table"],
                name=row["name"],
                function=row["function"],
                state=TRIGGER_STATES.get(row["enabled"], ""),
                internal=row["internal"],
            )
            for row in await connection.fetch(_TRIGGERS)
        ),
    )


def judge_guards(facts: GuardFacts, *, privileges: Privileges, finding: MakeFinding) -> Iterator[Finding]:
    """The findings about the guards of a database with tables."""
    yield from _settings(facts, finding)
    wanted = {
        (table, name): function
        for table, own in privileges.triggers.items()
        for name, function in own.items()
    }
    found = {(one.table, one.name): one for one in facts.triggers if not one.internal}
    for one in facts.triggers:
        if one.state:
            yield finding(
                "guards_off",
                f"The trigger {one.name} of {one.table} {one.state}, so its guard does not hold: run "
                f"ALTER TABLE {one.table} ENABLE TRIGGER {one.name if not one.internal else 'ALL'}, and look at the rows that "
                "were written since.",
            )
    for table, name in sorted(wanted.keys() - found.keys()):
        yield finding(
            "guards_off",
            f"The trigger {name} of {table} is missing, so its guard does not hold: create it as the migrations do, and look "
            "at the rows that were written since.",
        )
    for table, name in sorted(found.keys() & wanted.keys()):
        called = found[table, name].function
        if called != wanted[table, name]:
            yield finding(
                "guards_off",
                f"The trigger {name} of {table} calls {called}: create it as the migrations do, with {wanted[table, name]}.",
            )
    for table, name in sorted(found.keys() - wanted.keys()):
        yield finding(
            "guards_off",
            f"The trigger {name} of {table} is of no migration, and calls {found[table, name].function}: drop it.",
        )


def _settings(facts: GuardFacts, finding: MakeFinding) -> Iterator[Finding]:
    named = set()
    for owner, setting in facts.role_settings:
        name = setting.partition("=")[0]
        named.add(name)
        yield finding(
            "role_settings", f"{owner} SET {setting} holds for sessions of the service: {owner} RESET {name}."
        )
    for name, wanted in EFFECTIVE.items():
        value = facts.effective[name]
        if value != wanted and name not in named:
            yield finding(
                "role_settings",
                f"{name} is {value} in sessions of the service: set the server's {name} to {wanted}.",
            )


_ROLE_SETTINGS: Final = """
SELECT CASE WHEN setrole = 0 AND setdatabase = 0 THEN 'ALTER ROLE ALL'
    WHEN setrole = 0 THEN 'ALTER DATABASE ' || datname
    WHEN setdatabase = 0 THEN 'ALTER ROLE ' || rolname
    ELSE 'ALTER ROLE ' || rolname || ' IN DATABASE ' || datname END, unnest(setconfig)
FROM pg_db_role_setting
LEFT JOIN pg_roles role ON role.oid = setrole LEFT JOIN pg_database db ON db.oid = setdatabase
WHERE (setrole = 0 OR rolname = current_user) AND (setdatabase = 0 OR datname = current_database())
ORDER BY 1, 2
"""
_TRIGGERS: Final = """
SELECT c.relname::text AS "table", t.tgname::text AS name, t.tgfoid::regproc::text AS function, t.tgenabled::text AS enabled,
    t.tgisinternal AS internal
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'public'::regnamespace AND (NOT t.tgisinternal OR t.tgenabled IN ('D', 'R'))
ORDER BY 1, 2
"""
