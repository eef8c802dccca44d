"""Kafka's jars: pinned by hash, and a failed download says what to do."""

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

from prizewire_devstack.components import gateway, kafka_jars, psql
from prizewire_devstack.errors import DownloadError, StartError
from prizewire_devstack.ports import LOOPBACK, choose


@pytest.fixture
def offline_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    kafka_jars.classpath()
    cache = tmp_path / "cache"
    shutil.copytree(kafka_jars.cache_directory() / "maven", cache / "maven")
    monkeypatch.setenv(kafka_jars.CACHE_VARIABLE, str(cache))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://{LOOPBACK}:{choose(taken=set())}")
    return cache


def test_a_filled_cache_needs_no_network(offline_cache: Path) -> None:
    """The second start works without a network."""
    paths = kafka_jars.classpath().split(":")
    assert len(paths) == len(kafka_jars.locked_jars())
    assert all(path.startswith(str(offline_cache)) for path in paths)


def test_a_jar_with_another_hash_is_never_run(offline_cache: Path) -> None:
    """A damaged or exchanged jar is fetched again, and where that fails the command stops with a sentence."""
    jar = next(offline_cache.rglob("kafka-clients-*.jar"))
    jar.write_bytes(jar.read_bytes() + b"!")
    with pytest.raises(DownloadError, match=r"kafka-clients .* check the network"):
        kafka_jars.classpath()


def test_the_lock_pins_every_jar() -> None:
    """Each line names a version and a SHA-256; the broker and its clients are of one version."""
    jars = kafka_jars.locked_jars()
    assert all(len(jar.sha256) == 64 for jar in jars)
    assert {jar.version for jar in jars if jar.group == "org.apache.kafka"} == {kafka_jars.KAFKA[2]}


def test_missing_programs_are_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where only the image's packages are installed, each program of the local stack is named with the extra to install."""
    monkeypatch.setitem(sys.modules, "jgo.maven", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    for look in (kafka_jars.classpath, psql.binaries, gateway.caddy):
        with pytest.raises(StartError, match=r"is not installed.*prizewire-devstack\[local\]"):
            look()
