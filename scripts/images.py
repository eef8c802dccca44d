"""Build the images of all parts with the standard library, Docker, Podman or buildah: `make images`.

Variables: PARTS (names, all without it), BASE (the image to build on), ENGINE (docker, podman or buildah), STORAGE (where
buildah keeps images and working files). docs/deploy.md has the details.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts import debian_base

ROOT: Final = Path(__file__).resolve().parent.parent
IMAGES: Final = ROOT / "deploy" / "images"
BASE: Final = "docker.io/library/python:3.11-slim-bookworm"
"""The base without another choice; the Dockerfile has the same."""
ENGINES: Final = ("docker", "podman", "buildah")
EXIT_CODE: Final = 2
LOG_LINES: Final = 30


class Failure(Exception):
    """A failure that a person can solve; its text says how."""


@dataclass(frozen=True, kw_only=True)
class Built:
    """One image that was built, its size as the engine says it, and the seconds that it took."""

    name: str
    size: str
    took_s: float


def say(text: str) -> None:
    """Print one line of progress at once, also into a pipe."""
    sys.stdout.write(f"prizewire: {text}\n")
    sys.stdout.flush()


def parts() -> dict[str, list[str]]:
    """The parts that have an image, each with the folders of its members."""
    found: dict[str, list[str]] = tomllib.loads((IMAGES / "parts.toml").read_text())
    return found


def version() -> str:
    """The version of the repository, which is the tag of every image."""
    project = tomllib.loads((ROOT / "tools" / "devstack" / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def cache_directory() -> Path:
    """Where this user's downloads for all clones are kept: PRIZEWIRE_CACHE, else the user's cache directory."""
    if named := os.environ.get("PRIZEWIRE_CACHE"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "prizewire"


def output(*command: str | Path, environment: dict[str, str] | None = None) -> str | None:
    """What a command prints, or None where it cannot be run or fails."""
    try:
        done = subprocess.run(
            [str(part) for part in command], env=environment, capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


class Engine:
    """Docker or Podman: both keep layers, so that what the images share is built once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.command: list[str] = [name]
        self.environment = dict(os.environ)

    def works(self) -> bool:
        """Say whether the program is installed and its engine answers."""
        return shutil.which(self.name) is not None and self.ask("info") is not None

    def ask(self, *arguments: str) -> str | None:
        """What a command of the engine prints, or None where it fails."""
        return output(*self.command, *arguments, environment=self.environment)

    def run(self, *arguments: str, failure: str) -> None:
        """Run a command of the engine.

        Raises:
            Failure: it failed; the end of its output was printed.
        """
        done = subprocess.run(
            [*self.command, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            sys.stderr.write("\n".join(done.stdout.splitlines()[-LOG_LINES:]) + "\n")
            raise Failure(failure)

    def prepare(self, base: str) -> str:
        """Make the base available; returns the name under which it is.

        Raises:
            Failure: it cannot be pulled.
        """
        if self.ask("image", "inspect", base) is None and self.ask("pull", base) is None:
            raise Failure(
                f"{self.name} cannot pull the base {base}: check the network, or choose another with BASE=…"
            )
        return base

    def build(
        self, *, target: str | None, tag: str, arguments: Sequence[str], contexts: Sequence[str] = ()
    ) -> None:
        """Build one stage of the Dockerfile.

        Raises:
            Failure: the build failed.
        """
        options = (
            [] if self.name == "docker" else ["--format", "docker"]
        )  # else Podman drops the health check
        options += self.options()
        options += [] if target is None else ["--target", target]
        options += [part for argument in arguments for part in ("--build-arg", argument)]
        options += [part for context in contexts for part in ("--build-context", context)]
        if certificates := os.environ.get("SSL_CERT_FILE"):
            options += ["--secret", f"id=certificates,src={certificates}"]
        self.run(
            *("build", *options, "--file", "deploy/images/Dockerfile", "--tag", tag, "."),
            failure=f"{tag} could not be built: the lines above say why. Where a company's own certificates are in use, "
            "set SSL_CERT_FILE to them.",
        )

    def options(self) -> list[str]:
        """Further options of a build."""
        return []

    def shared(self, arguments: Sequence[str]) -> list[str]:
        """Build what all images share, if the engine does not do so by itself; returns contexts for their builds."""
        del arguments
        return []

    def size(self, tag: str) -> str:
        """The size of an image, for people."""
        found = self.ask("image", "inspect", "--format", "{{.Size}}", tag)
        return "" if found is None else f"{int(found) / 1e6:.0f} MB"


class Buildah(Engine):
    """buildah, which needs no engine. Its images and working files stay in a directory of their own."""

    def __init__(self, storage: Path) -> None:
        super().__init__("buildah")
        self.storage = storage
        self.driver = ""

    def works(self) -> bool:
        """Say whether buildah is installed."""
        return shutil.which(self.name) is not None

    def open(self) -> None:
        """Choose the storage driver and create the directories."""
        temporary = self.storage / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        self.environment |= {"TMPDIR": str(temporary)}
        self.driver = "overlay" if os.geteuid() != 0 or _overlay_works(temporary) else "vfs"
        directories = ("--root", str(self.storage / "root"), "--runroot", str(self.storage / "run"))
        self.command = ["buildah", "--storage-driver", self.driver, *directories]

    def prepare(self, base: str) -> str:
        """Pull the base, or make one from Debian's packages where that is possible.

        Raises:
            Failure: neither is possible.
        """
        self.open()
        if self.ask("inspect", "--type", "image", base) is not None:
            return base
        say(f"pulling {base}")
        if self.ask("pull", "--quiet", base) is not None:
            return base
        if os.geteuid() != 0 or shutil.which("debootstrap") is None:
            raise Failure(
                f"buildah cannot pull the base {base}: check the network or choose another with BASE=…; "
                "as root with debootstrap installed (apt-get install debootstrap) a base is made of Debian's packages."
            )
        say(f"{base} cannot be pulled: a base is made of Debian's packages (about 40 s the first time)")
        return self.import_base()

    def import_base(self) -> str:
        """Make the base of Debian's packages into an image, unless this storage has it."""
        try:
            archive = debian_base.archive(cache_directory() / "images")
        except debian_base.NoBase as error:
            raise Failure(str(error)) from None
        name = f"localhost/prizewire/base:{archive.stem}"
        if self.ask("inspect", "--type", "image", name) is not None:
            return name
        failure = "the base could not be made into an image: the lines above say why."
        container = (self.ask("from", "scratch") or "").strip()
        mounted = (self.ask("mount", container) or "").strip()
        if not mounted:
            raise Failure(failure)
        subprocess.run(
            ["tar", "--extract", "--numeric-owner", "--file", archive, "--directory", mounted], check=True
        )
        self.run("commit", "--quiet", "--rm", container, name, failure=failure)
        return name

    def options(self) -> list[str]:
        """As root a chroot is enough of a container; layers are cheap where they are not copied."""
        isolation = ["--isolation", "chroot"] if os.geteuid() == 0 else []
        return [*isolation, f"--layers={'true' if self.driver == 'overlay' else 'false'}"]

    def shared(self, arguments: Sequence[str]) -> list[str]:
        """Build the stages that all images use once, and name them as contexts."""
        contexts: list[str] = []
        for stage in ("build", "common"):
            tag = f"localhost/prizewire/stage-{stage}:{version()}"
            self.build(target=stage, tag=tag, arguments=arguments, contexts=contexts)
            contexts.append(f"{stage}=container-image://{tag}")
        return contexts

    def size(self, tag: str) -> str:
        """The size of an image, for people."""
        return (self.ask("images", "--noheading", "--format", "{{.Size}}", tag) or "").strip()


def _overlay_works(directory: Path) -> bool:
    """Say whether the kernel lets this user mount an overlay on the storage's file system; else files are copied."""
    tried = directory / "overlay"
    folders = {name: tried / name for name in ("lower", "upper", "work", "merged")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={folders['lower']},upperdir={folders['upper']},workdir={folders['work']}"
    works = output("mount", "-t", "overlay", "overlay", "-o", options, folders["merged"]) is not None
    if works:
        output("umount", folders["merged"])
    shutil.rmtree(tried, ignore_errors=True)
    return works


def storage_directory() -> Path:
    """Where buildah keeps images: STORAGE, else a directory in the user's cache."""
    return Path(os.environ.get("STORAGE") or cache_directory() / "images" / "storage").resolve()


def choose_engine(name: str | None) -> Engine:
    """The engine of that name, else the first of Docker, Podman and buildah that works.

    Raises:
        Failure: there is none.
    """
    if name and name not in ENGINES:
        raise Failure(f"ENGINE={name} is unknown: choose docker, podman or buildah.")
    for candidate in (name,) if name else ENGINES:
        engine = Buildah(storage_directory()) if candidate == "buildah" else Engine(str(candidate))
        if engine.works():
            return engine
    if name:
        raise Failure(
            f"{name} is not installed, or its engine does not answer: start it or choose another ENGINE."
        )
    raise Failure(
        "No engine for images answers: install Docker or Podman, or on Debian and Ubuntu run "
        "`apt-get install buildah debootstrap`."
    )


def choose_parts(names: str) -> list[str]:
    """The parts to build: those named, with commas or spaces between them, else all.

    Raises:
        Failure: a name is unknown.
    """
    known = list(parts())
    chosen = names.replace(",", " ").split() or known
    if unknown := sorted(set(chosen) - set(known)):
        raise Failure(f"PARTS has unknown names ({', '.join(unknown)}): choose of {', '.join(known)}.")
    return chosen


def build(engine: Engine, chosen: Sequence[str], *, base: str) -> list[Built]:
    """Build the images of these parts.

    Raises:
        Failure: the base is not available, or a build failed.
    """
    name = engine.prepare(base)
    revision = (output("git", "-C", ROOT, "rev-parse", "HEAD") or "unknown").strip()
    arguments = (f"BASE={name}", f"VERSION={version()}", f"REVISION={revision}")
    say("what all images share: wheels, packages checked by hash, compiled files")
    contexts = engine.shared(arguments)
    found = []
    for number, part in enumerate(chosen, 1):
        say(f"{number}/{len(chosen)} {part}")
        started = time.monotonic()
        tag = f"prizewire/{part}:{version()}"
        engine.build(target=None, tag=tag, arguments=(*arguments, f"PART={part}"), contexts=contexts)
        found.append(Built(name=tag, size=engine.size(tag), took_s=time.monotonic() - started))
    return found


def main() -> int:
    """Build what the variables say; 0 on success."""
    started = time.monotonic()
    try:
        chosen = choose_parts(os.environ.get("PARTS", ""))
        engine = choose_engine(os.environ.get("ENGINE"))
        say(f"images with {engine.name}")
        built = build(engine, chosen, base=os.environ.get("BASE") or BASE)
    except Failure as failure:
        sys.stderr.write(f"\nprizewire: {failure}\n")
        return EXIT_CODE
    width = max(len(image.name) for image in built)
    for image in built:
        sys.stdout.write(f"{image.name:{width}}  {image.size:>8}  {image.took_s:5.1f} s\n")
    where = f", in {engine.storage}" if isinstance(engine, Buildah) else ""
    say(f"{len(built)} images after {time.monotonic() - started:.0f} s{where}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
