"""Starts a built image as a container engine does: its own user, a read-only root, nothing of this machine but the network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from scripts import images

USER = 10001
CONFIGURATION = "etc/prizewire"
SECRETS = "run/secrets/prizewire"
ISOLATED = """
set -e
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$1/tmp"
mount -t proc proc "$1/proc"
mount -t tmpfs -o mode=755,nosuid tmpfs "$1/dev"
for device in null zero full random urandom; do
    touch "$1/dev/$device"
    mount --bind "/dev/$device" "$1/dev/$device"
done
if [ -n "$2" ]; then
    mount --bind "$2/configuration" "$1/etc/prizewire"
    mount -o remount,bind,ro "$1/etc/prizewire"
    mount --bind "$2/secrets" "$1/run/secrets/prizewire"
    mount -o remount,bind,ro "$1/run/secrets/prizewire"
fi
root="$1"
shift 2
exec chroot --userspec=10001:10001 --groups=10001 "$root" /usr/bin/env -i --chdir=/tmp "$@"
"""
"""Runs in a mount and process namespace of its own; the last program of it, Python, is process 1."""


@dataclass(frozen=True)
class Image:
    """One built image: what its configuration says, and a mounted copy of its root, to be read."""

    part: str
    root: Path
    size: str
    configuration: Mapping[str, Any]

    @property
    def library(self) -> Path:
        """The packages of the environment."""
        return next((self.root / "opt/prizewire/lib").glob("python3*/site-packages"))

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the image sets."""
        return dict(line.split("=", 1) for line in self.configuration["Env"])

    def argv(
        self, *command: str, environment: Mapping[str, str], files: Path | None = None, entry: bool = True
    ) -> list[str]:
        """The command line that starts a program in a container of this image; with `entry` its entry point."""
        values = {**self.environment, **environment}
        program = [*(self.configuration["Entrypoint"] if entry else ()), *command]
        return [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"),
            *("sh", "-c", ISOLATED, "sh", str(self.root), "" if files is None else str(files)),
            *(f"{name}={value}" for name, value in values.items()),
            *program,
        ]

    def run(
        self,
        *command: str,
        environment: Mapping[str, str] | None = None,
        files: Path | None = None,
        entry: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in a container to its end."""
        return subprocess.run(
            self.argv(*command, environment=environment or {}, files=files, entry=entry),
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    @contextmanager
    def started(
        self, *command: str, environment: Mapping[str, str], files: Path | None, log: Path
    ) -> Iterator[Running]:
        """A container that runs while the block does."""
        with log.open("w") as output:
            process = subprocess.Popen(
                self.argv(*command, environment=environment, files=files),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield Running(process, log)
        finally:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Running:
    """A running container."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def first(self) -> psutil.Process:
        """Process 1 of the container."""
        return psutil.Process(self.process.pid).children()[0]

    def alive(self) -> bool:
        """Say whether it runs; else the assertion shows its output."""
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        return True

    def stop(self) -> int:
        """Send SIGTERM as an engine does; returns the exit code."""
        self.first.terminate()
        return self.process.wait(timeout=600)


def give_files(
    environment: Mapping[str, str], folder: Path, *, owner: int, mode: int
) -> tuple[dict[str, str], Path]:
    """Copy the files that variables name to where a container has them: secrets with this owner, the user's group, and mode.

    Returns the changed variables, and the folder for the container.
    """
    for name in ("configuration", "secrets"):
        (folder / name).mkdir(parents=True)
        (folder / name).chmod(0o755)
    found = dict(environment)
    for variable, value in environment.items():
        if not variable.endswith("_FILE") or not Path(value).is_file():
            continue
        secret = not Path(value).stat().st_mode & 0o077
        name = variable.removesuffix("_FILE").lower() if secret else Path(value).name
        target = folder / ("secrets" if secret else "configuration") / name
        shutil.copyfile(value, target)
        if secret:
            os.chown(target, owner, USER)
        target.chmod(mode if secret else 0o444)
        found[variable] = f"/{SECRETS if secret else CONFIGURATION}/{name}"
    return found, folder


@contextmanager
def mounted(engine: images.Buildah, built: images.Built) -> Iterator[Image]:
    """A built image, mounted."""
    container = (engine.ask("from", built.name) or "").strip()
    root = Path((engine.ask("mount", container) or "").strip())
    assert container, "buildah could make no container"
    for folder in (CONFIGURATION, SECRETS):
        (root / folder).mkdir(parents=True, exist_ok=True)  # as an engine does for a volume
    described = json.loads(engine.ask("inspect", "--type", "image", built.name) or "")
    part = built.name.split("/")[-1].split(":")[0]
    try:
        yield Image(part=part, root=root, size=built.size, configuration=described["Docker"]["config"])
    finally:
        engine.ask("rm", container)
