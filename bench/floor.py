"""The raw floor: one hop from Kafka to wallet credits, without any other work.

It reads the same match messages, gives each of a match's players a fixed amount from one pool, and commits one
statement for each batch of 500: inbox, transfers with both their postings, balances (locked in account order),
outbox. There are no rules, no signatures, no versions, no refusals: it shows the rate that PostgreSQL and Kafka
allow for double-entry credits, and is not a usable system (docs/decisions/0008).
"""

import argparse
import asyncio
import contextlib
import hashlib
import signal
import time
from collections.abc import Coroutine
from datetime import UTC, datetime

import asyncpg
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer

AMOUNT = 100
BATCH = 500
IDLE_MS = 50

SCHEMA = """
CREATE TABLE inbox (source text, event_id text, hash bytea NOT NULL, PRIMARY KEY (source, event_id));
CREATE TABLE balances (account text PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
CREATE TABLE transfers (
    id uuid PRIMARY KEY, seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE, event_id text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0), at timestamptz NOT NULL);
CREATE TABLE postings (
    transfer uuid NOT NULL, account text NOT NULL, amount bigint NOT NULL, PRIMARY KEY (account, transfer));
CREATE TABLE outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_id text NOT NULL, value jsonb NOT NULL);
INSERT INTO balances VALUES ('pool', 1000000000000000);
INSERT INTO balances SELECT 'p-' || n, 0 FROM generate_series(0, 19999) n;
"""

_STATEMENT = """
WITH incoming AS (
    SELECT DISTINCT ON (source, event_id) * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::jsonb[])
        AS u(source, event_id, hash, players)
), fresh AS (
    INSERT INTO inbox SELECT source, event_id, hash FROM incoming ON CONFLICT DO NOTHING RETURNING source, event_id
), lines AS MATERIALIZED (
    SELECT gen_random_uuid() AS id, i.event_id, jsonb_array_elements_text(i.players) AS player
    FROM incoming i JOIN fresh USING (source, event_id)
), posted AS (
    INSERT INTO transfers (id, event_id, amount, at) SELECT id, event_id, $5, $6 FROM lines RETURNING id
), legs AS MATERIALIZED (
    SELECT id, player AS account, $5::bigint AS amount FROM lines UNION ALL SELECT id, 'pool', -$5::bigint FROM lines
), entered AS (
    INSERT INTO postings (transfer, account, amount) SELECT id, account, amount FROM legs
), deltas AS (
    SELECT account, sum(amount) AS delta FROM legs GROUP BY account
), locked AS (
    SELECT account FROM balances WHERE account IN (SELECT account FROM deltas) ORDER BY account FOR UPDATE
), moved AS (
    UPDATE balances b SET balance = b.balance + d.delta FROM deltas d JOIN locked USING (account)
    WHERE b.account = d.account
), sent AS (
    INSERT INTO outbox (event_id, value) SELECT event_id, players FROM incoming JOIN fresh USING (source, event_id)
)
SELECT count(*) FROM posted
"""


def login(kafka: dict[str, str]) -> dict[str, str]:
    """The arguments of a client of aiokafka, from a service's environment."""
    return {
        "bootstrap_servers": kafka["KAFKA_BOOTSTRAP_SERVERS"],
        "security_protocol": kafka["KAFKA_SECURITY_PROTOCOL"],
        "sasl_mechanism": kafka["KAFKA_SASL_MECHANISM"],
        "sasl_plain_username": kafka["KAFKA_SASL_USERNAME"],
        "sasl_plain_password": kafka["KAFKA_SASL_PASSWORD"],
    }


def consumer_of(kafka: dict[str, str], topic: str) -> AIOKafkaConsumer:
    """A consumer that begins at the topic's beginning and commits by hand; not started."""
    return AIOKafkaConsumer(
        topic,
        **login(kafka),
        group_id=f"{kafka['KAFKA_SASL_USERNAME']}.{topic}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )


def run_until_terminated(work: Coroutine[None, None, None]) -> None:
    """Run until SIGTERM cancels the work."""

    async def run() -> None:
        task = asyncio.ensure_future(work)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


async def drain(*, database: str, kafka: dict[str, str], topic: str, seconds: list[float]) -> None:
    """Consume ``topic`` and make its credits until cancelled; add the seconds of each batch, to its commit."""
    connection = await asyncpg.connect(database)
    consumer = consumer_of(kafka, topic)
    await consumer.start()
    try:
        while True:
            batches = await consumer.getmany(timeout_ms=IDLE_MS, max_records=BATCH)
            began = time.perf_counter()
            records = [record.value for found in batches.values() for record in found]
            if not records:
                continue
            events = [orjson.loads(value) for value in records]
            await connection.fetchval(
                _STATEMENT,
                [event["source"] for event in events],
                [event["id"] for event in events],
                [hashlib.sha256(value).digest() for value in records],
                [
                    orjson.dumps([line["player"] for line in event["data"]["results"]]).decode()
                    for event in events
                ],
                AMOUNT,
                datetime.now(UTC),
            )
            await consumer.commit()
            seconds.append(time.perf_counter() - began)
    finally:
        await consumer.stop()


def main() -> None:
    """Run as a process of its own until SIGTERM, then print the times of the batches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--topic", required=True)
    options = parser.parse_args()
    given = orjson.loads(input())
    seconds: list[float] = []
    run_until_terminated(
        drain(database=given["database"], kafka=given["kafka"], topic=options.topic, seconds=seconds)
    )
    print(orjson.dumps({"batch_seconds": seconds}).decode())


if __name__ == "__main__":
    main()
