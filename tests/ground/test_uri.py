from __future__ import annotations

import dataclasses

import pytest
import websockets.uri
from hypothesis import assume, example, given
from hypothesis import strategies as st

from socketeer.exceptions import InvalidURI
from socketeer.uri import WebSocketURI, parse_uri

from .comparing import outcome

VALID = [
    # Examples of the grammar in RFC 6455, 3.
    ("ws://localhost", (False, "localhost", 80, "", "", None, None), "/"),
    ("ws://localhost/", (False, "localhost", 80, "/", "", None, None), "/"),
    ("wss://localhost/", (True, "localhost", 443, "/", "", None, None), "/"),
    ("ws://h:8080/a?b", (False, "h", 8080, "/a", "b", None, None), "/a?b"),
    ("ws://h?b", (False, "h", 80, "", "b", None, None), "/?b"),
    ("ws://h/?", (False, "h", 80, "/", "", None, None), "/"),
    ("ws://h/#", (False, "h", 80, "/", "", None, None), "/"),
    ("ws://h:/", (False, "h", 80, "/", "", None, None), "/"),
    ("ws://h:65535/", (False, "h", 65535, "/", "", None, None), "/"),
    ("WSS://HOST/Path", (True, "host", 443, "/Path", "", None, None), "/Path"),
    # IP addresses (RFC 3986, 3.2.2).
    ("ws://192.0.2.1/", (False, "192.0.2.1", 80, "/", "", None, None), "/"),
    ("ws://[::1]:81/", (False, "::1", 81, "/", "", None, None), "/"),
    # User information (RFC 3986, 3.2.1), percent-decoded.
    ("ws://u:p@h/", (False, "h", 80, "/", "", "u", "p"), "/"),
    ("ws://u:@h/", (False, "h", 80, "/", "", "u", ""), "/"),
    ("ws://:p@h/", (False, "h", 80, "/", "", "", "p"), "/"),
    ("ws://u%3A:p%40:q@h/", (False, "h", 80, "/", "", "u:", "p@:q"), "/"),
    # Escapes stay; characters that no URI has stay unless they break the
    # request line.
    ("ws://h/%20?%zz", (False, "h", 80, "/%20", "%zz", None, None), "/%20?%zz"),
    ("ws://h/{}|^`", (False, "h", 80, "/{}|^`", "", None, None), "/{}|^`"),
    ("ws://h/a;b?c;d", (False, "h", 80, "/a;b", "c;d", None, None), "/a;b?c;d"),
    # IRIs (RFC 3987, 3.1).
    (
        "ws://m\xfcnchen.de/\xe9?\xfc=\u20ac",
        (
            False,
            "xn--mnchen-3ya.de",
            80,
            "/%C3%A9",
            "%C3%BC=%E2%82%AC",
            None,
            None,
        ),
        "/%C3%A9?%C3%BC=%E2%82%AC",
    ),
    ("ws://\xfc:\xe9@h/", (False, "h", 80, "/", "", "\xfc", "\xe9"), "/"),
    ("ws://\xe9:81/{}", (False, "xn--9ca", 81, "/%7B%7D", "", None, None), "/%7B%7D"),
]


@pytest.mark.parametrize(("uri", "fields", "resource_name"), VALID)
def test_reads_the_parts_of_a_uri(uri, fields, resource_name):
    """
    As websockets does.
    """
    parsed = parse_uri(uri)

    assert fields == dataclasses.astuple(parsed)
    assert fields == dataclasses.astuple(websockets.uri.parse_uri(uri))
    assert resource_name == parsed.resource_name


@pytest.mark.parametrize(
    ("uri", "resource_name"),
    [
        # A space would end the target in the request line.
        ("ws://h/a b?c d", "/a%20b?c%20d"),
        ("ws://h/\0\x7f", "/%00%7F"),
        # "percent-encoded" characters of an IRI are encoded already.
        ("ws://h/\xe9%20?%C3%A9", "/%C3%A9%20?%C3%A9"),
    ],
)
def test_encodes_better_than_websockets(uri, resource_name):
    """
    Where websockets 17.4 makes a request line that no server accepts, or
    encodes escapes a second time.
    """
    assert resource_name == parse_uri(uri).resource_name


