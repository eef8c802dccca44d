"""The routes of payments that people make."""
