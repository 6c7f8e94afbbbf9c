"""
Requests that are no HTTP or too much of it, and what is logged of a handshake.
"""

from __future__ import annotations

import logging

import pytest

from tests.under_test import submodule

from .wire import ACCEPT, KEY, chain, head, request

datastructures = submodule("datastructures")
exceptions = submodule("exceptions")
frames = submodule("frames")
http11 = submodule("http11")
protocol = submodule("protocol")
server = submodule("server")
deflate = submodule("extensions.permessage_deflate")

PREFIX = "Failed to open a WebSocket connection: "


def receive(data, **kwargs):
    """
    Return a server that has received a request, and the request.
    """
    endpoint = server.ServerProtocol(**kwargs)
    endpoint.receive_data(data)
    [event] = endpoint.events_received()
    return endpoint, event


def answer(data, **kwargs):
    """
    Return a server that has answered a request, and the response.
    """
    endpoint, event = receive(data, **kwargs)
    response = endpoint.accept(event)
    endpoint.send_response(response)
    return endpoint, response


# Unreadable requests

TOO_LARGE = [
    (
        head("GET /" + "x" * 8192 + " HTTP/1.1"),
        *(414, "read 8208 bytes, expected no more than 8192 bytes"),
    ),
    (
        request(("X", "x" * 8190)),
        *(431, "read 8195 bytes, expected no more than 8192 bytes"),
    ),
    (
        request(*[("X", "x")] * 124),
        *(431, "expected no more than 128 headers"),
    ),
]


@pytest.mark.parametrize(("data", "status", "text"), TOO_LARGE)
def test_refuses_heads_beyond_the_limits(data, status, text):
    """
    Long lines and too many headers get an answer, without a request event.
    """
    endpoint = server.ServerProtocol()
    endpoint.receive_data(data)
    [response, eof] = endpoint.data_to_send()

    assert [] == endpoint.events_received()
    assert response.startswith(f"HTTP/1.1 {status} ".encode())
    assert response.endswith(f"\r\n\r\n{PREFIX}{text}.\n".encode())
    assert b"" == eof
    assert isinstance(endpoint.handshake_exc, exceptions.SecurityError)
    assert text == str(endpoint.handshake_exc)


def test_refuses_a_long_request_line_before_its_end():
    """
    An endless line is not collected.
    """
    endpoint = server.ServerProtocol()
    endpoint.receive_data(b"GET /" + b"x" * 8187)
    assert [] == endpoint.data_to_send()
    endpoint.receive_data(b"x")
    [response, _] = endpoint.data_to_send()

    assert response.startswith(b"HTTP/1.1 414 ")


@pytest.mark.ours
def test_refuses_a_head_that_is_too_large_as_a_whole():
    """
    Lines and their number within the limits can still be too much.
    """
    endpoint = server.ServerProtocol()
    endpoint.receive_data(request(*[("X", "x" * 8000)] * 9))
    [response, _] = endpoint.data_to_send()

    assert response.startswith(b"HTTP/1.1 431 ")


UNREADABLE = [
    (b"garbage\r\n\r\n", "invalid HTTP request line: garbage"),
    (
        request(line="GET /chat HTTP/2.0"),
        "unsupported protocol; expected HTTP/1.1 or HTTP/1.0: GET /chat HTTP/2.0",
    ),
    (request().replace(b"\r\n", b"\n"), "line without CRLF"),
    (request(("Content-Length", "3")) + b"abc", "unsupported request body"),
    (
        request(("Transfer-Encoding", "chunked")),
        "transfer codings aren't supported",
    ),
    (request(("X ", "x")), "invalid HTTP header name: X "),
    (head("GET / HTTP/1.1", ("X", "a\r\n b")), "invalid HTTP header line:  b"),
]


@pytest.mark.ours
@pytest.mark.parametrize("cut", [None, 5])
@pytest.mark.parametrize(("data", "text"), UNREADABLE)
def test_malformed_requests_get_an_answer(data, text, cut):
    """
    400 and the reason, whether the request is here at once or not.
    """
    endpoint = server.ServerProtocol()
    endpoint.receive_data(data[:cut])
    if cut:
        endpoint.receive_data(data[cut:])
    [response, eof] = endpoint.data_to_send()
    body = f"{PREFIX}did not receive a valid HTTP request; {text}.\n".encode()

    assert [] == endpoint.events_received()
    assert response.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert response.endswith(b"\r\n\r\n" + body)
    assert b"" == eof
    assert endpoint.close_expected()


@pytest.mark.parametrize("data", [data for data, _ in UNREADABLE])
def test_malformed_requests_are_known_by_their_exception(data):
    """
    The exception says that it is no HTTP; its cause says why.
    """
    endpoint = server.ServerProtocol()
    endpoint.receive_data(data)
    [exc, *causes] = chain(endpoint.handshake_exc)

    assert ("InvalidMessage", "did not receive a valid HTTP request") == exc
    assert causes


