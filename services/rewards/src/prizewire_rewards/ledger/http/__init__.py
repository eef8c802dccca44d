"""Receivables over HTTP."""
