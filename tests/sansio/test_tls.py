"""
TLS in memory, one end facing the other.
"""

from __future__ import annotations

import ssl

import pytest

from socketeer._tls import TLS, BaseWay
from socketeer.proxy import parse_proxy
from socketeer.uri import parse_uri


@pytest.fixture
def facing(server_ssl_context, client_ssl_context):
    """
    Return a function that makes two ends whose handshake is over, maybe inside of
    two others.
    """

    def make(outer=(None, None)):
        client = TLS(client_ssl_context, "localhost", outer=outer[0])
        server = TLS(server_ssl_context, None, server_side=True, outer=outer[1])
        while not (client.handshake() & server.handshake()):
            pass_on(client, server)
            pass_on(server, client)
        pass_on(server, client)
        return client, server

    return make


def pass_on(sender, receiver):
    """
    Have one end take in what the other one has to say for TLS itself.
    """
    data = sender.output()
    if data:
        receiver.feed(data)


def test_what_one_end_encrypts_the_other_decrypts(facing):
    """
    In both directions, and to the end.
    """
    client, server = facing()

    assert b"ping" == server.decrypt(client.encrypt(b"ping"))
    assert b"pong" == client.decrypt(server.encrypt(b"pong"))
    assert server.decrypt(client.end()) is None


def test_what_came_before_the_end_is_not_lost(facing):
    """
    The end of TLS in the same read waits for its turn.
    """
    client, server = facing()

    assert b"last" == server.decrypt(client.encrypt(b"last") + client.end())
    assert server.read() is None


class Cut:
    """
    A TLS object whose peer has gone without a word, as some versions of OpenSSL and
    Python report it.
    """

    def __init__(self, *pieces):
        self.pieces = list(pieces)

    def read(self, size):
        if self.pieces:
            return self.pieces.pop(0)
        raise ssl.SSLEOFError


def test_an_end_without_a_word_is_a_violation(facing):
    """
    Somebody may have cut the rest off (RFC 8446, 6.1); what came before is sound.
    """
    client, _ = facing()
    client.object = Cut(b"la", b"st")

    assert b"last" == client.read()
    with pytest.raises(ssl.SSLEOFError):
        client.read()


def test_tls_inside_tls(facing):
    """
    As behind a proxy that speaks TLS itself; byte by byte, records of the outer one
    are incomplete.
    """
    client, server = facing(facing())
    data = client.encrypt(b"ping")

    plain = [server.decrypt(bytes([byte])) for byte in data]

    assert [b""] * (len(data) - 1) + [b"ping"] == plain
    assert b"pong" == client.decrypt(server.encrypt(b"pong"))


def test_the_end_of_the_outer_tls_is_that_of_the_inner(facing):
    """
    Nothing can follow.
    """
    outer = facing()
    client, server = facing(outer)
    server.feed(client.encrypt(b"last"))
    server.feed(outer[0].end())

    assert b"last" == server.read()


def way(**options):
    """
    Return a way with some options.
    """
    names = ("ssl", "server_hostname", "proxy", "proxy_ssl")
    names += ("proxy_server_hostname", "user_agent_header")
    return BaseWay(**{**dict.fromkeys(names), **options})


def test_tls_as_the_uri_says(client_ssl_context):
    """
    With the name of the host, or with the one that the user gives.
    """
    secure = parse_uri("wss://localhost/")
    assert way().tls(parse_uri("ws://localhost/")) is None
    assert "localhost" == way().tls(secure).server_hostname
    options = way(ssl=client_ssl_context, server_hostname="other").tls(secure)
    assert (client_ssl_context, "other") == options[:2]


def test_tls_as_the_url_of_the_proxy_says(client_ssl_context):
    """
    With the name of the proxy, or with the one that the user gives.
    """
    secure = parse_proxy("https://proxy:1")
    assert way().proxy_tls(parse_proxy("http://proxy:1")) is None
    assert "proxy" == way().proxy_tls(secure).server_hostname
    mine = way(proxy_ssl=client_ssl_context, proxy_server_hostname="other")
    assert (client_ssl_context, "other") == mine.proxy_tls(secure)[:2]
