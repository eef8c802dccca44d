"""JSON lines on standard error, each with the service and, inside a unit of work, its correlation id.

Repeated lines of libraries are summed (``repeats``): a line with ``repeated`` represents so many more of its kind.
"""

import logging
import sys
from contextlib import AbstractContextManager

import structlog

from prizewire_chassis.repeats import REPEATED, Repeats, SummingHandler
from prizewire_chassis.row_values import traceback_without_rows, without_rows

_FASTSTREAM = "prizewire_chassis.faststream"
"""The logger that FastStream is given: its lines are a library's."""
_NOISY = {
    "aiokafka": logging.WARNING,
    # joining a group before its coordinator is elected is an error to aiokafka, which retries by itself
    "aiokafka.consumer.group_coordinator": logging.CRITICAL,
    "alembic": logging.WARNING,
    "httpx": logging.WARNING,
    # says at every start that topics are not created by clients
    _FASTSTREAM: logging.ERROR,
    "uvicorn.access": logging.WARNING,
}


def _without_rows(
    _logger: object, _method: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Leave PostgreSQL's details of errors out of a log line: they may have personal details."""
    for name, value in line.items():
        if isinstance(value, str):
            line[name] = traceback_without_rows(value) if name == "exception" else without_rows(value)
    return line


def configure(*, service: str, level: str) -> None:
    """Send every log record, ours and the libraries', through one JSON formatter."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(allow={REPEATED})],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _without_rows,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
    )
    handler = SummingHandler(sys.stderr, repeats=Repeats(libraries=frozenset({_FASTSTREAM})))
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy, quieter in _NOISY.items():
        logging.getLogger(noisy).setLevel(quieter)
    structlog.contextvars.bind_contextvars(service=service)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger that takes key-value pairs."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def correlated(**values: str) -> AbstractContextManager[None]:
    """Give every log line inside the block these values, such as ``correlation_id``; also lines of libraries."""
    return structlog.contextvars.bound_contextvars(**values)
