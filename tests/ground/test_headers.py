from __future__ import annotations

import pytest
import websockets.headers
from hypothesis import example, given
from hypothesis import strategies as st

from socketeer import headers
from socketeer.exceptions import InvalidHeaderFormat, InvalidHeaderValue

from .comparing import outcome

# Lists

LISTS = [
    ("a", ["a"]),
    ("a,b", ["a", "b"]),
    ("a, b", ["a", "b"]),
    ("a\t , \tb  ", ["a", "b"]),
    # Empty elements (RFC 9110, 5.6.1.2).
    (",a", ["a"]),
    (", ,a,,b, ,", ["a", "b"]),
    # Firefox.
    ("keep-alive, Upgrade", ["keep-alive", "Upgrade"]),
    # All the characters that aren't letters or digits (5.6.2).
    ("!#$%&'*+-.^_`|~", ["!#$%&'*+-.^_`|~"]),
]

NO_LISTS = [
    ("", "expected token at 0 in "),
    (",", "expected token at 1 in ,"),
    (" a", "expected token at 0 in  a"),
    ("a b", "expected comma at 2 in a b"),
    ("a;b", "expected comma at 1 in a;b"),
    ("\xe9", "expected token at 0 in \xe9"),
    ('"a"', 'expected token at 0 in "a"'),
    ("a, (b)", "expected token at 3 in a, (b)"),
]


@pytest.mark.parametrize("parse", [headers.parse_connection, headers.parse_subprotocol])
@pytest.mark.parametrize(("header", "items"), LISTS)
def test_reads_lists_of_tokens(parse, header, items):
    """
    Connection and Sec-WebSocket-Protocol.
    """
    assert items == parse(header)


@pytest.mark.parametrize(
    ("parse", "name"),
    [
        (headers.parse_connection, "Connection"),
        (headers.parse_subprotocol, "Sec-WebSocket-Protocol"),
    ],
)
@pytest.mark.parametrize(("header", "text"), NO_LISTS)
def test_refuses_what_is_no_list_of_tokens(parse, name, header, text):
    """
    The error tells what was expected, and where.
    """
    with pytest.raises(InvalidHeaderFormat) as raised:
        parse(header)

    assert f"invalid {name} header: {text}" == str(raised.value)


@pytest.mark.parametrize(
    ("header", "protocols"),
    [
        ("websocket", ["websocket"]),
        ("WebSocket, HTTP/2.0", ["WebSocket", "HTTP/2.0"]),
        ("h2c,, websocket,", ["h2c", "websocket"]),
    ],
)
def test_reads_protocols_to_upgrade_to(header, protocols):
    """
    They may have a version (RFC 9110, 7.8).
    """
    assert protocols == headers.parse_upgrade(header)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("", "expected protocol at 0 in "),
        ("/2", "expected protocol at 0 in /2"),
        ("h2/", "expected comma at 2 in h2/"),
        ("h2/1/2", "expected comma at 4 in h2/1/2"),
    ],
)
def test_refuses_what_is_no_protocol(header, text):
    """
    The error tells what was expected, and where.
    """
    with pytest.raises(InvalidHeaderFormat) as raised:
        headers.parse_upgrade(header)

    assert f"invalid Upgrade header: {text}" == str(raised.value)


# Extensions

EXTENSIONS = [
    # RFC 6455, 9.1.
    ("foo", [("foo", [])]),
    ("bar; baz=2", [("bar", [("baz", "2")])]),
    ("foo, bar; baz=2", [("foo", []), ("bar", [("baz", "2")])]),
    # RFC 7692, 7.1.
    (
        "permessage-deflate; client_max_window_bits; server_max_window_bits=10",
        [
            (
                "permessage-deflate",
                [("client_max_window_bits", None), ("server_max_window_bits", "10")],
            )
        ],
    ),
    ('a;b="c"', [("a", [("b", "c")])]),
    ('a;b="\\c\\d"', [("a", [("b", "cd")])]),
    ("a ; b = c ; d , e", [("a", [("b", "c"), ("d", None)]), ("e", [])]),
    ('a ; b = "c" , d', [("a", [("b", "c")]), ("d", [])]),
    ("a;b=1;b=2", [("a", [("b", "1"), ("b", "2")])]),
]


