from __future__ import annotations

import dataclasses
import sys

import pytest
import websockets.http11
import websockets.streams
from hypothesis import example, given, settings
from hypothesis import strategies as st

from socketeer import http11
from socketeer.datastructures import Headers
from socketeer.http11 import Request, Response, parse_request_head
from socketeer.version import version

from .comparing import outcome, reader, run
from .messages import (
    REQUEST,
    damaged_heads,
    limits,
    parse_request,
    parse_response,
)

# Objects


@pytest.mark.parametrize("name", ["Request", "Response"])
def test_classes_have_the_fields_of_those_of_websockets(name):
    """
    Same fields in the same order with the same defaults.
    """
    assert [
        (field.name, field.default)
        for field in dataclasses.fields(getattr(websockets.http11, name))
    ] == [
        (field.name, field.default)
        for field in dataclasses.fields(getattr(http11, name))
    ]
    assert set(websockets.http11.__all__) == set(http11.__all__)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            Request("/", Headers()),
            "Request.exception is deprecated; use ServerProtocol.handshake_exc instead",
        ),
        (
            Response(200, "OK", Headers()),
            (
                "Response.exception is deprecated; "
                "use ClientProtocol.handshake_exc instead"
            ),
        ),
    ],
)
def test_the_exception_of_a_message_is_deprecated(message, text):
    """
    It warns at the line that uses it.
    """
    message._exception = ValueError("text")
    with pytest.warns(DeprecationWarning, match="deprecated") as warnings:
        exception = message.exception

    assert str(exception) == "text"
    assert [text] == [str(warning.message) for warning in warnings]
    assert __file__ == warnings[0].filename


def test_messages_take_attributes():
    """
    A hook may note something for later.
    """
    request = parse_request_head(REQUEST)
    request.user = "ada"

    assert request.user == "ada"


@pytest.mark.parametrize("name", ["USER_AGENT", "SERVER"])
def test_products_name_python_and_socketeer(name):
    """
    With their versions (RFC 9110, 10.1.5).
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}"

    assert f"Python/{python} socketeer/{version}" == getattr(http11, name)


# Any request


@settings(max_examples=500)
@given(damaged_heads())
@example(REQUEST)
@example(b"GET / HTTP/1.1\r\nbad name: x\r\n\r\n")
@example(b"GET / HTTP/1.1\r\na: b\nc: d\r\n\r\n")
@example(b"GET / HTTP/1.1\r\n\nc: d\r\n\r\n")
@example(b"GET / HTTP/1.1\r\n\r\nc: d\r\n\r\n")
def test_both_ways_read_the_same(data):
    """
    Same request or the same error, whatever the bytes.
    """
    assert outcome(parse_request, data) == outcome(parse_request_head, data)


@settings(max_examples=500)
@given(damaged_heads(), st.integers(8, 40), st.integers(0, 4), st.integers(8, 80))
def test_both_ways_have_the_same_limits(data, length, count, size):
    """
    Same request or the same error, whatever the limits.
    """
    with limits(MAX_LINE_LENGTH=length, MAX_NUM_HEADERS=count, MAX_HEAD_SIZE=size):
        assert outcome(parse_request, data) == outcome(parse_request_head, data)


@settings(max_examples=500)
@given(damaged_heads())
@example(REQUEST)
def test_accepts_nothing_that_websockets_refuses(data):
    """
    And gives the same request then. Errors are the same, except for those
    that are tested above.
    """
    stream = reader(data, cls=websockets.streams.StreamReader)
    theirs = outcome(lambda: run(websockets.http11.Request.parse(stream.read_line)))
    ours = outcome(parse_request_head, data)

    if ours[0] == "returns":
        assert theirs == ("returns", f"{ours[1][:-1]}, _exception=None)")
    elif ours[1] == "EOFError":
        assert theirs == ours


@given(st.text("HTP/1. 0249OK\r\n:Content-Lghunked", max_size=60))
@example("HTTP/1.1 200 OK\r\n\r\n")
def test_accepts_no_response_that_websockets_refuses(text):
    """
    And gives the same response then.
    """
    data = f"HTTP/1.1 2{text}".encode()
    stream = reader(data, cls=websockets.streams.StreamReader)
    theirs = outcome(
        lambda: run(
            websockets.http11.Response.parse(
                stream.read_line, stream.read_exact, stream.read_to_eof
            )
        )
    )
    ours = outcome(parse_response, data)

    if ours[0] == "returns":
        assert theirs == ("returns", f"{ours[1][:-1]}, _exception=None)")


# Memory


def test_a_packed_handshake_comes_back():
    """
    The request and the response are as they were.
    """
    headers = Headers([("Host", "example.com"), ("X", ""), ("x", "a\tb \xe9")])
    request = Request("/chat?room=1", headers)
    response = Response(101, "Switching Protocols", Headers(Date="today"))
    expected = repr((request, response))

    packed = http11.pack_handshake(request, response)

    assert expected == repr(http11.unpack_handshake(packed))


@pytest.mark.parametrize("side", [0, 1], ids=["request", "response"])
def test_a_handshake_that_cannot_be_packed_is_left_alone(side):
    """
    Headers may have been set without a look at their values.
    """
    request = Request("/", Headers())
    response = Response(101, "Switching Protocols", Headers())
    headers = (request, response)[side].headers
    headers.set_insecure("X", "a\r\nb")

    assert http11.pack_handshake(request, response) is None
    assert "a\r\nb" == headers["X"]
