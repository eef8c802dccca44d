"""The commands of docs/deploy.md for the signer's keys, on a real OpenBao."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from stellar_sdk import StrKey

from prizewire_devstack.home import repository_root, write_private
from prizewire_signer.adapters.backends.openbao import TransitServer, open_transit, parse_keys
from services.signer.tests.conformance import HASH
from services.signer.tests.openbao import BINARY, MOUNT, Bao

STORE = "prizewire-production"
HEADING = "The signer's keys in OpenBao or Vault"
KEYS = ("treasury", "channel-1", "channel-2", "channel-3", "channel-4")


def documented() -> list[str]:
    """The blocks of shell commands under the heading."""
    text = (repository_root() / "docs" / "deploy.md").read_text()
    part = text.partition(f"\n### {HEADING}\n")[2].partition("\n### ")[0]
    found: list[str] = re.findall(r"```sh\n(.*?)```", part, re.DOTALL)
    return found


def run(commands: str, *, bao: Bao, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run shell commands against the server, as its operator."""
    programs = (BINARY.parent, Path(sys.executable).parent, "/usr/bin", "/bin")
    return subprocess.run(
        ("/bin/bash", "-euo", "pipefail", "-c", commands),
        cwd=directory,
        env={
            "BAO_ADDR": bao.url,
            "BAO_TOKEN": bao.root.token,
            "HOME": str(directory),
            "PATH": os.pathsep.join(map(str, programs)),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def printed(commands: str, *, bao: Bao, directory: Path) -> str:
    done = run(commands, bao=bao, directory=directory)
    assert done.returncode == 0, done.stderr
    return done.stdout


def names(directory: Path) -> list[str]:
    return [one.name for one in directory.iterdir()]


@pytest.mark.parametrize(
    ("commands", "sentence"),
    [
        ("bao read -format=json transit/keys/rsa | prizewire provision account", "of type rsa-2048"),
        (
            "bao read -format=json transit/keys/treasury | prizewire provision account --version 2",
            "no version 2",
        ),
        ("bao read transit/keys/treasury | prizewire provision account", "no key of the transit engine"),
    ],
)
def test_what_is_no_account_is_refused(bao: Bao, tmp_path: Path, commands: str, sentence: str) -> None:
    """A key of another type, a version that does not exist and another text give a sentence, and no account."""
    done = run(commands, bao=bao, directory=tmp_path)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert done.stdout == ""


async def test_the_commands_make_what_the_signer_needs(bao: Bao, tmp_path: Path) -> None:
    """With the stored token the signer has the keys, and signs for the printed accounts. The stored message key stays."""
    bao.root.sys.disable_secrets_engine(MOUNT)
    bao.root.sys.enable_secrets_engine("kv", path=STORE, options={"version": "2"})
    kv = bao.root.secrets.kv.v2
    kv.create_or_update_secret("services/signer", secret={"message_key": "stays"}, mount_point=STORE)
    make, show, renew = documented()
    accessor = printed(make, bao=bao, directory=tmp_path).split()[-1]
    shown = printed(show, bao=bao, directory=tmp_path)
    renewed = printed(f"accessor={accessor}\n{renew}", bao=bao, directory=tmp_path)
    answer = kv.read_secret_version("services/signer", mount_point=STORE, raise_on_deleted_version=True)
    stored = answer["data"]["data"]
    write_private(tmp_path / "token", stored.pop("openbao_token"))
    server = TransitServer(url=bao.url, mount=MOUNT, token_file=tmp_path / "token")
    keys = await open_transit(server, parse_keys(",".join(KEYS)))
    for key in keys.public_keys():
        await keys.sign(key, HASH)
    accounts = dict(line.split() for line in shown.splitlines())
    assert stored == {"message_key": "stays"}
    assert re.search(r"token_duration +72h", renewed)
    assert names(tmp_path) == ["token"]
    assert tuple(accounts) == KEYS
    assert set(accounts.values()) == {StrKey.encode_ed25519_public_key(key) for key in keys.public_keys()}
