"""Errors of the webhooks domain.

WebhookError                webhook_error
├── IllegalTransition       illegal_transition
├── SubscriptionNotFound    subscription_not_found
├── TooManySubscriptions    too_many_subscriptions
├── EventTypesRefused       event_types_invalid
├── UrlRefused              url_invalid
├── SchemeRefused           scheme_refused
├── PortRefused             port_refused
├── AddressRefused          address_refused
├── HostUnknown             host_unknown
├── RailUnknown             rail_unknown
└── ProviderEventConflict   provider_event_conflict

Each carries a stable ``code``. Only ``HostUnknown`` may pass by itself.
"""

from collections.abc import Collection


class WebhookError(Exception):
    """The root of this tree; ``code`` is stable, the text is a sentence for people."""

    code: str = "webhook_error"


class IllegalTransition(WebhookError):
    """A state machine has no edge from ``old`` to ``new``."""

    code = "illegal_transition"

    def __init__(self, *, machine: str, old: str, new: str) -> None:
        super().__init__(f"{machine}: {old} -> {new} is not allowed")
        self.old = old
        self.new = new


class SubscriptionNotFound(WebhookError):
    """There is no such subscription, or it is not the asker's."""

    code = "subscription_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such subscription")


class TooManySubscriptions(WebhookError):
    """The owner has as many subscriptions as one may have."""

    code = "too_many_subscriptions"


class EventTypesRefused(WebhookError):
    """An event type is not published to subscribers."""

    code = "event_types_invalid"


class UrlRefused(WebhookError):
    """The text is not an address that deliveries may be sent to."""

    code = "url_invalid"


class SchemeRefused(WebhookError):
    """Deliveries go over https only, but for development."""

    code = "scheme_refused"

    def __init__(self) -> None:
        super().__init__("an address starts with https://, since http can be read and changed on its way")


class PortRefused(WebhookError):
    """Deliveries go to few ports only, but for development."""

    code = "port_refused"

    def __init__(self, *, port: int, ports: Collection[int]) -> None:
        allowed = " or ".join(str(one) for one in sorted(ports, reverse=True))
        super().__init__(f"the port {port} is not served: an address has port {allowed}")


class AddressRefused(WebhookError):
    """The host is, or resolves to, an address inside somebody's network. The text does not name the address."""

    code = "address_refused"

    def __init__(self) -> None:
        super().__init__("the host does not lead to a public address")


class HostUnknown(WebhookError):
    """The host's name does not resolve."""

    code = "host_unknown"

    def __init__(self) -> None:
        super().__init__("the host's name does not resolve")


class RailUnknown(WebhookError):
    """No rail of this name takes webhooks."""

    code = "rail_unknown"

    def __init__(self) -> None:
        super().__init__("no rail of this name takes webhooks")


class ProviderEventConflict(WebhookError):
    """A provider used one event id for two bodies. Both are on record; only the first counts."""

    code = "provider_event_conflict"

    def __init__(self) -> None:
        super().__init__("this event id came before with another body")
