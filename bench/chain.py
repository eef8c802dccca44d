"""The raw chain: the floor's credits after two hops instead of one, as settlement and rewards make them.

The first hop processes each match once and writes it to an outbox, with one statement for each batch. A relay publishes
committed matches to a second topic, from which the floor's loop makes the credits. There are no rules, no signatures and no
versions: the chain shows the cost of two services with an outbox between them.
"""

import argparse
import asyncio
import hashlib
from typing import Any

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.floor import BATCH, IDLE_MS, consumer_of, login, run_until_terminated

SCHEMA = """
CREATE TABLE inbox (source text, event_id text, hash bytea NOT NULL, PRIMARY KEY (source, event_id));
CREATE TABLE rounds (event_id text PRIMARY KEY, value bytea NOT NULL);
CREATE TABLE outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key bytea NOT NULL, value bytea NOT NULL);
"""

_TAKE = """
WITH incoming AS (
    SELECT DISTINCT ON (source, event_id) * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[])
        AS u(source, event_id, hash, value)
), fresh AS (
    INSERT INTO inbox SELECT source, event_id, hash FROM incoming ON CONFLICT DO NOTHING RETURNING source, event_id
), kept AS (
    INSERT INTO rounds SELECT event_id, value FROM incoming JOIN fresh USING (source, event_id)
)
INSERT INTO outbox (key, value) SELECT convert_to(event_id, 'UTF8'), value FROM incoming JOIN fresh USING (source, event_id)
"""
_SEND = """
DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING id, key, value
"""


async def _take(
    *, connection: "asyncpg.Connection[Any]", consumer: AIOKafkaConsumer, taken: asyncio.Event
) -> None:
    while True:
        batches = await consumer.getmany(timeout_ms=IDLE_MS, max_records=BATCH)
        records = [record.value for found in batches.values() for record in found]
        if not records:
            continue
        events = [orjson.loads(value) for value in records]
        await connection.execute(
            _TAKE,
            [event["source"] for event in events],
            [event["id"] for event in events],
            [hashlib.sha256(value).digest() for value in records],
            records,
        )
        taken.set()
        await consumer.commit()


async def _relay(
    *, connection: "asyncpg.Connection[Any]", producer: AIOKafkaProducer, onward: str, taken: asyncio.Event
) -> None:
    while True:
        await taken.wait()
        taken.clear()
        rows: list[Any] = [None]
        while rows:
            async with connection.transaction():
                rows = await connection.fetch(_SEND, BATCH)
                sent = [await producer.send(onward, row["value"], key=row["key"]) for row in sorted(rows)]
                await asyncio.gather(*sent)


async def forward(*, database: str, kafka: dict[str, str], topic: str, onward: str) -> None:
    """Move matches from ``topic`` over an outbox to ``onward``, until cancelled."""
    taken = asyncio.Event()
    consumer = consumer_of(kafka, topic)
    producer = AIOKafkaProducer(
        **login(kafka), acks="all", enable_idempotence=True, linger_ms=5, max_batch_size=2**18
    )
    await consumer.start()
    await producer.start()
    try:
        taking, relaying = await asyncpg.connect(database), await asyncpg.connect(database)
        await asyncio.gather(
            _take(connection=taking, consumer=consumer, taken=taken),
            _relay(connection=relaying, producer=producer, onward=onward, taken=taken),
        )
    finally:
        await consumer.stop()
        await producer.stop()


def main() -> None:
    """Run as a process of its own until SIGTERM, as the services do; credentials come as JSON on standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--onward", required=True)
    options = parser.parse_args()
    given = orjson.loads(input())
    run_until_terminated(
        forward(database=given["database"], kafka=given["kafka"], topic=options.topic, onward=options.onward)
    )
    print(orjson.dumps({}).decode())


if __name__ == "__main__":
    main()
