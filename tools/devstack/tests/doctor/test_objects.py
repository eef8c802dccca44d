"""`prizewire doctor` over Kubernetes objects: nothing is found in sound ones, and each mistake has its code."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from prizewire_devstack.cli.doctor import command
from prizewire_devstack.doctor.configuration import Subject
from prizewire_devstack.doctor.findings import Finding, Profile
from prizewire_devstack.doctor.rules import network, workloads
from prizewire_devstack.doctor.rules import settings as rules_of_settings
from prizewire_devstack.doctor.sources import from_objects
from prizewire_devstack.errors import DevstackError
from tools.devstack.tests.doctor import sound
from tools.devstack.tests.doctor.mistakes_in_objects import (
    INTERNET,
    OBJECT_SPOILERS,
    Objects,
    Spoil,
    container,
    objects,
    way,
)

CODES_OF_FILES = {"file_missing", "file_not_checked"}


def judged(given: Objects, *, profile: Profile = Profile.PRODUCTION) -> list[Finding]:
    """What is found in the objects: in workloads, policies and files, not in settings."""
    text = yaml.safe_dump_all(given.values())
    subject = Subject(configuration=from_objects(text, name="test"), profile=profile, now=sound.now())
    found = [one for rule in (*workloads.RULES, *network.RULES) for one in rule(subject)]
    of_settings = [
        one
        for rule in rules_of_settings.RULES
        if rule is not rules_of_settings.wrong
        for one in rule(subject)
    ]
    return found + [one for one in of_settings if one.code in CODES_OF_FILES]


def test_nothing_is_found_in_sound_objects() -> None:
    """Objects in which nothing has to be changed have no finding."""
    assert judged(objects()) == []


@pytest.mark.parametrize(("code", "part", "spoil"), OBJECT_SPOILERS)
def test_a_mistake_in_objects_is_found(code: str, part: str, spoil: Spoil) -> None:
    """Each mistake in sound objects is found under its code, in a sentence that names it."""
    given = objects()
    spoil(given)
    sentences = [one.sentence for one in judged(given) if one.code == code]
    assert any(part in sentence for sentence in sentences), sentences


def test_staging_may_have_an_image_by_its_release() -> None:
    """A tag with a release is enough for staging; `latest` is not."""
    given = objects()
    container(image="registry.prizes.internal/prizewire/signer:0.1.0")(given)
    assert judged(given, profile=Profile.STAGING) == []
    container(image="registry.prizes.internal/prizewire/signer:latest")(given)
    assert [one.code for one in judged(given, profile=Profile.STAGING)] == ["image"]


def test_a_service_but_the_signer_may_reach_public_addresses_by_https() -> None:
    """Payouts pays over the internet; the signer has no way there."""
    given = objects()
    given["Deployment"]["spec"]["template"]["metadata"]["labels"] = {"app.kubernetes.io/name": "payouts"}
    way("egress", INTERNET)(given)
    assert not [one for one in judged(given) if one.code == "network_open"]


def test_two_deployments_of_a_service_are_refused() -> None:
    """Only one of them would be judged."""
    given = objects()
    given["other"] = {**given["Deployment"], "metadata": {"name": "other", "namespace": "own"}}
    with pytest.raises(DevstackError, match="two Deployments of signer"):
        judged(given)


def test_objects_that_kubernetes_would_refuse_are_a_sentence(tmp_path: Path) -> None:
    """A Deployment without pods is no reason for a traceback."""
    file = tmp_path / "objects.yaml"
    file.write_text("kind: Deployment\nspec: {}\n")
    arguments = ["--profile", "production", "--only", "configuration", "--manifests", str(file)]
    with pytest.raises(DevstackError, match="Kubernetes would refuse"):
        CliRunner().invoke(command, arguments, standalone_mode=False, catch_exceptions=False)
