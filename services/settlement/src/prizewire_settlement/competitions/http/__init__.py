"""``/api/competitions``."""
