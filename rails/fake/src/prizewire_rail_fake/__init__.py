"""A payout rail for tests and demonstrations, with a stand-in server that keeps its own book."""
