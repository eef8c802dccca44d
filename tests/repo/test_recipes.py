"""The recipes that people and machines run: Makefile, .ci/run, generated files."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.repo.house import Repository

TARGETS = {
    "help",
    "demo",
    "test",
    "check",
    "lint",
    "format",
    "lock",
    "bench",
    "docs",
    "schemas",
    "images",
    "clean",
}


def test_help_names_every_target(repository: Repository) -> None:
    """`make help`, the default target, shows every target that a person would run."""
    text = (repository.root / "Makefile").read_text()
    assert set(re.findall(r"^([a-z]+):.*## ", text, re.MULTILINE)) == TARGETS
    assert re.search(r"^\.DEFAULT_GOAL := help$", text, re.MULTILINE)


def test_ci_is_a_script_that_stops_at_the_first_failure(repository: Repository) -> None:
    """.ci/run may be executed, parses, and never goes on past a failed command."""
    script = repository.root / ".ci/run"
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text()
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


def test_env_example_is_generated_from_the_settings(repository: Repository) -> None:
    """.env.example is what the services' settings print."""
    printed = subprocess.run(
        [Path(sys.executable).parent / "prizewire", "env-example"],
        cwd=repository.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert printed.returncode == 0, printed.stderr[-500:]
    example = repository.root / ".env.example"
    assert example.is_file(), "run make schemas"
    assert example.read_text() == printed.stdout


def test_env_example_keeps_the_names_operators_know(repository: Repository) -> None:
    """Every environment name of earlier systems is there, with its known default."""
    example = repository.root / ".env.example"
    text = example.read_text() if example.is_file() else ""
    values = dict(re.findall(r"^#?\s*([A-Z][A-Z0-9_]+)=(.*)$", text, re.MULTILINE))
    known_defaults = {
        "PLATFORM_FEE_PERCENTAGE": "10",
        "ORGANIZER_FEE_PERCENTAGE": "5",
        "PAYOUTS_MAX_GAS_STROOPS": "2000000",
        "PAYOUTS_MAX_ATTEMPTS": "5",
        "PAYOUTS_CONFIRM_POLL_MS": "2500",
        "PAYOUTS_CONFIRM_MAX_POLLS": "20",
        "PAYOUT_METHOD_NAME": "distribute_winnings",
    }
    names = {
        *known_defaults,
        "DATABASE_URL",
        "FRONTEND_URL",
        "PAYMENT_PROVIDER",
        "PAYOUTS_LIVE_EXECUTION",
        "PAYOUTS_SIGN_WITH_HOT_KEY",
        "PAYOUT_CONTRACT_ID",
        "PAYOUT_HOT_SIGNER_SECRET_FILE",
        "PAYOUT_SOURCE_ACCOUNT",
        "SOROBAN_RPC_URL",
        "STELLAR_NETWORK_PASSPHRASE",
        "STRIPE_PUBLISHABLE_KEY",
        "STRIPE_SECRET_KEY",
        "STRIPE_WEBHOOK_SECRET",
    }
    assert sorted(names - values.keys()) == []
    assert {name: values[name].strip() for name in known_defaults} == known_defaults
