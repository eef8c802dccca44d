"""Alembic's entry: this service's migrations, run by the chassis."""

from prizewire_chassis.db.migrate import run_env

run_env()
