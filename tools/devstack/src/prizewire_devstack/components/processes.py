"""Child processes: start with a log file, wait until ready, stop in time. No child outlives the command."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from prizewire_devstack.components import reaper
from prizewire_devstack.errors import DiskFullError, StartError
from prizewire_devstack.home import ProcessRecord, is_alive, record_of

STOP_TIMEOUT_S = 20.0
POLL_S = 0.05
START_LIMIT_S = 600.0
"""Seconds that a part may take to become ready, even with progress."""
PROGRESS_CPU_S = 0.5
"""Seconds of processor time that count as progress; a part that only waits needs minutes for it."""
LOG_TAIL_LINES = 12
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE")
"""Variables that a child inherits: enough to run, none that configures a service."""


def base_environment() -> dict[str, str]:
    """The smallest environment in which a child runs; two malloc arenas keep Python services small."""
    inherited = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**inherited, "MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1", "TZ": "UTC"}


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """How to run one part. `environment` is complete: no other variable is inherited."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    log_file: Path
    directory: Path
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = STOP_TIMEOUT_S


@dataclass
class _Child:
    spec: ProcessSpec
    process: subprocess.Popen[bytes]
    record: ProcessRecord
    log_begin: int
    expected_to_end: bool = False

    def log_tail(self) -> str:
        """The last lines that this run of the part logged."""
        return log_tail(self.spec.log_file, begin=self.log_begin)


class _Progress:
    """Whether a starting part makes progress: its log grows, or it and its children use the processor."""

    def __init__(self, child: _Child) -> None:
        self._child = child
        self._log_bytes = self._logged()
        self._cpu_s = self._used()

    def made(self) -> bool:
        """Say whether there was progress since the last call."""
        log_bytes, cpu_s = self._logged(), self._used()
        if log_bytes == self._log_bytes and cpu_s < self._cpu_s + PROGRESS_CPU_S:
            return False
        self._log_bytes, self._cpu_s = log_bytes, cpu_s
        return True

    def _logged(self) -> int:
        try:
            return self._child.spec.log_file.stat().st_size
        except FileNotFoundError:
            return 0

    def _used(self) -> float:
        try:
            times = psutil.Process(self._child.process.pid).cpu_times()
        except psutil.Error:
            return 0.0
        return times.user + times.system + times.children_user + times.children_system


def log_tail(path: Path, *, begin: int, lines_max: int = LOG_TAIL_LINES) -> str:
    """The last lines of a log file, for an error message. Lines before the byte `begin` are of an earlier run."""
    try:
        with path.open("rb") as log:
            log.seek(begin)
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        text = ""
    return "\n".join(text.splitlines()[-lines_max:]) or "(nothing)"


def answers_ok(url: str, *, timeout_s: float = 1.0) -> bool:
    """Say whether a GET on `url` answers 200 now."""
    try:
        return httpx.get(url, timeout=timeout_s, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def end_recorded(
    records: Mapping[str, ProcessRecord], *, timeout_s: float = STOP_TIMEOUT_S
) -> tuple[str, ...]:
    """End the processes that an earlier, killed run left behind; return their names."""
    left = {name: psutil.Process(record.pid) for name, record in records.items() if is_alive(record)}
    for process in left.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(list(left.values()), timeout=timeout_s)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=timeout_s)
    return tuple(left)


