"""Prometheus's programs: those on the path, else those of Debian's packages, unpacked once for each user.

`apt-get download` and `dpkg-deb -x` need no root, and start no daemon. apt checks the packages against the signed lists
of its sources.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prizewire_devstack.components.kafka_jars import CACHE_VARIABLE, cache_directory
from prizewire_devstack.errors import DownloadError, StartError

DOWNLOAD_TIMEOUT_S: Final = 300.0
UNPACK_TIMEOUT_S: Final = 120.0

_TEMPLATES: Final = b"/usr/share/prometheus/alertmanager"
"""Where Debian's Alertmanager reads its templates. Without them it does not start."""
_RELATIVE_TEMPLATES: Final = b"usr/share/prometheus//alertmanager"
"""The same folder from the folder of the unpacked package. It has the same length, so the program can be changed in place."""

Progress = Callable[[str], None]
"""Called with a sentence about what is done next."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program: its names on the path, Debian's package, and its file in that package."""

    names: tuple[str, ...]
    package: str
    file: str


PROGRAMS: Final = {
    "prometheus": Program(names=("prometheus",), package="prometheus", file="usr/bin/prometheus"),
    "promtool": Program(names=("promtool",), package="prometheus", file="usr/bin/promtool"),
    "alertmanager": Program(
        # Debian's package names the program as the package.
        names=("alertmanager", "prometheus-alertmanager"),
        package="prometheus-alertmanager",
        file="usr/bin/prometheus-alertmanager",
    ),
    "amtool": Program(names=("amtool",), package="prometheus-alertmanager", file="usr/bin/amtool"),
}


def program(name: str, *, progress: Progress | None = None) -> Path:
    """The program `prometheus`, `promtool`, `alertmanager` or `amtool`, fetched where it is missing (29 MB the first time).

    Raises:
        StartError: it is not installed, and there is no apt to fetch it with.
        DownloadError: the package could not be fetched or unpacked.
        KeyError: no such program.
    """
    wanted = PROGRAMS[name]
    for one in wanted.names:
        if (found := shutil.which(one)) is not None:
            return Path(found)
    directory = cache_directory() / "debian"
    file = directory / wanted.package / wanted.file
    if file.is_file():
        return file
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise StartError(
            f"The program {name} is not installed, and there is no apt-get to fetch it with: install Prometheus and "
            "Alertmanager, so that prometheus, promtool, alertmanager and amtool are on the path."
        )
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("a") as lock:
        # Two commands that start at once must not unpack the same package.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.is_file():
            if progress is not None:
                progress(f"fetching Debian's package {wanted.package}")
            _fetch(wanted.package, directory)
    if not file.is_file():
        raise DownloadError(
            f"Debian's package {wanted.package} has no {wanted.file}: install {name} yourself."
        )
    return file


def working_directory(binary: Path, *, otherwise: Path) -> Path:
    """The directory to run a program in: the folder of its package if this module unpacked it, else ``otherwise``."""
    unpacked = cache_directory() / "debian"
    if not binary.is_relative_to(unpacked):
        return otherwise
    return unpacked / binary.relative_to(unpacked).parts[0]


def _fetch(package: str, directory: Path) -> None:
    """Fetch and unpack a package into a folder of its name. The folder appears whole or not at all.

    Raises:
        DownloadError: a command failed.
    """
    with tempfile.TemporaryDirectory(dir=directory) as temporary:
        place = Path(temporary)
        _run(("apt-get", "download", "-q", package), place, package, DOWNLOAD_TIMEOUT_S)
        for archive in place.glob("*.deb"):
            _run(("dpkg-deb", "-x", str(archive), "unpacked"), place, package, UNPACK_TIMEOUT_S)
        if (place / "unpacked").is_dir():
            _make_relative(place / "unpacked")
            shutil.rmtree(directory / package, ignore_errors=True)
            (place / "unpacked").rename(directory / package)


def _make_relative(root: Path) -> None:
    """Let Alertmanager read its templates from the unpacked package, since /usr belongs to root."""
    binary = root / PROGRAMS["alertmanager"].file
    if binary.is_file():
        binary.write_bytes(binary.read_bytes().replace(_TEMPLATES, _RELATIVE_TEMPLATES))


def _run(argv: tuple[str, ...], directory: Path, package: str, timeout_s: float) -> None:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(  # noqa: S603 - argv is our own, without a shell
            argv,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DownloadError(
            f"Debian's package {package} was not there within {timeout_s:.0f} s: check the network and run the command again."
        ) from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise DownloadError(
            f"Debian's package {package} could not be fetched ({last}): run `apt-get update` as root or install the package, "
            f"or set {CACHE_VARIABLE} to a directory with free space, and run the command again."
        )
