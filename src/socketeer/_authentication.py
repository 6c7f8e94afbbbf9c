"""
HTTP Basic Authentication of clients (RFC 7617), with coroutines and without.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from .auth import BasicAuthentication, CheckCredentials, Credentials
from .http11 import Request, Response

__all__ = ["basic_auth", "plain_hook"]


def basic_auth(
    realm: str = "",
    credentials: tuple[str, str] | Iterable[tuple[str, str]] | None = None,
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
    basic = BasicAuthentication(realm, credentials, check_credentials)

    async def process_request(connection: Any, request: Request) -> Response | None:
        claimed = basic.claim(connection, request)
        if isinstance(claimed, Response):
            return claimed
        valid = basic.check(*claimed)
        if inspect.isawaitable(valid):
            valid = await valid
        return basic.decide(connection, claimed[0], valid)

    return process_request


def plain_hook(
    realm: str,
    credentials: Credentials | Iterable[Credentials] | None,
    check_credentials: Callable[[str, str], bool] | None,
) -> Callable[[Any, Request], Response | None]:
    """
    Return a ``process_request`` hook as :func:`basic_auth` does, without coroutines.

    Raises:
        ValueError: Both or none of the arguments are given.
        TypeError: These are no credentials.
    """
    basic = BasicAuthentication(realm, credentials, check_credentials)

    def process_request(connection: Any, request: Request) -> Response | None:
        claimed = basic.claim(connection, request)
        if isinstance(claimed, Response):
            return claimed
        valid = basic.check(*claimed)
        if inspect.iscoroutine(valid):
            # It would count as true, whatever it says.
            valid.close()
            raise TypeError("check_credentials must not be a coroutine function")
        return basic.decide(connection, claimed[0], bool(valid))

    return process_request
