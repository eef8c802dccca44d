"""Use cases of rounds: reports, decisions of admins, finality, refusals of rewards."""
