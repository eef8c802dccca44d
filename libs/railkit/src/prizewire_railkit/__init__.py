"""Parts of payout rails: context, HTTP client with error mapping, and the conformance suite."""

from prizewire_railkit.client import RailAnswer, RailClient, RailFault
from prizewire_railkit.config import Options, RailMisconfigured, Secret
from prizewire_railkit.context import Clock, RailContext, ScreeningContext, VerifierContext
from prizewire_railkit.results import no_effect, paid, pending, unknown

__all__ = [
    "Clock",
    "Options",
    "RailAnswer",
    "RailClient",
    "RailContext",
    "RailFault",
    "RailMisconfigured",
    "ScreeningContext",
    "Secret",
    "VerifierContext",
    "no_effect",
    "paid",
    "pending",
    "unknown",
]
