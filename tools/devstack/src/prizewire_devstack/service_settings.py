"""The settings of each service, as the service describes them."""

import json
import subprocess
import sys
from functools import cache
from typing import Any

from prizewire_devstack.components.processes import base_environment
from prizewire_devstack.errors import DevstackError


@cache
def settings_of(service: str) -> list[dict[str, Any]]:
    """The settings of a service, as its command `settings` lists them. The command is run once.

    Raises:
        DevstackError: the command failed.
    """
    done = subprocess.run(  # noqa: S603 - our own module, without a shell
        (sys.executable, "-m", f"prizewire_{service}", "settings"),
        env=base_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DevstackError(f"`python -m prizewire_{service} settings` failed: {done.stderr.strip()[-300:]}")
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows
