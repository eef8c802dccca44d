"""Every image is built, looked into and started: with the real PostgreSQL and Kafka, a read-only root, and its own user."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from packaging.utils import canonicalize_name

from prizewire_devstack.components.processes import base_environment
from prizewire_devstack.ports import LOOPBACK, choose
from prizewire_devstack.stack.environment import Surroundings, migrate_environment, rails
from prizewire_devstack.testing import files_in_memory
from prizewire_devstack.waiting import eventually_sync
from scripts import images
from tests.deploy.container import SECRETS, USER, Image, give_files, mounted
from tests.deploy.test_image_sources import blocks, members_of

if TYPE_CHECKING:
    from prizewire_devstack.components.kafka import KafkaServer
    from prizewire_devstack.components.keys import Keyring
    from prizewire_devstack.database_factory import DatabaseFactory
    from tests.repo.house import Repository

pytestmark = pytest.mark.images

PARTS = tuple(images.parts())
SERVICES = tuple(part for part in PARTS if part not in {"tools", "sandbox"})
MEGABYTES_MAX = {
    "settlement": 300,
    "rewards": 365,
    "payouts": 380,
    "webhooks": 300,
    "signer": 325,
    "tools": 460,
    "sandbox": 215,
}
"""The size of the files of each image, about a tenth above what it is now: who adds more says so here."""
PROGRAMS = re.compile(
    r"(?:g?cc|g\+\+|c\+\+|clang|cpp|ld|as|make|go|rustc|cargo|pip[\d.]*|uv|uvx|easy_install|wheel|apt|apt-get|curl|wget|git)"
)
"""Programs that build, fetch or install."""
SEED = re.compile(rb"(?<![A-Z2-7])S[A-D][A-Z2-7]{54}(?![A-Z2-7])")
"""A secret key of Stellar."""
PRIVATE = re.compile(rb'-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\n|"d"\s*:\s*"[\w-]{43}"')
"""A private key as PEM, or as a JWK of Ed25519."""
PLANT = """printf 'print("planted")' > "$1.py"; shift; exec "$@" """
"""Writes a module into the working directory, then runs a command there."""


@pytest.fixture(scope="session")
def engine() -> Iterator[images.Buildah]:
    """Buildah with a storage of its own, which is removed at the end."""
    if os.geteuid() != 0 or any(shutil.which(name) is None for name in ("buildah", "debootstrap", "unshare")):
        pytest.skip("images are tested as root with two programs: apt-get install buildah debootstrap")
    with tempfile.TemporaryDirectory(
        prefix="prizewire-images-", dir=files_in_memory(), ignore_cleanup_errors=True
    ) as directory:
        yield images.Buildah(Path(directory))


@pytest.fixture(scope="session")
def built(engine: images.Buildah) -> Iterator[dict[str, Image]]:
    """All images, built once and mounted."""
    with ExitStack() as stack:
        made = images.build(engine, PARTS, base=images.BASE)
        opened = [stack.enter_context(mounted(engine, image)) for image in made]
        yield {image.part: image for image in opened}


@pytest.fixture(params=PARTS)
def image(request: pytest.FixtureRequest, built: dict[str, Image]) -> Image:
    """Each image."""
    return built[request.param]


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest, built: dict[str, Image]) -> Image:
    """Each image of a service."""
    return built[request.param]


def files_of(image: Image, *folders: str) -> list[Path]:
    """The regular files of an image, or of some folders of it."""
    roots = [image.root / folder for folder in folders] or [image.root]
    return [
        Path(name) / file
        for root in roots
        for name, _, found in os.walk(root)
        for file in found
        if (Path(name) / file).is_file() and not (Path(name) / file).is_symlink()
    ]


def test_image_is_one_process_of_its_user(image: Image) -> None:
    """An image runs as 10001:10001, starts Python itself without a shell, and says how its health is asked."""
    said = image.configuration
    module = "prizewire_stellar_sandbox" if image.part == "sandbox" else f"prizewire_{image.part}"
    assert said["User"] == f"{USER}:{USER}"
    if image.part == "tools":
        assert (said["Entrypoint"], said["Cmd"]) == (["prizewire"], ["--help"])
        assert said["Healthcheck"]["Test"] == ["NONE"]
        assert (
            (image.root / "opt/prizewire/bin/prizewire").read_text().startswith("#!/opt/prizewire/bin/python")
        )
    else:
        probe = "prizewire_stellar_sandbox" if image.part == "sandbox" else "prizewire_chassis"
        assert (said["Entrypoint"], said["Cmd"][0]) == (["python", "-m", module], "serve")
        assert said["Healthcheck"]["Test"] == ["CMD", "python", "-m", f"{probe}.probe"]
    assert image.environment["HTTP_PORT"] == "8080"
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in said["Labels"].items()}
    assert labels["version"] == images.version()
    assert labels["licenses"] == "Apache-2.0"
    assert re.fullmatch("[0-9a-f]{40}|unknown", labels["revision"])


def test_image_has_exactly_its_packages(image: Image, repository: Repository) -> None:
    """The installed packages are those of the image's lock that Linux has, in its versions, and the part's members."""
    lock = blocks(repository.root / "deploy/images/locks" / f"{image.part}.lock")
    locked = {canonicalize_name(name.split("==")[0]): name.split("==")[1] for name in lock}
    members = {
        member.pyproject["project"]["name"]: images.version() for member in members_of(repository, image.part)
    }
    found = {canonicalize_name(one.name): one.version for one in distributions(path=[str(image.library)])}
    foreign = {name for name in locked if name in {"colorama", "pywin32", "win32-setctime", "tzdata"}}
    assert {**locked, **members} == {**{name: locked[name] for name in foreign}, **found}


def test_image_has_no_other_services_code(image: Image, repository: Repository) -> None:
    """No folder of a member that the part does not need is in the image; the signer has no other service's code."""
    own = {member.package for member in members_of(repository, image.part)}
    assert {path.name for path in image.library.glob("prizewire_*") if ".dist-info" not in path.name} == own


