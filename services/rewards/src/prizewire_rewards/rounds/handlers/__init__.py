"""Settle, finalize, correct, void and disown rounds."""
