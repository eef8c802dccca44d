"""The base of the images made of Debian's packages, for machines that can pull no image."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SUITE: Final = "bookworm"
INCLUDED: Final = ("python3", "python3-venv", "ca-certificates", "libstdc++6")
EXCLUDED: Final = ("apt", "bsdutils", "e2fsprogs", "gpgv", "login", "logsave", "mount", "sysvinit-utils")
"""Debian's smallest set has these; a container never needs them."""
UNPACKING: Final = """\
force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/lintian/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
"""
"""dpkg writes less and faster with it; it does not stay in the base."""
REMOVED: Final = (
    "etc/dpkg/dpkg.cfg.d/prizewire",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/cache/debconf",
    "var/lib/apt",
    "var/log/bootstrap.log",
    "var/log/dpkg.log",
)
MEMORY_BYTES: Final = 10**9
"""The base takes a quarter of it."""
KEPT_S: Final = 7 * 24 * 3600
"""A base is used for a week, then made again from the packages of that day."""


class NoBase(Exception):
    """The base could not be made. The text says why."""


def mirror() -> str:
    """The address from which apt of this machine gets the suite.

    Raises:
        NoBase: apt has no such source.
    """
    if shutil.which("apt-get") is None:
        raise NoBase(
            "this machine has no apt, whose mirror the base would come from: name a base with BASE=…"
        )
    done = subprocess.run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI) $(CODENAME) $(COMPONENT)",
            "Created-By: Packages",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    for line in done.stdout.splitlines():
        address, *rest = line.split()
        if rest == [SUITE, "main"]:
            return address
    raise NoBase(f"apt of this machine has no source of Debian {SUITE}: name a base with BASE=…")


def archive(directory: Path) -> Path:
    """The base as a tar file in this directory, made where there is none of this week.

    Raises:
        NoBase: it could not be made.
    """
    recipe = repr((SUITE, INCLUDED, EXCLUDED, UNPACKING, REMOVED))
    target = directory / f"debian-{SUITE}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.tar"
    if target.is_file() and time.time() - target.stat().st_mtime < KEPT_S:
        return target
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix="base-") as name:
        made = Path(name) / target.name
        with _in_memory(Path(name) / "root") as root:
            _bootstrap(root)
            subprocess.run(
                ["tar", "--create", "--numeric-owner", "--file", made, "--directory", root, "."], check=True
            )
        made.replace(target)
    return target


@contextmanager
def _in_memory(directory: Path) -> Iterator[Path]:
    """A new directory whose files are in memory, where the kernel lets this user have one: unpacking is faster there."""
    directory.mkdir()
    options = f"size={MEMORY_BYTES},mode=755"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", directory], capture_output=True, check=False
    )
    try:
        yield directory
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "--lazy", directory], check=True)


def _bootstrap(root: Path) -> None:
    settings = root / "etc" / "dpkg" / "dpkg.cfg.d" / "prizewire"
    settings.parent.mkdir(parents=True)
    settings.write_text(UNPACKING)
    sets = (f"--include={','.join(INCLUDED)}", f"--exclude={','.join(EXCLUDED)}")
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", *sets, SUITE, root, mirror()],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.stderr.write("\n".join(done.stdout.splitlines()[-20:]) + "\n")
        raise NoBase("debootstrap failed: the lines above say why.")
    for path in (root / part for part in REMOVED):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