@pytest.mark.parametrize(("header", "extensions"), EXTENSIONS)
def test_reads_extensions(header, extensions):
    """
    Names, parameters and their values, quoted or not.
    """
    assert extensions == headers.parse_extension(header)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("", "expected token at 0 in "),
        ("a;", "expected token at 2 in a;"),
        ("a;;b", "expected token at 2 in a;;b"),
        ("a;b=", "expected token at 4 in a;b="),
        ("a b", "expected comma at 2 in a b"),
        ('a;b="c', 'expected quoted string at 4 in a;b="c'),
        ('a;b="c\\', 'expected quoted string at 4 in a;b="c\\'),
        ('a;b="\xe9"', 'expected quoted string at 4 in a;b="\xe9"'),
        ('a;b="c"d', 'expected comma at 7 in a;b="c"d'),
        # "the value after quoted-string unescaping MUST conform to the
        # 'token' ABNF" (RFC 6455, 9.1).
        ('a;b=""', 'invalid quoted header content at 4 in a;b=""'),
        ('a;b="c d"', 'invalid quoted header content at 4 in a;b="c d"'),
        ('a;b="c\\"d"', 'invalid quoted header content at 4 in a;b="c\\"d"'),
    ],
)
def test_refuses_what_is_no_extension(header, text):
    """
    The error tells what was expected, and where.
    """
    with pytest.raises(InvalidHeaderFormat) as raised:
        headers.parse_extension(header)

    assert f"invalid Sec-WebSocket-Extensions header: {text}" == str(raised.value)


@pytest.mark.parametrize(
    ("extensions", "header"),
    [
        ([], ""),
        ([("a", [])], "a"),
        ([("a", [("b", None)])], "a; b"),
        ([("a", [("b", "c"), ("d", None)]), ("e", [])], "a; b=c; d, e"),
    ],
)
def test_writes_extensions(extensions, header):
    """
    As they are read.
    """
    assert header == headers.build_extension(extensions)


# Subprotocols


@pytest.mark.parametrize(
    ("subprotocols", "header"), [([], ""), (["chat"], "chat"), (["a", "b"], "a, b")]
)
def test_writes_subprotocols(subprotocols, header):
    """
    As they are read.
    """
    assert header == headers.build_subprotocol(subprotocols)


@pytest.mark.parametrize("subprotocols", [[], ["chat"], ("chat", "super.chat")])
def test_accepts_sequences_of_subprotocols(subprotocols):
    """
    Names are tokens (RFC 6455, 4.1).
    """
    assert headers.validate_subprotocols(subprotocols) is None


@pytest.mark.parametrize(
    ("subprotocols", "error", "text"),
    [
        ("chat", TypeError, "subprotocols must be a list, not a str"),
        (None, TypeError, "subprotocols must be a list"),
        ({"chat"}, TypeError, "subprotocols must be a list"),
        ([""], ValueError, "invalid subprotocol: "),
        (["chat", "a b"], ValueError, "invalid subprotocol: a b"),
        (["\xe9"], ValueError, "invalid subprotocol: \xe9"),
    ],
)
def test_refuses_what_are_no_subprotocols(subprotocols, error, text):
    """
    A single string is a mistake, since it is a sequence of letters.
    """
    with pytest.raises(error) as raised:
        headers.validate_subprotocols(subprotocols)

    assert text == str(raised.value)


# Host

HOSTS = [
    (("localhost", 80, False), "localhost", "localhost:80"),
    (("localhost", 443, True), "localhost", "localhost:443"),
    (("localhost", 443, False), "localhost:443", "localhost:443"),
    (("localhost", 80, True), "localhost:80", "localhost:80"),
    (("192.0.2.1", 81, False), "192.0.2.1:81", "192.0.2.1:81"),
    (("::1", 80, False), "[::1]", "[::1]:80"),
    (("2001:db8::1", 81, True), "[2001:db8::1]:81", "[2001:db8::1]:81"),
    (("[::1]", 80, False), "[::1]", "[::1]:80"),
]


@pytest.mark.parametrize(("arguments", "host", "host_with_port"), HOSTS)
def test_writes_hosts(arguments, host, host_with_port):
    """
    Default ports are left out unless they are asked for; IPv6 addresses are
    in brackets (RFC 3986, 3.2.2).
    """
    assert host == headers.build_host(*arguments)
    assert host_with_port == headers.build_host(*arguments, always_include_port=True)


# Basic authentication

