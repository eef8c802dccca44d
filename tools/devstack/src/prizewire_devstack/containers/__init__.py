"""The whole system in containers, for tests that use a whole running stack."""
