"""Where deliveries may go."""

from ipaddress import ip_address, ip_network

import pytest

from prizewire_webhooks.app import _target_rules
from prizewire_webhooks.errors import PortRefused, SchemeRefused, UrlRefused
from prizewire_webhooks.outbound.domain.addresses import Target, TargetRules, is_refused, parse_url
from prizewire_webhooks.settings import WebhooksSettings

INSIDE = [
    "0.0.0.0",  # noqa: S104 - judged, not bound
    "127.0.0.1", "127.8.8.8", "::1", "::", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "169.254.1.1", "100.64.0.1", "100.100.100.200", "192.0.0.192", "168.63.129.16", "198.18.0.1", "192.0.2.1",
    "224.0.0.1", "240.0.0.1", "255.255.255.255", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fc00::1", "fec0::1",
    "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::1", "2002:a00:1::", "2001:0:7f00:1::1", "::7f00:1",
    "2002:101:101::1", "2001:0:101:101::1", "2606:4700::5efe:a00:1", "2606:4700::200:5efe:a00:1",
    "2606:4700::5efe:7f00:1", "not-an-address", "",
]  # fmt: skip
OUTSIDE = ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_of_private_networks_are_refused(address):
    """Private, local, metadata, multicast, reserved and embedded addresses are refused."""
    assert is_refused(address, allow_loopback=False)


# IANA IPv4 and IPv6 Special-Purpose Address Registries, and what multicast, site-local and reserved space is beside.
REGISTRIES = [
    "0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/31", "192.0.2.0/24",
    "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",
    "::1/128", "::/128", "::ffff:0:0/112", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001::/32",
    "2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:2::/48", "2001:3::/32", "2001:4:112::/48", "2001:10::/28",
    "2001:20::/28", "2001:30::/28", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16",
    "4000::/2", "8000::/1", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
]  # fmt: skip


@pytest.mark.parametrize("network", REGISTRIES)
def test_no_special_purpose_range_is_public(network):
    """The first and the last address of each range are refused, alone and inside the addresses that lead to them."""
    found = ip_network(network)
    for address in (found[0], found[-1]):
        assert is_refused(str(address), allow_loopback=False)
        if found.version == 4:
            for prefix in ("::ffff:0:0", "64:ff9b::", "2606:4700::5efe:0:0"):
                assert is_refused(str(ip_address(prefix) + int(address)), allow_loopback=False)


@pytest.mark.parametrize(
    ("url", "rules", "refused"),
    [
        ("https://a.example/", TargetRules(), None),
        ("https://a.example:443/", TargetRules(), None),
        ("http://a.example/", TargetRules(), SchemeRefused),
        ("http://a.example:443/", TargetRules(), SchemeRefused),
        ("https://a.example:80/", TargetRules(), PortRefused),
        ("https://a.example:8443/", TargetRules(), PortRefused),
        ("https://a.example:22/", TargetRules(ports=frozenset({443, 80})), PortRefused),
        ("https://a.example:80/", TargetRules(ports=frozenset({443, 80})), None),
        ("http://a.example/", TargetRules(ports=frozenset({443, 80})), SchemeRefused),
        ("http://a.example:8080/", TargetRules(ports=None, plain_http=True), None),
    ],
)
def test_only_https_on_known_ports(url, rules, refused):
    """Outside of development: https, on port 443, or 80 where the operator says so."""
    if refused is None:
        rules.check(parse_url(url))
        return
    with pytest.raises(refused):
        rules.check(parse_url(url))


@pytest.mark.parametrize(
    ("environment", "port_80", "wanted"),
    [
        ("development", False, TargetRules(ports=None, plain_http=True)),
        ("staging", False, TargetRules(ports=frozenset({443}))),
        ("production", False, TargetRules(ports=frozenset({443}))),
        ("production", True, TargetRules(ports=frozenset({443, 80}))),
    ],
)
def test_the_environment_makes_the_rules(environment, port_80, wanted):
    """Only development takes other ports and http."""
    settings = WebhooksSettings.model_construct(
        prizewire_environment=environment, webhooks_allow_port_80=port_80
    )
    assert _target_rules(settings) == wanted


@pytest.mark.parametrize("address", OUTSIDE)
def test_public_addresses_pass(address):
    """Globally reachable unicast addresses pass."""
    assert not is_refused(address, allow_loopback=False)


@pytest.mark.parametrize("address", INSIDE)
def test_the_development_flag_opens_loopback_only(address):
    """With the flag, loopback passes and nothing else does."""
    loopback = {
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2606:4700::5efe:7f00:1",
    }
    assert is_refused(address, allow_loopback=True) is (address not in loopback)


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "ftp://example.com/", "file:///etc/passwd", "http://", "https:///path", "http://user@example.com/",
        "http://user:word@example.com/", "http://example.com/#part", "http://example.com:0/", "http://example.com:99999/",
        "http://exa mple.com/", "http://example.com\\@127.0.0.1/", "http://ex\u00e4mple.com/", "http://example.com/\n",
        "http://[::1/", "gopher://example.com", "http://example.com/" + "a" * 2048,
    ],
)  # fmt: skip
def test_invalid_addresses_for_deliveries(url):
    """Other schemes, missing hosts, credentials, fragments, odd characters and lengths are refused."""
    with pytest.raises(UrlRefused):
        parse_url(url)


def test_parts_that_decide_where_a_connection_goes():
    """Scheme, host and port are read as the client reads them."""
    assert parse_url("https://example.com/a?b=c") == Target("https", "example.com", 443)
    assert parse_url("http://[2606:4700::1]:8080/") == Target("http", "2606:4700::1", 8080)
