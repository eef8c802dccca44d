"""Alembic's entry; the work is the chassis'."""

from prizewire_chassis.db.migrate import run_env
from prizewire_rewards.adapters.tables import metadata

run_env(metadata)
