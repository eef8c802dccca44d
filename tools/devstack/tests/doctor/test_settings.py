"""`prizewire doctor` over settings and files: nothing is found in a sound configuration, and each mistake has its code."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from prizewire_devstack.cli.doctor import command, report
from prizewire_devstack.doctor.checking import wrong_settings
from prizewire_devstack.doctor.configuration import Configuration, ServiceConfiguration, Setting, Subject
from prizewire_devstack.doctor.findings import CODES, GUIDE, Finding, Profile
from prizewire_devstack.doctor.rules import RULES
from prizewire_devstack.doctor.rules import settings as rules_of_settings
from prizewire_devstack.doctor.sources import from_folder, known_settings
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.home import repository_root
from tools.devstack.tests.doctor import sound
from tools.devstack.tests.doctor.mistakes import LIVE_SPOILERS, SPOILERS, Spoilt, made
from tools.devstack.tests.doctor.mistakes_in_objects import OBJECT_SPOILERS

LIVE_CODES = {
    "kafka_not_checked brokers automatic_topics topic_missing topic_unknown topic_partitions topic_copies topic_settings",
    "acl_missing acl_unknown database_not_checked database_version database_plaintext durability role_attributes role_rights",
    "role_settings guards_off not_migrated backups clock",
}
"""The codes of findings about running servers."""


@pytest.fixture(scope="module")
def settings() -> dict[str, dict[str, Setting]]:
    return known_settings()


def judged(
    spoilt: Spoilt, settings: dict[str, dict[str, Setting]], *, by_services: bool = True
) -> list[Finding]:
    """All findings; without those of the services' own commands, each of which takes a second, unless `by_services`."""
    services = {
        name: ServiceConfiguration(
            service=name,
            environment=environment,
            settings=settings[name],
            files={f"{sound.PUBLIC}/{file}": text for file, text in spoilt.files.items()},
        )
        for name, environment in spoilt.environments.items()
    }
    subject = Subject(
        configuration=Configuration(services=services, objects=spoilt.objects),
        profile=spoilt.profile,
        now=sound.now(),
    )
    return [
        found
        for rule in RULES
        if by_services or rule is not rules_of_settings.wrong
        for found in rule(subject)
    ]


@pytest.mark.parametrize("profile", Profile)
def test_nothing_is_found_in_a_sound_configuration(
    settings: dict[str, dict[str, Setting]], profile: Profile
) -> None:
    """A configuration in which nothing has to be changed has no finding."""
    assert judged(made(profile), settings, by_services=False) == []


def name_of(case: object) -> str | None:
    return case if isinstance(case, str) else ""


@pytest.mark.parametrize(("code", "part", "spoil"), SPOILERS, ids=name_of)
def test_a_mistake_is_found(
    settings: dict[str, dict[str, Setting]], code: str, part: str, spoil: Callable[[Spoilt], object]
) -> None:
    """Each mistake in a sound configuration for staging is found under its code, in a sentence that names it."""
    spoilt = made(Profile.STAGING)
    spoil(spoilt)
    sentences = [
        f"{one.place}: {one.sentence}"
        for one in judged(spoilt, settings, by_services=code == "setting_wrong")
        if one.code == code
    ]
    assert any(part in sentence for sentence in sentences), sentences


@pytest.mark.parametrize(("code", "part", "spoil"), LIVE_SPOILERS, ids=name_of)
def test_a_mistake_for_production_is_found(
    settings: dict[str, dict[str, Setting]], code: str, part: str, spoil: Callable[[Spoilt], object]
) -> None:
    """What staging may have and production may not is found."""
    spoilt = made(Profile.PRODUCTION)
    spoil(spoilt)
    sentences = [
        one.sentence
        for one in judged(spoilt, settings, by_services=code == "setting_wrong")
        if one.code == code
    ]
    assert any(part in sentence for sentence in sentences), sentences


def test_files_that_differ_between_services_are_found(settings: dict[str, dict[str, Setting]]) -> None:
    """Services that trust other keys, or have other rails, refuse each other's events."""
    spoilt = made(Profile.STAGING)
    spoilt.files["other-trust.json"] = json.dumps({"keys": []})
    spoilt.files["other-rails.yaml"] = json.dumps({"rails": [{"name": "other", "provider": "stellar"}]})
    spoilt.set(
        "webhooks",
        TRUST_FILE=f"{sound.PUBLIC}/other-trust.json",
        RAILS_FILE=f"{sound.PUBLIC}/other-rails.yaml",
    )
    assert {"trust_differs", "rails_differ"} <= {
        one.code for one in judged(spoilt, settings, by_services=False)
    }


def spoilt_codes() -> Iterator[str]:
    yield from (code for code, _, _ in (*SPOILERS, *LIVE_SPOILERS))
    yield from (code for code, _, _ in OBJECT_SPOILERS)
    yield from ("trust_differs", "rails_differ")
    yield from " ".join(LIVE_CODES).split()


def test_every_code_was_found_once() -> None:
    """A code that no test causes may be one that nothing finds."""
    assert set(spoilt_codes()) == CODES.keys()


