"""The lag of a consumer, from what its Kafka client knows."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from prizewire_chassis import lag as lag_module
from prizewire_chassis.lag import ASK_INTERVAL_S, Lag

NOW = 10_000.0
ONE, TWO = TopicPartition("t", 0), TopicPartition("t", 1)


@dataclass
class Partition:
    """What a client knows of a partition."""

    position: int | None = 0
    highwater: int | None = None
    answered: float | None = None

    @property
    def has_valid_position(self) -> bool:
        return self.position is not None


@dataclass
class Client:
    """A Kafka client with the calls of a real one, and ends that its broker would answer."""

    parts: dict[TopicPartition, Partition]
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    asked: list[list[TopicPartition]] = field(default_factory=list)
    away: Exception | None = None

    def __post_init__(self) -> None:
        state = SimpleNamespace(state_value=lambda place: self.parts[place])
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=state))

    def assignment(self) -> set[TopicPartition]:
        return set(self.parts)

    def highwater(self, place: TopicPartition) -> int | None:
        return self.parts[place].highwater

    def last_poll_timestamp(self, place: TopicPartition) -> int | None:
        answered = self.parts[place].answered
        return None if answered is None else round(answered * 1000)

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        self.asked.append(places)
        if self.away is not None:
            raise self.away
        return {place: self.ends[place] for place in places}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The machine's clock, which the test sets."""
    moment = SimpleNamespace(now=NOW)
    monkeypatch.setattr(lag_module, "time", SimpleNamespace(time=lambda: moment.now))
    return moment


def record(offset: int, *, at: float) -> SimpleNamespace:
    return SimpleNamespace(offset=offset, timestamp=round(at * 1000))


def take(client: Client, lag: Lag, place: TopicPartition, *found: SimpleNamespace) -> None:
    """A poll that returned these records: the client's position is behind them."""
    client.parts[place].position = found[-1].offset + 1
    lag.taken({place: found})


def test_messages_are_waiting_until_their_batch_has_ended(clock: SimpleNamespace) -> None:
    """A batch that is processed for long waits the longer, and with it what came after it in the topic."""
    client = Client({ONE: Partition(position=5, highwater=9, answered=NOW)})
    lag = Lag(client)
    take(client, lag, ONE, record(5, at=NOW - 30), record(6, at=NOW - 20))
    assert (lag.messages(), lag.seconds()) == (4, 30)
    clock.now += 60
    assert (lag.messages(), lag.seconds()) == (4, 90)
    lag.returned()
    assert lag.messages() == 2
    assert lag.seconds() == 80, "what was there with the batch came no earlier than the last message of it"
    take(client, lag, ONE, record(7, at=NOW), record(8, at=NOW))
    assert (lag.messages(), lag.seconds()) == (2, 60)
    lag.returned()
    assert (lag.messages(), lag.seconds()) == (0, 0)


def test_a_batch_that_failed_waits_since_its_first_message(clock: SimpleNamespace) -> None:
    """The client was moved back, and the batch comes again: between the two nothing is processed."""
    client = Client({ONE: Partition(position=5, highwater=7, answered=NOW)})
    lag = Lag(client)
    take(client, lag, ONE, record(5, at=NOW - 30), record(6, at=NOW - 1))
    client.parts[ONE].position = 5
    assert (lag.messages(), lag.seconds()) == (2, 30)
    lag.returned()
    assert (lag.messages(), lag.seconds()) == (2, 30)


def test_a_message_after_a_quiet_day_waits_since_it_was_seen(clock: SimpleNamespace) -> None:
    """The topic was idle: the time of the message before it says nothing about a message that came now."""
    client = Client({ONE: Partition(position=5, highwater=6, answered=NOW)})
    lag = Lag(client)
    take(client, lag, ONE, record(5, at=NOW - 86_400))
    lag.returned()
    assert (lag.messages(), lag.seconds()) == (0, 0)
    client.parts[ONE].highwater = 7
    lag.look()
    assert lag.seconds() == 0
    clock.now += 12
    assert (lag.messages(), lag.seconds()) == (1, 12), "a consumer that does not advance"


