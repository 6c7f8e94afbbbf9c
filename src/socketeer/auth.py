"""
Who is there: HTTP Basic Authentication and bearer tokens, without I/O.

The rooms add the waiting: for a user's check of a password, and for a first
message with a token.
"""

from __future__ import annotations

import hmac
import itertools
import re
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Protocol, TypeVar, cast

from .datastructures import Headers, MultipleValuesError
from .exceptions import InvalidHandshake, InvalidHeader
from .headers import (
    build_www_authenticate_basic,
    parse_authorization_basic,
    parse_subprotocol,
)
from .http11 import Request, Response
from .protocol import CONNECTING, State
from .server import ServerProtocol
from .typing import Data

__all__ = ["BasicAuthentication", "CheckCredentials", "TokenSearch", "bearer_token"]

Credentials = tuple[str, str]
CheckCredentials = Callable[[str, str], bool | Awaitable[bool]]


# Basic


class Authenticated(Protocol):
    """
    What HTTP Basic Authentication needs of a connection.

    Attributes:
        username: Who authenticated.
    """

    username: str

    def respond(self, status: HTTPStatus, text: str) -> Response:
        """
        Make a plain text response.
        """
        ...


class BasicAuthentication:
    """
    HTTP Basic Authentication of clients (RFC 7617).

    Args:
        realm: What the credentials are for.
        credentials: A pair of a user name and a password, or several pairs.
        check_credentials: A function that takes both and tells whether they are
            valid, perhaps later.

    Attributes:
        check: Tells whether a user name and a password are valid.

    Raises:
        ValueError: Both or none of the last two arguments are given.
        TypeError: These are no credentials.
    """

    def __init__(
        self,
        realm: str,
        credentials: Credentials | Iterable[Credentials] | None,
        check_credentials: CheckCredentials | None,
    ) -> None:
        if (credentials is None) == (check_credentials is None):
            raise ValueError("provide either credentials or check_credentials")
        self.realm = realm
        self.check: CheckCredentials = check_credentials or _comparison(credentials)

    def claim(
        self, connection: Authenticated, request: Request
    ) -> Credentials | Response:
        """
        Return the user name and the password in a request, or the response to a
        request without.
        """
        try:
            authorization = request.headers["Authorization"]
        except KeyError:
            return self._refuse(connection, "Missing credentials\n")
        try:
            return parse_authorization_basic(authorization)
        except InvalidHeader:
            return self._refuse(connection, "Unsupported credentials\n")

    def decide(
        self, connection: Authenticated, username: str, valid: object
    ) -> Response | None:
        """
        Return the response after the check: none if the credentials are valid.
        """
        if not valid:
            return self._refuse(connection, "Invalid credentials\n")
        connection.username = username
        return None

    def _refuse(self, connection: Authenticated, text: str) -> Response:
        response = connection.respond(HTTPStatus.UNAUTHORIZED, text)
        response.headers["WWW-Authenticate"] = build_www_authenticate_basic(self.realm)
        return response


def _is_credentials(value: object) -> bool:
    """
    Tell whether this is a pair of a user name and a password.
    """
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(item, str) for item in value)
    )


def _comparison(credentials: object) -> CheckCredentials:
    """
    Return a function that compares with a list of credentials.

    Raises:
        TypeError: These are no credentials.
    """
    if _is_credentials(credentials):
        known = [cast("Credentials", credentials)]
    elif isinstance(credentials, Iterable):
        known = list(credentials)
        if not all(_is_credentials(item) for item in known):
            raise TypeError(f"invalid credentials argument: {credentials}")
    else:
        raise TypeError(f"invalid credentials argument: {credentials}")
    passwords = dict(known)

    def check_credentials(username: str, password: str) -> bool:
        expected = passwords.get(username)
        # Compared in any case, in constant time: how long it takes must tell
        # neither the password nor whether the user exists.
        matches = hmac.compare_digest(
            (expected or "").encode("utf-8", "surrogateescape"),
            password.encode("utf-8", "surrogateescape"),
        )
        return matches and expected is not None

    return check_credentials


# Bearer tokens

# Longest token accepted, in bytes; no larger one fits into a header line.
MAX_TOKEN_SIZE = 8192

# "b64token" (RFC 6750, 2.1).
_TOKEN = re.compile(r"[-._~+/0-9A-Za-z]+=*")

_SUBPROTOCOL = "bearer"


def _valid(token: object) -> str | None:
    """
    Return a token, or :obj:`None` for what is none.
    """
    if (
        isinstance(token, str)
        and len(token) <= MAX_TOKEN_SIZE
        and _TOKEN.fullmatch(token)
    ):
        return token
    return None


def _in_authorization(headers: Headers) -> str | None:
    """
    Return the token of ``Authorization: Bearer TOKEN`` (RFC 6750, 2.1).
    """
    try:
        scheme, _, token = headers.get("Authorization", "").partition(" ")
    except MultipleValuesError:
        return None
    return _valid(token.strip(" ")) if scheme.lower() == "bearer" else None


