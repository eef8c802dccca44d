"""The messages that every side processes: match results, some of them twice."""

import random
from datetime import UTC, datetime
from typing import Any

import orjson

from prizewire_contracts.encode import sign_raw
from prizewire_contracts.topics import MATCHES
from prizewire_contracts.trust import MessageKey
from prizewire_devstack import game_server
from prizewire_devstack.stack import Stack

SOURCE = "/game-servers/bench"
DUPLICATES_PERCENT = 5
WALLETS = 20_000


def matches(*, run: int, count: int, prizes: int, key: MessageKey | None) -> list[bytes]:
    """``count`` results of ``prizes`` players each, some of them twice, in a repeatable order."""
    draw = random.Random(run)
    values = []
    for number in range(count):
        players = draw.sample(range(WALLETS), prizes)
        match_id = f"bench-{run}-{number}"
        raw: dict[str, Any] = {
            "specversion": "1.0",
            "id": match_id,
            "source": SOURCE,
            "type": "prizewire.match.completed.v1",
            "time": datetime.now(UTC).isoformat(),
            "subject": match_id,
            "datacontenttype": "application/json",
            "data": {
                "match_id": match_id,
                "competition": "bench-signed" if key else "bench",
                "results": [
                    {"player": f"p-{player}", "place": place} for place, player in enumerate(players, 1)
                ],
            },
        }
        values.append(orjson.dumps(sign_raw(topic=MATCHES.name, raw=raw, key=key) if key else raw))
    doubled = draw.sample(range(count), count * DUPLICATES_PERCENT // 100)
    for index in doubled:
        values.insert(draw.randrange(index + 1, len(values) + 1), values[index])
    return values


def send(stack: Stack, topic: str, values: list[bytes]) -> None:
    """Put messages on a topic, spread over its partitions by match."""
    from confluent_kafka import Producer  # noqa: PLC0415 - heavy, and needed by this function only

    producer = Producer({**stack.kafka.login("game-server").librdkafka(), "acks": "all", "linger.ms": 5})
    for value in values:
        match_id = orjson.loads(value)["id"]
        while True:
            try:
                producer.produce(topic, value=value, key=match_id.encode(), headers=game_server.HEADERS)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(60)