class Supervisor:
    """Owns the child processes of one stack. Thread-safe: parts are started concurrently.

    Every child runs in a session of its own, so Ctrl-C in the terminal reaches only the command, which stops the
    children in order; a reaper process ends them when the command is killed.
    """

    def __init__(self) -> None:
        self._children: dict[str, _Child] = {}
        self._lock = threading.Lock()
        self._reaper: subprocess.Popen[bytes] | None = None
        self._closing = False

    def start(self, spec: ProcessSpec) -> ProcessRecord:
        """Start a part; its output is appended to its log file.

        Raises:
            StartError: it runs already, or its program cannot be executed.
            DiskFullError: its log file cannot be written.
        """
        with self._lock:
            self.require_open(spec.name)
            current = self._children.get(spec.name)
            if current is not None and current.process.poll() is None:
                raise StartError(f"{spec.name} runs already: stop it first.")
            if current is not None:
                # its pid may belong to another process now
                self._send_to_reaper("-", current.process.pid)
            try:
                spec.log_file.parent.mkdir(parents=True, exist_ok=True)
                with spec.log_file.open("ab") as log:
                    log_begin = log.tell()
                    process = subprocess.Popen(  # noqa: S603 - argv is our own, without a shell
                        spec.argv,
                        env=dict(spec.environment),
                        cwd=spec.directory,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise DiskFullError(
                        f"The disk that holds {spec.log_file.parent} is full: free some space and start again."
                    ) from error
                raise StartError(f"{spec.name} could not be started: {error}.") from error
            self._send_to_reaper("+", process.pid)
            record = record_of(process.pid)
            self._children[spec.name] = _Child(spec=spec, process=process, record=record, log_begin=log_begin)
            return record

    def restart(self, name: str) -> ProcessRecord:
        """Start an ended part again with the same settings."""
        return self.start(self._children[name].spec)

    def parts(self) -> tuple[str, ...]:
        """The parts that were started, running or ended."""
        return tuple(self._children)

    def is_running(self, name: str) -> bool:
        """Say whether the part was started and has not ended."""
        child = self._children.get(name)
        return child is not None and child.process.poll() is None

    def pid(self, name: str) -> int:
        """The pid of a part that was started."""
        return self._children[name].process.pid

    def log_file(self, name: str) -> Path:
        """Where the part's output goes."""
        return self._children[name].spec.log_file

    def records(self) -> dict[str, ProcessRecord]:
        """The parts that run now, and the reaper."""
        running = {
            name: child.record for name, child in self._children.items() if child.process.poll() is None
        }
        if self._reaper is not None and self._reaper.poll() is None:
            running["reaper"] = record_of(self._reaper.pid)
        return running

    def ended_unexpectedly(self) -> tuple[str, ...]:
        """The parts that ended without being stopped."""
        with self._lock:
            return tuple(
                name
                for name, child in self._children.items()
                if child.process.poll() is not None and not child.expected_to_end
            )

    def exit_code(self, name: str) -> int | None:
        """The exit code of a part, or the negative number of a signal; None while it runs."""
        return self._children[name].process.poll()

    def kill(self, name: str) -> None:
        """Kill a part with SIGKILL, and wait until it has ended."""
        child = self._children[name]
        child.expected_to_end = True
        child.process.kill()
        self._reap(child)

    def send_signal(self, name: str, number: signal.Signals) -> None:
        """Send a part a signal that does not end it. One that has ended gets none."""
        self._children[name].process.send_signal(number)

    def stop(self, name: str) -> None:
        """Stop a part with SIGTERM; kill it when it does not end in time."""
        child = self._children.get(name)
        if child is None or child.process.poll() is not None:
            return
        child.expected_to_end = True
        child.process.send_signal(child.spec.stop_signal)
        try:
            child.process.wait(child.spec.stop_timeout_s)
        except subprocess.TimeoutExpired:
            child.process.kill()
        self._reap(child)

    def remove(self, name: str) -> None:
        """Stop a part and forget it: it can be restarted no more. One that is not known stays so."""
        self.stop(name)
        child = self._children.get(name)
        if child is not None:
            self._reap(child)
            with self._lock:
                self._children.pop(name, None)

    def run_to_end(self, spec: ProcessSpec, *, timeout_s: float) -> None:
        """Run a command to its end, its output appended to its log file. It is a part until then, so a stop ends it.

        Raises:
            StartError: it could not be started, failed, was stopped, or took longer than `timeout_s`; the message carries
                the end of its log.
        """
        self.start(spec)
        child = self._children[spec.name]
        try:
            code = child.process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise StartError(
                f"{spec.name} took longer than {timeout_s:.0f} s; see {spec.log_file}."
            ) from error
        finally:
            self.remove(spec.name)
        if code != 0:
            raise StartError(
                f"{spec.name} failed with code {code}; its log {spec.log_file} ends with:\n{child.log_tail()}"
            )

    def close(self) -> None:
        """Let no part start from now on; running parts go on."""
        with self._lock:
            self._closing = True

    def require_open(self, name: str) -> None:
        """Check that the part `name` may start.

        Raises:
            StartError: the supervisor was closed.
        """
        if self._closing:
            raise StartError(f"{name} was not started, since the stack stops: start the stack again.")

    def stop_all(self) -> None:
        """Stop all running parts at once, then the reaper; no part can be started afterwards."""
        self.close()
        threads = [threading.Thread(target=self.stop, args=(name,)) for name in tuple(self._children)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with self._lock:
            ended, self._reaper = self._reaper, None
        if ended is not None and ended.stdin is not None:
            ended.stdin.close()
            ended.wait()

    def wait_until(
        self, name: str, ready: Callable[[], bool], *, deadline_s: float, limit_s: float = START_LIMIT_S
    ) -> None:
        """Wait until `ready()` holds for a part that was started.

        `deadline_s` is the longest time without progress, since the machine may be slow. `limit_s` ends the wait in any
        case.

        Raises:
            StartError: the part ended first, made no progress for too long, or reached the limit; the message carries
                the end of its log.
        """
        child = self._children[name]
        progress = _Progress(child)
        began = time.monotonic()
        deadline = began + deadline_s
        while not ready():
            if child.process.poll() is not None:
                raise StartError(
                    f"{name} ended while it started; its log {child.spec.log_file} ends with:\n"
                    f"{child.log_tail()}"
                )
            now = time.monotonic()
            if progress.made():
                deadline = now + deadline_s
            if now > min(deadline, began + limit_s):
                raise StartError(
                    f"{name} was not ready within {now - began:.0f} s; its log {child.spec.log_file} ends with:\n"
                    f"{child.log_tail()}"
                )
            time.sleep(POLL_S)

    def _reap(self, child: _Child) -> None:
        child.process.wait()
        with self._lock:
            self._send_to_reaper("-", child.process.pid)

    def _send_to_reaper(self, sign: str, pid: int) -> None:
        if self._reaper is None and sign == "-":
            return
        if self._reaper is None:
            self._reaper = subprocess.Popen(  # noqa: S603 - our own module, without a shell
                (sys.executable, "-I", "-S", reaper.__file__),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=base_environment(),
                start_new_session=True,
            )
        assert self._reaper.stdin is not None
        self._reaper.stdin.write(f"{sign}{pid}\n".encode())
        self._reaper.stdin.flush()
