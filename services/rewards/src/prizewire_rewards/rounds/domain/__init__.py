"""Commands about rounds, corrections and disownments."""
