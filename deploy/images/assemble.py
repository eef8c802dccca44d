"""Runs in the build stage of the images: builds the members' wheels, then the environment of each image.

`python assemble.py DESTINATION` installs the packages of all locks, each file checked by hash, and the members' wheels, and
compiles them, because an image's root is read-only. Then it makes DESTINATION/common, what all images but the sandbox have,
and DESTINATION/PART, what that image has beside it: together exactly the packages of the image's lock, and its members.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).resolve().parents[2]
IMAGES: Final = SOURCE / "deploy" / "images"
LOCKS: Final = IMAGES / "locks"
ENVIRONMENT: Final = Path("/opt/prizewire")
"""Where the environment is in every image. Its scripts name this path, so it is made here and moved away."""
COMMON: Final = "common"
"""What all images but those of ALONE have: a layer of its own, which they share."""
ALONE: Final = ("sandbox",)
WORK: Final = Path("/build")
GROUPS: Final = ("libs", "rails", "services", "tools")
STARTED: Final = time.monotonic()
LEFT_OUT: Final = "pycountry/locales/"
"""Translations of names of countries, 22 MB: the library looks up codes of countries without them."""
UV: Final = Path(sys.executable).parent / "uv"


def uv(*arguments: str | Path) -> None:
    """Run uv on the environment at ENVIRONMENT."""
    subprocess.run([UV, *arguments], check=True, env={**os.environ, "VIRTUAL_ENV": str(ENVIRONMENT)})


def install(*arguments: str | Path) -> None:
    """Install packages into the environment."""
    uv("pip", "install", "--quiet", "--python", ENVIRONMENT, *arguments)


def create() -> None:
    """Make an empty environment for the base's Python."""
    uv("venv", "--quiet", "--no-project", "--python", os.path.realpath(sys.executable), ENVIRONMENT)


def build_wheels() -> Path:
    """Build every member's wheel with the locked hatchling, without build isolation."""
    wheels = WORK / "wheels"
    create()
    install("--require-hashes", "-r", LOCKS / "build.lock")
    program = (
        "import sys\n"
        "from hatchling.builders.wheel import WheelBuilder\n"
        "for folder in sys.argv[2:]:\n"
        "    list(WheelBuilder(folder).build(directory=sys.argv[1]))\n"
    )
    members = sorted(path.parent for group in GROUPS for path in (SOURCE / group).glob("*/pyproject.toml"))
    subprocess.run([ENVIRONMENT / "bin" / "python", "-c", program, wheels, *members], check=True)
    shutil.rmtree(ENVIRONMENT)
    return wheels


def names_of(folders: list[str]) -> list[str]:
    """The names of the packages in these folders."""
    found = [path for folder in folders for path in sorted(SOURCE.glob(f"{folder}/pyproject.toml"))]
    return [tomllib.loads(path.read_text())["project"]["name"] for path in found]


def install_all(parts: Iterable[str], wheels: Path) -> Path:
    """Install the packages of all parts once, each file checked by hash, and compile them; returns where they are."""
    create()
    install("--require-hashes", *(option for part in parts for option in ("-r", LOCKS / f"{part}.lock")))
    install("--no-deps", "--no-index", *sorted(wheels.glob("*.whl")))
    # Compiled files of this kind are taken as they are: no file's time is compared at the start.
    options = ("-q", "-j", "0", "--invalidation-mode", "unchecked-hash")
    subprocess.run(
        [ENVIRONMENT / "bin" / "python", "-m", "compileall", *options, ENVIRONMENT / "lib"], check=True
    )
    everything = WORK / "everything"
    ENVIRONMENT.rename(everything)
    return everything


def normalized(name: str) -> str:
    """A package's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(part: str, folders: list[str], installed: Mapping[str, Distribution]) -> set[str]:
    """The packages of a part: those of its lock that this platform has, its members, and the members these need."""
    lock = re.findall(r"^([A-Za-z0-9._-]+)==", (LOCKS / f"{part}.lock").read_text(), re.MULTILINE)
    found = {normalized(name) for name in lock} & installed.keys()
    waiting = names_of(folders)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            needed = [
                re.split(r"[^\w-]", text)[0]
                for text in installed[name].requires or []
                if "extra ==" not in text
            ]
            waiting += [other for other in needed if other.startswith("prizewire-")]
    return found


def place(packages: Iterable[Distribution], everything: Path, target: Path) -> None:
    """Link the files of some packages, with their compiled files and without those of ``LEFT_OUT``, into an environment."""
    for package in packages:
        for file in package.files or []:
            if file.as_posix().startswith(LEFT_OUT):
                continue
            source = Path(os.path.normpath(str(package.locate_file(file))))
            compiled = source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
            for one in (source, compiled) if source.suffix == ".py" else (source,):
                link = target / one.relative_to(everything)
                link.parent.mkdir(parents=True, exist_ok=True)
                if not link.exists() and one.exists():
                    os.link(one, link)


def environment_in(folder: Path) -> Path:
    """The environment's place in the root of an image."""
    return folder / ENVIRONMENT.relative_to("/")


def start_environment(folder: Path) -> None:
    """Make an environment without packages, and without the shell's scripts for people."""
    create()
    for script in (ENVIRONMENT / "bin").iterdir():
        if not script.name.startswith("python"):
            script.unlink()
    environment_in(folder).parent.mkdir(parents=True)
    ENVIRONMENT.rename(environment_in(folder))


def say(text: str) -> None:
    """Print one line of progress at once."""
    sys.stdout.write(f"{time.monotonic() - STARTED:4.0f} s  {text}\n")
    sys.stdout.flush()


def main() -> None:
    """Make the environments of all parts."""
    destination = Path(sys.argv[1])
    parts: dict[str, list[str]] = tomllib.loads((IMAGES / "parts.toml").read_text())
    WORK.mkdir()
    say("wheels of the members")
    wheels = build_wheels()
    say("packages of all images, checked by hash")
    everything = install_all(parts, wheels)
    say("one environment for each image")
    library = next((everything / "lib").glob("python3*/site-packages"))
    installed = {normalized(one.name): one for one in distributions(path=[str(library)])}
    packages = {part: wanted(part, folders, installed) for part, folders in parts.items()}
    common = set.intersection(*(packages[part] for part in parts if part not in ALONE))
    for name in (COMMON, *ALONE):
        start_environment(destination / name)
    for name, chosen in {COMMON: common, **packages}.items():
        extra = chosen if name in {COMMON, *ALONE} else chosen - common
        place((installed[one] for one in sorted(extra)), everything, environment_in(destination / name))
    say("done")
    shutil.rmtree(WORK)


if __name__ == "__main__":
    main()
