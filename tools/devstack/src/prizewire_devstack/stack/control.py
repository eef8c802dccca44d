"""Requests to a running stack from another terminal, through files in its state directory.

Each request is a file of its own, and so is its answer; the directory is the owner's alone (0700), the files too (0600).
A socket would need a short path, and the path of a state directory may be long.
"""

import json
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prizewire_devstack.errors import DevstackError, NotRunningError
from prizewire_devstack.home import Home, is_alive, write_private

POLL_S: Final = 0.2
_REQUEST: Final = ".request"
_ANSWER: Final = ".answer"


@dataclass(frozen=True, kw_only=True)
class Request:
    """The request to restart a part."""

    file: Path
    part: str


class Requests:
    """The requests of one running stack."""

    def __init__(self, home: Home) -> None:
        self._directory = home.control

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Accept requests in the block: the directory exists exactly while they are processed."""
        self._directory.mkdir(mode=0o700)
        try:
            yield
        finally:
            shutil.rmtree(self._directory)

    def take(self) -> list[Request]:
        """The new requests, oldest first. Each is returned once."""
        found: list[Request] = []
        for file in sorted(self._directory.glob(f"*{_REQUEST}"), key=lambda one: one.stat().st_mtime):
            part = file.read_text().strip()
            file.unlink()
            found.append(Request(file=file, part=part))
        return found

    @staticmethod
    def answer(request: Request, *, done: bool, sentence: str) -> None:
        """Write the outcome of a request for the command that made it."""
        write_private(
            request.file.with_suffix(_ANSWER), json.dumps({"done": done, "sentence": sentence}) + "\n"
        )


def ask_restart(home: Home, part: str, *, deadline_s: float) -> str:
    """Let the running stack restart a part; returns a sentence once the part is ready.

    Raises:
        NotRunningError: no stack runs, or it ended while the part restarted.
        DevstackError: the part does not exist, could not be started, or was not ready in time.
    """
    run = home.running()
    if not home.control.is_dir():
        raise NotRunningError(
            "The running stack takes no requests: only a stack of `prizewire up` restarts parts."
        )
    file = home.control / f"{uuid.uuid4()}{_REQUEST}"
    write_private(file, part + "\n")
    answer = file.with_suffix(_ANSWER)
    deadline = time.monotonic() + deadline_s
    while not answer.is_file():
        if not is_alive(run.supervisor) or not home.control.is_dir():
            raise NotRunningError(f"The stack ended before {part} was started again.")
        if time.monotonic() > deadline:
            raise DevstackError(f"{part} was not ready within {deadline_s:.0f} s: see {home.logs}.")
        time.sleep(POLL_S)
    outcome = json.loads(answer.read_text())
    answer.unlink()
    if not outcome["done"]:
        raise DevstackError(outcome["sentence"])
    return str(outcome["sentence"])
