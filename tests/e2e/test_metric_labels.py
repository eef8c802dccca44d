"""Each series that the running services show is one of its definition, also after requests that try to make others."""

import json
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer

from prizewire_contracts.topics import MATCHES
from prizewire_devstack import game_server
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.stack import RunningStack
from prizewire_devstack.waiting import eventually_sync
from scripts.metrics_page import all_metrics
from tests.crowd import Crowd
from tests.exposition import differences

SENT = 30
"""How many different words each part of a request is given."""


def traffic(stack: RunningStack) -> None:
    """A match whose prizes are paid on the fake rail, one of them after a lost answer, and a message that no service can read."""
    crowd = Crowd(stack, "labels", 6, delivery="direct")
    crowd.set_up()
    match_id, players = crowd.match(0)
    for number, player in enumerate(players):
        account = f"lost_answer+{player}" if number == 0 else player
        with crowd.api("player", subject=player) as api:
            api.post(
                "/api/payout-methods",
                {"type": "fake", "details": {"account": account}, "default": True},
                key=f"labels:{player}",
            )
    producer = Producer({**stack.kafka.login("game-server").librdkafka(), "acks": "all"})
    producer.produce(MATCHES.name, key=b"raw", value=b"no json", headers=game_server.HEADERS)
    assert producer.flush(30) == 0
    crowd.publish(crowd.result(match_id, players))
    paid = "SELECT count(*) FROM payouts WHERE player LIKE 'labels-%' AND state = 'paid'"
    eventually_sync(
        lambda: int(stack.postgres.run_sql(paid, database="payouts")) == len(players), deadline_s=600
    )


def hostile(stack: RunningStack) -> None:
    """Requests whose methods, paths, parameters, codes and ids are different each time."""
    with httpx.Client(base_url=stack.url, trust_env=False, timeout=600) as anybody:
        for number in range(SENT):
            word = f"word{number}"
            anybody.request(f"WORD{number}", "/api/campaigns")
            for path in (
                f"/api/{word}",
                f"/api/campaigns/{word}",
                f"/api/campaigns?{word}=1",
                f"/api/payouts/{word}",
            ):
                anybody.get(path, headers={"authorization": f"Bearer {word}"})
            anybody.post(f"/api/payments/webhook/{word}", content=json.dumps({"type": word}))
    for service in SERVICES:
        with httpx.Client(base_url=stack.service_url(service), trust_env=False, timeout=600) as direct:
            for number in range(SENT):
                direct.request(f"WORD{number}", "/metrics")
                direct.get(f"/word{number}")


def test_series_keep_to_their_definitions(full_stack: RunningStack) -> None:
    """After payments, failures and hostile requests no service shows a metric or a value of a label that is not defined."""
    traffic(full_stack)
    hostile(full_stack)
    found = {
        service: differences(
            httpx.get(f"{full_stack.service_url(service)}/metrics", trust_env=False, timeout=600).text,
            definitions,
        )
        for service, definitions in all_metrics().items()
    }
    assert found == {service: [] for service in SERVICES}


def a_metric(**labels: Any) -> dict[str, Any]:
    return {
        "name": "prizewire_t_total",
        "kind": "counter",
        "labels": {name: {"values": None, "most": 1, **one} for name, one in labels.items()},
    }


@pytest.mark.parametrize(
    ("shown", "labels", "wrong"),
    [
        ('prizewire_t_total{a="x"} 1', {"a": {"values": ["x"]}}, []),
        ('prizewire_t_total{a="y"} 1', {"a": {"values": ["x"]}}, ["prizewire_t_total has a='y', which is not in its set"]),
        ('prizewire_t_total{a="x"} 1\nprizewire_t_total{a="other"} 1', {"a": {}}, []),
        (
            'prizewire_t_total{a="x"} 1\nprizewire_t_total{a="y"} 1',
            {"a": {}},
            ["prizewire_t_total has 2 values of a, and 1 are allowed"],
        ),
        ('prizewire_t_total{b="x"} 1', {"a": {}}, ["prizewire_t_total has the labels ['b']"]),
        ("prizewire_u_total 1", {}, ["prizewire_u_total is not defined"]),
        ("process_cpu_seconds_total 1", {}, []),
    ],
    ids=["closed", "outside", "bounded", "too many", "another label", "not defined", "of the client"],
)  # fmt: skip
def test_the_comparison_finds_what_differs(shown: str, labels: dict[str, Any], wrong: list[str]) -> None:
    """An undefined metric, another label, a value outside its set and a value beyond the bound are each found."""
    assert differences(shown + "\n", [a_metric(**labels)]) == wrong