def _in_subprotocols(headers: Headers) -> str | None:
    """
    Return the token among the offered subprotocols: ``bearer, TOKEN`` or
    ``bearer.TOKEN``.
    """
    try:
        offered = [
            str(subprotocol)
            for header in headers.get_all("Sec-WebSocket-Protocol")
            for subprotocol in parse_subprotocol(header)
        ]
    except InvalidHeader:
        return None
    for subprotocol, following in itertools.zip_longest(offered, offered[1:]):
        if subprotocol == _SUBPROTOCOL:
            return _valid(following)
        if subprotocol.startswith(f"{_SUBPROTOCOL}."):
            return _valid(subprotocol.removeprefix(f"{_SUBPROTOCOL}."))
    return None


def _in_cookie(headers: Headers, name: str) -> str | None:
    """
    Return the token in a cookie (RFC 6265, 4.2.1).
    """
    for header in headers.get_all("Cookie"):
        for pair in header.split(";"):
            key, _, value = pair.strip(" \t").partition("=")
            if key == name:
                return _valid(value.strip('"'))
    return None


def _in_message(message: Data) -> str | None:
    """
    Return the token of a first message: the token alone, or a JSON object that
    has it as ``"token"``.
    """
    if not isinstance(message, str):
        return None
    text = message.strip()
    if text.startswith("{"):
        import json  # noqa: PLC0415 - takes long, and tokens are rarely sent so

        try:
            # What is deeply nested is no token, and exhausts the parser.
            return _valid(json.loads(text).get("token"))
        except (ValueError, RecursionError):
            return None
    return _valid(text)


class TokenSearch:
    """
    Where to look for a bearer token.

    Args:
        cookie: Name of a cookie that may hold it.
        timeout: Seconds to wait for a first message; :obj:`None` not to wait.

    Attributes:
        timeout: The same.
    """

    def __init__(self, cookie: str | None, timeout: float | None) -> None:
        self.cookie = cookie
        self.timeout = timeout

    def in_request(self, request: Request, protocol: ServerProtocol) -> str | None:
        """
        Look into the request of the opening handshake.

        Raises:
            ValueError: A cookie is acceptable, but every ``Origin`` is, too.
        """
        headers = request.headers
        if self.cookie is not None and protocol.origins is None:
            raise ValueError(
                "a token in a cookie is only safe with the origins option of the"
                " server: browsers send cookies along with any page's requests"
            )
        token = _in_authorization(headers) or _in_subprotocols(headers)
        if token is None and self.cookie is not None and "Origin" in headers:
            try:
                protocol.process_origin(headers)
            except InvalidHandshake:
                return None
            token = _in_cookie(headers, self.cookie)
        return token

    def waits(self, state: State) -> bool:
        """
        Tell whether to wait for a first message: not before there can be one.
        """
        return self.timeout is not None and state is not CONNECTING

    @staticmethod
    def in_message(message: Data) -> str | None:
        """
        Look into the first message.
        """
        return _in_message(message)


R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class TokenHolder(Protocol[R_co]):
    """
    A connection of any room; each knows how to wait.
    """

    def _find_token(self, search: TokenSearch) -> R_co:
        """
        Return the token that was found, or an awaitable of it.
        """
        ...


def bearer_token(
    connection: TokenHolder[R],
    *,
    cookie: str | None = None,
    timeout: float | None = 10,  # seconds; as long as an opening handshake may take
) -> R:
    """
    Find the bearer token with which a client says who it is.

    Looks in these places, and returns what the first of them holds:

    1. the header ``Authorization: Bearer TOKEN``;
    2. the subprotocols that the client offers: ``bearer`` followed by the token,
       or ``bearer.TOKEN``. The token is never the subprotocol of the connection
       unless the server says so: let it select another one;
    3. the cookie, if it has been given a name, the request has an ``Origin``, and
       it is one of the ``origins`` of the server;
    4. the first message, if it comes in time: the token alone, or a JSON object
       that has it as ``"token"``. The message is consumed, whatever it is.

    Call it in a handler, before anything else is received. In a
    ``process_request`` hook, the first three places are searched. Whether the
    token is valid is yours to find out; here it has the form of one (RFC 6750,
    2.1) and at most 8192 characters.

    Args:
        connection: A connection of a server. On asyncio and Trio, await the result.
        cookie: Name of a cookie that may hold the token.
        timeout: Seconds to wait for the first message; :obj:`None` to look only
            into the request.

    Returns:
        The token, or :obj:`None` if there is none.

    Raises:
        ConnectionClosed: The connection was closed before a first message.
        ValueError: A cookie is named, and the server has no ``origins``.
    """
    search = TokenSearch(cookie, timeout)
    return connection._find_token(search)  # noqa: SLF001 - for us, see TokenHolder
