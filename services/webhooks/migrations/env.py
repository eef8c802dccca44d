"""Alembic's entry: this service's tables, run by the chassis."""

from prizewire_chassis.db.migrate import run_env
from prizewire_webhooks.adapters.tables import metadata

run_env(metadata)