def test_what_was_read_again_to_be_compared_is_no_lag(clock: SimpleNamespace) -> None:
    """After a start the client reads the message before its stored offset: it is old, and was processed long ago."""
    client = Client({ONE: Partition(position=4, highwater=5, answered=NOW)})
    lag = Lag(client)
    lag.starts = {ONE: 5}
    assert lag.messages() == 0
    take(client, lag, ONE, record(4, at=NOW - 86_400))
    assert (lag.messages(), lag.seconds()) == (0, 0)
    client.parts[ONE].highwater = 6
    take(client, lag, ONE, record(4, at=NOW - 86_400), record(5, at=NOW - 3))
    assert (lag.messages(), lag.seconds()) == (1, 3)


def test_offsets_without_messages_are_no_lag(clock: SimpleNamespace) -> None:
    """A log may end with markers of transactions: the client's position is after them, and nothing waits."""
    client = Client({ONE: Partition(position=5, highwater=7, answered=NOW)})
    lag = Lag(client)
    take(client, lag, ONE, record(5, at=NOW))
    client.parts[ONE].position = 7
    lag.returned()
    assert (lag.messages(), lag.seconds()) == (0, 0)


def test_partitions_count_while_they_are_assigned(clock: SimpleNamespace) -> None:
    """The messages are the sum and the seconds the largest; a partition that was revoked leaves nothing."""
    client = Client({ONE: Partition(0, 3, NOW), TWO: Partition(0, 8, NOW)})
    lag = Lag(client)
    lag.look()
    lag.taken({ONE: [record(0, at=NOW - 50)], TWO: [record(0, at=NOW - 9)]})
    assert (lag.messages(), lag.seconds()) == (11, 50)
    del client.parts[ONE]
    assert (lag.messages(), lag.seconds()) == (8, 9)
    clock.now += 100
    client.parts[ONE] = Partition(3, 4, NOW + 100)
    lag.taken({})
    del client.parts[TWO]
    assert (lag.messages(), lag.seconds()) == (1, 0), (
        "assigned again: what was known of it before is forgotten"
    )


def test_a_partition_whose_start_is_unknown_waits_since_its_assignment(clock: SimpleNamespace) -> None:
    """The database is unavailable at a rebalance: nobody processes the partition, and the seconds rise."""
    client = Client({ONE: Partition(position=None)})
    lag = Lag(client)
    lag.look()
    clock.now += 40
    assert (lag.messages(), lag.seconds()) == (0, 40)
    client.parts[ONE] = Partition(7, 7, NOW + 40)
    assert lag.seconds() == 0


async def test_a_paused_partition_is_asked_for_its_end(clock: SimpleNamespace) -> None:
    """While nothing is fetched the client sees no new messages; ends that a broker answered lately are not asked for."""
    client = Client({ONE: Partition(5, 5, NOW), TWO: Partition(5, 5, NOW)}, ends={ONE: 9, TWO: 9})
    lag = Lag(client)
    await lag.ask()
    assert client.asked == []
    clock.now += ASK_INTERVAL_S + 1
    client.parts[TWO].answered = clock.now
    await lag.ask()
    assert client.asked == [[ONE]]
    assert (lag.messages(), lag.seconds()) == (4, 0)
    clock.now += 10
    assert lag.seconds() == 10
    client.parts[ONE] = Partition(5, 11, clock.now)
    assert lag.messages() == 6, "a later fetch knows better"


@pytest.mark.parametrize("error", [KafkaError("away"), TimeoutError()], ids=["refused", "silent"])
async def test_a_broker_without_an_answer_changes_nothing(clock: SimpleNamespace, error: Exception) -> None:
    """What was known stays, and its seconds rise."""
    client = Client({ONE: Partition(5, 6, NOW)}, away=error)
    lag = Lag(client)
    lag.look()
    clock.now += 60
    await lag.ask()
    assert client.asked == [[ONE]]
    assert (lag.messages(), lag.seconds()) == (1, 60)


@pytest.mark.parametrize("at", [NOW + 3600, -0.001, 0], ids=["future", "none", "epoch"])
def test_a_time_that_cannot_be_is_now(clock: SimpleNamespace, at: float) -> None:
    """A sender may choose the time of a message where a topic is not as it should be: no such time makes an alert."""
    client = Client({ONE: Partition(0, 1, NOW)})
    lag = Lag(client)
    take(client, lag, ONE, record(0, at=at))
    assert (lag.messages(), lag.seconds()) == (1, 0)
