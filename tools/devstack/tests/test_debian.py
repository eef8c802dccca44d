"""Prometheus's programs: found on the path, unpacked once, or missed with a sentence."""

import os
import shutil
from pathlib import Path

import pytest

from prizewire_devstack.components import debian
from prizewire_devstack.components.kafka_jars import CACHE_VARIABLE
from prizewire_devstack.errors import DownloadError, StartError

UNPACK = """#!/bin/sh
mkdir -p unpacked/usr/bin
printf '%s' '/usr/share/prometheus/alertmanager/default.tmpl' > unpacked/usr/bin/prometheus-alertmanager
touch unpacked/usr/bin/amtool
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only one on the path, beside an empty cache."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "mkdir", "touch"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return programs


def _write(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)


def test_a_program_on_the_path_is_used(place: Path) -> None:
    """Debian's Alertmanager is on the path under the name of its package."""
    _write(place / "prometheus-alertmanager", "#!/bin/sh\n")
    assert debian.program("alertmanager") == place / "prometheus-alertmanager"


def test_a_package_is_fetched_once(place: Path, tmp_path: Path) -> None:
    """Two programs of one package are unpacked together; Alertmanager then reads its templates there."""
    calls = tmp_path / "calls"
    _write(place / "dpkg-deb", UNPACK)
    _write(place / "apt-get", f"#!/bin/sh\necho once >> {calls}\ntouch any.deb\n")
    said: list[str] = []
    binary = debian.program("alertmanager", progress=said.append)
    assert debian.program("amtool", progress=said.append).parent == binary.parent
    assert calls.read_text() == "once\n"
    assert said == ["fetching Debian's package prometheus-alertmanager"]
    root = debian.working_directory(binary, otherwise=tmp_path)
    named = binary.read_text()
    assert not Path(named).is_absolute()
    assert os.path.normpath(root / named) == str(root / "usr/share/prometheus/alertmanager/default.tmpl")
    assert debian.working_directory(Path("/usr/bin/any"), otherwise=tmp_path) == tmp_path


def test_without_apt_a_sentence_says_what_to_install(place: Path) -> None:
    """Where packages cannot be fetched, the programs are named."""
    with pytest.raises(StartError, match=r"promtool is not installed.*promtool, alertmanager and amtool"):
        debian.program("promtool")
    assert place.is_dir()


def test_a_failed_download_leaves_nothing(place: Path, tmp_path: Path) -> None:
    """The last line of apt is in the message, and the next command begins again."""
    _write(place / "apt-get", "#!/bin/sh\necho E: no network >&2\nexit 100\n")
    _write(place / "dpkg-deb", UNPACK)
    with pytest.raises(DownloadError, match="E: no network"):
        debian.program("prometheus")
    assert [one.name for one in (tmp_path / "cache" / "debian").iterdir()] == [".lock"]


def test_a_package_without_the_program_is_reported(place: Path) -> None:
    """Another version of the package may not have the file."""
    _write(place / "apt-get", "#!/bin/sh\ntouch any.deb\n")
    _write(place / "dpkg-deb", "#!/bin/sh\nmkdir -p unpacked\n")
    with pytest.raises(DownloadError, match="has no usr/bin/promtool"):
        debian.program("promtool")
