"""What `prizewire up` says while the stack runs: a part that ended, a disk that fills up."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from prizewire_devstack import disk
from prizewire_devstack.components.processes import Supervisor

LOG_BYTES_MAX: Final = 64 * 1024
"""How much of the end of a log is searched for the reason."""


class Watcher:
    """Looks at a running stack whenever it is told to, and says each thing once."""

    def __init__(self, *, supervisor: Supervisor, directory: Path, say: Callable[[str], None]) -> None:
        self._supervisor = supervisor
        self._directory = directory
        self._say = say
        self._ended: set[str] = set()
        self._low = False
        # Of an earlier run's reasons nothing is repeated.
        self._logs_began_at = {part: supervisor.log_file(part).stat().st_size for part in supervisor.parts()}

    def look(self) -> None:
        """Say what is new since the last look."""
        low = disk.is_low(self._directory)
        for part in self._supervisor.ended_unexpectedly():
            if part not in self._ended:
                self._ended.add(part)
                self._say(self._why(part, low=low))
        if low and not self._low:
            self._say(f"{disk.low(self._directory)}: free some space, or parts of the stack will end.")
        self._low = low

    def _why(self, part: str, *, low: bool) -> str:
        log = self._supervisor.log_file(part)
        if low or disk.FULL_IN_LOGS in self._logged(part, log):
            return (
                f"{part} ended because the disk that holds {self._directory} is full: free some space, then stop "
                f"with Ctrl-C and start again; its log: {log}"
            )
        return f"{part} ended unexpectedly; its log: {log}"

    def _logged(self, part: str, log: Path) -> bytes:
        began = self._logs_began_at.get(part, 0)
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(began, size - LOG_BYTES_MAX))
            return file.read()
