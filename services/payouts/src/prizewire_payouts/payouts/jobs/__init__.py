"""The workers of rails, and housekeeping."""
