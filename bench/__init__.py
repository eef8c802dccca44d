"""Measurements of Prizewire, each beside a floor in the same run."""
