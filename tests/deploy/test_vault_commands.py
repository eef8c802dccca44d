"""The commands of docs/deploy.md that fill OpenBao or Vault, run against a real OpenBao: what is there stays."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from prizewire_devstack.components.processes import Supervisor, base_environment
from services.signer.tests import openbao
from tests.repo.house import Repository

STORE: Final = "prizewire-production"
COMMANDS: Final = re.compile(r"^```sh\n(prizewire provision keys .*?)^```$", re.MULTILINE | re.DOTALL)
ROWS: Final = re.compile(r"^\| `(\w+/[\w-]+)` \| (`[^|]+`) \|", re.MULTILINE)
BY_HAND: Final = {"channel_signer_secrets", "openbao_token", "payout_hot_signer_secret"}
"""Fields of the signer that the commands do not write; neither do they write the backups' logins."""
SHIM: Final = """#!/bin/sh
printf '%s\\n' "$@" >>"$ARGUMENTS"
exec "$BAO" "$@"
"""
"""Stands for `bao`, and writes the arguments down that every user of a machine can read."""


@dataclass
class Machine:
    """The operator's machine, with a store of its own."""

    commands: str
    folder: Path
    server: openbao.Bao
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def trust(self) -> Path:
        """The file of the overlay."""
        return self.folder / "deploy/k8s/overlays/production/public/trust.json"

    @property
    def arguments(self) -> Path:
        """All arguments that `bao` was called with."""
        return self.folder / "arguments"

    def run(self, more: str = "", *, token: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run the commands of the document, then more."""
        return subprocess.run(
            ("sh", "-c", self.commands + more),
            cwd=self.folder,
            env={**self.environment, "BAO_TOKEN": token or self.server.root.token},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def stored(self) -> dict[str, dict[str, str]]:
        """The fields of every secret."""
        return {path: self._read(path)["data"] for path in self._paths()}

    def versions(self) -> dict[str, int]:
        """How often each secret was written."""
        return {path: self._read(path)["metadata"]["version"] for path in self._paths()}

    def _paths(self, folder: str = "") -> Iterator[str]:
        listed = self.server.root.secrets.kv.v2.list_secrets(path=folder, mount_point=STORE)
        for name in listed["data"]["keys"]:
            if name.endswith("/"):
                yield from self._paths(folder + name)
            else:
                yield folder + name

    def _read(self, path: str) -> dict[str, Any]:
        read = self.server.root.secrets.kv.v2.read_secret_version
        found: dict[str, Any] = read(path, mount_point=STORE, raise_on_deleted_version=True)["data"]
        return found


@pytest.fixture(scope="module")
def filled(
    repository: Repository, devstack_supervisor: Supervisor, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """A store that had a field of the signer, after the commands ran once."""
    [commands] = COMMANDS.findall((repository.root / "docs/deploy.md").read_text())
    folder = tmp_path_factory.mktemp("filled")
    programs = folder / "bin"
    programs.mkdir()
    shim = programs / "bao"
    shim.write_text(SHIM)
    shim.chmod(0o755)
    with openbao.started(devstack_supervisor, folder) as server:
        server.root.sys.enable_secrets_engine("kv", path=STORE, options={"version": "2"})
        store = server.root.secrets.kv.v2
        store.create_or_update_secret(
            "services/signer", secret={"openbao_token": "s.token"}, mount_point=STORE
        )
        made = Machine(commands, folder, server)
        made.environment = {
            **base_environment(),
            "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "BAO_ADDR": server.url,
            "BAO": str(openbao.BINARY),
            "ARGUMENTS": str(made.arguments),
        }
        made.trust.parent.mkdir(parents=True)
        done = made.run()
        assert done.returncode == 0, done.stderr
        yield made


def test_every_secret_of_the_table_is_written(filled: Machine, repository: Repository) -> None:
    """Each has its fields, beside one that was there first. No value is an argument, which every user of a machine can read."""
    listed = ROWS.findall((repository.root / "docs/deploy.md").read_text())
    wanted = {
        path: set(re.findall(r"`(\w+)`", fields)) - BY_HAND
        for path, fields in listed
        if not path.startswith("backup/")
    }
    wanted["services/signer"].add("openbao_token")
    stored = filled.stored()
    assert {path: set(fields) for path, fields in stored.items()} == wanted
    assert all(re.fullmatch("[0-9a-f]{48}", one["password"]) for one in stored.values() if "password" in one)
    assert stored["services/signer"]["openbao_token"] == "s.token"
    arguments = filled.arguments.read_text()
    assert "password=-" in arguments
    values = [value.strip() for fields in stored.values() for value in fields.values()]
    assert [value for value in values if value in arguments] == []


def test_a_further_run_adds_what_is_missing_and_changes_nothing(filled: Machine) -> None:
    """Repeated with keys that were made again, as after the folder was removed, the commands change no secret but one that was lost,
    and keep the `trust.json` that fits the keys.
    """
    stored, versions, trust = filled.stored(), filled.versions(), filled.trust.read_text()
    shutil.rmtree(filled.folder / "keys")
    filled.server.root.secrets.kv.v2.delete_metadata_and_all_versions("kafka/rewards", mount_point=STORE)
    further = filled.run()
    assert further.returncode == 0, further.stderr
    assert "trust.json stays as it is" in further.stderr
    after = filled.stored()
    assert after.pop("kafka/rewards") != stored.pop("kafka/rewards")
    assert (after, filled.versions()) == (stored, versions)
    assert filled.trust.read_text() == trust
    assert trust != (filled.folder / "keys/public/trust.json").read_text()


def test_a_refused_look_up_writes_nothing(filled: Machine) -> None:
    """Where the store does not say whether a secret is there, none is written."""
    versions = filled.versions()
    filled.arguments.unlink()
    policy = f'path "{STORE}/data/*" {{ capabilities = ["create", "update", "patch"] }}'
    refused = filled.run(token=filled.server.token(policy))
    assert "permission denied" in refused.stderr
    assert filled.versions() == versions
    arguments = filled.arguments.read_text()
    assert "get" in arguments
    assert not {"put", "patch"} & set(arguments.split())
