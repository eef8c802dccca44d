"""Measurements of Prizewire, each beside a lower bound in the same run."""
