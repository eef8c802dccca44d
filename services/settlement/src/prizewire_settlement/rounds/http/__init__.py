"""``/api/rounds`` and ``/api/matches``."""
