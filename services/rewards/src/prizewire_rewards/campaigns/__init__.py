"""Funded pools of prizes and their rules."""
