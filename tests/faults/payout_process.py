"""A process of its own in which payouts runs and is killed: ``python -m tests.faults.payout_process WORLD POINT``.

WORLD is a file with a pickled ``tests.faults.payout_world.World``.
"""

import asyncio
import pickle
import sys
from pathlib import Path

from tests.faults.payout_world import World


def main() -> None:
    """Run until the point, and exit there without any cleanup."""
    file, point = sys.argv[1:]
    world: World = pickle.loads(Path(file).read_bytes())  # noqa: S301 - the test that started this process wrote it
    asyncio.run(world.run_and_exit(int(point)))


if __name__ == "__main__":
    main()
