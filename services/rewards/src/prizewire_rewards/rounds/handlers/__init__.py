"""Settling, making final, correcting, voiding and disowning rounds."""
