"""Use cases of the Stellar execution: one step each, driven by rows, restartable at any point."""
