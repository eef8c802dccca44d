"""The names of a service's processes."""

import pytest

from prizewire_devstack.cli.status import is_asked
from prizewire_devstack.stack.replicas import part_of, replica_parts, service_of


def test_the_first_process_has_the_name_of_its_service() -> None:
    """Others have a number, from 2."""
    assert [part_of("settlement", number) for number in (1, 2)] == ["settlement", "settlement-2"]
    assert replica_parts(("rewards", "signer"), 1) == ()
    assert replica_parts(("rewards", "signer"), 3) == ("rewards-2", "rewards-3", "signer-2", "signer-3")


@pytest.mark.parametrize(
    ("part", "service", "asked"),
    [
        ("settlement", "settlement", True),
        ("settlement-2", "settlement", True),
        ("settlement-migrate", None, False),
        ("kafka-controller", None, False),
        ("gateway", None, True),
        ("postgres", None, False),
    ],
)
def test_a_part_is_a_process_of_a_service_or_not(part: str, service: str | None, asked: bool) -> None:
    """`prizewire status` asks each process of a service, and the gateway, whether it is ready."""
    assert service_of(part) == service
    assert is_asked(part) is asked
