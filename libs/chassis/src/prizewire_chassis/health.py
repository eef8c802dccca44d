"""Liveness and readiness."""

from collections.abc import Awaitable, Callable


class Health:
    """A process is live while it answers. It is ready when it has started, is not stopping, and its probes pass."""

    def __init__(self) -> None:
        self.started = False
        self.stopping = False
        self._probes: dict[str, Callable[[], Awaitable[None]]] = {}

    def add(self, name: str, probe: Callable[[], Awaitable[None]]) -> None:
        """Add a probe, which raises when its part of the service is not ready."""
        self._probes[name] = probe

    async def failing(self) -> dict[str, str]:
        """What is not ready, by name; empty when all is."""
        if self.stopping:
            return {"service": "stopping"}
        if not self.started:
            return {"service": "starting"}
        found = {}
        for name, probe in self._probes.items():
            try:
                await probe()
            except Exception as error:  # noqa: BLE001 - whatever a probe raises is the answer
                found[name] = type(error).__name__
        return found
