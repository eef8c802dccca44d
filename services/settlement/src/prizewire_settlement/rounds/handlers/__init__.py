"""Use cases of rounds: reports, decisions of admins, finality, what rewards says."""
