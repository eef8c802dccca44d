"""The kubectl commands of the runbooks run against the manifests of production."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prizewire_devstack.monitoring.runbooks import Command, load
from tests.deploy.rendering import DEPLOY, KUBECTL, STEPS, render
from tests.runbooks.cluster import served

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {one.text: one for page in load(ROOT) for one in page.commands if one.text.startswith("kubectl ")}
OWN_SERVICES = ("settlement", "rewards", "payouts", "webhooks")
MADE_BY_OPERATORS = ("pods", "backups")
"""Kinds that no manifest has: they are there once the cluster runs."""

Kubectl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """A kubectl with a cluster that has what the production overlays apply."""
    directory = tmp_path_factory.mktemp("cluster")
    manifests = [one for step in STEPS for one in render(DEPLOY / step / "overlays" / "production")]
    with served(manifests, directory) as config:

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                (str(KUBECTL), *arguments),
                env={"KUBECONFIG": str(config), "HOME": str(directory), "PATH": "/usr/bin:/bin"},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )

        yield run


def _run_each(kubectl: Kubectl, command: Command) -> list[str]:
    """Run a command for each service that it may name; return its errors."""
    services = OWN_SERVICES if "SERVICE" in command.places else ("",)
    failed = []
    for service in services:
        done = kubectl(*command.arguments({"SERVICE": service})[1:])
        if done.returncode:
            failed.append(f"{command.page}: {command.text}: {done.stderr.strip()}")
    return failed


def test_every_command_finds_what_it_names(kubectl: Kubectl) -> None:
    """Each kubectl command of each page ends with 0; one that lists objects of the manifests finds some."""
    assert len(COMMANDS) > 20
    failed = []
    for command in COMMANDS.values():
        failed += _run_each(kubectl, command)
        words = command.text.split()
        if words[1] == "get" and words[2] not in MADE_BY_OPERATORS:
            done = kubectl(*words[1:])
            if not done.stdout.strip():
                failed.append(f"{command.page}: {command.text} lists nothing")
    assert failed == []


@pytest.mark.parametrize(
    "words",
    [
        "rollout restart -n prizewire deployment/reward",
        "logs -n prizewire deployment/signer",
        "get kafkatopic -n prizewire-kafkas other",
        "get nothings -n prizewire",
        "scale -n prizewire deployment/payouts --replica=2",
    ],
    ids=["misspelt service", "wrong namespace", "no such object", "no such kind", "no such option"],
)
def test_a_wrong_command_fails(kubectl: Kubectl, words: str) -> None:
    """A misspelt name, namespace, kind or option is found."""
    assert kubectl(*words.split()).returncode != 0
