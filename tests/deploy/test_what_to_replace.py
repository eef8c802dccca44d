"""docs/deploy.md: the table of what an installation must replace, and the command that finds it, say the same."""

import re
import subprocess

import pytest

from tests.deploy.rendering import ROOT

SECTION = "### What to replace\n"
ROW = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \| .+ \|$", re.MULTILINE)
NOT_IN_STAGING = {
    ("deploy/k8s/overlays/staging/kms.yaml", "192.0.2.10/32"),
    ("deploy/k8s/overlays/staging/env/payouts.env", "REPLACE_ME_RPC_ONE"),
    ("deploy/k8s/overlays/staging/env/signer.env", "REPLACE_ME_OPENBAO"),
}
"""Staging has its keys in memory, and the RPC of the test network."""


def section() -> str:
    text = (ROOT / "docs" / "deploy.md").read_text()
    return text.partition(SECTION)[2].partition("\n### ")[0]


def rows(overlay: str) -> set[tuple[str, str]]:
    """File and value of each row of the table."""
    found = {
        (file.replace("production", overlay), value.replace("production", overlay))
        for file, value in ROW.findall(section())
    }
    return found - NOT_IN_STAGING if overlay == "staging" else found


def places(overlay: str) -> set[tuple[str, str]]:
    """File and line of each place that the command prints."""
    [command] = re.findall(r"```sh\n(.*?)```", section(), re.DOTALL)
    done = subprocess.run(
        ("/bin/bash", "-c", command.replace("overlay=production", f"overlay={overlay}")),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = (line.split(":", 2) for line in done.stdout.splitlines())
    return {(file, text) for file, _, text in lines}


@pytest.mark.parametrize("overlay", ["staging", "production"])
def test_the_command_finds_what_the_table_names(overlay: str) -> None:
    """Every row is a place that the command prints."""
    found = places(overlay)
    assert len(rows(overlay)) > 15
    assert [
        row
        for row in sorted(rows(overlay))
        if not any(row[0] == file and row[1] in text for file, text in found)
    ] == []


@pytest.mark.parametrize("overlay", ["staging", "production"])
def test_the_table_names_what_the_command_finds(overlay: str) -> None:
    """Every printed place has a row."""
    named = rows(overlay)
    assert [
        place
        for place in sorted(places(overlay))
        if not any(place[0] == file and value in place[1] for file, value in named)
    ] == []


@pytest.mark.parametrize("overlay", ["staging", "production"])
@pytest.mark.parametrize(
    "pattern",
    [
        r'"keys": \[\]',
        r"^JWT_ISSUER=",
        r"^HTTP_TRUSTED_PROXIES=",
        r"name: prizewire/[a-z]+,",
        r"/spec/(rules/0/host|tls/0/hosts/0|provider/vault/server|egress/0/to|configuration/destinationPath)",
        r"ipBlock",
    ],
)
def test_what_differs_between_installations_is_marked(overlay: str, pattern: str) -> None:
    """Lines whose value no installation can take over have a marker that the command finds."""
    found = places(overlay)
    files = [
        path
        for path in (ROOT / "deploy").rglob("*")
        if path.is_file() and (overlay in path.parts or path.parent.name == f"images-{overlay}")
    ]
    lines = {
        (str(path.relative_to(ROOT)), line)
        for path in files
        for line in path.read_text().splitlines()
        if re.search(pattern, line)
    }
    assert lines
    assert sorted(lines - found) == []
