"""
HTTP Basic Authentication of clients (RFC 7617), in whatever room; the hook for rooms
with coroutines.
"""

from __future__ import annotations

import hmac
import inspect
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from .exceptions import InvalidHeader
from .headers import build_www_authenticate_basic, parse_authorization_basic
from .http11 import Response

if TYPE_CHECKING:
    from .http11 import Request

__all__ = ["BasicAuthentication", "CheckCredentials", "Credentials", "basic_auth"]

Credentials = tuple[str, str]
CheckCredentials = Callable[[str, str], bool | Awaitable[bool]]


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


class BasicAuthentication:
    """
    Reads credentials and refuses clients; a room asks whether they are valid.

    Args:
        realm: What the credentials are for, in ASCII.
        credentials: A pair of a user name and a password, or several pairs.
        check_credentials: A function of both that tells whether they are valid.

    Attributes:
        check_credentials: The function to ask.

    Raises:
        ValueError: Both or none of the last arguments are given.
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
        self.check_credentials: CheckCredentials = (
            _comparison(credentials) if check_credentials is None else check_credentials
        )

    def read(self, connection: Any, request: Request) -> Credentials | Response:
        """
        Return the credentials in a request, or a response that asks for them.
        """
        try:
            authorization = request.headers["Authorization"]
        except KeyError:
            return self._refuse(connection, "Missing credentials\n")
        try:
            return parse_authorization_basic(authorization)
        except InvalidHeader:
            return self._refuse(connection, "Unsupported credentials\n")

    def decide(self, connection: Any, username: str, valid: object) -> Response | None:
        """
        Let a client in whose credentials are valid; return what refuses others.
        """
        if not valid:
            return self._refuse(connection, "Invalid credentials\n")
        connection.username = username
        return None

    def _refuse(self, connection: Any, text: str) -> Response:
        """
        Make a response that asks for credentials.
        """
        response: Response = connection.respond(HTTPStatus.UNAUTHORIZED, text)
        response.headers["WWW-Authenticate"] = build_www_authenticate_basic(self.realm)
        return response


def basic_auth(
    realm: str = "",
    credentials: Credentials | Iterable[Credentials] | None = None,
    check_credentials: CheckCredentials | None = None,
) -> Callable[[Any, Request], Awaitable[Response | None]]:
    """
    Return a ``process_request`` hook that asks for a user name and a password.

    One of ``credentials`` and ``check_credentials`` is needed. The name of the
    user becomes the attribute ``username`` of the connection. Clients without
    valid credentials get a response with status 401.

    Args:
        realm: What the credentials are for, in ASCII.
        credentials: A pair of a user name and a password, or several pairs.
        check_credentials: A function or coroutine function that takes a user name
            and a password, and returns whether they are valid.

    Raises:
        ValueError: Both or none of the arguments are given.
        TypeError: These are no credentials.
    """
    authentication = BasicAuthentication(realm, credentials, check_credentials)

    async def process_request(connection: Any, request: Request) -> Response | None:
        answer = authentication.read(connection, request)
        if isinstance(answer, Response):
            return answer
        valid = authentication.check_credentials(*answer)
        if inspect.isawaitable(valid):
            valid = await valid
        return authentication.decide(connection, answer[0], valid)

    return process_request
