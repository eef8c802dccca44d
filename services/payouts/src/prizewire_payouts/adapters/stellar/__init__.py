"""The Stellar rail: a provider that queues, an executor that builds, has signed, sends and proves."""

from prizewire_payouts.adapters.stellar.build import StellarParts, StellarSettings, Tuning, build_stellar

__all__ = ["StellarParts", "StellarSettings", "Tuning", "build_stellar"]
