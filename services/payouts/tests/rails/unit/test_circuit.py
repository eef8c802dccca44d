"""The circuit breaker of a rail."""

from datetime import UTC, datetime, timedelta

from prizewire_payouts.rails.domain import Circuit, CircuitState

NOW = datetime(2026, 11, 24, tzinfo=UTC)
REST = timedelta(seconds=5)


def opened() -> Circuit:
    circuit = Circuit(failures_max=3, rest_first=REST, rest_max=3 * REST)
    for _ in range(3):
        assert circuit.admits(room=8, now=NOW) == 8
        circuit.answered(clear=False, now=NOW)
    return circuit


def test_it_opens_after_failures_in_a_row() -> None:
    """A clear answer between them begins the count again."""
    circuit = Circuit(failures_max=3)
    for clear in (False, False, True, False, False):
        circuit.answered(clear=clear, now=NOW)
    assert circuit.admits(room=8, now=NOW) == 8
    circuit.answered(clear=False, now=NOW)
    assert (circuit.state, circuit.admits(room=8, now=NOW)) == (CircuitState.OPEN, 0)


def test_one_payment_tries_the_rail() -> None:
    """After the rest one payment is let through, and no second one beside it; its answer closes the circuit."""
    circuit = opened()
    assert circuit.admits(room=8, now=NOW + REST) == 1
    circuit.begun(now=NOW + REST)
    assert (circuit.state, circuit.admits(room=8, now=NOW + REST)) == (CircuitState.PROBING, 0)
    circuit.answered(clear=True, now=NOW + REST)
    assert (circuit.state, circuit.admits(room=8, now=NOW + REST)) == (CircuitState.CLOSED, 8)


def test_a_failed_try_doubles_the_rest() -> None:
    """Up to the longest rest; calls that were under way when it opened do not prolong it."""
    circuit = opened()
    circuit.answered(clear=False, now=NOW)
    assert circuit.admits(room=8, now=NOW + REST) == 1
    at = NOW + REST
    for rest in (2 * REST, 3 * REST, 3 * REST):
        circuit.begun(now=at)
        circuit.answered(clear=False, now=at)
        assert circuit.admits(room=8, now=at + rest - timedelta(seconds=1)) == 0
        at += rest
        assert circuit.admits(room=8, now=at) == 1


def test_a_lost_try_does_not_keep_it_open() -> None:
    """Where the answer of the try never comes, another one is made after the rest."""
    circuit = opened()
    circuit.begun(now=NOW + REST)
    assert circuit.admits(room=8, now=NOW + 2 * REST) == 1
