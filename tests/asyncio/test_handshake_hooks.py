"""
process_request, process_response, select_subprotocol, origins: who decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from tests.asyncio.exchange import (
    ask,
    connecting,
    dial,
    nothing_left_over,
    opening_request,
    read_answer,
    serving,
)
from tests.under_test import lib

pytestmark = pytest.mark.anyio

LINE = "GET / HTTP/1.1"
INTERNAL = (
    "Failed to open a WebSocket connection.\nSee server log for more information.\n"
)


def as_function(function):
    """
    Leave a hook as it is.
    """
    return function


def as_coroutine(function):
    """
    Turn a hook into a coroutine that waits before it decides.
    """

    async def hook(*arguments):
        await asyncio.sleep(0)
        return function(*arguments)

    return hook


both_forms = pytest.mark.parametrize("form", [as_function, as_coroutine])


async def upgraded(server, *fields):
    """
    Return the head of the answer to an opening request.
    """
    with contextlib.closing(await dial(server.port)) as peer:
        await peer.send(opening_request(LINE, *fields))
        return await peer.read_head()


# process_request


@both_forms
async def test_process_request_sees_the_connection_and_the_request(form):
    """
    The first argument is the connection that its handler gets later.
    """
    seen = []

    def process_request(connection, request):
        seen.append((connection, request, connection.state))

    async def handler(connection):
        seen.append((connection, connection.request, connection.state))

    async with (
        serving(handler, process_request=form(process_request)) as server,
        connecting(f"{server.uri}/chat?room=1") as client,
    ):
        await client.wait_closed()

    [(asked, request, early), (connection, kept, late)] = seen
    assert connection is asked
    assert request is kept or request == kept
    assert "/chat?room=1" == request.path
    assert (lib.State.CONNECTING, lib.State.OPEN) == (early, late)
    assert isinstance(request, lib.Request)


@both_forms
async def test_process_request_may_answer(form):
    """
    Its response is sent as it is, the Server field behind it; no handler runs.
    """

    def process_request(connection, request):
        return connection.respond(418, "teapot\n")

    async def handler(connection):
        raise AssertionError("there is no connection")

    async with serving(handler, process_request=form(process_request)) as server:
        answer = await ask(server.port, opening_request())

    assert "HTTP/1.1 418 I'm a Teapot" == answer.head.first_line
    assert "teapot\n" == answer.text
    assert "Server" == answer.names[-1]


@both_forms
async def test_process_request_may_let_the_handshake_go_on(form):
    """
    None means: continue.
    """
    async with serving(
        process_request=form(lambda connection, request: None)
    ) as server:
        head = await upgraded(server)

    assert "HTTP/1.1 101 Switching Protocols" == head.first_line


@both_forms
async def test_process_request_fails_with_500(form, caplog):
    """
    The client learns nothing of the error; the log has its traceback, once.
    """

    def process_request(connection, request):
        raise LookupError("secret")

    async with nothing_left_over():
        async with serving(process_request=form(process_request)) as server:
            answer = await ask(server.port, opening_request())

    assert "HTTP/1.1 500 Internal Server Error" == answer.head.first_line
    assert INTERNAL == answer.text
    [record] = [r for r in caplog.records if r.levelno > logging.INFO]
    assert ("ERROR", "process_request failed") == (
        record.levelname,
        record.getMessage(),
    )
    assert LookupError is record.exc_info[0]


@pytest.mark.parametrize(
    "line", ["POST / HTTP/1.1", "HEAD / HTTP/1.1", "GET / HTTP/1.0"]
)
async def test_process_request_is_called_for_other_methods(line):
    """
    It may answer what the handshake would refuse.
    """

    def process_request(connection, request):
        return connection.respond(200, f"{connection.request.path}\n")

    async with serving(process_request=process_request) as server:
        answer = await ask(server.port, opening_request(line))

    assert 200 == answer.status


async def test_process_request_sees_the_method():
    """
    The request tells which method was used.
    """
    seen = []

    def process_request(connection, request):
        seen.append(request.method)

    async with serving(process_request=process_request) as server:
        await ask(server.port, opening_request("POST / HTTP/1.1"))

    assert ["POST"] == seen


@pytest.mark.ours
async def test_process_request_returning_nonsense_is_an_error(caplog):
    """
    What is no response fails the handshake with 500 and one record.
    """
    async with serving(process_request=lambda *_: "OK") as server:
        answer = await ask(server.port, opening_request())

    assert 500 == answer.status
    assert INTERNAL == answer.text
    [record] = [r for r in caplog.records if r.levelno > logging.INFO]
    assert "ERROR" == record.levelname


# process_response


@both_forms
async def test_process_response_may_change_fields(form):
    """
    Fields may be added and replaced; None keeps the response.
    """

    def process_response(connection, request, response):
        response.headers["X-Request"] = request.path
        del response.headers["Date"]

    async with serving(process_response=form(process_response)) as server:
        head = await upgraded(server)

    assert "HTTP/1.1 101 Switching Protocols" == head.first_line
    assert ["/"] == head.get_all("X-Request")
    assert [] == head.get_all("Date")


async def test_a_field_is_added_by_assignment_and_a_cookie_twice():
    """
    Assigning to a field adds a line, as with Set-Cookie.
    """

    def process_response(connection, request, response):
        response.headers["Set-Cookie"] = "a=1"
        response.headers["Set-Cookie"] = "b=2"

    async with serving(process_response=process_response) as server:
        head = await upgraded(server)

    assert ["a=1", "b=2"] == head.get_all("Set-Cookie")


@both_forms
async def test_process_response_may_replace_the_response(form):
    """
    What it returns is sent; a refusal keeps the handler from running.
    """

    def process_response(connection, request, response):
        return connection.respond(403, "not today\n")

    async with serving(process_response=form(process_response)) as server:
        answer = await ask(server.port, opening_request())

    assert (403, "not today\n") == (answer.status, answer.text)


async def test_process_response_is_called_for_rejections():
    """
    It sees the answer to a request that is refused, and may change it.
    """
    seen = []

    def process_response(connection, request, response):
        seen.append(response.status_code)
        response.headers["Retry-After"] = "60"

    async with serving(process_response=process_response) as server:
        answer = await ask(server.port, opening_request("POST / HTTP/1.1"))

    assert [405] == seen
    assert "60" == answer["Retry-After"]


@both_forms
async def test_process_response_fails_with_500(form, caplog):
    """
    The client learns nothing of the error; the log has its traceback, once.
    """

    def process_response(connection, request, response):
        raise LookupError("secret")

    async with serving(process_response=form(process_response)) as server:
        answer = await ask(server.port, opening_request())

    assert (500, INTERNAL) == (answer.status, answer.text)
    [record] = [r for r in caplog.records if r.levelno > logging.INFO]
    assert ("ERROR", "process_response failed") == (
        record.levelname,
        record.getMessage(),
    )
    assert LookupError is record.exc_info[0]


# The Server field


async def test_server_header_is_chosen():
    """
    `server_header=` replaces the default.
    """
    async with serving(server_header="Apache-like/1.0") as server:
        head = await upgraded(server)

    assert ["Apache-like/1.0"] == head.get_all("Server")


async def test_server_header_none_removes_it():
    """
    `server_header=None` sends none, neither with 101 nor with a refusal.
    """
    async with serving(server_header=None) as server:
        head = await upgraded(server)
        answer = await ask(server.port, opening_request("POST / HTTP/1.1"))

    assert [] == head.get_all("Server")
    assert "Server" not in answer.names


async def test_process_response_sees_the_server_field():
    """
    The Server field is there when the response is processed.
    """
    seen = []

    def process_response(connection, request, response):
        seen.extend(response.headers.get_all("Server"))

    options = {"server_header": "X", "process_response": process_response}
    async with serving(**options) as server:
        await upgraded(server)

    assert ["X"] == seen


# What becomes of the request and the response


HOOKS = {
    "process_request": lambda connection, request: None,
    "process_response": lambda connection, request, response: None,
    "select_subprotocol": lambda connection, subprotocols: None,
}


@pytest.mark.ours
@pytest.mark.parametrize("name", [None, *HOOKS])
async def test_what_a_hook_may_have_seen_is_kept(name):
    """
    As it is; otherwise the request and the response take little memory until
    somebody asks for them.
    """
    hooks = {} if name is None else {name: HOOKS[name]}
    async with serving(**hooks) as server, connecting(server.uri) as client:
        [connection] = server.server.connections
        were_kept = connection._request is not None
        request, response = connection.request, connection.response

        assert were_kept == (name is not None)
        assert request is connection.request
        assert response is connection.response
        assert (client.request, client.response) == (request, response)


@pytest.mark.ours
async def test_the_handshake_of_an_open_connection_can_be_replaced():
    """
    One of both; the other stays.
    """
    async with serving() as server, connecting(server.uri) as client:
        one, another = [client, *server.server.connections]
        for connection in (one, another):
            connection.response = "mine"
            path = connection.request.path
            connection.request = None

            assert ("/", "mine") == (path, connection.response)
            assert connection.request is None


# Responses made by respond()


@pytest.mark.parametrize("status", [200, 404, 503])
async def test_respond_makes_a_text_response(status):
    """
    Text with its length in bytes; a response that ends the connection.
    """

    def process_request(connection, request):
        return connection.respond(status, "d\u00e9j\u00e0\n")

    async with serving(process_request=process_request) as server:
        answer = await ask(server.port, opening_request())

    assert status == answer.status
    assert "d\u00e9j\u00e0\n" == answer.text
    assert [
        "Date",
        "Connection",
        "Content-Length",
        "Content-Type",
        "Server",
    ] == answer.names
    assert "7" == answer["Content-Length"]
    assert "text/plain; charset=utf-8" == answer["Content-Type"]


# Shutting down


async def test_a_handshake_in_progress_is_answered_503_at_shutdown():
    """
    A server that closes refuses requests that it has not answered yet.
    """
    asked, decided = asyncio.Event(), asyncio.Event()

    async def process_request(connection, request):
        asked.set()
        await decided.wait()

    async with serving(process_request=process_request) as server:
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.send(opening_request())
            await asked.wait()
            server.server.close()
            await asyncio.sleep(0)
            decided.set()
            answer = await read_answer(peer)

    assert "HTTP/1.1 503 Service Unavailable" == answer.head.first_line
    assert "Server is shutting down.\n" == answer.text
    assert ["Date", "Connection", "Content-Length", "Content-Type"] == answer.names


async def test_a_refusal_stays_a_refusal_at_shutdown():
    """
    503 replaces only the answer that would have been 101.
    """
    asked, decided = asyncio.Event(), asyncio.Event()

    async def process_request(connection, request):
        asked.set()
        await decided.wait()
        return connection.respond(403, "no\n")

    async with serving(process_request=process_request) as server:
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.send(opening_request())
            await asked.wait()
            server.server.close()
            await asyncio.sleep(0)
            decided.set()
            answer = await read_answer(peer)

    assert 403 == answer.status
