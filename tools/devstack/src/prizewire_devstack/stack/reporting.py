"""How the progress of a starting stack is reported."""

from typing import Protocol

from prizewire_devstack.errors import DevstackError


class Reporter(Protocol):
    """Reports the progress of each part."""

    def progress(self, part: str, message: str) -> None:
        """`part` is now at `message`."""

    def ready(self, part: str, seconds: float) -> None:
        """`part` became ready after so many seconds."""

    def failed(self, error: DevstackError) -> None:
        """A part failed while it started; the parts that started are now stopped, which takes a while."""


class SilentReporter:
    """Says nothing."""

    def progress(self, part: str, message: str) -> None:
        """Ignore it."""

    def ready(self, part: str, seconds: float) -> None:
        """Ignore it."""

    def failed(self, error: DevstackError) -> None:
        """Ignore it."""