INVALID = [
    ("http://h/", "scheme isn't ws or wss"),
    ("h", "scheme isn't ws or wss"),
    ("//h/", "scheme isn't ws or wss"),
    ("", "scheme isn't ws or wss"),
    ("ws:", "hostname isn't provided"),
    ("ws://", "hostname isn't provided"),
    ("ws:///path", "hostname isn't provided"),
    ("ws://:80/", "hostname isn't provided"),
    ("ws://u:p@/", "hostname isn't provided"),
    ("ws://h/#fragment", "fragment identifier is meaningless"),
    ("ws://u@h/", "username provided without password"),
    ("ws://@h/", "username provided without password"),
]


@pytest.mark.parametrize(("uri", "text"), INVALID)
def test_refuses_other_uris(uri, text):
    """
    The error has the URI and the reason, as in websockets.
    """
    with pytest.raises(InvalidURI) as raised:
        parse_uri(uri)

    assert (raised.value.uri, raised.value.msg) == (uri, text)
    assert outcome(websockets.uri.parse_uri, uri) == outcome(parse_uri, uri)


@pytest.mark.parametrize(
    "uri",
    [
        "ws://h:65536/",
        "ws://h:port/",
        "ws://[::1/",
        "ws://[1.2.3.4]/",
        "ws://\u2100.com/",
        "ws://\xe9..com/",
        "ws://h/\ud800",
        "ws://%ff:p@h/",
        "ws://u:%c3@h/",
    ],
)
def test_every_error_is_an_invalid_uri(uri):
    """
    Where websockets 17.4 lets errors of Python through; their text remains.
    """
    with pytest.raises(ValueError, match=r".") as theirs:
        websockets.uri.parse_uri(uri)
    with pytest.raises(InvalidURI) as ours:
        parse_uri(uri)

    assert str(theirs.value) == ours.value.msg
    assert type(theirs.value) is type(ours.value.__cause__)


@pytest.mark.parametrize(
    ("username", "password", "user_info"),
    [(None, None, None), ("u", "p", ("u", "p")), ("", "", ("", ""))],
)
def test_user_information_is_a_pair_or_nothing(username, password, user_info):
    """
    Empty words count as words.
    """
    uri = WebSocketURI(False, "h", 80, "/", "", username, password)

    assert user_info == uri.user_info


def test_fields_are_those_of_websockets():
    """
    Same names, same order, same defaults.
    """
    assert [
        (field.name, field.default)
        for field in dataclasses.fields(websockets.uri.WebSocketURI)
    ] == [(field.name, field.default) for field in dataclasses.fields(WebSocketURI)]


TEXT = st.text("a1.:@/?#;%[]\\\t\xe9\u20ac", max_size=6)


@given(
    st.sampled_from(["ws:", "wss:", "WS:", "http:", ""]),
    st.sampled_from(["//", "/", ""]),
    st.sampled_from(["", "@", "u@", "u:p@", ":@", "u:p:q@"]),
    st.sampled_from(["h", "H.example", "", "[::1]", "[", "\xe9", "1.2.3.4"]) | TEXT,
    st.sampled_from(["", ":", ":0", ":81", ":99999", ":x"]),
    TEXT,
    TEXT,
)
@example("ws:", "//", "", "h", "", "/a", "b")
def test_reads_any_uri_as_websockets_does(
    scheme, slashes, user, host, port, path, query
):
    """
    Same parts and same errors, except for what the tests above tell.
    """
    uri = f"{scheme}{slashes}{user}{host}{port}{path}?{query}"
    assume(uri.isascii() or "%" not in path + query + host)

    theirs = outcome(websockets.uri.parse_uri, uri)
    ours = outcome(parse_uri, uri)

    if theirs[0] == "raises" and theirs[1] in {"ValueError", "UnicodeError"}:
        assert ours[:2] == ("raises", "InvalidURI")
    else:
        assert theirs == ours
