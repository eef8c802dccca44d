"""Settled rounds: book, finalize, correct, void and disown them."""
