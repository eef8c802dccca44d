"""The state machines as tables, and the list of public types."""

import importlib.util
from pathlib import Path

import pytest

from prizewire_contracts.topics import TOPICS
from prizewire_webhooks.errors import IllegalTransition
from prizewire_webhooks.outbound.domain import states
from prizewire_webhooks.outbound.domain.model import PUBLIC_TYPES
from prizewire_webhooks.outbound.domain.states import DeliveryState, SubscriptionState


def test_every_state_is_reached_and_every_edge_has_a_reason():
    """No state hangs in the air, no edge is without its why."""
    machines = (
        (SubscriptionState, states.SUBSCRIPTION_EDGES, states.SUBSCRIPTION_STARTS),
        (DeliveryState, states.DELIVERY_EDGES, states.DELIVERY_STARTS),
    )
    for kind, edges, starts in machines:
        assert {new for _, new in edges} | set(starts) == set(kind)
        assert all(edges.values())
        assert all(starts.values())


def test_ended_states_stay():
    """Nothing leaves delivered, dead, dropped or deleted."""
    ended = {DeliveryState.DELIVERED, DeliveryState.DEAD, DeliveryState.DROPPED}
    assert not ended & {old for old, _ in states.DELIVERY_EDGES}
    assert SubscriptionState.DELETED not in {old for old, _ in states.SUBSCRIPTION_EDGES}


def test_code_refuses_what_is_not_in_the_table():
    """The check in code raises on an edge that is not there."""
    states.check_delivery(DeliveryState.PENDING, DeliveryState.SENDING)
    with pytest.raises(IllegalTransition):
        states.check_delivery(DeliveryState.DELIVERED, DeliveryState.PENDING)
    with pytest.raises(IllegalTransition):
        states.check_subscription(SubscriptionState.DELETED, SubscriptionState.ACTIVE)


def test_the_migration_carries_the_same_edges():
    """The literal copy in the migration equals the domain's table."""
    path = Path(__file__).parents[3] / "migrations/versions/0001_first.py"
    spec = importlib.util.spec_from_file_location("first", path)
    first = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(first)
    assert {(str(a), str(b)) for a, b in states.SUBSCRIPTION_EDGES} == set(first.SUBSCRIPTION_EDGES)
    assert {(str(a), str(b)) for a, b in states.DELIVERY_EDGES} == set(first.DELIVERY_EDGES)


def test_public_types_exist_and_carry_no_payout_details():
    """Every type on offer is one of a topic that this service reads, and signed; none of them says where money goes."""
    models = {
        kind: model
        for topic in TOPICS
        if "webhooks" in topic.consumers
        for kind, model in topic.models.items()
    }
    assert set(PUBLIC_TYPES.values()) <= models.keys()
    for short, full in PUBLIC_TYPES.items():
        assert full == f"prizewire.{short}.v1"
        assert models[full].signed
        fields = set(models[full].model_fields["data"].annotation.model_fields)
        assert not fields & {"address", "memo", "details", "commitment", "intent"}
