"""Settings and public files, checked by the service that reads them."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from prizewire_devstack.components.processes import base_environment
from prizewire_devstack.doctor.configuration import FILE, UNREAD, ServiceConfiguration
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.home import write_private

CHECK_TIMEOUT_S = 300.0
"""Longer than a busy machine takes to load a service."""
_STAND_IN = "stand-in"


def wrong_settings(one: ServiceConfiguration) -> list[str]:
    """A sentence for each setting and each public file that the service refuses; those that are missing are left out.

    The service's own command checks them. Secrets are not read: a stand-in takes the place of each. Variables that are no
    settings are not given to it: they could change what runs on this machine.

    Raises:
        DevstackError: the command did not end in time.
    """
    given = {
        name: value
        for name, value in one.environment.items()
        if value and (one.knows(name) or one.knows(name.removesuffix(FILE)))
    }
    with tempfile.TemporaryDirectory(prefix="prizewire-doctor-") as directory:
        secret = Path(directory) / "secret"
        write_private(secret, _STAND_IN)
        copies = _copied(one.files, Path(directory) / "files")
        for name, setting in one.settings.items():
            if not setting.secret:
                if given.pop(f"{name}{FILE}", None) and (text := one.value(name)) not in ("", UNREAD):
                    given[name] = text
                value = one.value(name)
                if value in copies:
                    given[name] = copies[value]
                continue
            plain = name.removesuffix(FILE)
            given.pop(plain, None)
            given[f"{plain}{FILE}"] = str(secret)
        command = (sys.executable, "-m", f"prizewire_{one.service}", "settings", "--check", "--present-only")
        try:
            done = subprocess.run(  # noqa: S603 - our own module, without a shell
                command,
                cwd=directory,
                env={**base_environment(), **given},
                capture_output=True,
                text=True,
                check=False,
                timeout=CHECK_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            raise DevstackError(
                f"{one.service} did not check its settings within {CHECK_TIMEOUT_S:g} s: run the command again when the machine has less "
                "to do."
            ) from None
    if done.returncode == 0:
        return []
    begin = f"{one.service}: "
    missing = {name for name, setting in one.settings.items() if setting.required and name not in given}
    refused = [
        line.removeprefix(begin)
        for line in done.stderr.splitlines()
        if not any(f"the setting {name} " in line for name in missing)
    ]
    return [f"{text[:1].upper()}{text[1:].rstrip('.')}." for text in refused]


def _copied(files: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The paths of copies of public files, by the paths that settings name. Each copy has the name of its file."""
    copies: dict[str, str] = {}
    for number, (path, text) in enumerate(files.items()):
        copy = folder / str(number) / Path(path).name
        copy.parent.mkdir(parents=True)
        copy.write_text(text)
        copies[path] = str(copy)
    return copies
