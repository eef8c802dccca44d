"""Asking a running stack for something from another terminal, through files in its state directory.

Each request is a file of its own, and so is its answer; the directory is the owner's alone (0700), the files too (0600).
A socket would need a short path, which a state directory need not have.
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
    """Somebody asks for a part to be started anew."""

    file: Path
    part: str


class Requests:
    """The requests of one running stack."""

    def __init__(self, home: Home) -> None:
        self._directory = home.control

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Take requests: as long as the directory is there, somebody answers."""
        self._directory.mkdir(mode=0o700)
        try:
            yield
        finally:
            shutil.rmtree(self._directory)

    def take(self) -> list[Request]:
        """The requests that came since, the oldest first. Each is taken once."""
        found: list[Request] = []
        for file in sorted(self._directory.glob(f"*{_REQUEST}"), key=lambda one: one.stat().st_mtime):
            part = file.read_text().strip()
            file.unlink()
            found.append(Request(file=file, part=part))
        return found

    @staticmethod
    def answer(request: Request, *, done: bool, sentence: str) -> None:
        """Tell who asked what became of it."""
        write_private(
            request.file.with_suffix(_ANSWER), json.dumps({"done": done, "sentence": sentence}) + "\n"
        )


def ask_restart(home: Home, part: str, *, deadline_s: float) -> str:
    """Have the running stack start a part anew; answers the sentence that says so once it is ready.

    Raises:
        NotRunningError: no stack runs, or it ended meanwhile.
        DevstackError: the part does not exist, could not be started, or was not ready in time.
    """
    run = home.running()
    if not home.control.is_dir():
        raise NotRunningError(
            "The running stack takes no requests: only one that `prizewire up` runs starts parts anew."
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
    told = json.loads(answer.read_text())
    answer.unlink()
    if not told["done"]:
        raise DevstackError(told["sentence"])
    return str(told["sentence"])
