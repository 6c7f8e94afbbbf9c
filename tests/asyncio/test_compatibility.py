"""
Older forms of the API, and how each of them is recognized.
"""

from __future__ import annotations

import functools
import http

import pytest

from tests.asyncio.exchange import ask, connecting, echo, opening_request, serving
from tests.under_test import OURS, lib, submodule

pytestmark = [pytest.mark.anyio, pytest.mark.ours]

if OURS:
    compatibility = submodule("_compatibility")


class Connection:
    """
    What a handler gets, as far as handlers of older forms use it.
    """

    class request:  # noqa: N801
        path = "/path"


def one(connection):
    return connection.request.path


def two(connection, path):
    return path


def two_and_more(connection, path, more=None):
    return path


def optional(connection, path="default"):
    return path


HANDLERS = [
    (one, "/path"),
    (two, "/path"),
    (two_and_more, "/path"),
    (optional, "default"),
    (functools.partial(two, path="bound"), "bound"),
    (lambda *args: len(args), 1),
]


@pytest.mark.parametrize(("handler", "result"), HANDLERS)
def test_handlers(handler, result):
    """
    Who can be called with one argument gets one; a default is not the path.
    """
    assert result == compatibility.adapt_handler(handler)(Connection)


@pytest.mark.parametrize("handler", [lambda a, b, c: None, type, "no function"])
def test_handlers_nobody_understands(handler):
    """
    Are left as they are: the error comes from calling them.
    """
    assert handler is compatibility.adapt_handler(handler)


def test_hooks_without_a_signature():
    """
    Are of today's form.
    """
    assert type is compatibility.adapt_process_request(type)
    assert "no function" == compatibility.adapt_process_request("no function")
    assert compatibility.adapt_process_request(None) is None


HEADERS = [
    {"X-Word": "hello"},
    [("X-Word", "hello")],
    lambda path, headers: {"X-Word": "hello"},
    lambda path, headers: None,
    lambda path, headers: lib.Headers({"X-Word": "hello"}),
    lib.Headers({"X-Word": "hello"}),
]


@pytest.mark.parametrize("headers", HEADERS)
@pytest.mark.parametrize("hook", [None, "plain", "coroutine"])
async def test_extra_headers(headers, hook):
    """
    A mapping, pairs or a function that makes one; behind the hook of today.
    """

    def plain(connection, request, response):
        response.headers["X-Hook"] = "plain"

    async def coroutine(connection, request, response):
        response.headers["X-Hook"] = "coroutine"

    hooks = {"plain": plain, "coroutine": coroutine, None: None}
    async with serving(extra_headers=headers, process_response=hooks[hook]) as server:
        async with connecting(server.uri) as connection:
            found = connection.response.headers

    is_none = callable(headers) and headers("/", {}) is None
    assert (None if is_none else "hello") == found.get("X-Word")
    assert hook == found.get("X-Hook")


def answer_plainly(path, request_headers):
    if path == "/health":
        return http.HTTPStatus.OK, {"X-Word": "hello"}, b"fine\n"
    return None


async def answer_later(path, request_headers):
    return answer_plainly(path, request_headers)


def answer_with_a_number(path, request_headers):
    return (200, [("X-Word", "hello")], b"fine\n") if path == "/health" else None


def answer_of_today(path, request_headers):
    if path != "/health":
        return None
    return lib.Response(200, "OK", lib.Headers({"X-Word": "hello"}), b"fine\n")


@pytest.mark.parametrize(
    "hook", [answer_plainly, answer_later, answer_with_a_number, answer_of_today]
)
@pytest.mark.parametrize("as_method", [False, True], ids=["argument", "method"])
async def test_process_request(hook, as_method):
    """
    The older form takes path and headers, and answers with a tuple.
    """
    options = {"process_request": hook}
    if as_method:

        class Older(submodule("asyncio.server").ServerConnection):
            def process_request(self, path, headers):
                return hook(path, headers)

        options = {"create_protocol": Older}
    async with serving(**options) as server:
        answer = await ask(server.port, opening_request("GET /health HTTP/1.1"))
        async with connecting(server.uri) as connection:
            await connection.send("hello")
            assert "hello" == await connection.recv()

    assert (200, "hello", "fine\n") == (answer.status, answer["X-Word"], answer.text)


async def test_a_method_of_today():
    """
    Takes the request.
    """

    class Today(submodule("asyncio.server").ServerConnection):
        def process_request(self, request):
            if request.path == "/health":
                return self.respond(http.HTTPStatus.OK, "fine\n")
            return None

    async with serving(create_connection=Today) as server:
        answer = await ask(server.port, opening_request("GET /health HTTP/1.1"))

    assert (200, "fine\n") == (answer.status, answer.text)


async def test_older_arguments():
    """
    What meant something means it still; the others are ignored.
    """

    class Mine(submodule("asyncio.server").ServerConnection):
        pass

    seen = []

    async def handler(connection):
        seen.append((type(connection), connection.close_timeout))

    async with serving(
        handler, klass=Mine, timeout=3, read_limit=2**16, loop=None
    ) as server:
        async with connecting(server.uri, timeout=4, read_limit=1) as connection:
            assert 4 == connection.close_timeout
            await connection.wait_closed()

    assert [(Mine, 3)] == seen


async def test_older_attributes():
    """
    Those of the handshake and of the state; others are errors.
    """
    async with serving(echo) as server:
        async with connecting(f"{server.uri}/path") as connection:
            assert "/path" == connection.path
            assert "Upgrade" in connection.request_headers
            assert "Upgrade" in connection.response_headers
            assert connection.open
            assert not connection.closed
            with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
                _ = connection.nothing

    assert connection.closed
    assert not connection.open
