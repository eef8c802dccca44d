"""The invariants of a service: asked over HTTP, and by a job that reports breaches as a metric."""

from prizewire_chassis.checks.check import Check, rows_of
from prizewire_chassis.checks.service_checks import checks_job, common_checks

__all__ = ["Check", "checks_job", "common_checks", "rows_of"]
