"""Gates: what must be in order, or approved by persons, before money leaves."""
