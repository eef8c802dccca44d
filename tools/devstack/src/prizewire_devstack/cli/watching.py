"""What `prizewire up` says while the stack runs: a part that ended, a disk that fills up."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from prizewire_devstack import disk
from prizewire_devstack.components.processes import Supervisor

LOG_BYTES_MAX: Final = 64 * 1024
"""How much of the end of a log is searched for the reason."""


class Watcher:
    """Looks at a running stack whenever it is told to, and says each thing once."""

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        directory: Path,
        say: Callable[[str], None],
        ended: Callable[[str], str],
    ) -> None:
        """`ended` is told of each part that ended by itself, and answers what follows from it, as a sentence."""
        self._supervisor = supervisor
        self._directory = directory
        self._say = say
        self._tell = ended
        self._ended: dict[str, int] = {}
        self._low = False
        # Of an earlier run's reasons nothing is repeated.
        self._logs_began_at = {part: supervisor.log_file(part).stat().st_size for part in supervisor.parts()}

    def look(self) -> None:
        """Say what is new since the last look."""
        low = disk.is_low(self._directory)
        for part in self._supervisor.ended_unexpectedly():
            pid = self._supervisor.pid(part)
            if self._ended.get(part) != pid:
                self._ended[part] = pid
                self._say(f"{self._why(part, low=low)} {self._tell(part)}")
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
    """How a process ended, by what the system says of it: below zero stands the number of a signal."""
    if code is not None and code < 0:
        return f"killed by {next((one.name for one in signal.Signals if one == -code), f'signal {-code}')}"
    return f"exit code {code}"