@pytest.mark.parametrize("data", [b"", b"GET / HT", request()[:-2]])
def test_nobody_answers_a_peer_that_has_gone(data):
    """
    A stream that ends within the request is just closed.
    """
    endpoint = server.ServerProtocol()
    endpoint.receive_data(data)
    endpoint.receive_eof()

    assert [b""] == endpoint.data_to_send()
    assert protocol.State.CLOSED is endpoint.state
    assert isinstance(endpoint.handshake_exc, exceptions.InvalidMessage)
    assert isinstance(endpoint.handshake_exc.__cause__, EOFError)
    assert endpoint.parser_exc is None


def test_a_peer_that_goes_before_the_response_gets_none():
    """
    After the end of the stream, there is nobody to respond to.
    """
    endpoint, event = receive(request())
    endpoint.receive_eof()
    response = endpoint.accept(event)

    with pytest.raises(AssertionError):
        endpoint.send_response(response)
    assert isinstance(endpoint.parser_exc, EOFError)


# Logging


def messages(caplog):
    return [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if "Date" not in record.getMessage()
    ]


def test_logs_an_accepted_handshake(caplog):
    """
    Heads line by line, with the prefixes of reference 2.6.
    """
    logger = logging.getLogger("tests")
    caplog.set_level(logging.DEBUG, "tests")
    answer(request(), logger=logger)

    assert [
        ("DEBUG", "= connection is CONNECTING"),
        ("DEBUG", "< GET /chat HTTP/1.1"),
        ("DEBUG", "< Host: example.com"),
        ("DEBUG", "< Upgrade: websocket"),
        ("DEBUG", "< Connection: Upgrade"),
        ("DEBUG", f"< Sec-WebSocket-Key: {KEY}"),
        ("DEBUG", "< Sec-WebSocket-Version: 13"),
        ("DEBUG", "> HTTP/1.1 101 Switching Protocols"),
        ("DEBUG", "> Upgrade: websocket"),
        ("DEBUG", "> Connection: Upgrade"),
        ("DEBUG", f"> Sec-WebSocket-Accept: {ACCEPT}"),
        ("DEBUG", "= connection is OPEN"),
        ("INFO", "connection open"),
    ] == messages(caplog)


def test_logs_a_rejected_handshake(caplog):
    """
    Why, and what was sent instead.
    """
    logger = logging.getLogger("tests")
    caplog.set_level(logging.DEBUG, "tests")
    endpoint, _ = answer(request(line="POST /chat HTTP/1.1"), logger=logger)
    endpoint.receive_eof()

    assert [
        ("DEBUG", "! invalid method"),
        ("DEBUG", "> HTTP/1.1 405 Method Not Allowed"),
        ("DEBUG", "> Connection: close"),
        ("DEBUG", "> Content-Length: 70"),
        ("DEBUG", "> Content-Type: text/plain; charset=utf-8"),
        ("DEBUG", "> Allow: GET"),
        ("DEBUG", "> [body] (70 bytes)"),
        ("INFO", "connection rejected (405 Method Not Allowed)"),
        ("DEBUG", "> EOF"),
        ("DEBUG", "= connection is CLOSED"),
        ("INFO", "connection closed"),
    ] == messages(caplog)[7:]


@pytest.mark.parametrize(
    ("data", "kwargs", "expected"),
    [
        (request(line="GET / HTTP/1.0"), {}, "! invalid protocol"),
        (request(without=["Upgrade"]), {}, "! invalid upgrade"),
        (request(), {"origins": []}, "! invalid origin"),
        (request(Sec_WebSocket_Key="x"), {}, "! invalid handshake"),
        (b"garbage\r\n", {}, "! no valid HTTP request"),
        (b"x" * 9000, {}, "! request line too long"),
        (request(("X", "x" * 9000)), {}, "! header fields too large"),
    ],
)
def test_logs_why_a_handshake_failed(caplog, data, kwargs, expected):
    """
    In one line, with the exception.
    """
    caplog.set_level(logging.DEBUG, "tests")
    endpoint = server.ServerProtocol(logger=logging.getLogger("tests"), **kwargs)
    endpoint.receive_data(data)
    for event in endpoint.events_received():
        endpoint.accept(event)
    [record] = [
        record for record in caplog.records if record.getMessage().startswith("!")
    ]

    assert expected == record.getMessage()
    exc = endpoint.handshake_exc
    assert record.exc_info[1] in {exc, exc.__cause__}


def test_logs_a_response_of_the_program(caplog):
    """
    It is no rejection unless the handshake was tried.
    """
    caplog.set_level(logging.INFO, "tests")
    endpoint, _ = receive(request(), logger=logging.getLogger("tests"))
    endpoint.send_response(endpoint.reject(503, "later\n"))

    assert [("INFO", "HTTP response sent (503 Service Unavailable)")] == messages(
        caplog
    )


def test_logs_to_the_server_logger_by_default():
    """
    There is a logger for all servers.
    """
    endpoint = server.ServerProtocol()

    assert f"{server.__name__.partition('.')[0]}.server" == endpoint.logger.name
