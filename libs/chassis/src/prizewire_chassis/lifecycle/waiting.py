"""Waiting for the database and the broker at the start of a service."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from prizewire_chassis.db import is_transient
from prizewire_chassis.logging import get_logger
from prizewire_chassis.settings import ConfigurationError, NotMigrated

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_PAUSE_S_MAX: Final = 5.0
_log = get_logger(__name__)


async def wait_for_kafka(what: str, start: Callable[[], Awaitable[None]]) -> None:
    """Start a Kafka client. Retry while its broker is unavailable."""
    tries = 0
    while True:
        try:
            await start()
            return
        except Exception as error:  # noqa: BLE001 - aiokafka raises many kinds while a broker is unavailable
            tries += 1
            _log.warning("waiting for kafka", what=what, tries=tries, error=repr(error))
            await asyncio.sleep(_pause_s(tries))


async def wait_for_database(ask: Callable[[], Awaitable[None]], *, setting: str) -> None:
    """Call ``ask`` until the database answers. ``setting`` is the variable that names the database.

    Raises:
        ConfigurationError: the server refuses permanently: a wrong password, a database that does not exist;
            or what ``ask`` raises.
    """
    tries = 0
    while True:
        try:
            await ask()
            return
        except ConfigurationError:
            raise
        except Exception as error:  # noqa: BLE001 - drivers raise many kinds while a database is unavailable
            reason = _reason(error)
            if not is_transient(error) and not isinstance(error, NotMigrated):
                raise ConfigurationError(
                    f"the database does not take the connection of {setting}: {reason}"
                ) from None
            tries += 1
            _log.warning("waiting for the database", setting=setting, tries=tries, error=reason)
            await asyncio.sleep(_pause_s(tries))


async def unless_stopped(work: Coroutine[Any, Any, None]) -> bool:
    """Do ``work`` until it ends or a signal asks the process to stop. Returns whether it ended by itself.

    Raises:
        Exception: what ``work`` raises.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
        stopping.cancel()
        working.cancel()
    if working.done() and not working.cancelled():
        working.result()
        return True
    return False


def _pause_s(tries: int) -> float:
    return min(_PAUSE_S_MAX, 0.2 * 2.0 ** min(tries, 6))


def _reason(error: BaseException) -> str:
    """The message of the server or of the system in one line, without SQLAlchemy's text."""
    cause: BaseException = getattr(error, "orig", None) or error
    cause = cause.__cause__ or cause
    return " ".join(str(cause).split()) or type(cause).__name__
