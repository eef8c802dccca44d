"""The jars of Apache Kafka, fetched once for each user and checked against pinned hashes.

The lock names every jar exactly. Resolving dependencies at each first start would take longer, and with a log binding
jgo 3.2 selects another version of kafka-clients, with which the broker does not start.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import requests

from prizewire_devstack.components import local
from prizewire_devstack.errors import DiskFullError, DownloadError

if TYPE_CHECKING:
    from jgo.maven import Artifact, MavenContext

KAFKA: Final = ("org.apache.kafka", "kafka_2.13", "4.3.0")
LOG_BINDING: Final = ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4")
"""Binds slf4j 1.7 to the log4j 2 that Kafka brings; without a binding the broker logs nothing when it fails."""

CACHE_VARIABLE: Final = "PRIZEWIRE_CACHE"
DOWNLOAD_TIMEOUT_S: Final = 60
ATTEMPTS_MAX: Final = 3
PARALLEL_DOWNLOADS: Final = 8

Progress = Callable[[int, int], None]
"""Called with the number of present jars and the number of all jars."""


@dataclass(frozen=True, kw_only=True)
class Jar:
    """One line of the lock."""

    group: str
    name: str
    version: str
    sha256: str


def cache_directory() -> Path:
    """The directory of the jars for all clones of this user: PRIZEWIRE_CACHE, else the user's cache directory."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "prizewire"


def locked_jars() -> tuple[Jar, ...]:
    """Read the lock that is part of this package."""
    jars = []
    for line in (files("prizewire_devstack") / "data" / "kafka_jars.lock").read_text().splitlines():
        if line.startswith("#"):
            continue
        coordinate, digest = line.split()
        group, name, version = coordinate.split(":")
        jars.append(Jar(group=group, name=name, version=version, sha256=digest.removeprefix("sha256:")))
    return tuple(jars)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _context() -> "MavenContext":
    """A client of the Maven repository.

    Raises:
        StartError: jgo is not installed.
    """
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415 - images leave it out
    except ModuleNotFoundError:
        raise local.missing(local.PARTS["jgo"]) from None
    directory = cache_directory() / "maven"
    directory.mkdir(parents=True, exist_ok=True)
    return MavenContext(repo_cache=directory, timeout=DOWNLOAD_TIMEOUT_S)


def _artifact(context: "MavenContext", jar: Jar) -> "Artifact":
    return context.project(jar.group, jar.name).at_version(jar.version).artifact("", "jar")


def _fetch(context: "MavenContext", jar: Jar) -> Path:
    """Return the checked jar, downloading it where it is missing or damaged.

    Raises:
        DownloadError: it could not be downloaded, or has another hash.
        DiskFullError: the disk is full.
    """
    cached = _artifact(context, jar).cached_path
    assert cached is not None, "a pinned version is no snapshot, so its file name is known"
    if cached.is_file() and _sha256(cached) == jar.sha256:
        return cached
    problem = ""
    for _ in range(ATTEMPTS_MAX):
        cached.unlink(missing_ok=True)
        try:
            path = _artifact(context, jar).resolve()
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFullError(
                    f"The disk that holds {cache_directory()} is full: free 100 MB, or set {CACHE_VARIABLE} to a "
                    "directory on another disk."
                ) from error
            problem = type(error).__name__
            continue
        except (RuntimeError, requests.RequestException) as error:
            problem = str(error)
            continue
        if _sha256(path) == jar.sha256:
            return path
        problem = "its hash differs from the pinned one"
    raise DownloadError(
        f"Kafka's {jar.name} {jar.version} could not be downloaded ({problem}): check the network or its proxy "
        "settings and run the command again; jars that are present are kept."
    )


def classpath(*, progress: Progress | None = None) -> str:
    """Return the class path of the broker, fetching what is missing (43 MB the first time).

    Raises:
        DownloadError: a jar could not be fetched.
        DiskFullError: the disk is full.
        StartError: jgo is not installed.
    """
    context = _context()
    jars = locked_jars()
    paths: list[Path] = []
    with (cache_directory() / "maven" / ".lock").open("a") as lock:
        # Two commands that start at once must not write the same jar.
        fcntl.flock(lock, fcntl.LOCK_EX)
        pool = ThreadPoolExecutor(PARALLEL_DOWNLOADS)
        try:
            for path in pool.map(lambda jar: _fetch(context, jar), jars):
                paths.append(path)
                if progress is not None:
                    progress(len(paths), len(jars))
        finally:
            # After a failure, do not download the remaining jars.
            pool.shutdown(cancel_futures=True)
    return ":".join(str(path) for path in paths)


def resolve_lock() -> str:
    """Resolve Kafka's dependencies and return the text of a new lock, for an upgrade."""
    from jgo.parse import Coordinate  # noqa: PLC0415 - images leave it out

    context = _context()
    group, name, version = KAFKA
    direct, transitive = context.resolver.resolve(
        [context.create_dependency(Coordinate(group, name, version, scope="compile"))]
    )
    kept = [*direct, *(one for one in transitive if one.scope in {"compile", "runtime"})]
    binding = Jar(group=LOG_BINDING[0], name=LOG_BINDING[1], version=LOG_BINDING[2], sha256="")
    artifacts = [*(one.artifact for one in kept), _artifact(context, binding)]
    return "\n".join(
        sorted(
            f"{one.groupId}:{one.artifactId}:{one.version} sha256:{_sha256(one.resolve())}"
            for one in artifacts
        )
    )


if __name__ == "__main__":
    click.echo(resolve_lock())
