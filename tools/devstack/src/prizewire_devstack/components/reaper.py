"""Ends the child processes of a command that was killed.

The reaper runs as a process of its own with a pipe as standard input: `+PID` and `-PID` lines add and remove a child. The
pipe closes when the parent ends in any way. Processes that are still listed are then stopped, and killed if they do
not stop. Standard library only, so that it starts at once and stays small.
"""

import os
import signal
import sys
import time

GRACE_S = 10.0
POLL_S = 0.1


def send(pids: set[int], signum: int) -> set[int]:
    """Signal every pid; return those that still exist."""
    alive = set()
    for pid in pids:
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            continue
        alive.add(pid)
    return alive


def main() -> None:
    """Follow the list until the pipe closes, then end the listed processes."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    children: set[int] = set()
    for line in sys.stdin:
        pid = int(line[1:])
        if line[0] == "+":
            children.add(pid)
        else:
            children.discard(pid)
    children = send(children, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while children and time.monotonic() < deadline:
        time.sleep(POLL_S)
        children = send(children, 0)
    send(children, signal.SIGKILL)


if __name__ == "__main__":
    main()
