"""Where deliveries may go: absolute http and https addresses outside of anybody's internal network.

The same judgement is passed twice: on every address that a host resolves to, and on the address that a connection
really reached, since a name may answer differently the second time (DNS rebinding).
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from prizewire_webhooks.domain.errors import UrlRefused

__all__ = ["Target", "is_refused", "parse_url"]

_URL_CHARS_MAX = 2_048
_PORTS = {"http": 80, "https": 443}
_NEVER = (
    ip_network("192.0.0.0/24"),  # IETF protocol assignments; some clouds serve metadata at 192.0.0.192
    ip_network("168.63.129.16/32"),  # a public address by number, a cloud's metadata by use
    ip_network(
        "64:ff9b:1::/48"
    ),  # local-use translation to IPv4 (RFC 8215): where it leads is the network's choice
)
_NAT64 = ip_network("64:ff9b::/96")
"""Well-known prefix of translation to IPv4 (RFC 6052): the last 32 bits are the address that is reached."""


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of an address that decide where a connection goes."""

    scheme: str
    host: str
    port: int


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

    What carries an IPv4 address inside (mapped, translated, tunnelled) is judged by both. Only globally reachable
    unicast addresses pass; loopback passes where development allows it.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return True
    inner = _embedded(found)
    if inner is not None:
        return any(is_refused(str(one), allow_loopback=allow_loopback) for one in inner)
    if found.is_loopback:
        return not allow_loopback
    if isinstance(found, IPv6Address) and found.is_site_local:
        return True
    if any(found in network for network in _NEVER if network.version == found.version):
        return True
    return not found.is_global or found.is_multicast or found.is_reserved or found.is_unspecified


def _embedded(address: IPv4Address | IPv6Address) -> tuple[IPv4Address, ...] | None:
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    return None
