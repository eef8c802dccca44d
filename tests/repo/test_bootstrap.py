"""A failure of the bootstrap prints a sentence with advice."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo.house import Repository

STARVED = "import runpy, shutil, sys; shutil.disk_usage = lambda _: shutil._ntuple_diskusage(9, 9, 1000); "
RUN = "sys.argv = ['bootstrap.py', 'lock']; runpy.run_path('scripts/bootstrap.py', run_name='__main__')"


@pytest.fixture
def clone(repository: Repository, tmp_path: Path) -> Path:
    """The files that bootstrapping reads, and nothing else."""
    (tmp_path / "scripts").mkdir()
    for name in ("Makefile", "requirements.lock", "requirements-bootstrap.lock", "scripts/bootstrap.py"):
        shutil.copy(repository.root / name, tmp_path / name)
    return tmp_path


def run(clone: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=clone, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_missing_python_is_reported(clone: Path) -> None:
    """Without the named Python make says which version to install."""
    done = run(clone, "make", "test", "PYTHON=no-such-python")
    assert done.returncode != 0
    assert "Install Python 3.11 or newer" in done.stderr


def test_old_python_is_reported(clone: Path) -> None:
    """A Python that is too old is named with its version, and how to choose another."""
    old = clone / "old-python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    old.chmod(old.stat().st_mode | stat.S_IXUSR)
    done = run(clone, "make", "test", f"PYTHON={old}")
    assert done.returncode != 0
    assert "Python 3.9.2, but 3.11 or newer is needed" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_missing_venv_is_reported(clone: Path) -> None:
    """Where a distribution leaves ensurepip out, the package to install is named."""
    (clone / "lean").mkdir()
    (clone / "lean/ensurepip.py").write_text("raise ImportError\n")
    done = run(clone, sys.executable, "scripts/bootstrap.py", "lock", PYTHONPATH=str(clone / "lean"))
    assert done.returncode == 1
    assert f"python{sys.version_info.major}.{sys.version_info.minor}-venv" in done.stderr


def test_full_disk_is_reported(clone: Path) -> None:
    """With too little space left nothing is started, and the space needed is said."""
    done = run(clone, sys.executable, "-c", STARVED + RUN)
    assert done.returncode == 1
    assert "about 2 GB are needed" in done.stderr
    assert not (clone / ".venv").exists()


def test_failed_download_is_reported(clone: Path) -> None:
    """When a download fails, the sentence names network, proxy and certificates, and make may run again."""
    done = run(clone, sys.executable, "scripts/bootstrap.py", "lock", PIP_NO_INDEX="1", PIP_FIND_LINKS="")
    assert done.returncode == 1
    assert "could not be downloaded" in done.stderr
    assert "SSL_CERT_FILE" in done.stderr
