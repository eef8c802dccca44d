"""The trace of one match: a game server names it, and all five services record spans of it."""

from collections.abc import Iterator

import pytest

from prizewire_chassis.testing_traces import CollectorStandIn, collector_stand_in
from prizewire_contracts.traces import HEADER, trace_id_of
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.stack import RunningStack
from prizewire_devstack.waiting import eventually_sync
from tests.scene import Scene

pytestmark = [pytest.mark.local_processes, pytest.mark.long]
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def collector(full_stack: RunningStack) -> Iterator[CollectorStandIn]:
    """A collector that all services send their spans to."""
    with collector_stand_in() as found:
        for service in SERVICES:
            full_stack.stop(service)
            full_stack.start_with(service, {"OTEL_EXPORTER_OTLP_ENDPOINT": found.url})
        yield found
        for service in SERVICES:
            full_stack.stop(service)
            full_stack.start_with(service, {})


def test_one_match_is_one_trace_through_all_services(
    full_stack: RunningStack, collector: CollectorStandIn
) -> None:
    """From the result over allocation, payout, signature and webhooks: the trace goes through jobs, which find it stored."""
    scene = Scene(full_stack, "traced", 3)
    scene.set_up()
    match, players = scene.match(0)
    scene.publish({**scene.result(match, players), HEADER: TRACE})
    spans = eventually_sync(
        lambda: (
            {(one.service, one.name) for one in collector.of_trace(trace_id_of(TRACE))}
            if _is_whole(collector)
            else None
        ),
        deadline_s=300,
    )
    assert {service for service, _ in spans} == {f"prizewire-{name}" for name in SERVICES}
    about = repr(collector.taken)
    for address in scene.addresses.values():
        assert address.keypair.public_key not in about


def _is_whole(collector: CollectorStandIn) -> bool:
    found = {(one.service, one.name) for one in collector.of_trace(trace_id_of(TRACE))}
    return {
        ("prizewire-settlement", "apply prizewire.match.completed.v1"),
        ("prizewire-rewards", "apply prizewire.round.settled.v1"),
        ("prizewire-payouts", "apply prizewire.payout.requested.v1"),
        ("prizewire-signer", "apply prizewire.signing.requested.v1"),
        ("prizewire-signer", "sign"),
        ("prizewire-payouts", "apply prizewire.signing.completed.v1"),
        ("prizewire-rewards", "apply prizewire.payout.paid.v1"),
        ("prizewire-webhooks", "apply prizewire.payout.paid.v1"),
    } <= found
