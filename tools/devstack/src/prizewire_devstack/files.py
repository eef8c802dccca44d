"""Files that are named on the command line: read whole, or refused in one sentence."""

from pathlib import Path

from prizewire_devstack.errors import DevstackError


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        DevstackError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DevstackError(
            f"{path} cannot be read ({error.strerror}): name a file that exists and is readable."
        ) from error


def read_text(path: Path) -> str:
    """The content of a text file.

    Raises:
        DevstackError: it cannot be read, or is no UTF-8.
    """
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise DevstackError(
            f"{path} is no UTF-8 text (byte {error.start} is {error.object[error.start]:#04x}): save it as UTF-8."
        ) from error
