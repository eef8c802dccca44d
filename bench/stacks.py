"""The stack that measurements run on, and databases of their own beside the services'."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from prizewire_devstack.home import Home
from prizewire_devstack.stack import Stack, StackOptions


@contextmanager
def bench_stack(
    *, services: tuple[str, ...], settings: Mapping[str, Mapping[str, str]] | None = None
) -> Iterator[Stack]:
    """A stack of its own with some of the services, and settings of theirs; PostgreSQL runs with fsync."""
    options = StackOptions(services=services, log_level="WARNING", extra_environment=settings or {})
    with (
        tempfile.TemporaryDirectory(prefix="prizewire-bench-", ignore_cleanup_errors=True) as directory,
        Stack(home=Home(root=Path(directory)), options=options) as stack,
    ):
        yield stack


def empty_rewards(stack: Stack, *, name: str) -> str:
    """A copy of rewards' migrated, empty database; returns the runtime role's URL. The service is stopped."""
    stack.stop("rewards")
    return stack.postgres.copy_database(
        "rewards", passwords=stack.keyring.role_passwords("rewards"), database=name, template="rewards"
    ).runtime
