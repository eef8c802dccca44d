"""The state directory of one local stack."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from prizewire_devstack.errors import AlreadyRunningError, DevstackError, NotRunningError

HOME_VARIABLE = "PRIZEWIRE_HOME"
OWNER_ONLY = 0o600
OWNER_ONLY_DIRECTORY = 0o700
OWNER_ONLY_UMASK = 0o077
"""Files of a command and its children are readable by their owner only: state, logs and databases hold keys and personal
details.
"""
INSTALLATION_NAME = "installation.json"
"""A file of a state directory whose services run elsewhere, as in containers."""
GENERATION = "5"
"""The version of the stored state. It rises with each change after which older state cannot be used, such as a change of
a service's first migration; after the first release there is none.
"""


def repository_root() -> Path:
    """Find the repository: upwards from the working directory, else from this file.

    Raises:
        DevstackError: neither is in a Prizewire repository.
    """
    for start in (Path.cwd(), Path(__file__).resolve()):
        for candidate in (start, *start.parents):
            if (candidate / "tools" / "devstack" / "pyproject.toml").is_file():
                return candidate
    raise DevstackError(
        "The working directory is in no Prizewire repository: change into your clone and run the command there."
    )


def write_private(path: Path, text: str) -> None:
    """Write `text` to a file that only its owner may read (mode 0600), replacing it in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "w") as file:
        file.write(text)
    fresh.replace(path)


@dataclass(frozen=True, kw_only=True)
class ProcessRecord:
    """One running part: its pid and its start time (seconds since the epoch), since a pid may be reused."""

    pid: int
    started_at_s: float


def record_of(pid: int) -> ProcessRecord:
    """Record a process that runs now.

    Raises:
        psutil.NoSuchProcess: it has ended already.
    """
    return ProcessRecord(pid=pid, started_at_s=psutil.Process(pid).create_time())


def is_alive(record: ProcessRecord) -> bool:
    """Say whether the recorded process still runs; a reused pid and a zombie count as ended."""
    try:
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.started_at_s) < 1
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The addresses and processes of a running stack, for other commands (`run.json`)."""

    supervisor: ProcessRecord
    ports: dict[str, int]
    urls: dict[str, str]
    processes: dict[str, ProcessRecord] = field(default_factory=dict)
    ready: bool = False
    left_out: tuple[str, ...] = ()
    """Services that the stack does not run; they may run by hand."""
    ended: tuple[str, ...] = ()
    """Parts that ended by themselves and were not started again yet."""
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    """Variables by service that were set at the start; they override those of the local stack."""
    log_level: str = "INFO"


@dataclass(frozen=True, kw_only=True)
class Installation:
    """The addresses of services that run elsewhere: the gateway's URL, and Kafka as `host:port`."""

    gateway: str
    kafka: str


