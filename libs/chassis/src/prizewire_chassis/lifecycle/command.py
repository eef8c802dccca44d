"""The command line of a service."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from pathlib import Path

import uvloop
from pydantic import SecretStr, ValidationError

from prizewire_chassis.assets import store_assets
from prizewire_chassis.db import Database
from prizewire_chassis.keys import UnsafeKeyFile
from prizewire_chassis.lifecycle.files import FileCheck, refusals
from prizewire_chassis.lifecycle.process import ROLES, serve
from prizewire_chassis.lifecycle.runtime import (
    Built,
    Runtime,
    database_url,
    open_runtime,
)
from prizewire_chassis.lifecycle.waiting import unless_stopped, wait_for_database
from prizewire_chassis.logging import configure
from prizewire_chassis.metrics.definitions import Definition, defined
from prizewire_chassis.settings import ConfigurationError, MigrationSettings, ServiceSettings


def migrations_of(package: str) -> Path:
    """The directory of a service's migrations: inside its package where it is installed as a wheel, else beside ``src``.

    Raises:
        ModuleNotFoundError: there is no such package.
    """
    root = files(package)
    assert isinstance(root, Path), "a service is installed as files"
    inside = root / "migrations"
    return inside if inside.is_dir() else root.parents[1] / "migrations"


def main(
    *,
    service: str,
    settings: type[ServiceSettings],
    build: Callable[[Runtime], Awaitable[Built]],
    migrations: Path,
    files: Sequence[FileCheck] = (),
    arguments: list[str] | None = None,
) -> int:
    """The command line of a service: ``serve``, ``migrate``, ``settings``, ``metrics``. Answers the exit code. ``files`` are the service's own
    files, which ``settings --check`` reads.
    """
    parser = argparse.ArgumentParser(prog=f"python -m prizewire_{service}")
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="run HTTP, consumers, relay and jobs")
    serving.add_argument(
        "--roles", default=",".join(sorted(ROLES)), help="comma-separated subset of the roles"
    )
    commands.add_parser("migrate", help="upgrade the database to the newest revision, as its owner")
    describing = commands.add_parser("settings", help="print every environment variable as JSON")
    describing.add_argument(
        "--check",
        action="store_true",
        help="print what is wrong with the variables that are set and the files that they name, and nothing else",
    )
    describing.add_argument(
        "--present-only",
        action="store_true",
        help="with --check: pass over secrets and over files that are missing",
    )
    commands.add_parser("metrics", help="print every metric of the service as JSON")
    options = parser.parse_args(arguments)
    if options.command == "metrics":
        sys.stdout.write(json.dumps([_described(metric) for metric in defined()], indent=1) + "\n")
        return 0
    if options.command == "settings" and not options.check:
        sys.stdout.write(json.dumps(_describe(settings), indent=1) + "\n")
        return 0
    kind = MigrationSettings if options.command == "migrate" else settings
    try:
        found = kind()
    except UnsafeKeyFile as error:
        _complain(f"{service}: {error}")
        return 2
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            field = "_".join(str(part) for part in item["loc"])
            name = field.upper() + "_FILE" * kind.secrets().get(field, False)
            _complain(f"{service}: the setting {name} is wrong: {item['msg'].removeprefix('Value error, ')}")
        return 2
    if options.command == "settings":
        assert isinstance(found, ServiceSettings)
        wrong = list(refusals(found, files, present_only=options.present_only))
        for sentence in wrong:
            _complain(f"{service}: {sentence}")
        return 2 if wrong else 0
    configure(service=service, level=found.log_level)
    try:
        if not isinstance(found, ServiceSettings):
            return _migrate(service, found, migrations)
        roles = frozenset(options.roles.split(","))
        if not roles <= ROLES:
            _complain(f"{service}: unknown roles {sorted(roles - ROLES)}; there are {sorted(ROLES)}")
            return 2
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(service, found, build, roles))
    except (ConfigurationError, UnsafeKeyFile) as error:
        _complain(f"{service}: {error}")
        return 2
    return 0


def _complain(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")


async def _serve(
    service: str,
    settings: ServiceSettings,
    build: Callable[[Runtime], Awaitable[Built]],
    roles: frozenset[str],
) -> None:
    async with open_runtime(settings, service=service) as runtime:
        await serve(runtime, await build(runtime), roles=roles)


def _migrate(service: str, settings: MigrationSettings, migrations: Path) -> int:
    from prizewire_chassis.db.migrate import migrate  # noqa: PLC0415 - Alembic is not loaded while serving

    if settings.database_migration_url is None:
        _complain(f"{service}: set DATABASE_MIGRATION_URL to the database under its owner's role")
        return 2
    url = settings.database_migration_url.get_secret_value()
    runtime_url = database_url(settings.database_url.get_secret_value(), setting="DATABASE_URL")
    if not asyncio.run(_database_answers(service, url)):
        return 1
    migrate(
        url=url,
        script_location=migrations,
        runtime_role=runtime_url.username,
        afterwards=lambda connection: store_assets(connection, path=settings.assets_file),
    )
    return 0


async def _database_answers(service: str, url: str) -> bool:
    """Wait for the database under its owner's role. Returns false where a signal stopped it."""
    setting = "DATABASE_MIGRATION_URL"
    database_url(url, setting=setting)
    database = Database(url, application_name=f"prizewire-{service}-migrate", pool_size=1)
    try:
        return await unless_stopped(wait_for_database(database.ping, setting=setting))
    finally:
        await database.close()


def _describe(settings: type[ServiceSettings]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    secrets = settings.secrets()
    for name, info in settings.model_fields.items():
        variable, description = name.upper(), info.description or ""
        if secrets.get(name):
            variable, description = f"{variable}_FILE", f"{description} A file of mode 0600."
        elif name in secrets:
            description = f"{description} {variable}_FILE may name a file of mode 0600 with it instead."
        default = None if info.is_required() else info.default
        if isinstance(default, SecretStr):
            default = None
        rows.append(
            {
                "name": variable,
                "required": info.is_required(),
                "secret": name in secrets,
                "default": None
                if default is None
                else str(default).lower()
                if isinstance(default, bool)
                else str(default),
                "description": description,
            }
        )
    return rows


def _described(metric: Definition) -> dict[str, object]:
    labels = {
        name: {
            "values": None if values.closed is None else sorted(values.closed),
            "meaning": values.meaning,
            "most": values.most,
        }
        for name, values in metric.labels.items()
    }
    return {
        "name": metric.name,
        "kind": metric.kind,
        "unit": metric.unit,
        "meaning": metric.meaning,
        "labels": labels,
    }
