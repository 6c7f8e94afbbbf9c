"""
Where a bearer token may stand in a request, and what is none.
"""

from __future__ import annotations

import pytest

from socketeer.auth import MAX_TOKEN_SIZE, BasicAuthentication, TokenSearch
from socketeer.datastructures import Headers
from socketeer.http11 import Request
from socketeer.protocol import CONNECTING, OPEN
from socketeer.server import ServerProtocol

pytestmark = pytest.mark.ours

PAGE = "https://example.com"

# The longest token that is one.
LONGEST = "a" * MAX_TOKEN_SIZE


def found(*lines, cookie=None, origins=None):
    """
    Return the token in a request with these header lines.
    """
    search = TokenSearch(cookie, None)
    request = Request("/", Headers(list(lines)))
    return search.in_request(request, ServerProtocol(origins=origins))


AUTHORIZATIONS = [
    ("Bearer abc", "abc"),
    ("bearer  abc== ", "abc=="),
    ("Bearer mF_9.B5f-4.1JqM~+/=", "mF_9.B5f-4.1JqM~+/="),
    (f"Bearer {LONGEST}", LONGEST),
    (f"Bearer {LONGEST}a", None),
    ("Bearer", None),
    ("Bearer ", None),
    ("Bearer a b", None),
    ("Bearer =", None),
    ("Bearer a=b", None),
    ("Bearer \xe9", None),
    ("Basic abc", None),
    ("abc", None),
    ("", None),
]


@pytest.mark.parametrize(("value", "token"), AUTHORIZATIONS)
def test_reads_the_authorization_header(value, token):
    """
    "credentials = "Bearer" 1*SP b64token" (RFC 6750, 2.1); the name of the scheme
    is case-insensitive (RFC 9110, 11.1).
    """
    assert token == found(("Authorization", value))


def test_two_authorization_headers_are_none():
    """
    Nobody can tell which one counts.
    """
    assert found(("Authorization", "Bearer a"), ("Authorization", "Bearer b")) is None


SUBPROTOCOLS = [
    (["bearer, abc"], "abc"),
    (["chat, bearer, abc"], "abc"),
    (["bearer", "abc"], "abc"),
    (["chat, bearer.abc"], "abc"),
    (["bearer.a.b.c"], "a.b.c"),
    (["bearer"], None),
    (["bearer."], None),
    (["bearer, a!"], None),
    (["chat"], None),
    (["bearer,, abc"], "abc"),
    (["bearer; abc"], None),
]


@pytest.mark.parametrize(("values", "token"), SUBPROTOCOLS)
def test_reads_the_offered_subprotocols(values, token):
    """
    The word and the token, or both in one; in one line or several.
    """
    assert token == found(*[("Sec-WebSocket-Protocol", value) for value in values])


COOKIES = [
    ("session=abc", "abc"),
    ("a=b; session=abc; c=d", "abc"),
    ('session="abc"', "abc"),
    ("session=a; session=b", "a"),
    ("sessions=abc", None),
    ("session", None),
    ("session=a b", None),
    ("", None),
]


@pytest.mark.parametrize(("value", "token"), COOKIES)
def test_reads_a_cookie(value, token):
    """
    The one with the name that was given (RFC 6265, 4.2.1).
    """
    lines = [("Origin", PAGE), ("Cookie", value)]

    assert token == found(*lines, cookie="session", origins=[PAGE])


FOREIGN = [
    [("Origin", "https://evil.example")],
    [("Origin", PAGE), ("Origin", PAGE)],
    [],
]


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_cookie_without_an_allowed_origin_is_none(origin):
    """
    A browser sends the cookie along with the requests of any page (RFC 6455, 10.2);
    also before the server has checked the origin.
    """
    lines = [*origin, ("Cookie", "session=abc")]

    assert found(*lines, cookie="session", origins=[PAGE, None]) is None


def test_a_cookie_needs_origins():
    """
    The error names the option.
    """
    with pytest.raises(ValueError, match="the origins option"):
        found(("Cookie", "session=abc"), cookie="session")


def test_the_header_comes_first():
    """
    Then the subprotocols, then the cookie.
    """
    lines = [
        ("Origin", PAGE),
        ("Cookie", "session=c"),
        ("Sec-WebSocket-Protocol", "bearer, b"),
        ("Authorization", "Bearer a"),
    ]
    options = {"cookie": "session", "origins": [PAGE]}

    assert "a" == found(*lines, **options)
    assert "b" == found(*lines[:-1], **options)
    assert "c" == found(*lines[:-2], **options)


MESSAGES = [
    ("abc", "abc"),
    (" abc\n", "abc"),
    ('{"token": "abc"}', "abc"),
    ('{"type": "auth", "token": "abc"}', "abc"),
    ('{"token": 1}', None),
    ('{"token": "a b"}', None),
    ("{}", None),
    ("{", None),
    ('{"token":' + "[" * 100_000, None),
    ("hello world", None),
    ("", None),
    (LONGEST + "a", None),
    (b"abc", None),
]


@pytest.mark.parametrize(("message", "token"), MESSAGES)
def test_reads_a_first_message(message, token):
    """
    The token alone, or a JSON object with it.
    """
    assert token == TokenSearch.in_message(message)


WAITS = [(10, OPEN, True), (10, CONNECTING, False), (None, OPEN, False)]


@pytest.mark.parametrize(("timeout", "state", "waits"), WAITS)
def test_waits_for_a_message_where_there_can_be_one(timeout, state, waits):
    """
    Not during the opening handshake, and not without a deadline.
    """
    assert waits is TokenSearch(None, timeout).waits(state)


@pytest.mark.parametrize("credentials", [42, [("ada",)], [("ada", b"secret")]])
def test_what_is_no_credentials(credentials):
    """
    It is said when the hook is made, not when somebody connects.
    """
    with pytest.raises(TypeError, match="invalid credentials argument"):
        BasicAuthentication("", credentials, None)