CREDENTIALS = [
    # RFC 7617, 2 and 2.1.
    ("Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
    ("test", "123\xa3", "Basic dGVzdDoxMjPCow=="),
    ("", "", "Basic Og=="),
    ("a", "b:c", "Basic YTpiOmM="),
    # Bytes that aren't UTF-8 survive.
    ("\udce9", "\udcff", "Basic 6Tr/"),
]


@pytest.mark.parametrize(("username", "password", "header"), CREDENTIALS)
def test_reads_and_writes_credentials(username, password, header):
    """
    With the Basic scheme, whatever its case.
    """
    assert header == headers.build_authorization_basic(username, password)
    for scheme in ("Basic", "basic", "BASIC"):
        assert (username, password) == headers.parse_authorization_basic(
            header.replace("Basic", scheme)
        )


def test_a_user_name_has_no_colon():
    """
    The peer would take what follows for the password (RFC 7617, 2).
    """
    with pytest.raises(AssertionError):
        headers.build_authorization_basic("a:b", "c")


@pytest.mark.parametrize(
    ("header", "error", "text"),
    [
        ("", InvalidHeaderFormat, "expected token at 0 in "),
        ("Basic", InvalidHeaderFormat, "expected space after scheme at 5 in Basic"),
        ("Basic ", InvalidHeaderFormat, "expected token68 at 6 in Basic "),
        ("Basic !", InvalidHeaderFormat, "expected token68 at 6 in Basic !"),
        ("Basic YTpi,", InvalidHeaderFormat, "trailing data at 10 in Basic YTpi,"),
        ("Digest a=b", InvalidHeaderValue, "unsupported scheme: Digest"),
        ("Basic YTp", InvalidHeaderValue, "expected base64-encoded credentials"),
        ("Basic YWI=", InvalidHeaderValue, "expected username:password credentials"),
    ],
)
def test_refuses_other_credentials(header, error, text):
    """
    The error tells what was expected.
    """
    with pytest.raises(error) as raised:
        headers.parse_authorization_basic(header)

    assert f"invalid Authorization header: {text}" == str(raised.value)


@pytest.mark.parametrize(
    ("realm", "header"),
    [
        ("", 'Basic realm="", charset="UTF-8"'),
        ("my realm", 'Basic realm="my realm", charset="UTF-8"'),
        ('a"b\\c', 'Basic realm="a\\"b\\\\c", charset="UTF-8"'),
        ("\xe9", 'Basic realm="\xe9", charset="UTF-8"'),
    ],
)
def test_asks_for_credentials(realm, header):
    """
    The realm is quoted (RFC 9110, 5.6.4).
    """
    assert header == headers.build_www_authenticate_basic(realm)


@pytest.mark.parametrize("realm", ["a\nb", "\x7f", "\u20ac"])
def test_a_realm_fits_into_a_header(realm):
    """
    Neither control characters nor what ISO-8859-1 cannot encode.
    """
    with pytest.raises(
        ValueError, match=r"^invalid characters for quoted-string encoding$"
    ):
        headers.build_www_authenticate_basic(realm)


# Against websockets

PARSERS = [
    "parse_connection",
    "parse_upgrade",
    "parse_extension",
    "parse_subprotocol",
    "parse_authorization_basic",
]


@given(st.sampled_from(PARSERS), st.text('ab,;="\\ \t/\xe9(', max_size=12))
@example("parse_extension", 'a;b="c",a; b')
def test_reads_any_header_as_websockets_does(parser, header):
    """
    Same results, same errors.
    """
    assert outcome(getattr(websockets.headers, parser), header) == outcome(
        getattr(headers, parser), header
    )


@given(st.text("Yb=+/-_~ ,", max_size=8))
def test_reads_any_credentials_as_websockets_does(credentials):
    """
    Same results, same errors.
    """
    header = f"Basic {credentials}"

    assert outcome(websockets.headers.parse_authorization_basic, header) == outcome(
        headers.parse_authorization_basic, header
    )


@given(
    st.sampled_from(["localhost", "::1", "fe80::1%eth0", "a:b", "", "192.0.2.1"]),
    st.sampled_from([0, 80, 443, 8080]),
    st.booleans(),
    st.booleans(),
)
def test_writes_any_host_as_websockets_does(host, port, secure, always):
    """
    Same header.
    """
    assert websockets.headers.build_host(
        host, port, secure, always_include_port=always
    ) == headers.build_host(host, port, secure, always_include_port=always)


@given(st.text('a"\\\t\n\x7f\xe9\u20ac ', max_size=5))
def test_asks_for_credentials_as_websockets_does(realm):
    """
    Same header, same errors.
    """
    assert outcome(websockets.headers.build_www_authenticate_basic, realm) == outcome(
        headers.build_www_authenticate_basic, realm
    )


def test_names_are_those_of_websockets():
    """
    Every function that websockets lists.
    """
    assert set(websockets.headers.__all__) == set(headers.__all__)
