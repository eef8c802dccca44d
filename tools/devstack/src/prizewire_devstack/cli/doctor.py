"""`prizewire doctor`: check a configuration before it goes live."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
from rich.table import Table

from prizewire_devstack.cli.console import console as make_console
from prizewire_devstack.components.kafka import KafkaLogin
from prizewire_devstack.doctor.configuration import Configuration, Subject
from prizewire_devstack.doctor.databases import judge_database, privileges_of, read_database
from prizewire_devstack.doctor.findings import Finding, Profile, Severity
from prizewire_devstack.doctor.kafka import judge_kafka, read_kafka
from prizewire_devstack.doctor.rules import RULES
from prizewire_devstack.doctor.sources import from_folder, from_objects, from_stack
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.files import read_text
from prizewire_devstack.home import Home, repository_root
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.texts import printable

OPERATOR: Final = "operator"
"""The Kafka principal that sees settings and rights, and changes none."""
CONFIGURATION, KAFKA, DATABASES = "configuration", "kafka", "databases"
PLACES_WIDTH: Final = 24
"""Columns for the places of a finding; longer lists are folded."""
AREAS: Final = (CONFIGURATION, KAFKA, DATABASES)


@click.command(name="doctor")
@click.option(
    "--profile",
    type=click.Choice([str(one) for one in Profile]),
    required=True,
    help="The environment that the configuration is for.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="The folder with SERVICE.env for each service and the public files that these name.",
)
@click.option(
    "--manifests",
    type=click.File("r"),
    help="Kubernetes objects, as `kubectl kustomize` prints them; - reads them from standard input.",
)
@click.option(
    "--only",
    "areas",
    type=click.Choice(AREAS),
    multiple=True,
    help="Check this area only; may be given several times. Default: all.",
)
@click.option(
    "--kafka", "bootstrap", help="The brokers, as HOST:PORT,…; they are read under the principal operator."
)
@click.option(
    "--kafka-password",
    type=click.Path(path_type=Path),
    help="The file with the password of the principal operator.",
)
@click.option(
    "--kafka-ca",
    type=click.Path(path_type=Path),
    help="The authority of the brokers' certificates; without it the connection is not encrypted.",
)
@click.option(
    "--database",
    "databases",
    multiple=True,
    metavar="SERVICE=FILE",
    help="The file with the URL of a service's database under its runtime role; once for each service.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    profile: str,
    folder: Path | None,
    manifests: Any,
    areas: tuple[str, ...],
    bootstrap: str | None,
    kafka_password: Path | None,
    kafka_ca: Path | None,
    databases: tuple[str, ...],
    as_json: bool,
) -> int:
    """Check a configuration before it goes live: settings, files, Kafka, databases.

    Each finding has a sentence and a link to docs/go-live.md. Exit code 1 if there is an error. The configuration is that of a
    folder or of Kubernetes objects, else of the running local stack.
    """
    chosen = areas or AREAS
    findings: list[Finding] = []
    left_out = [area for area in AREAS if area not in chosen]
    if CONFIGURATION in chosen:
        try:
            configuration = _configuration(folder, manifests)
            subject = Subject(configuration=configuration, profile=Profile(profile), now=datetime.now(UTC))
            findings += [found for rule in RULES for found in rule(subject)]
        except (KeyError, TypeError, AttributeError) as error:
            if manifests is None:
                raise
            raise DevstackError(
                f"{manifests.name} has an object that Kubernetes would refuse ({error}): give the output of `kubectl kustomize FOLDER`."
            ) from error
        left_out += configuration.left_out()
    if KAFKA in chosen:
        findings += _kafka(bootstrap, kafka_password, kafka_ca)
    if DATABASES in chosen:
        findings += _databases(databases, archived=True)
    report(findings, profile=profile, areas=chosen, left_out=left_out, as_json=as_json)
    return 1 if any(one.severity is Severity.ERROR for one in findings) else 0


def _configuration(folder: Path | None, manifests: Any) -> Configuration:
    if folder is not None and manifests is not None:
        raise DevstackError("--folder and --manifests are both given: name one of them.")
    if folder is not None:
        return from_folder(folder)
    if manifests is not None:
        return from_objects(manifests.read(), name=str(manifests.name))
    return from_stack(Home.default(), root=repository_root())


def _kafka(bootstrap: str | None, password: Path | None, ca: Path | None) -> Iterator[Finding]:
    if bootstrap is None or password is None:
        yield Finding(
            code="kafka_not_checked",
            place="kafka",
            sentence="Topics and rights were not checked: give --kafka and --kafka-password, or leave the area out by --only.",
        )
        return
    login = KafkaLogin(bootstrap_servers=bootstrap, username=OPERATOR, password=read_text(password).strip())
    client = login.librdkafka()
    if ca is not None:
        read_text(ca)
        client |= {"security.protocol": "SASL_SSL", "ssl.ca.location": str(ca)}
    yield from judge_kafka(read_kafka(client))


def _databases(given: tuple[str, ...], *, archived: bool) -> Iterator[Finding]:
    files: dict[str, Path] = {}
    for text in given:
        service, equals, file = text.partition("=")
        if not equals or service not in SERVICES:
            raise DevstackError(
                f"--database {text} is none: write SERVICE=FILE, with one of {', '.join(SERVICES)}."
            )
        files[service] = Path(file)
    for service in SERVICES:
        if service not in files:
            yield Finding(
                code="database_not_checked",
                place=f"database of {service}",
                sentence=f"Rights, backups and clock were not checked: give --database {service}=FILE, or leave the area out "
                "by --only.",
            )
            continue
        facts = read_database(read_text(files[service]).strip())
        yield from judge_database(service, facts, privileges=privileges_of(service), archived=archived)


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, those with the same sentence as one that names all places."""
    places: dict[tuple[str, str], list[str]] = {}
    for one in findings:
        places.setdefault((one.code, one.sentence), []).append(one.place)
    return [
        Finding(code=code, place=", ".join(dict.fromkeys(found)), sentence=sentence)
        for (code, sentence), found in places.items()
    ]


def report(
    findings: list[Finding],
    *,
    profile: str,
    areas: Sequence[str],
    left_out: Sequence[str] = (),
    as_json: bool,
) -> None:
    """Print a line for each finding, errors first, and the sum; or all as JSON. `left_out` is what was not looked at."""
    if as_json:
        found = [one.to_json() for one in findings]
        click.echo(json.dumps({"profile": profile, "findings": found, "not_looked_at": list(left_out)}))
        return
    console = make_console()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(max_width=PLACES_WIDTH)
    table.add_column(overflow="fold")
    lines = merged(findings)
    for one in sorted(lines, key=lambda found: found.severity is not Severity.ERROR):
        style = "bold red" if one.severity is Severity.ERROR else "yellow"
        table.add_row(f"[{style}]{one.severity}[/]", one.place, f"{printable(one.sentence)}\n{one.link}")
    if lines:
        console.print(table)
    errors = sum(one.severity is Severity.ERROR for one in lines)
    checked = ", ".join(areas)
    if errors:
        sum_line = f"Not ready for {profile}: {errors} errors, {len(lines) - errors} warnings"
    else:
        sum_line = f"Ready for {profile}: no error, {len(lines)} warnings"
    not_looked_at = f" Not looked at: {', '.join(left_out)}." if left_out else ""
    console.print(f"{sum_line}. Checked: {checked}.{not_looked_at}", highlight=False, soft_wrap=True)
