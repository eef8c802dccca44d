"""Prizes: what a result pays under a rule, for settlements and for previews."""
