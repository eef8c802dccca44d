"""What must be on a machine before tests can run containers."""

import re
import subprocess
from typing import Final

from prizewire_devstack.errors import DevstackError

DOCKER: Final = "docker"
COMPOSE_MIN: Final = (2, 20)
"""The first version of Compose whose `up --wait` lets commands end that others wait for."""
ANSWER_WITHIN_S: Final = 30.0


def require_engine() -> None:
    """Check that containers can be run, before anything is created.

    Raises:
        DevstackError: Docker, its Compose plugin or its engine is missing, or Compose is too old.
    """
    # Without the plugin, options of it would be what Docker complains about.
    version = _asked("compose", "version")
    found = re.search(r"(\d+)\.(\d+)", version)
    if found is None or (int(found[1]), int(found[2])) < COMPOSE_MIN:
        raise _missing(f"`docker compose version` says: {version}")
    _asked("version", "--format", "{{.Server.Version}}")


def _asked(*arguments: str) -> str:
    """What a command of Docker prints.

    Raises:
        DevstackError: it cannot be run, or failed.
    """
    command = " ".join((DOCKER, *arguments[:2]))
    try:
        done = subprocess.run(  # noqa: S603 - without a shell
            (DOCKER, *arguments), capture_output=True, text=True, check=False, timeout=ANSWER_WITHIN_S
        )
    except OSError as error:
        raise _missing(f"`{command}` cannot be run ({error.strerror})") from error
    except subprocess.TimeoutExpired as error:
        raise _missing(f"`{command}` did not end within {ANSWER_WITHIN_S:g} s") from error
    if done.returncode != 0:
        said = next(iter(done.stderr.strip().splitlines()), f"exit code {done.returncode}")
        raise _missing(f"`{command}` says: {said.strip()}")
    return done.stdout.strip()


def _missing(why: str) -> DevstackError:
    least = ".".join(str(number) for number in COMPOSE_MIN)
    return DevstackError(
        f"Containers cannot be run here: {why.rstrip('.')}. Install Docker with Compose {least} or newer and start its engine, or leave "
        "PRIZEWIRE_STACK out to test local processes."
    )
