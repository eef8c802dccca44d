"""A rail whose payments people make, and prove by the evidence of two persons."""

from prizewire_rail_manual.options import build
from prizewire_rail_manual.provider import ManualProvider

__all__ = ["ManualProvider", "build"]
