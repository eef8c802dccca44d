"""The display of the starting stack: one line for each part."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from prizewire_devstack.cli.failures import print_failure
from prizewire_devstack.errors import DevstackError


class LiveReporter:
    """Shows one line for each part and keeps it up to date; plain lines where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._lines: dict[str, tuple[str, str]] = {}
        self._live: Live | None = None

    def progress(self, part: str, message: str) -> None:
        """`part` is now at `message`."""
        self._show(part, "[yellow]…[/]", message)

    def ready(self, part: str, seconds: float) -> None:
        """`part` became ready after so many seconds."""
        self._show(part, "[green]✓[/]", f"ready ({seconds:.1f} s)")
        if self._live is None:
            self._console.print(f"{part}: ready ({seconds:.1f} s)", highlight=False)

    def failed(self, error: DevstackError) -> None:
        """A part failed: say why at once, since stopping the others takes a while."""
        print_failure(error)

    def _show(self, part: str, sign: str, message: str) -> None:
        with self._lock:
            self._lines[part] = (sign, message)
            if self._live is not None:
                self._live.update(self._table())

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for part, (sign, message) in self._lines.items():
            table.add_row(sign, part, f"[dim]{message}[/]")
        return table

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show the lines while the stack starts; on a terminal they stay when it is ready."""
        if not self._console.is_terminal:
            yield
            return
        with Live(self._table(), console=self._console, refresh_per_second=8) as live:
            self._live = live
            yield
            self._live = None
