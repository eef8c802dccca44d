"""Errors of the local stack. The text of each is one sentence that says what to do; no traceback is shown.

DevstackError
├── NotRunningError      a command needs the running stack
├── AlreadyRunningError  another `prizewire up` holds the state directory
├── PortBusyError        another program listens on a required port
├── DownloadError        a part could not be fetched
├── DiskFullError        the state directory's file system is full
└── StartError           a part did not become ready
"""

EXIT_CODE = 2


class DevstackError(Exception):
    """An anticipated failure; its text is one sentence for the person at the terminal.

    `printed` says whether it was printed already, before the command ends.
    """

    printed: bool = False


class NotRunningError(DevstackError):
    """A command needs the running stack and there is none."""


class AlreadyRunningError(DevstackError):
    """Another process runs the stack out of the same state directory."""


class PortBusyError(DevstackError):
    """A port that was asked for is in use."""


class DownloadError(DevstackError):
    """A part of the stack could not be fetched."""


class DiskFullError(DevstackError):
    """The file system of the state directory is full."""


class StartError(DevstackError):
    """A part of the stack did not become ready, or ended while it started."""
