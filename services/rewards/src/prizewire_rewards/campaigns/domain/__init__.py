"""Campaigns, their settings, commands and events."""
