"""A shell in which tests run the commands of documents, as a reader would."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from prizewire_devstack.components.processes import base_environment
from prizewire_devstack.home import HOME_VARIABLE
from prizewire_devstack.waiting import eventually_sync

DEADLINE_S: Final = 600


@dataclass
class Terminal:
    """A shell in a copy of the example, with the command `prizewire`. Variables that a command sets stay. `last` is the last
    command with its output.
    """

    directory: Path
    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    last: str = ""

    def run(self, command: str) -> str | None:
        """The output of a command; None if it fails, as `curl` does where a request is refused."""
        stored = self.directory / "variables"
        script = (
            f'prizewire() {{ {sys.executable} -m prizewire_devstack "$@"; }}\n'
            'curl() { command curl --fail-with-body "$@"; }\n'
            f"set -a -e -u -o pipefail\n{command.replace('.venv/bin/prizewire', 'prizewire')}\n"
            f"env -0 > {stored}\n"
        )
        done = subprocess.run(
            ("bash", "-c", script),
            env={**base_environment(), HOME_VARIABLE: str(self.home), **self.variables},
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        self.last = f"{command}\n{done.stdout}{done.stderr}"
        if done.returncode:
            return None
        found = (one.partition("=") for one in stored.read_text().split("\0") if one)
        self.variables |= {name: value for name, _, value in found if name.isupper() and name != "_"}
        return done.stdout

    def wait_for(self, command: str, *words: str) -> str:
        """The output of a command, once it succeeds and has all words: services learn from each other by events."""

        def done() -> tuple[str]:
            output = self.run(command)
            assert output is not None, self.last
            assert all(word in output for word in words), self.last
            return (output,)

        return eventually_sync(done, deadline_s=DEADLINE_S)[0]
