"""Where deliveries may go: absolute http and https addresses outside of anybody's internal network.

The same judgement is passed twice: on every address that a host resolves to, and on the address that a connection
really reached, since a name may answer differently the second time (DNS rebinding).
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from prizewire_webhooks.errors import PortRefused, SchemeRefused, UrlRefused

_URL_CHARS_MAX = 2_048
_PORTS = {"http": 80, "https": 443}
_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All of IPv6 that IANA has given out for hosts; discard, translation, segment and local ranges lie outside."""
_NEVER_V4 = tuple(
    IPv4Network(text)
    for text in (
        # IANA IPv4 Special-Purpose Address Registry, whole
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
        # multicast
        "224.0.0.0/4",
        # a public address by number, a cloud's metadata by use
        "168.63.129.16/32",
    )
)  # fmt: skip
_NEVER_V6 = tuple(
    IPv6Network(text)
    for text in (
        # IANA IPv6 Special-Purpose Address Registry, as far as it lies in 2000::/3: protocol assignments with Teredo,
        # ORCHID, benchmarking and AS112; documentation, twice; 6to4, whose relays lead to the IPv4 address inside; AS112
        "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
    )
)  # fmt: skip
_NAT64 = IPv6Network("64:ff9b::/96")
"""Well-known prefix of translation to IPv4 (RFC 6052): the last 32 bits are the address that is reached."""
_ISATAP = (0x00005EFE, 0x02005EFE)
"""The first half of an interface id whose second half is the IPv4 address that is reached (RFC 5214)."""


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of an address that decide where a connection goes."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRules:
    """What subscribers' addresses may look like: ``ports``, any where None, and whether http is enough."""

    ports: frozenset[int] | None = frozenset({443})
    plain_http: bool = False

    def check(self, target: Target) -> None:
        """Hold an address to the rules.

        Raises:
            SchemeRefused: it is http, which anybody on the way reads and changes.
            PortRefused: it has another port; an inner service behind a public address would answer there.
        """
        if target.scheme != "https" and not self.plain_http:
            raise SchemeRefused
        if self.ports is not None and target.port not in self.ports:
            raise PortRefused(port=target.port, ports=self.ports)


def parse_url(url: str) -> Target:
    """Take a subscriber's address apart.

    Raises:
        UrlRefused: it is too long, not http or https, without a host, or carries a user, password or fragment.
    """
    if len(url) > _URL_CHARS_MAX:
        raise UrlRefused(f"an address has at most {_URL_CHARS_MAX} characters")
    if not url.isascii() or not url.isprintable() or any(char in url for char in " \\<>\"'`{}|^"):
        raise UrlRefused("an address has ASCII characters only, without spaces, quotes or backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UrlRefused("this is not an address") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise UrlRefused("an address starts with https:// or http:// and a host")
    if "@" in parts.netloc or parts.fragment:
        raise UrlRefused("an address carries no user, password or fragment")
    if port == 0:
        raise UrlRefused("a port is between 1 and 65535")
    return Target(parts.scheme, parts.hostname, port or _PORTS[parts.scheme])


def is_refused(address: str, *, allow_loopback: bool) -> bool:
    """Whether nothing may be sent to this IP address (text, with or without a zone).

    What leads to an IPv4 address inside (mapped, translated, ISATAP) is judged by that one. Only globally reachable unicast
    addresses pass, and none of a special-purpose range; loopback passes where development allows it.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return True
    if isinstance(found, IPv6Address):
        inner = _embedded(found)
        if inner is not None:
            return is_refused(str(inner), allow_loopback=allow_loopback)
    if found.is_loopback:
        return not allow_loopback
    if isinstance(found, IPv4Address):
        special = any(found in network for network in _NEVER_V4)
    else:
        special = found not in _GLOBAL_UNICAST or any(found in network for network in _NEVER_V6)
    # what the interpreter knows beside, which grows with its versions
    return special or not found.is_global or found.is_multicast or found.is_reserved


def _embedded(address: IPv6Address) -> IPv4Address | None:
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None or address in _NAT64:
        return low
    return low if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP else None
