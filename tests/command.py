"""The command `prizewire` against a running stack."""

import json
import subprocess
import sys
from typing import Any

from prizewire_devstack.components.processes import base_environment
from prizewire_devstack.home import HOME_VARIABLE
from prizewire_devstack.stack import RunningStack

COMMAND_TIMEOUT_S = 600


def prizewire(stack: RunningStack, *arguments: str, code: int = 0) -> str:
    """Run the command against the stack and return its output."""
    done = subprocess.run(
        (sys.executable, "-m", "prizewire_devstack", *arguments),
        env={**base_environment(), HOME_VARIABLE: str(stack.home.root)},
        cwd=stack.root,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == code, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def answered(stack: RunningStack, *arguments: str, code: int = 0) -> Any:
    return json.loads(prizewire(stack, *arguments, "--json", code=code))
