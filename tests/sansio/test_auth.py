"""
Where a bearer token may stand in a request, and what is none.
"""

from __future__ import annotations

import base64

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


class Connection:
    """
    What Basic Authentication needs of a connection.
    """

    def __init__(self):
        self.username = None

    respond = staticmethod(ServerProtocol().reject)


@pytest.mark.parametrize("credentials", ["ada", [("ada",)], 5])
def test_credentials_are_pairs_of_strings(credentials):
    """
    One, or several.
    """
    with pytest.raises(TypeError, match="invalid credentials argument"):
        BasicAuthentication("", credentials, None)


def test_one_kind_of_check_is_needed():
    """
    A list or a function, not both.
    """
    with pytest.raises(ValueError, match="provide either credentials or"):
        BasicAuthentication("", None, None)
    with pytest.raises(ValueError, match="provide either credentials or"):
        BasicAuthentication("", ("a", "b"), lambda username, password: True)


def test_a_right_password_names_the_user():
    """
    The steps of a room, with a check in between.
    """
    basic = BasicAuthentication("here", ("ada", "secret"), None)
    claim = base64.b64encode(b"ada:secret").decode()
    connection = Connection()

    claimed = basic.claim(
        connection, Request("/", Headers(Authorization=f"Basic {claim}"))
    )
    assert ("ada", "secret") == claimed
    assert basic.check(*claimed)
    assert not basic.check("ada", "")
    assert not basic.check("bob", "")
    assert basic.decide(connection, "ada", True) is None
    assert "ada" == connection.username


REFUSED = [
    ({}, "Missing credentials\n"),
    ({"Authorization": "Bearer abc"}, "Unsupported credentials\n"),
]


@pytest.mark.parametrize(("headers", "text"), REFUSED)
def test_a_request_without_a_password_is_refused(headers, text):
    """
    With the challenge of RFC 7617, 2.
    """
    basic = BasicAuthentication("here", ("ada", "secret"), None)

    response = basic.claim(Connection(), Request("/", Headers(headers)))
    wrong = basic.decide(Connection(), "ada", False)

    assert text.encode() == response.body
    assert b"Invalid credentials\n" == wrong.body
    assert {401} == {response.status_code, wrong.status_code}
    assert 'Basic realm="here", charset="UTF-8"' == response.headers["WWW-Authenticate"]
