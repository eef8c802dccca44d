"""Monitoring of Prizewire: alert rules, dashboards, and the figures of a running Prometheus."""
