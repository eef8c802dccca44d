"""What must always hold, asserted where it is made; the same statements run over the database as checks."""

from collections.abc import Sequence

from prizewire_money import FeeSplit
from prizewire_settlement.domain.model import Line


def assert_settlement(*, fees: FeeSplit, unclaimed: int, lines: Sequence[Line]) -> None:
    """No unit is lost or made: gross = fees + net, net = lines + unclaimed, every line pays something.

    Raises:
        AssertionError: the arithmetic is wrong; the report is then parked, and nothing is paid.
    """
    assert fees.gross == fees.platform + fees.organizer + fees.net, "gross is not fees and net"
    assert fees.net == sum(line.amount for line in lines) + unclaimed, "net is not lines and unclaimed"
    assert unclaimed >= 0, "more is paid than there is"
    assert all(line.amount > 0 for line in lines), "a line pays nothing"
