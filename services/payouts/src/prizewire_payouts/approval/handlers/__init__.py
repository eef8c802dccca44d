"""What people decide: approve, reject, cancel, pause."""
