"""Keys as `prizewire provision keys` makes them pass `prizewire doctor`, and have successors."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from prizewire_contracts.trust import TrustStore
from prizewire_devstack.cli.doctor import command
from prizewire_devstack.cli.main import group
from prizewire_devstack.doctor.findings import Profile
from tools.devstack.tests.doctor import sound

PLACES = ("--postgres", "db:5432", "--kafka", "kafka:9092", "--gateway", "http://gateway:8080")


def provisioned(directory: Path, *options: str) -> Path:
    """The folder of the public files that the command wrote."""
    arguments = ("provision", "keys", "--directory", str(directory), *PLACES, *options)
    assert group.main(arguments, standalone_mode=False) is None
    return directory / "public"


def entries(public: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((public / "trust.json").read_text())["keys"]
    return found


def validity(entry: dict[str, Any]) -> timedelta:
    return datetime.fromisoformat(entry["not_after"]) - datetime.fromisoformat(entry["not_before"])


def test_the_doctor_accepts_keys_as_they_are_made(tmp_path: Path) -> None:
    """trust.json and player-sources.yaml without any option have no finding in production."""
    public = provisioned(tmp_path / "made")
    environments = sound.environments(Profile.PRODUCTION)
    environments["rewards"]["PLAYER_SOURCES_FILE"] = f"{sound.PUBLIC}/player-sources.yaml"
    files = sound.public_files(now=sound.now())
    files |= {name: (public / name).read_text() for name in ("trust.json", "player-sources.yaml")}
    folder = sound.write(tmp_path / "configuration", environments, files)
    asked = ("--profile", "production", "--folder", str(folder), "--only", "configuration", "--json")
    done = CliRunner().invoke(command, asked)
    findings = json.loads(done.stdout)["findings"]
    assert [one for one in findings if one["code"] in {"key_age", "trust", "key_uses"}] == []


@pytest.mark.parametrize("days", [30, 3650])
def test_the_validity_can_be_chosen(tmp_path: Path, days: int) -> None:
    """Each key is valid for the named days from now on, and from a day before, as clocks differ."""
    public = provisioned(tmp_path, "--valid-days", str(days))
    assert {validity(one) for one in entries(public)} == {timedelta(days=days + 1)}


def test_a_successor_is_trusted_beside_its_predecessor(tmp_path: Path) -> None:
    """Two keys of one id are refused, so that the successor of a key has a number of its own."""
    first = entries(provisioned(tmp_path / "first"))
    same = entries(provisioned(tmp_path / "same"))
    second = entries(provisioned(tmp_path / "second", "--number", "2"))
    with pytest.raises(ValueError, match="twice"):
        TrustStore.from_json(json.dumps({"keys": [*first, *same]}))
    TrustStore.from_json(json.dumps({"keys": [*first, *second]}))
    assert {one["keyid"] for one in second} == {f"{one['service']}-2" for one in second}
