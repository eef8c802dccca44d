"""The parts of the local stack, each usable on its own."""