def test_every_code_has_its_heading() -> None:
    """The link of each finding leads to a heading of the guide, and the guide explains no code that does not exist."""
    text = (repository_root() / GUIDE).read_text()
    headings = [line.removeprefix("### ").strip("`") for line in text.splitlines() if line.startswith("### ")]
    assert sorted(headings) == sorted(CODES)


COMPOSE = [
    ('STELLAR_NETWORK_PASSPHRASE="Public Global Stellar Network ; September 2015"', None),
    ("WEBHOOKS_ALLOW_LOOPBACK='true'", "webhook_targets"),
    ("webhooks_allow_loopback=true", "webhook_targets"),
    ("export WEBHOOKS_ALLOW_LOOPBACK=true", "webhook_targets"),
    ("WEBHOOKS_ALLOW_LOOPBACK=true # for a test", "webhook_targets"),
    ('WEBHOOKS_ALLOW_LOOPBACK="true" # for a test', "webhook_targets"),
    ("LOG_LEVEL=INFO\u2028WEBHOOKS_ALLOW_LOOPBACK=false", "log_level"),
    ("# a comment\n\nLOG_LEVEL='INFO'", None),
]


@pytest.mark.parametrize(("line", "code"), COMPOSE)
def test_a_file_is_read_as_compose_reads_it(
    tmp_path: Path, settings: dict[str, dict[str, Setting]], line: str, code: str | None
) -> None:
    """Quotes, comments and `export` are no part of a value, only a line feed ends a line, and names are read in any case."""
    spoilt = made(Profile.PRODUCTION)
    service = "rewards" if "STELLAR" in line else "webhooks"
    spoilt.environments[service].pop("STELLAR_NETWORK_PASSPHRASE", None)
    folder = sound.write(tmp_path / "configuration", spoilt.environments, spoilt.files)
    with (folder / f"{service}.env").open("a") as file:
        file.write(f"{line}\n")
    subject = Subject(configuration=from_folder(folder), profile=Profile.PRODUCTION, now=sound.now())
    found = [one for rule in RULES if rule is not rules_of_settings.wrong for one in rule(subject)]
    assert {one.code for one in found} == ({code} if code else set())


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("LOG_LEVEL", "is no setting"),
        ("LOG LEVEL=INFO", "is no setting"),
        ('LOG_LEVEL="INFO', "is no setting"),
        ("TRUST_FILE=/other", "sets TRUST_FILE again"),
        ("trust_file=/other", "TRUST_FILE is set twice"),
        ("LOG_LEVEL=$LEVEL", "Compose replaces what follows \\$ in LOG_LEVEL"),
    ],
)
def test_a_line_that_compose_reads_otherwise_is_refused(tmp_path: Path, line: str, sentence: str) -> None:
    """What cannot be read, or is set twice, or depends on the shell, is named with its line."""
    folder = sound.write(tmp_path / "configuration", sound.environments(Profile.PRODUCTION), {})
    with (folder / "signer.env").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(DevstackError, match=sentence):
        from_folder(folder)


def test_a_variable_of_the_process_does_not_reach_the_check(settings: dict[str, dict[str, Setting]]) -> None:
    """A configuration cannot choose the code that runs where it is checked."""
    spoilt = made(Profile.PRODUCTION)
    spoilt.set("signer", PYTHONHOME="/nowhere", LD_PRELOAD="/nowhere")
    one = ServiceConfiguration(
        service="signer",
        environment=spoilt.environments["signer"],
        settings=settings["signer"],
    )
    assert wrong_settings(one) == []


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    """A sound folder ends with 0; a spoilt one with 1, the sentence, its link, and the sum."""
    folder = sound.write(
        tmp_path / "configuration",
        sound.environments(Profile.PRODUCTION),
        sound.public_files(now=sound.now()),
    )
    arguments = ["--profile", "production", "--folder", str(folder), "--only", "configuration"]
    done = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert (done.return_value, done.output) == (
        0,
        (
            "Ready for production: no error, 0 warnings. Checked: configuration. Not looked at: kafka, databases, workloads, "
            "network policies, ingress, database clusters and their backups, Kafka's brokers as ordered.\n"
        ),
    )
    (folder / "rails.yaml").write_text("rails: [{name: free, provider: fake}]")
    done = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert done.return_value == 1
    assert "The rail free is a stand-in, which says paid and pays nobody: take it out." in done.output
    assert "docs/go-live.md#fake_rail" in done.output
    assert "Not ready for production: 1 errors, 0 warnings. Checked: configuration." in done.output


def test_the_findings_can_be_read_by_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    """Each finding is an object with its code, severity, place, sentence and link; the profile stands beside them."""
    found = Finding(code="log_level", place="signer", sentence="LOG_LEVEL is DEBUG.")
    report([found], profile="production", areas=("configuration",), left_out=("kafka",), as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "profile": "production",
        "findings": [
            {
                "code": "log_level",
                "severity": "warning",
                "place": "signer",
                "sentence": "LOG_LEVEL is DEBUG.",
                "link": "docs/go-live.md#log_level",
            }
        ],
        "not_looked_at": ["kafka"],
    }
