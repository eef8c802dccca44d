"""One process of a service: its commands, its runtime, and its shutdown."""

from prizewire_chassis.lifecycle.command import main, migrations_of
from prizewire_chassis.lifecycle.files import FileCheck
from prizewire_chassis.lifecycle.process import HTTP_KEEP_ALIVE_S, ROLES, http_config, serve
from prizewire_chassis.lifecycle.runtime import (
    Built,
    Runtime,
    check_database,
    open_runtime,
)
from prizewire_chassis.settings import ConfigurationError

__all__ = [
    "HTTP_KEEP_ALIVE_S",
    "ROLES",
    "Built",
    "ConfigurationError",
    "FileCheck",
    "Runtime",
    "check_database",
    "http_config",
    "main",
    "migrations_of",
    "open_runtime",
    "serve",
]
