"""Waiting for the database at the start: what passes is waited for, what does not ends the start."""

from collections.abc import Iterator

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError
from structlog.testing import capture_logs

from prizewire_chassis.lifecycle import ConfigurationError, waiting
from prizewire_chassis.lifecycle.waiting import wait_for_database


class Server:
    """Answers each ping with the next failure, and then takes the connection."""

    def __init__(self, *failures: Exception) -> None:
        self._failures: Iterator[Exception] = iter(failures)
        self.pings = 0

    async def ping(self) -> None:
        self.pings += 1
        for failure in self._failures:
            raise failure


def over_sqlalchemy(error: Exception) -> DBAPIError:
    """As SQLAlchemy hands it on."""
    return OperationalError("SELECT 1", None, error)


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_PAUSE_S_MAX", 0.0)


async def test_a_server_that_is_away_or_starts_is_waited_for() -> None:
    """Each try is a line that says what is waited for, and why."""
    failures = (
        ConnectionRefusedError("Connection refused"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        over_sqlalchemy(asyncpg.CannotConnectNowError("the database system is in recovery mode")),
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
        TimeoutError(),
    )
    server = Server(*failures)
    with capture_logs() as lines:
        await wait_for_database(server.ping, setting="DATABASE_URL")
    assert server.pings == len(failures) + 1
    assert {line["event"] for line in lines} == {"waiting for the database"}
    assert [line["error"] for line in lines] == [
        "Connection refused",
        "the database system is starting up",
        "the database system is in recovery mode",
        "sorry, too many clients already",
        "TimeoutError",
    ]


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InvalidPasswordError('password authentication failed for user "rewards"'),
        asyncpg.InvalidCatalogNameError('database "rewards" does not exist'),
        asyncpg.InsufficientPrivilegeError('permission denied for database "signer"'),
    ],
)
async def test_a_refusal_that_stays_ends_the_start(error: Exception) -> None:
    """Nothing is waited for that only a person can mend; the sentence names the setting and the reason."""
    server = Server(over_sqlalchemy(error))
    with pytest.raises(ConfigurationError, match="DATABASE_URL") as refused:
        await wait_for_database(server.ping, setting="DATABASE_URL")
    assert str(error) in str(refused.value)
    assert server.pings == 1


async def test_a_service_waits_for_a_database_that_ends_between_two_queries() -> None:
    """What is asked after the first answer is part of the waiting."""
    answered = iter((None, ConnectionResetError("Connection reset by peer"), None, None))
    asked: list[str] = []

    async def ask() -> None:
        for question in ("is it there", "does it know the assets"):
            asked.append(question)
            failure = next(answered)
            if failure is not None:
                raise failure

    await wait_for_database(ask, setting="DATABASE_URL")
    assert asked == ["is it there", "does it know the assets"] * 2


async def test_a_permanent_error_of_the_database_ends_the_start() -> None:
    """The sentence is handed on as it is."""
    refusal = ConfigurationError("assets.yaml changed EURC")
    with pytest.raises(ConfigurationError) as refused:
        await wait_for_database(Server(refusal).ping, setting="DATABASE_URL")
    assert refused.value is refusal
