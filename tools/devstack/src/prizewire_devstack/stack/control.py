"""Requests to a running stack from another terminal, through files in its state directory.

Each request is a file of its own, and so is its answer; the directory is the owner's alone (0700), the files too (0600).
A socket would need a short path, and the path of a state directory may be long.
"""

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prizewire_devstack.errors import DevstackError, NotRunningError
from prizewire_devstack.home import Home, is_alive, write_private

POLL_S: Final = 0.2
_REQUEST: Final = ".request"
_ANSWER: Final = ".answer"
_PROGRESS: Final = ".progress"
REMIND_S: Final = 10.0
"""Seconds without news after which a command says that it still waits."""


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
    def note(request: Request, sentence: str) -> None:
        """Tell the command that made a request how far it is."""
        file = os.open(request.file.with_suffix(_PROGRESS), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, f"{sentence}\n".encode())
        finally:
            os.close(file)

    @staticmethod
    def answer(request: Request, *, done: bool, sentence: str) -> None:
        """Write the outcome of a request for the command that made it."""
        write_private(
            request.file.with_suffix(_ANSWER), json.dumps({"done": done, "sentence": sentence}) + "\n"
        )


def ask_restart(
    home: Home, part: str, *, deadline_s: float, say: Callable[[str], None] = lambda _: None
) -> str:
    """Let the running stack restart a part; returns a sentence once the part is ready. `say` gets what happens meanwhile.

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
    began = last = time.monotonic()
    deadline = began + deadline_s
    progress = file.with_suffix(_PROGRESS)
    said = 0
    say(f"The stack is asked to restart {part}.")
    while not answer.is_file():
        news = progress.read_text().splitlines()[said:] if progress.is_file() else []
        for sentence in news:
            say(sentence)
        said += len(news)
        now = time.monotonic()
        if news:
            last = now
        elif now - last >= REMIND_S:
            say(f"{part} is not ready after {now - began:.0f} s. Its log: {home.logs / f'{part}.log'}")
            last = now
        if not is_alive(run.supervisor) or not home.control.is_dir():
            raise NotRunningError(f"The stack ended before {part} was started again.")
        if time.monotonic() > deadline:
            raise DevstackError(f"{part} was not ready within {deadline_s:.0f} s: see {home.logs}.")
        time.sleep(POLL_S)
    outcome = json.loads(answer.read_text())
    answer.unlink()
    progress.unlink(missing_ok=True)
    if not outcome["done"]:
        raise DevstackError(outcome["sentence"])
    return str(outcome["sentence"])
