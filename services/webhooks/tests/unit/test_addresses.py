"""Where deliveries may go."""

import pytest

from prizewire_webhooks.domain.addresses import Target, is_refused, parse_url
from prizewire_webhooks.domain.errors import UrlRefused

INSIDE = [
    "0.0.0.0",  # noqa: S104 - judged, not bound
    "127.0.0.1", "127.8.8.8", "::1", "::", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "169.254.1.1", "100.64.0.1", "100.100.100.200", "192.0.0.192", "168.63.129.16", "198.18.0.1", "192.0.2.1",
    "224.0.0.1", "240.0.0.1", "255.255.255.255", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fc00::1", "fec0::1",
    "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::1", "2002:a00:1::", "2001:0:7f00:1::1", "::7f00:1",
    "not-an-address", "",
]  # fmt: skip
OUTSIDE = ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_somebodys_network_are_refused(address):
    """Private, local, metadata, multicast, reserved and embedded addresses are refused."""
    assert is_refused(address, allow_loopback=False)


@pytest.mark.parametrize("address", OUTSIDE)
def test_public_addresses_pass(address):
    """Globally reachable unicast addresses pass."""
    assert not is_refused(address, allow_loopback=False)


@pytest.mark.parametrize("address", INSIDE)
def test_the_development_flag_opens_loopback_only(address):
    """With the flag, loopback passes and nothing else does."""
    loopback = {"127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1"}
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
def test_what_is_no_address_for_deliveries(url):
    """Other schemes, missing hosts, credentials, fragments, odd characters and lengths are refused."""
    with pytest.raises(UrlRefused):
        parse_url(url)


def test_parts_that_decide_where_a_connection_goes():
    """Scheme, host and port are read as the client reads them."""
    assert parse_url("https://example.com/a?b=c") == Target("https", "example.com", 443)
    assert parse_url("http://[2606:4700::1]:8080/") == Target("http", "2606:4700::1", 8080)
