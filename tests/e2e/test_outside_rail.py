"""A rail outside the tree, with a method type of its own: installed, configured, paid over, and held to the suite.

The package is examples/outside-rail, which docs/adding-a-rail.md describes. No part of Prizewire names it.
"""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest
import yaml

from prizewire_devstack.stack import RunningStack
from prizewire_devstack.waiting import eventually_sync
from tests.crowd import Crowd

pytestmark = [pytest.mark.local_processes, pytest.mark.long]

EXAMPLE: Final = "examples/outside-rail"
HOOK: Final = "/api/payments/webhook/acme"
DEADLINE_S: Final = 600
READERS: Final = ("payouts", "webhooks")
"""The services that load the package."""


@dataclass
class Installed:
    """The package, built from a copy and installed into a folder that no other test sees."""

    source: Path
    target: Path


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, full_stack: RunningStack) -> Installed:
    """The wheel of a copy of the example, installed without any index."""
    folder = tmp_path_factory.mktemp("outside")
    found = Installed(source=folder / "acme-rail", target=folder / "installed")
    shutil.copytree(full_stack.root / EXAMPLE, found.source)
    subprocess.run(
        (
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"),
            *("--no-deps", "--no-build-isolation", "--target", found.target, found.source),
        ),
        check=True,
        timeout=DEADLINE_S,
    )
    return found


@pytest.fixture
def vendor(
    installed: Installed, monkeypatch: pytest.MonkeyPatch, full_stack: RunningStack, tmp_path: Path
) -> Iterator[object]:
    """The vendor's stand-in, with payouts and webhooks configured for it."""
    monkeypatch.syspath_prepend(str(installed.target))
    stand_in = __import__("acme_rail.stand_in", fromlist=["Acme"])
    files = {name: tmp_path / name for name in ("api-key", "webhook-secret")}
    for file in files.values():
        file.write_text(secrets.token_hex())
        file.chmod(0o600)
    made = stand_in.Acme(
        api_key=files["api-key"].read_text(), webhook_secret=files["webhook-secret"].read_text()
    )
    with made.serve():
        configured = yaml.safe_load(full_stack.home.rails_file.read_text())
        configured["rails"].append(
            {
                "name": "acme",
                "provider": "acme",
                "base_url": made.url,
                "api_key": {"file": str(files["api-key"])},
                "assets": ["USDC"],
                "webhook": {"secret_files": [str(files["webhook-secret"])]},
            }
        )
        rails_file = tmp_path / "rails.yaml"
        rails_file.write_text(yaml.safe_dump(configured))
        settings = {"RAILS_FILE": str(rails_file), "PYTHONPATH": str(installed.target)}
        for service in READERS:
            full_stack.stop(service)
            full_stack.start_with(service, settings)
        yield made
        for service in READERS:
            full_stack.stop(service)
            full_stack.start_with(service, {})


def states(stack: RunningStack) -> list[str]:
    query = "SELECT state || ':' || coalesce(rail, '') FROM payouts WHERE player LIKE 'outside-%'"
    return stack.postgres.run_sql(query, database="payouts").split()


def test_prizes_are_paid_over_a_rail_that_nothing_names(full_stack: RunningStack, vendor) -> None:
    """Three winners register cards of a method type that the package brings; a match result pays each card once, although the
    vendor's first answers are lost, and the vendor's webhooks are accepted.
    """
    crowd = Crowd(full_stack, "outside", 6, delivery="direct")
    crowd.set_up()
    match_id, players = crowd.match(0)
    for number, player in enumerate(players):
        with crowd.api("player", subject=player) as api:
            answer = api.post(
                "/api/payout-methods",
                {"type": "acme_card", "details": {"card": f"AC{number:010}"}, "default": True},
                key=f"outside:{player}",
            )
            assert answer["destination"] == f"AC…{number:03}"
    vendor.behaviour = "lost_answer"
    crowd.publish(crowd.result(match_id, players))

    def reached() -> bool:
        assert len(vendor.effects) == 3, states(full_stack)
        return True

    eventually_sync(reached, deadline_s=DEADLINE_S)
    vendor.behaviour = "success"
    eventually_sync(lambda: states(full_stack) == ["paid:acme"] * 3, deadline_s=DEADLINE_S)
    assert len(vendor.effects) == len(set(vendor.effects)) == 3
    for sent in vendor.webhooks:
        answer = httpx.post(
            f"{full_stack.url}{HOOK}", content=sent.body, headers=sent.headers, trust_env=False, timeout=600
        )
        assert answer.status_code == 200, answer.text
    forged = httpx.post(
        f"{full_stack.url}{HOOK}",
        content=vendor.webhooks[0].body + b" ",
        headers=vendor.webhooks[0].headers,
        trust_env=False,
        timeout=600,
    )
    assert forged.status_code == 401


def test_the_rail_passes_the_suite_where_it_is_installed(installed: Installed) -> None:
    """The package's own tests inherit the suite, and pass outside of the repository."""
    done = subprocess.run(
        (
            *(sys.executable, "-m", "pytest", "-q", "-c", str(installed.source / "pyproject.toml")),
            *("-p", "no:cacheprovider", "--rootdir", str(installed.source), str(installed.source / "tests")),
        ),
        env={**os.environ, "PYTHONPATH": str(installed.target)},
        cwd=installed.source,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
