"""
basic_auth(): who gets in, and what the others are told (RFC 7617).
"""

from __future__ import annotations

import base64
import logging

import pytest

from tests.asyncio.exchange import (
    ask,
    connecting,
    nothing_left_over,
    opening_request,
    serving,
)
from tests.under_test import lib

pytestmark = pytest.mark.anyio

LINE = "GET / HTTP/1.1"


async def tell_username(connection):
    """
    Send the name that authentication has found.
    """
    await connection.send(connection.username)


def guarded(**options):
    """
    Run a server behind `basic_auth()`.
    """
    return serving(tell_username, process_request=lib.basic_auth(**options))


def authorization(credentials, scheme="Basic"):
    """
    Return an Authorization field.
    """
    token = base64.b64encode(credentials.encode()).decode()
    return ("Authorization", f"{scheme} {token}")


async def log_in(server, credentials):
    """
    Return the name under which a client is let in.
    """
    headers = [authorization(credentials)]
    async with connecting(server.uri, additional_headers=headers) as client:
        return await client.recv()


def check(username, password):
    """
    Accept a password that is the name backwards.
    """
    return username[::-1] == password


async def check_later(username, password):
    """
    Accept a password that is the name backwards; a coroutine.
    """
    return username[::-1] == password


@pytest.mark.parametrize(
    "make_options",
    [
        lambda: {"credentials": ("ada", "ada")},
        lambda: {"credentials": [("bob", "bob"), ("ada", "ada")]},
        lambda: {"credentials": (("bob", "bob"), ("ada", "ada"))},
        pytest.param(
            lambda: {"credentials": iter([("ada", "ada")])}, marks=pytest.mark.ours
        ),
        lambda: {"check_credentials": check},
        lambda: {"check_credentials": check_later},
    ],
    ids=["pair", "list", "tuple of pairs", "iterator", "function", "coroutine"],
)
async def test_the_right_password_opens(make_options):
    """
    Every form of credentials lets the right user in, and only him.
    """
    async with guarded(**make_options()) as server:
        assert "ada" == await log_in(server, "ada:ada")
        wrong = opening_request(LINE, authorization("ada:wrong"))
        answer = await ask(server.port, wrong)

    assert 401 == answer.status


async def test_a_password_may_contain_colons_and_any_character():
    """
    The name ends at the first colon; both are UTF-8.
    """
    async with guarded(credentials=("zo\u00eb", "a:b:\u20ac")) as server:
        assert "zo\u00eb" == await log_in(server, "zo\u00eb:a:b:\u20ac")


async def test_user_information_of_the_uri_logs_in():
    """
    A client gives its credentials in the URI.
    """
    async with guarded(credentials=("ada", "p@ss")) as server:
        uri = server.uri.replace("ws://", "ws://ada:p%40ss@")
        async with connecting(uri) as client:
            assert "ada" == await client.recv()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ((), "Missing credentials\n"),
        ((authorization("ada:ada", "Digest"),), "Unsupported credentials\n"),
        ((("Authorization", "Basic ?"),), "Unsupported credentials\n"),
        ((authorization("ada:ida"),), "Invalid credentials\n"),
        ((authorization("ida:ada"),), "Invalid credentials\n"),
        ((authorization("ada"),), "Unsupported credentials\n"),
    ],
    ids=["none", "scheme", "no base64", "password", "name", "no colon"],
)
async def test_everybody_else_is_answered_401(fields, text, caplog):
    """
    The answer asks for credentials, and says what was wrong.
    """
    async with nothing_left_over():
        async with guarded(realm="here", credentials=("ada", "ada")) as server:
            answer = await ask(server.port, opening_request(LINE, *fields))

    assert "HTTP/1.1 401 Unauthorized" == answer.head.first_line
    assert 'Basic realm="here", charset="UTF-8"' == answer["WWW-Authenticate"]
    assert text == answer.text
    assert [] == [r for r in caplog.records if r.levelno > logging.INFO]


async def test_an_empty_realm_is_the_default():
    """
    The realm is a quoted string, empty or not.
    """
    async with guarded(credentials=("ada", "ada")) as server:
        answer = await ask(server.port, opening_request())

    assert 'Basic realm="", charset="UTF-8"' == answer["WWW-Authenticate"]


async def test_a_client_without_credentials_learns_the_status():
    """
    `connect()` raises InvalidStatus with the whole answer.
    """
    async with guarded(credentials=("ada", "ada")) as server:
        with pytest.raises(lib.InvalidStatus) as raised:
            await connecting(server.uri)

    assert 401 == raised.value.response.status_code
    assert b"Missing credentials\n" == raised.value.response.body


@pytest.mark.parametrize(
    "options", [{}, {"credentials": ("a", "b"), "check_credentials": check}]
)
def test_exactly_one_source_of_credentials(options):
    """
    Neither or both is a mistake that shows at once.
    """
    with pytest.raises(ValueError, match="provide either credentials or check_cred"):
        lib.basic_auth("realm", **options)


@pytest.mark.parametrize("credentials", [("a", "b", "c"), [("a", b"b")], ("a", 1), [1]])
def test_credentials_are_pairs_of_strings(credentials):
    """
    Anything else is a mistake that shows at once.
    """
    with pytest.raises(TypeError, match="invalid credentials argument: "):
        lib.basic_auth("realm", credentials)


async def test_a_check_that_fails_is_answered_500(caplog):
    """
    An exception of `check_credentials` is an error of the server.
    """

    def broken(username, password):
        raise LookupError

    async with guarded(check_credentials=broken) as server:
        answer = await ask(server.port, opening_request(LINE, authorization("a:b")))

    assert 500 == answer.status
    [record] = [r for r in caplog.records if r.levelno > logging.INFO]
    assert "process_request failed" == record.getMessage()
