"""Build the virtual environment of this repository with nothing but Python's standard library.

`bootstrap.py lock` makes .venv, puts uv into it and installs requirements.lock (every file checked by hash).
`bootstrap.py members` installs the repository's own packages into it, editable.
`bootstrap.py relock` writes the lock files, those of the images too, from the members' pyproject files.

Each failure that a person can solve ends with one sentence that says how.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
IMAGES = ROOT / "deploy" / "images"
GROUPS = ("libs", "rails", "services", "tools")
FREE_BYTES_MIN = 1_500_000_000
"""The environment takes about 0.8 GB, the package cache as much again at its worst."""

SUBSET = ("--constraint", "requirements.lock", "--no-annotate")
"""A lock of an image has the versions of requirements.lock."""


class Failure(Exception):
    """A failure that a person can solve; its text says how."""


def say(text: str) -> None:
    """Print one line of progress at once, also into a pipe."""
    sys.stdout.write(f"prizewire: {text}\n")
    sys.stdout.flush()


def members() -> list[Path]:
    """Every folder of the repository that is a package, in a stable order."""
    return sorted(path.parent for group in GROUPS for path in (ROOT / group).glob("*/pyproject.toml"))


def free_bytes() -> int:
    """Bytes that an ordinary user may still write beside the repository."""
    return shutil.disk_usage(ROOT).free


def run(*command: str | Path, failure: str) -> None:
    """Run a command with its own output shown.

    Raises:
        Failure: it could not be started or failed; a full disk has a message of its own.
    """
    try:
        code = subprocess.run([str(part) for part in command], cwd=ROOT, check=False).returncode
    except OSError as error:
        raise Failure(
            f"could not start {command[0]}: {error.strerror}. Remove .venv and run make again."
        ) from error
    if code == 0:
        return
    if free_bytes() < 50_000_000:
        raise Failure(f"the disk that holds {ROOT} is full. Free some space (about 2 GB) and run make again.")
    raise Failure(failure)


DOWNLOAD_FAILED = (
    "the packages could not be downloaded or did not match the lock (see the lines above). "
    "Check the network or the proxy settings; where a company's own certificates are in use, set SSL_CERT_FILE "
    "to them. Then run make again: what has been downloaded is kept."
)


def environment() -> None:
    """Create .venv, unless it works and has the version of the running Python."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if PYTHON.exists():
        probe = "import sys, pip; print('%d.%d' % sys.version_info[:2])"
        found = subprocess.run([str(PYTHON), "-c", probe], capture_output=True, text=True, check=False)
        if found.stdout.strip() == version:
            return
        say(
            "the virtual environment in .venv is unfinished or belongs to another Python, and is created again"
        )
    if free_bytes() < FREE_BYTES_MIN:
        raise Failure(
            f"the disk that holds {ROOT} has {free_bytes() // 1_000_000} MB left; about 2 GB are needed. "
            "Free some space and run make again."
        )
    try:
        import ensurepip  # noqa: F401, PLC0415  only its presence matters: some distributions leave it out
        import venv  # noqa: F401, PLC0415  likewise, its presence alone
    except ImportError:
        raise Failure(
            f"this Python {version} has no venv or no ensurepip. On Debian and Ubuntu install the package "
            f"python{version}-venv (or python3-venv); elsewhere install a complete Python 3.11 or newer. "
            "Then run make again."
        ) from None
    run(
        *(sys.executable, "-m", "venv", "--clear", VENV),
        failure=(
            f"python -m venv failed. On Debian and Ubuntu install python{version}-venv; otherwise see the lines above."
        ),
    )


def install_lock() -> None:
    """Install exactly the packages of requirements.lock into .venv."""
    started = time.monotonic()
    say("1/3 virtual environment in .venv")
    environment()
    say("2/3 uv, checked by hash")
    run(
        *(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--require-hashes", "-r", "requirements-bootstrap.lock"),
        failure=DOWNLOAD_FAILED,
    )
    say("3/3 packages of requirements.lock, checked by hash")
    run(
        *(UV, "pip", "sync", "--python", PYTHON, "--require-hashes", "requirements.lock"),
        failure=DOWNLOAD_FAILED,
    )
    say(f"packages ready after {time.monotonic() - started:.0f} s")


def install_members() -> None:
    """Install the repository's own packages, editable, without a registry."""
    say("the repository's own packages")
    editable = [part for member in members() for part in ("-e", f"./{member.relative_to(ROOT)}")]
    run(
        *(UV, "pip", "install", "--quiet", "--python", PYTHON, "--offline"),
        *("--no-deps", "--no-build-isolation", *editable),
        failure="the repository's own packages could not be installed; the lines above say which pyproject.toml is wrong.",
    )


def relock() -> None:
    """Write all locks: the repository's, uv's own, and one for each image. Versions already there are kept where they fit."""
    import tomllib  # noqa: PLC0415 - Python 3.11 has it; an older one must be able to say that it is too old

    sources = [str((member / "pyproject.toml").relative_to(ROOT)) for member in members()]
    _compile(["requirements-bootstrap.in"], "requirements-bootstrap.lock", *sys.argv[2:])
    _compile([*sources, "requirements-dev.in"], "requirements.lock", "--all-extras", *sys.argv[2:])
    for part, folders in tomllib.loads((IMAGES / "parts.toml").read_text()).items():
        roots = [str(path.relative_to(ROOT)) for name in folders for path in sorted(ROOT.glob(name))]
        _compile([f"{root}/pyproject.toml" for root in roots], f"deploy/images/locks/{part}.lock", *SUBSET)
    _compile(["deploy/images/build.in"], "deploy/images/locks/build.lock", *SUBSET)


def _compile(inputs: list[str], target: str, *options: str) -> None:
    """Write one lock, with hashes and without the repository's own packages."""
    excluded = [part for member in members() for part in ("--no-emit-package", f"prizewire-{_name(member)}")]
    command: list[str | Path] = [UV, "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    command += ["--no-header", "--python-version", "3.11", *excluded, *options, *inputs, "-o", target]
    # the compiled text is printed too, which is not needed
    if subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        raise Failure(
            f"{target} could not be written: the lines above say which requirement has no solution."
        )
    say(f"{target} written")


def _name(member: Path) -> str:
    group, folder = member.relative_to(ROOT).parts
    name = folder.replace("_", "-")
    return f"rail-{name}" if group == "rails" else name


def main() -> int:
    """Run the command of the command line; 0 on success."""
    actions = {"lock": install_lock, "members": install_members, "relock": relock}
    os.environ.pop("VIRTUAL_ENV", None)
    try:
        actions[sys.argv[1]]()
    except Failure as failure:
        sys.stderr.write(f"\nprizewire: {failure}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