@dataclass(frozen=True, kw_only=True)
class Home:
    """A state directory; the stack's data, logs, keys and credentials all lie in it."""

    root: Path

    @staticmethod
    def default() -> "Home":
        """The directory that PRIZEWIRE_HOME names, else `.prizewire` in the repository.

        Raises:
            DevstackError: the path is no directory.
        """
        named = os.environ.get(HOME_VARIABLE)
        root = Path(named).resolve() if named else repository_root() / ".prizewire"
        if root.exists() and not root.is_dir():
            raise DevstackError(
                f"The state directory {root} is a file: remove it or set {HOME_VARIABLE} to a directory."
            )
        return Home(root=root)

    @property
    def logs(self) -> Path:
        """One log file for each part."""
        return self.root / "logs"

    @property
    def keys(self) -> Path:
        """Private keys and secrets, each file mode 0600."""
        return self.root / "keys"

    @property
    def control(self) -> Path:
        """Requests of other commands to a running stack (mode 0700)."""
        return self.root / "control"

    @property
    def rails_file(self) -> Path:
        """The payout rails of the stack (RAILS_FILE)."""
        return self.root / "rails.yaml"

    @property
    def run_file(self) -> Path:
        """Present while the stack runs, and after it was killed."""
        return self.root / "run.json"

    def installation(self) -> Installation | None:
        """The installation that this directory has the keys of, where its services run elsewhere."""
        try:
            return Installation(**json.loads((self.root / INSTALLATION_NAME).read_text()))
        except FileNotFoundError:
            return None

    @property
    def ports_file(self) -> Path:
        """The ports of the last start; free ones are used again."""
        return self.root / "ports.json"

    def create(self) -> None:
        """Create the directory and its subdirectories.

        Raises:
            DevstackError: the directory cannot be written.
        """
        try:
            for directory in (self.root, self.logs, self.keys):
                directory.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY_DIRECTORY)
                directory.chmod(OWNER_ONLY_DIRECTORY)
        except PermissionError as error:
            raise DevstackError(
                f"The state directory {self.root} cannot be written: it belongs to another user, so remove it as "
                f"that user or set {HOME_VARIABLE} to another directory."
            ) from error
        except OSError as error:
            raise DevstackError(
                f"The state directory {self.root} cannot be created ({error.strerror}): set {HOME_VARIABLE} to another "
                "directory."
            ) from error

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the directory for one running stack.

        Raises:
            AlreadyRunningError: another process has locked it.
        """
        self.create()
        with (self.root / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise AlreadyRunningError(
                    "A stack already runs with this state directory: use it (`prizewire status` shows its address), "
                    "or stop it with Ctrl-C where it was started."
                ) from error
            yield

    def wipe(self) -> None:
        """Remove everything except the lock."""
        for entry in self.root.iterdir():
            if entry.name == "lock":
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        self.create()

    def claim(self) -> None:
        """Use the directory for this version: it must be empty or written by this version.

        Raises:
            DevstackError: another version wrote it.
        """
        mark = self.root / "generation"
        found = mark.read_text().strip() if mark.is_file() else None
        if found is None and not (self.root / "postgres").exists():
            mark.write_text(GENERATION + "\n")
        elif found != GENERATION:
            raise DevstackError(
                f"Another version of Prizewire wrote the state in {self.root}, which this version cannot use: "
                "start once with --fresh, which deletes it (make demo ARGS=--fresh), or set "
                f"{HOME_VARIABLE} to another directory."
            )

    def remembered_ports(self) -> dict[str, int]:
        """The ports of the last start; empty before the first."""
        if not self.ports_file.is_file():
            return {}
        loaded: dict[str, int] = json.loads(self.ports_file.read_text())
        return loaded

    def remember_ports(self, ports: Mapping[str, int]) -> None:
        """Store the ports for the next start."""
        self.ports_file.write_text(json.dumps(dict(ports), indent=1, sort_keys=True) + "\n")

    def write_run(self, record: RunRecord) -> None:
        """Write the record of the running stack."""
        write_private(self.run_file, json.dumps(asdict(record), indent=1) + "\n")

    def read_run(self) -> RunRecord | None:
        """The record of the last start; None without one."""
        try:
            raw: dict[str, Any] = json.loads(self.run_file.read_text())
        except FileNotFoundError:
            return None
        return RunRecord(
            supervisor=ProcessRecord(**raw["supervisor"]),
            ports=raw["ports"],
            urls=raw["urls"],
            processes={name: ProcessRecord(**record) for name, record in raw["processes"].items()},
            ready=raw["ready"],
            left_out=tuple(raw.get("left_out", ())),
            ended=tuple(raw.get("ended", ())),
            settings=raw.get("settings", {}),
            log_level=raw.get("log_level", "INFO"),
        )

    def running(self) -> RunRecord:
        """The record of the stack that runs now and is ready.

        Raises:
            NotRunningError: no stack runs, or it is still starting.
        """
        if self.installation() is not None:
            raise NotRunningError(
                "The services of this state directory run elsewhere: ask what runs them, such as `docker compose ps`."
            )
        record = self.read_run()
        if record is None or not is_alive(record.supervisor):
            raise NotRunningError("The stack is not running: start it with `prizewire up` and try again.")
        if not record.ready:
            raise NotRunningError("The stack is still starting: wait until `prizewire up` prints Ready.")
        return record
