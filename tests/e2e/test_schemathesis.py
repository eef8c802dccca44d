"""Schemathesis tries every operation of every OpenAPI document against the running stack.

Each service must answer as its document says: statuses, media types, members, headers, refusal of what the document
does not allow, acceptance of what it does, ``Allow``, and no 5xx.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prizewire_devstack.api import Api
from prizewire_devstack.stack import RunningStack
from prizewire_devstack.verification import verify

HERE = Path(__file__).parent / "schemathesis"
ROLES = ("player", "organizer", "operator", "approver", "admin")
SUMMARY = re.compile(r"^=+ SUMMARY =+$.*", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def stack(full_stack: RunningStack) -> Iterator[RunningStack]:
    """The running stack; pauses are lifted afterwards, since other tests pay."""
    yield full_stack
    with Api(base_url=full_stack.url, token=full_stack.token(*ROLES, subject="fuzz")) as api:
        for pause in api.get("/api/admin/payouts/pauses")["items"]:
            api.delete(f"/api/admin/payouts/pauses/{pause['id']}")


def run(stack: RunningStack, service: str, *, directory: Path) -> subprocess.CompletedProcess[str]:
    """Schemathesis over one service's document, through the gateway, with every role."""
    token = stack.token(*ROLES, subject="fuzz")
    return subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"),
            "--config-file", str(HERE / "schemathesis.toml"),
            "run", f"{stack.url}/api/services/{service}/schema",
            "--url", stack.url,
            "--header", f"Authorization: Bearer {token}",
            "--checks", "all",
            "--phases", "examples,coverage",
            "--generation-deterministic",
            "--continue-on-failure",
            "--no-color",
        ],
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py")},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize("service", ["webhooks", "settlement", "payouts", "rewards"])
def test_a_service_answers_as_documented(stack: RunningStack, service: str, tmp_path: Path) -> None:
    """Examples and systematic coverage of every operation, valid and invalid; the summary is printed."""
    done = run(stack, service, directory=tmp_path)
    summary = SUMMARY.search(done.stdout)
    print(service, summary.group() if summary else done.stdout + done.stderr)  # noqa: T201 - what was tried is to be read
    assert done.returncode == 0, done.stdout[-20_000:]


def test_every_invariant_holds_afterwards(stack: RunningStack) -> None:
    """After thousands of generated requests every check holds."""
    with Api(base_url=stack.url, token=stack.token("admin", "operator")) as api:
        found = verify(api, signer_url=stack.service_url("signer"))
    assert (found.silent, found.broken) == ((), ())
