"""Settlement and rewards while they are killed, frozen, replaced and given all messages again."""

import threading
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, TopicPartition

from prizewire_devstack.stack import RunningStack
from prizewire_devstack.waiting import eventually_sync
from tests.crowd import CORE, Crowd, books, stuck
from tests.scene import PRIZES

KILLS = 6
PLAYERS = 97
DEADLINE_S = 600
SESSION_ENDS_S = 600
GROUPS = {"settlement": "settlement.matches", "rewards": "rewards.settlements"}


def agree(crowd: Crowd, numbers: range, *, stuck_before: dict[str, int]) -> None:
    """Every prize is booked once, every sum matches, every invariant holds, and no event is stuck."""
    eventually_sync(lambda: crowd.credited() >= len(numbers) * len(PRIZES), deadline_s=DEADLINE_S, poll_s=0.5)
    assert crowd.credited() == len(numbers) * len(PRIZES)
    assert crowd.wallets() == crowd.earned(numbers)
    assert crowd.breaches() == []
    assert stuck(crowd.stack) == stuck_before


def make_crowd(stack: RunningStack, name: str) -> Crowd:
    made = Crowd(stack, name, PLAYERS)
    made.set_up()
    return made


@pytest.mark.parametrize("matches", [300, pytest.param(2_000, marks=pytest.mark.large)])
def test_matches_flow_while_services_are_killed(full_stack: RunningStack, matches: int) -> None:
    """With kill -9 of settlement and rewards in turn, six times, while results stream in: each prize is credited once."""
    stack, before = full_stack, stuck(full_stack)
    crowd = make_crowd(stack, f"killed{matches}")

    def stream() -> None:
        for first in range(0, matches, 100):
            crowd.publish(*(crowd.result(*crowd.match(number)) for number in range(first, first + 100)))

    publisher = threading.Thread(target=stream)
    publisher.start()
    for kill in range(KILLS):
        wanted = (kill + 1) * matches * len(PRIZES) // (KILLS + 2)
        eventually_sync(lambda n=wanted: crowd.credited() >= n, deadline_s=DEADLINE_S, poll_s=0.1)
        part = CORE[kill % 2]
        stack.kill(part)
        stack.restart(part)
    publisher.join()
    agree(crowd, range(matches), stuck_before=before)


def test_everything_again_from_offset_0_changes_nothing(full_stack: RunningStack) -> None:
    """Groups whose offsets are lost, in Kafka and in the databases, consume their topics from the beginning: no row is
    added anywhere.
    """
    stack, before = full_stack, stuck(full_stack)
    crowd = make_crowd(stack, "again")
    crowd.publish(*(crowd.result(*crowd.match(number)) for number in range(100)))
    agree(crowd, range(100), stuck_before=before)
    eventually_sync(_quiet(stack), deadline_s=DEADLINE_S)
    for service in CORE:
        stack.stop(service)
    rows, set_aside = books(stack), stuck(stack)
    admin = stack.kafka.admin
    for future in admin.delete_consumer_groups(list(GROUPS.values())).values():
        future.result(timeout=600)
    for service in CORE:
        stack.postgres.run_sql("DELETE FROM consumer_offsets", database=service)
        stack.restart(service)
    eventually_sync(_caught_up(stack), deadline_s=DEADLINE_S, poll_s=0.5)
    eventually_sync(_quiet(stack), deadline_s=DEADLINE_S)
    assert books(stack) == rows
    assert stuck(stack) == set_aside
    assert crowd.breaches() == []


def test_a_frozen_process_that_wakes_up_does_nothing_twice(full_stack: RunningStack) -> None:
    """Rewards freezes during a batch; a second process takes over its partitions; the woken process has no effect."""
    stack, before = full_stack, stuck(full_stack)
    crowd = make_crowd(stack, "frozen")
    numbers = range(600)
    crowd.publish(*(crowd.result(*crowd.match(number)) for number in numbers[:300]))
    eventually_sync(lambda: crowd.credited() > 0, deadline_s=DEADLINE_S, poll_s=0.01)
    stack.freeze("rewards")
    twin = stack.add_replica("rewards")
    try:
        crowd.publish(*(crowd.result(*crowd.match(number)) for number in numbers[300:]))
        total = len(numbers) * len(PRIZES)
        # PostgreSQL frees the locks of the frozen process: after 30 s, or 120 s within a statement
        eventually_sync(lambda: crowd.credited() >= total, deadline_s=DEADLINE_S, poll_s=0.5)
        eventually_sync(_quiet(stack), deadline_s=DEADLINE_S, poll_s=0.5)  # the twin relays
        stack.thaw("rewards")
        stack.wait_ready("rewards", deadline_s=SESSION_ENDS_S)
        stack.remove_replica(twin)
        agree(crowd, numbers, stuck_before=before)
        crowd.publish(*(crowd.result(*crowd.match(number)) for number in range(600, 650)))
        agree(crowd, range(650), stuck_before=before)
    finally:
        stack.thaw("rewards")
        stack.remove_replica(twin)


def _quiet(stack: RunningStack) -> Callable[[], bool]:
    """The outboxes of the core are published."""

    def look() -> bool:
        return all(
            stack.postgres.run_sql("SELECT count(*) FROM outbox_waiting", database=service).strip() == "0"
            for service in CORE
        )

    return look


def _caught_up(stack: RunningStack) -> Callable[[], bool]:
    """The groups of the core have committed the end of their topics."""
    topics = {"settlement.matches": "prizewire.matches.v1", "rewards.settlements": "prizewire.settlements.v1"}

    def look() -> bool:
        for service, group in GROUPS.items():
            consumer = Consumer({**stack.kafka.login(service).librdkafka(), "group.id": group})
            try:
                places = [TopicPartition(topics[group], number) for number in range(4)]
                committed = consumer.committed(places, timeout=10)
                for place in committed:
                    _, high = consumer.get_watermark_offsets(place, timeout=10)
                    if high and place.offset < high:
                        return False
            finally:
                consumer.close()
        return True

    return look
