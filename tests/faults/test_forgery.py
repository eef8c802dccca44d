"""A forged message on Kafka moves nothing, even for one who may write to every topic."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from confluent_kafka import Producer

from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.encode import sign_raw
from prizewire_contracts.topics import PAYOUTS, SETTLEMENTS
from prizewire_contracts.trust import MessageKey
from prizewire_devstack.stack import RunningStack
from prizewire_devstack.waiting import eventually_sync
from tests.scene import Scene

FORGED = MessageKey.from_seed(keyid="settlement-1", seed=bytes(32))
"""A key under the id of settlement's key."""


def send(stack: RunningStack, topic: str, raw: dict[str, Any]) -> None:
    producer = Producer({**stack.kafka.login("admin").librdkafka(), "acks": "all"})
    producer.produce(topic, key=str(raw["correlationid"]).encode(), value=canonical_bytes(raw))
    assert producer.flush(30) == 0


def envelope(kind: str, source: str, subject: str, data: dict[str, Any], version: int) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": source,
        "type": kind,
        "time": datetime.now(UTC).isoformat(),
        "subject": subject,
        "datacontenttype": "application/json",
        "correlationid": str(uuid4()),
        "aggregateversion": version,
        "data": data,
    }


def settled(scene: Scene, player: str) -> dict[str, Any]:
    round_id = str(uuid4())
    data = {
        "round_id": round_id, "match_id": "forged", "match_source": "/x", "competition": scene.name,
        "settlement_version": 1, "rule_version": 1, "campaign": scene.campaign, "asset": "USDC", "gross": "900.00",
        "fees": {"platform": "0.00", "organizer": "0.00"}, "net": "900.00", "unclaimed": "0.00", "part": 1, "parts": 1,
        "lines_total": 1, "digest": "0" * 64, "final": True, "final_at": datetime.now(UTC).isoformat(),
        "lines": [{"line": 1, "player": player, "place": 1, "amount": "900.00"}],
    }  # fmt: skip
    return envelope("prizewire.round.settled.v1", "/prizewire/settlement", round_id, data, 1)


def signed_by_others(scene: Scene, raw: dict[str, Any], topic: str) -> list[dict[str, Any]]:
    """The same event unsigned, signed by another key under the producer's key id, and signed by another service's own
    key.
    """
    other = MessageKey.from_json(scene.stack.keyring.message_key_file("webhooks").read_text())
    return [
        raw,
        sign_raw(topic=topic, raw={**raw, "id": str(uuid4())}, key=FORGED),
        sign_raw(topic=topic, raw={**raw, "id": str(uuid4())}, key=other),
    ]


def test_a_forged_settlement_credits_nobody(full_stack: RunningStack) -> None:
    """Forged round.settled: no credit, no payout, one dead message each, and authentic matches go on."""
    scene = Scene(full_stack, "forged", 10)
    scene.set_up()
    before = scene.balance_sheet()
    player = scene.players[0].id
    forged = signed_by_others(scene, settled(scene, player), SETTLEMENTS.name)
    for raw in forged:
        send(full_stack, SETTLEMENTS.name, raw)
    ids = {raw["id"] for raw in forged}

    def refused() -> dict[str, str]:
        return {one["event_id"]: one["reason"] for one in scene.stuck("rewards") if one["event_id"] in ids}

    eventually_sync(lambda: set(refused()) == ids, deadline_s=600)
    assert set(refused().values()) == {"signature_missing", "signature_invalid", "key_not_trusted"}
    assert scene.balance_sheet() == before
    assert scene.payouts() == {}
    scene.publish(scene.result(*scene.match(0)))
    eventually_sync(lambda: len(scene.paid()) == 3, deadline_s=600)
    assert scene.breaches() == []


def test_a_forged_failure_gives_nothing_back(full_stack: RunningStack) -> None:
    """Forged payout.failed for a paid and for a waiting payout: no money comes back, and the authentic events that
    follow are applied.
    """
    scene = Scene(full_stack, "refund", 10)
    scene.set_up()
    full_stack.stop("signer")
    scene.publish(scene.result(*scene.match(0)))
    eventually_sync(lambda: len(scene.payouts()) == 3, deadline_s=600)
    eventually_sync(lambda: scene.balance_sheet()["payout_pending"] != "0.00", deadline_s=600)
    ids = set()
    for payout in scene.payouts():
        data = {"payout_id": payout, "code": "rail_unavailable", "attempts": 1, "closure": None}
        for version in (1, 2, 3, 4, 5, 6):
            raw = envelope("prizewire.payout.failed.v1", "/prizewire/payouts", payout, data, version)
            for one in signed_by_others(scene, raw, PAYOUTS.name):
                ids.add(one["id"])
                send(full_stack, PAYOUTS.name, one)
    eventually_sync(
        lambda: ids <= {one["event_id"] for one in scene.stuck("rewards")}, deadline_s=600, poll_s=0.5
    )
    sheet = scene.balance_sheet()
    assert sheet["wallets"] == "0.00", json.dumps(sheet)
    full_stack.restart("signer")
    eventually_sync(lambda: len(scene.paid()) == 3, deadline_s=600)
    eventually_sync(lambda: scene.balance_sheet()["paid"] == "100.00", deadline_s=600)
    assert scene.balance_sheet()["wallets"] == "0.00"
    assert scene.breaches() == []
