"""Transactions in review over HTTP."""
