"""Alembic's entry: this service's tables, run by the chassis."""

from prizewire_chassis.db.migrate import run_env
from prizewire_payouts.payouts.storage.tables import metadata

run_env(metadata)
