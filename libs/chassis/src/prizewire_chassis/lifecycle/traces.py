"""Where a service's spans go."""

from importlib.metadata import version
from typing import Protocol

from prizewire_chassis.settings import ServiceSettings
from prizewire_chassis.tracing import Span, set_ratio, set_recorder


class ClosedRecorder(Protocol):
    """A recorder that is closed at the end of the process."""

    def record(self, span: Span) -> None:
        """Take a span that has ended."""
        ...

    async def close(self) -> None:
        """Send the spans that wait, for a few seconds at most."""
        ...


def start_traces(settings: ServiceSettings, *, service: str) -> ClosedRecorder | None:
    """Record spans where OTEL_EXPORTER_OTLP_ENDPOINT names a collector."""
    set_ratio(settings.otel_traces_sampler_arg)
    endpoint = settings.otel_exporter_otlp_endpoint
    if not endpoint:
        return None
    from prizewire_chassis.tracing.export import OtlpRecorder  # noqa: PLC0415 - the SDK is loaded where it is used

    recorder = OtlpRecorder(endpoint=endpoint, service=service, version=version(f"prizewire-{service}"))
    set_recorder(recorder)
    return recorder
