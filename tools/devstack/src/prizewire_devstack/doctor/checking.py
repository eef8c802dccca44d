"""Settings, checked by the service that reads them."""

import subprocess
import sys
import tempfile
from pathlib import Path

from prizewire_devstack.components.processes import base_environment
from prizewire_devstack.doctor.configuration import FILE, ServiceConfiguration
from prizewire_devstack.home import write_private

CHECK_TIMEOUT_S = 60.0
_STAND_IN = "stand-in"


def wrong_settings(one: ServiceConfiguration) -> list[str]:
    """A sentence for each setting that the service refuses; settings that are missing are left out.

    The service's own command checks them. Secrets are not read: a stand-in takes the place of each.
    """
    given = {name: value for name, value in one.environment.items() if value}
    with tempfile.TemporaryDirectory(prefix="prizewire-doctor-") as directory:
        file = Path(directory) / "secret"
        write_private(file, _STAND_IN)
        for name, setting in one.settings.items():
            if not setting.secret:
                if given.pop(f"{name}{FILE}", None) and (text := one.value(name)):
                    given[name] = text
                continue
            plain = name.removesuffix(FILE)
            given.pop(plain, None)
            given[f"{plain}{FILE}"] = str(file)
        done = subprocess.run(  # noqa: S603 - our own module, without a shell
            (sys.executable, "-m", f"prizewire_{one.service}", "settings", "--check"),
            env={**base_environment(), **given},
            capture_output=True,
            text=True,
            check=False,
            timeout=CHECK_TIMEOUT_S,
        )
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
