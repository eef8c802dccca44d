"""A local Stellar network of one node, with the RPC of the real one."""

from __future__ import annotations

from typing import Final

__version__: Final = "0.1.0"
