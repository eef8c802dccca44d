"""Messages of `prizewire up` while the stack runs: a part that ended, a disk that fills up."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from prizewire_devstack import disk
from prizewire_devstack.components.processes import Supervisor

LOG_BYTES_MAX: Final = 64 * 1024
"""How many bytes of the end of a log are searched for the reason."""


class Watcher:
    """Reports new events of a running stack at each call of ``look``, each once."""

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        directory: Path,
        say: Callable[[str], None],
        ended: Callable[[str], str],
    ) -> None:
        """`ended` is called for each part that ended by itself, and returns a sentence about the restart."""
        self._supervisor = supervisor
        self._directory = directory
        self._say = say
        self._on_end = ended
        self._ended: dict[str, int] = {}
        self._low = False
        # Reasons in the log of an earlier run are not reported again.
        self._logs_began_at = {part: supervisor.log_file(part).stat().st_size for part in supervisor.parts()}

    def look(self) -> None:
        """Report what is new since the last call."""
        low = disk.is_low(self._directory)
        for part in self._supervisor.ended_unexpectedly():
            pid = self._supervisor.pid(part)
            if self._ended.get(part) != pid:
                self._ended[part] = pid
                self._say(f"{self._why(part, low=low)} {self._on_end(part)}")
        if low and not self._low:
            self._say(f"{disk.low(self._directory)}: free some space, or parts of the stack will end.")
        self._low = low

    def _why(self, part: str, *, low: bool) -> str:
        log = self._supervisor.log_file(part)
        if low or disk.FULL_IN_LOGS in self._logged(part, log):
            return (
                f"{part} ended because the disk that holds {self._directory} is full: free some space. "
                f"Its log: {log}."
            )
        return f"{part} ended unexpectedly ({_how(self._supervisor.exit_code(part))}). Its log: {log}."

    def _logged(self, part: str, log: Path) -> bytes:
        began = self._logs_began_at.get(part, 0)
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(began, size - LOG_BYTES_MAX))
            return file.read()


def _how(code: int | None) -> str:
    """How a process ended, by its exit code; a negative one is the number of a signal."""
    if code is not None and code < 0:
        return f"killed by {next((one.name for one in signal.Signals if one == -code), f'signal {-code}')}"
    return f"exit code {code}"
