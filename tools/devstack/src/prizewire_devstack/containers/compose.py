"""One project of Docker Compose: its commands, and their failures as sentences."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from testcontainers.compose import DockerCompose

from prizewire_devstack.containers.engine import DOCKER
from prizewire_devstack.errors import StartError

NOT_PASSED_ON: Final = ("COMPOSE_", "PRIZEWIRE_")
"""Variables that a person may have set for another project on this machine, such as COMPOSE_PROJECT_NAME."""
SAID_LINES: Final = 12


class Compose(DockerCompose):
    """The project `name` of some files in `root`, with the variables of these files. `start` builds the images."""

    def __init__(
        self, *, name: str, root: Path, files: Sequence[str | Path], variables: Mapping[str, str]
    ) -> None:
        super().__init__(
            context=root,
            compose_file_name=[str(file) for file in files],
            build=True,
            wait=True,
            docker_command_path=DOCKER,
        )
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(NOT_PASSED_ON)}
        self._environment = {**inherited, **variables, "COMPOSE_PROJECT_NAME": name}

    def compose(self, *arguments: str) -> str:
        """What a command of Compose prints, its errors after its output.

        Raises:
            StartError: it failed.
        """
        return _said(self._run_command([*self.docker_compose_command(), *arguments]))

    def docker(self, *arguments: str) -> str:
        """What a command of Docker prints, its errors after its output.

        Raises:
            StartError: it failed.
        """
        return _said(self._run_command([DOCKER, *arguments]))

    def _run_command(
        self, cmd: str | list[str], context: str | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        # Every method of the base class calls this one. The base lets all variables through, and its errors show no output.
        command = [cmd] if isinstance(cmd, str) else cmd
        try:
            return subprocess.run(  # noqa: S603 - without a shell
                command, cwd=context or self.context, env=self._environment, capture_output=True, check=True
            )
        except subprocess.CalledProcessError as error:
            prefix = self.docker_compose_command()
            is_compose = command[: len(prefix)] == prefix
            shown = [DOCKER, "compose", *command[len(prefix) :]] if is_compose else command
            lines = (error.stderr or error.stdout).decode(errors="replace").strip().splitlines()
            raise StartError(
                f"`{' '.join(shown)}` failed with code {error.returncode}:\n" + "\n".join(lines[-SAID_LINES:])
            ) from error


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    return (done.stdout + done.stderr).decode(errors="replace")
