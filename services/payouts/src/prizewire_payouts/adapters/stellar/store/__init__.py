"""The rows of the Stellar execution over PostgreSQL."""

from prizewire_payouts.adapters.stellar.store.store import StellarStore

__all__ = ["StellarStore"]
