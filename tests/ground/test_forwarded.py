"""
Where a client is, according to proxies that are trusted, and others that are not.
"""

from __future__ import annotations

import ipaddress

import pytest

from socketeer.datastructures import Headers
from socketeer.exceptions import InvalidHeader, InvalidHeaderFormat
from socketeer.forwarded import TrustedProxies

PROXY = "10.0.0.1"
TRUSTED = ["10.0.0.0/8", "2001:db8::1"]


def client(*headers, peer=PROXY, trusted=TRUSTED):
    found = TrustedProxies(trusted).find_client(peer, Headers(headers))
    return None if found is None else tuple(found)


def x_forwarded_for(*values, **options):
    return client(*(("X-Forwarded-For", value) for value in values), **options)


def forwarded(*values, **options):
    return client(*(("Forwarded", value) for value in values), **options)


# Who is trusted


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("::ffff:10.0.0.1", True),
        ("2001:db8::1", True),
        ("2001:db8::1%eth0", True),
        ("2001:db8::2", False),
        ("somewhere", False),
        ("", False),
        (None, False),
    ],
)
def test_networks(host, trusted):
    """
    Of both families.
    """
    assert trusted is TrustedProxies(TRUSTED).trusts(host)


def test_unix_sockets_are_trusted_by_name():
    """
    Who connects by one has no address.
    """
    proxies = TrustedProxies(["unix", ipaddress.ip_network("10.0.0.0/8")])

    assert proxies.trusts("")
    assert proxies.trusts(None)
    assert proxies.trusts("10.0.0.1")


def test_a_string_is_not_a_list():
    """
    Its characters would be taken for networks.
    """
    with pytest.raises(TypeError, match=r"must be a list, got '10\.0\.0\.0/8'"):
        TrustedProxies("10.0.0.0/8")


@pytest.mark.parametrize("network", ["10.0.0.1/8", "proxy", "10.0.0.0/33"])
def test_no_network(network):
    """
    What is neither a network nor an address is refused.
    """
    with pytest.raises(ValueError, match=network):
        TrustedProxies([network])


# What is believed


def test_without_headers_the_peer_is_the_client():
    """
    A proxy may speak for itself, as for its health checks.
    """
    assert client() is None


def test_strangers_are_not_believed():
    """
    Anybody can send these headers.
    """
    assert x_forwarded_for("192.0.2.1", peer="203.0.113.9") is None
    assert forwarded("for=192.0.2.1", peer="203.0.113.9") is None


@pytest.mark.parametrize(
    ("values", "host"),
    [
        (["192.0.2.1"], "192.0.2.1"),
        # The client has sent the first one.
        (["198.51.100.7, 192.0.2.1"], "192.0.2.1"),
        (["198.51.100.7", "192.0.2.1"], "192.0.2.1"),
        # Two proxies in a row.
        (["198.51.100.7, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
        # The client is one of the trusted.
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        # Garbage ends the trail, and counts for nothing in front of it.
        (["garbage, 192.0.2.1"], "192.0.2.1"),
        (["192.0.2.1, garbage, 10.0.0.2"], "10.0.0.2"),
        ([" 192.0.2.1\t,\t10.0.0.2 "], "192.0.2.1"),
        (["2001:db8::7"], "2001:db8::7"),
        (["::ffff:192.0.2.1"], "192.0.2.1"),
    ],
)
def test_the_trail_is_followed_from_its_end(values, host):
    """
    As long as the addresses are those of trusted proxies.
    """
    assert (host, 0) == x_forwarded_for(*values)


@pytest.mark.parametrize(
    "value", ["", "unknown", "a, b", "192.0.2.1:99999", "fe80::1%1"]
)
def test_a_trail_that_leads_nowhere(value):
    """
    The peer is the client then.
    """
    assert x_forwarded_for(value) is None


@pytest.mark.parametrize(
    ("values", "address"),
    [
        (["for=192.0.2.43"], ("192.0.2.43", 0)),
        (['For="[2001:db8:cafe::17]:4711"'], ("2001:db8:cafe::17", 4711)),
        (['for="192.0.2.43:47011"'], ("192.0.2.43", 47011)),
        (["for=192.0.2.43:47011"], ("192.0.2.43", 47011)),
        (["for=[2001:db8::9]"], ("2001:db8::9", 0)),
        (["for=192.0.2.60;proto=http;by=203.0.113.43"], ("192.0.2.60", 0)),
        (["for=192.0.2.43, for=198.51.100.17"], ("198.51.100.17", 0)),
        (["for=192.0.2.43", "for=10.0.0.9"], ("192.0.2.43", 0)),
        ([r'for="192.0.2.\43"'], ("192.0.2.43", 0)),
        (['for=1.1.1.1;x="a, for=9.9.9.9;b=" , for=192.0.2.1'], ("192.0.2.1", 0)),
    ],
)
def test_forwarded(values, address):
    """
    The examples of RFC 7239, 4, and others.
    """
    assert address == forwarded(*values)


@pytest.mark.parametrize(
    "value",
    ["for=unknown", "for=_gazonk", 'for=""', "proto=https", "for=10.0.0.2:70000"],
)
def test_nodes_without_an_address(value):
    """
    RFC 7239, 6, allows made-up names; then nobody has told an address.
    """
    assert forwarded(value) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "for",
        "for=",
        "for=192.0.2.1,",
        "for=192.0.2.1;",
        "for=192.0.2.1 for=192.0.2.2",
        # An open quotation mark swallows what the proxy has added.
        'for="192.0.2.1, for=203.0.113.9',
    ],
)
def test_what_cannot_be_read_is_not_guessed(value):
    """
    The request is not acceptable.
    """
    with pytest.raises(InvalidHeaderFormat, match="^invalid Forwarded header: "):
        forwarded(value)


def test_both_headers_in_agreement():
    """
    Some proxies send both.
    """
    headers = [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1:5")]

    assert ("192.0.2.1", 5) == client(*headers)


@pytest.mark.parametrize("node", ["198.51.100.7", "unknown"])
def test_both_headers_in_contradiction(node):
    """
    One of them was passed on from the client, and nobody knows which.
    """
    headers = [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", f"for={node}")]

    with pytest.raises(InvalidHeader, match="contradicts X-Forwarded-For"):
        client(*headers)
