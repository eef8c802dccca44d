"""Alembic's entry; the work is the chassis'."""

from prizewire_chassis.db.migrate import run_env

run_env()