def test_image_stays_small(image: Image) -> None:
    """The files of an image take no more megabytes than its bound."""
    assert sum(path.stat().st_size for path in files_of(image)) / 1e6 <= MEGABYTES_MAX[image.part]


def test_image_can_build_and_install_nothing(image: Image) -> None:
    """There are no compiler, no program that fetches or installs, no pip and setuptools, and no shell script of ours."""
    programs = [
        path.name for path in files_of(image, "usr/bin", "usr/sbin", "usr/local/bin", "opt/prizewire/bin")
    ]
    assert [name for name in programs if PROGRAMS.fullmatch(name)] == []
    names = {path.name for path in image.library.iterdir()}
    assert names & {"pip", "setuptools", "wheel", "uv", "pkg_resources", "_virtualenv.py", "pytest"} == set()
    assert [
        path for path in files_of(image, "usr") if re.search(r"/(?:ensurepip|pip|setuptools)[-/]", str(path))
    ] == []
    scripts = [path for path in files_of(image, "opt") if path.suffix in {".sh", ".bash", ".fish", ".csh"}]
    scripts += [
        path for path in files_of(image, "opt/prizewire/bin") if path.read_bytes()[:9] == b"#!/bin/sh"
    ]
    assert scripts == []


def test_image_holds_no_secret(image: Image) -> None:
    """No private key, no secret key of Stellar, no key file, no `.env`, no `.git` and no test is in an image."""
    found = []
    for path in files_of(image, "opt", "etc", "root", "home", "srv", "tmp", "run", "var"):
        # The Stellar SDK has examples of secret keys in its texts.
        if path.suffix in {".so", ".pyc"} or ".so." in path.name or "stellar_sdk" in str(path):
            continue
        text = path.read_bytes()
        if SEED.search(text) or (PRIVATE.search(text) and path.suffix != ".py"):
            found.append(path.relative_to(image.root))
    assert found == []
    ours = [
        path.relative_to(image.library)
        for path in files_of(image, str(image.library.relative_to(image.root)))
    ]
    names = {part for path in ours if path.parts[0].startswith("prizewire_") for part in path.parts}
    assert names & {".env", ".git", ".env.example", "tests", "keys", "credentials.json"} == set()
    assert list(image.root.glob("run/secrets/*/*")) == []
    assert (
        not list(image.root.glob("source"))
        + list(image.root.glob("environments"))
        + list(image.root.glob("build"))
    )


def test_user_can_change_nothing(image: Image) -> None:
    """No file runs with the rights of another user, and the user can write to no file and no directory but `/tmp`."""
    changeable, privileged = [], []
    for name, folders, files in os.walk(image.root):
        for path in (Path(name) / one for one in (*folders, *files)):
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                continue
            kept = str(path.relative_to(image.root))
            if stat.S_ISREG(status.st_mode) and status.st_mode & (stat.S_ISUID | stat.S_ISGID):
                privileged.append(kept)
            writes = USER in {status.st_uid, status.st_gid} or status.st_mode & stat.S_IWOTH
            if writes and not stat.S_ISCHR(status.st_mode):
                changeable.append(kept)
    assert privileged == []
    assert set(changeable) <= {"tmp", "var/tmp", "run/lock", "dev/shm"}


def test_modules_are_compiled(image: Image) -> None:
    """Each module of the repository has its compiled file, because the root cannot store it at run time."""
    missing = [
        path
        for path in image.library.glob("prizewire_*/**/*.py")
        if not list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"))
    ]
    assert missing == []


def test_service_runs_from_its_image(
    service: Image,
    repository: Repository,
    keyring: Keyring,
    make_database: DatabaseFactory,
    kafka_server: KafkaServer,
    tmp_path: Path,
) -> None:
    """On a read-only root as its user, a service migrates its database, serves until it is ready, is healthy, and ends with 0
    on SIGTERM. Secrets are read from files of the user (0600), and from files of root that the user's group may read (0440).
    """
    name = service.part
    rails_file = tmp_path / "rails.yaml"
    rails_file.write_text(rails(Path("/tmp")))  # noqa: S108 - the container's own
    given = migrate_environment(
        name,
        around=Surroundings(
            keyring=keyring,
            assets_file=repository.root / "assets.yaml",
            rails_file=rails_file,
            stellar_url=f"http://{LOOPBACK}:1",
            log_level="INFO",
        ),
        database=make_database(name),
        kafka=kafka_server.login(name),
        http_port=choose(taken=set()),
    )
    given = {variable: value for variable, value in given.items() if variable not in base_environment()}
    environment, files = give_files(given, tmp_path / "own", owner=USER, mode=0o600)
    assert environment["DATABASE_URL_FILE"].startswith(f"/{SECRETS}/")
    migrated = service.run("migrate", environment=environment, files=files)
    assert migrated.returncode == 0, migrated.stderr[-3000:]

    environment, files = give_files(given, tmp_path / "mounted", owner=0, mode=0o440)
    address = f"http://{LOOPBACK}:{environment['HTTP_PORT']}"
    with service.started("serve", environment=environment, files=files, log=tmp_path / "log") as running:

        def ready() -> bool:
            running.alive()
            try:
                return httpx.get(f"{address}/health/ready", trust_env=False).status_code == httpx.codes.OK
            except httpx.TransportError:
                return False

        eventually_sync(ready)
        assert running.first.uids().real == running.first.gids().real == USER
        assert not running.first.children()
        health = service.run(
            *service.configuration["Healthcheck"]["Test"][1:], environment=environment, entry=False
        )
        assert health.returncode == 0, health.stderr
        assert running.stop() == 0, (tmp_path / "log").read_text()[-3000:]
    health = service.run(
        *service.configuration["Healthcheck"]["Test"][1:], environment=environment, entry=False
    )
    assert health.returncode == 1


def test_what_is_written_to_the_working_directory_is_not_run(image: Image) -> None:
    """Neither the entry point nor the health probe imports a module from `/tmp`, where the user can write; without the image's
    variable each of them would.
    """
    probe, entry = image.configuration["Healthcheck"]["Test"][1:], image.configuration["Entrypoint"]
    commands = [command for command in (probe, [*entry, "--help"]) if command[1:2] == ["-m"]]
    assert len(commands) == (0 if image.part == "tools" else 2)
    for command in [*commands, ["python", "-m", "prizewire_money"]]:
        planted = ("sh", "-c", PLANT, "sh", command[2].partition(".")[0], *command)
        unsafe = image.run(*planted, environment={"PYTHONSAFEPATH": ""}, entry=False)
        assert "planted" in unsafe.stdout
        assert "planted" not in image.run(*planted, entry=False).stdout


def test_root_is_read_only(built: dict[str, Image]) -> None:
    """The tests' containers are as strict as they say: the user can write to `/tmp`, and to no other place."""
    program = "import pathlib, sys; pathlib.Path(sys.argv[1], 'file').write_text('')"
    image = built["settlement"]
    assert image.run("python", "-c", program, "/tmp", entry=False).returncode == 0  # noqa: S108 - the container's own
    for place in ("/", "/opt/prizewire", "/etc", "/var/tmp", "/etc/prizewire"):  # noqa: S108 - the container's own
        done = image.run("python", "-c", program, place, entry=False)
        assert re.search("Read-only file system|Permission denied", done.stderr)


def test_sandbox_runs_from_its_image(built: dict[str, Image], tmp_path: Path) -> None:
    """The local Stellar RPC starts, is healthy, and ends with 0 on SIGTERM; its state is in `/tmp`."""
    image, port = built["sandbox"], choose(taken=set())
    command = ["serve", "--port", str(port), "--state", "/tmp/stellar.sqlite"]  # noqa: S108 - the container's own
    environment = {"HTTP_PORT": str(port)}
    probe = image.configuration["Healthcheck"]["Test"][1:]
    with image.started(*command, environment=environment, files=None, log=tmp_path / "log") as running:

        def healthy() -> bool:
            return running.alive() and image.run(*probe, environment=environment, entry=False).returncode == 0

        eventually_sync(healthy)
        assert running.stop() == 0
    assert image.run(*probe, environment=environment, entry=False).returncode == 1


def test_tools_run_from_their_image(built: dict[str, Image], repository: Repository) -> None:
    """The command shows its version and help, and reads the settings of every service's package. A command that needs a
    program of the local stack says what to install.
    """
    image = built["tools"]
    assert image.run("--version").stdout.strip().endswith(images.version())
    assert "env-example" in image.run("--help").stdout
    listed = image.run("env-example")
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout == (repository.root / ".env.example").read_text()
    started = image.run("up", environment={"PRIZEWIRE_HOME": "/tmp/state"})  # noqa: S108 - the container's own
    assert started.returncode == 2
    assert "prizewire-devstack[local]" in started.stdout + started.stderr
