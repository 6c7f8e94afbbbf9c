"""
The server's part of the opening handshake (RFC 6455, 4.2).
"""

from __future__ import annotations

import email.utils

import pytest

from tests.under_test import OURS, submodule

from .wire import ACCEPT, KEY, TEXT, from_client, request

datastructures = submodule("datastructures")
exceptions = submodule("exceptions")
frames = submodule("frames")
http11 = submodule("http11")
protocol = submodule("protocol")
server = submodule("server")
deflate = submodule("extensions.permessage_deflate")

PREFIX = "Failed to open a WebSocket connection: "

NOT_FOR_BROWSERS = (
    "\nYou cannot access a WebSocket server directly with a browser. "
    "You need a WebSocket client.\n"
)

UPGRADE = {"Upgrade": "websocket"}
ALLOW = {"Allow": "GET"}
VERSION = {"Sec-WebSocket-Version": "13"} if OURS else {}


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


def fields(response):
    """
    Return the headers of a response without those that all have.
    """
    common = {"Date", "Connection", "Content-Length", "Content-Type"}
    return {
        name: value
        for name, value in response.headers.raw_items()
        if name not in common
    }


# Accepting


def test_accepts_the_example_of_the_rfc():
    """
    The server's answer to the key of RFC 6455, 1.3, is that of the RFC; headers
    stand in the documented order.
    """
    endpoint, response = answer(request())

    assert [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", ACCEPT),
    ] == list(response.headers.raw_items())[1:]
    assert (101, "Switching Protocols", b"") == (
        response.status_code,
        response.reason_phrase,
        response.body,
    )
    assert [response.serialize()] == endpoint.data_to_send()
    assert protocol.State.OPEN is endpoint.state
    assert endpoint.handshake_exc is None
    assert not endpoint.close_expected()


def test_dates_its_responses():
    """
    The Date header comes first, in the form of RFC 9110, 5.6.7.
    """
    _, response = answer(request())
    [(name, value), *_] = response.headers.raw_items()

    assert "Date" == name
    assert value.endswith(" GMT")
    assert email.utils.parsedate_to_datetime(value).tzinfo is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "upgrade"},
        {"Connection": "keep-alive,, Upgrade"},
        {"Upgrade": "WebSocket"},
        {"extra": [("Connection", "keep-alive")]},
        {"extra": [("Content-Length", "0")]},
        {"without": ["Host"]},
        {"line": "GET http://example.com/chat HTTP/1.1"},
        {"extra": [("Sec-WebSocket-Extensions", "permessage-deflate")]},
        {"extra": [("Sec-WebSocket-Extensions", "@")]},
        {"extra": [("Sec-WebSocket-Protocol", "chat, superchat")]},
        {"extra": [("Origin", "http://example.com")]},
        {"extra": [("Origin", "")]},
    ],
)
def test_accepts_what_clients_write(changes):
    """
    Firefox sends "Connection: keep-alive, Upgrade"; tokens and lists follow
    RFC 9110; what nobody asked for is ignored.
    """
    extra = changes.pop("extra", [])
    endpoint, response = answer(request(*extra, **changes))

    assert 101 == response.status_code
    assert protocol.State.OPEN is endpoint.state


@pytest.mark.parametrize("cut", range(1, len(request())))
def test_reads_a_request_in_two_pieces(cut):
    """
    It does not matter where the network divides the request.
    """
    data = request()
    endpoint = server.ServerProtocol()
    endpoint.receive_data(data[:cut])
    assert [] == endpoint.events_received()
    endpoint.receive_data(data[cut:])
    [event] = endpoint.events_received()

    assert "/chat" == event.path
    assert 101 == endpoint.accept(event).status_code


def test_shows_the_request_as_it_was_sent():
    """
    The event has the method, the target and all headers, in order.
    """
    _, event = receive(request(("X-One", "1"), ("x-one", "2")))

    assert ("/chat", "GET", "HTTP/1.1") == (event.path, event.method, event.protocol)
    assert [("X-One", "1"), ("x-one", "2")] == list(event.headers.raw_items())[-2:]


def test_frames_behind_the_request_are_received():
    """
    A client that does not wait for the response is not refused.
    """
    endpoint = server.ServerProtocol()
    endpoint.receive_data(request() + from_client(TEXT, b"early"))
    [event, *events] = endpoint.events_received()
    endpoint.send_response(endpoint.accept(event))
    events += endpoint.events_received()
    endpoint.receive_data(from_client(TEXT, b"late"))
    events += endpoint.events_received()

    assert [b"early", b"late"] == [frame.data for frame in events]


@pytest.mark.ours
def test_frames_behind_the_request_wait_for_the_extensions():
    """
    Nothing is parsed before it is known how: the early frame is compressed.
    """
    endpoint = server.ServerProtocol(
        extensions=[deflate.ServerPerMessageDeflateFactory()]
    )
    hello = bytes.fromhex("f248cdc9c90700")
    endpoint.receive_data(
        request(("Sec-WebSocket-Extensions", "permessage-deflate"))
        + from_client(TEXT, hello, rsv=4)
    )
    [event] = endpoint.events_received()
    endpoint.send_response(endpoint.accept(event))

    assert [frames.Frame(frames.Opcode.TEXT, b"Hello")] == endpoint.events_received()


def test_a_connection_that_is_open_already_has_no_handshake():
    """
    With state OPEN, frames are received at once.
    """
    endpoint = server.ServerProtocol(state=protocol.State.OPEN)
    endpoint.receive_data(from_client(TEXT, b"hello"))

    assert [frames.Frame(frames.Opcode.TEXT, b"hello")] == endpoint.events_received()


# Rejecting

REJECTED = [
    # Not WebSocket at all.
    (
        {"without": ["Connection"]},
        *(426, "missing Connection header.\n" + NOT_FOR_BROWSERS, UPGRADE),
    ),
    (
        {"Connection": "close"},
        *(426, "invalid Connection header: close.\n" + NOT_FOR_BROWSERS, UPGRADE),
    ),
    (
        {"without": ["Upgrade"]},
        *(426, "missing Upgrade header.\n" + NOT_FOR_BROWSERS, UPGRADE),
    ),
    (
        {"Upgrade": "h2c"},
        *(426, "invalid Upgrade header: h2c.\n" + NOT_FOR_BROWSERS, UPGRADE),
    ),
    (
        {"Upgrade": "websocket, h2c"},
        *(426, "invalid Upgrade header: websocket, h2c.\n" + NOT_FOR_BROWSERS, UPGRADE),
    ),
    # Method and version.
    (
        {"line": "POST /chat HTTP/1.1"},
        *(405, "unsupported HTTP method: POST.\n", ALLOW),
    ),
    (
        {"line": "GET /chat HTTP/1.0"},
        *(505, "unsupported HTTP version: HTTP/1.0.\n", {}),
    ),
    # Headers with a wrong syntax.
    (
        {"Connection": "@"},
        *(400, "invalid Connection header: expected token at 0 in @.\n", {}),
    ),
    (
        {"Upgrade": "@"},
        *(400, "invalid Upgrade header: expected protocol at 0 in @.\n", {}),
    ),
    (
        {"extra": [("Sec-WebSocket-Protocol", "@")]},
        *(
            400,
            "invalid Sec-WebSocket-Protocol header: expected token at 0 in @.\n",
            {},
        ),
    ),
    # Key.
    (
        {"without": ["Sec-WebSocket-Key"]},
        *(400, "missing Sec-WebSocket-Key header.\n", {}),
    ),
    (
        {"Sec_WebSocket_Key": ""},
        *(400, "empty Sec-WebSocket-Key header.\n", {}),
    ),
    (
        {"Sec_WebSocket_Key": "AAAA"},
        *(400, "invalid Sec-WebSocket-Key header: AAAA.\n", {}),
    ),
    (
        {"Sec_WebSocket_Key": f"!{KEY}"},
        400,
        f"invalid Sec-WebSocket-Key header: !{KEY}; Only base64 data is allowed.\n",
        {},
    ),
    (
        {"extra": [("Sec-WebSocket-Key", KEY)]},
        *(400, "invalid Sec-WebSocket-Key header: multiple values.\n", {}),
    ),
    # Version.
    (
        {"without": ["Sec-WebSocket-Version"]},
        *(400, "missing Sec-WebSocket-Version header.\n", VERSION),
    ),
    (
        {"Sec_WebSocket_Version": "12"},
        *(400, "invalid Sec-WebSocket-Version header: 12.\n", VERSION),
    ),
    (
        {"Sec_WebSocket_Version": ""},
        *(400, "empty Sec-WebSocket-Version header.\n", VERSION),
    ),
    (
        {"extra": [("Sec-WebSocket-Version", "13")]},
        *(400, "invalid Sec-WebSocket-Version header: multiple values.\n", VERSION),
    ),
    # Origin.
    (
        {"extra": [("Origin", "a"), ("Origin", "b")]},
        *(400, "invalid Origin header: multiple values.\n", {}),
    ),
]


@pytest.mark.parametrize(("changes", "status", "text", "headers"), REJECTED)
def test_rejects_what_is_not_a_handshake(changes, status, text, headers):
    """
    Every violation of RFC 6455, 4.2.1, has its status and its explanation, and
    ends the connection.
    """
    changes = dict(changes)
    extra = changes.pop("extra", [])
    endpoint, response = answer(request(*extra, **changes))
    body = (PREFIX + text).encode()

    assert (status, body) == (response.status_code, response.body)
    assert headers == fields(response)
    assert [response.serialize(), b""] == endpoint.data_to_send()
    assert protocol.State.CONNECTING is endpoint.state
    assert endpoint.eof_sent
    assert endpoint.close_expected()
    assert isinstance(endpoint.handshake_exc, exceptions.InvalidHandshake)


def test_rejections_are_plain_text_and_close_the_connection():
    """
    The headers of a rejection, in the documented order.
    """
    _, response = answer(request(without=["Sec-WebSocket-Key"]))

    assert [
        ("Connection", "close"),
        ("Content-Length", str(len(response.body))),
        ("Content-Type", "text/plain; charset=utf-8"),
    ] == list(response.headers.raw_items())[1:]


def test_a_handshake_with_several_faults_is_told_the_first_one():
    """
    Method, version, Connection, Upgrade, key, version of the protocol, origin,
    subprotocol: in that order.
    """
    changes = {
        "line": "POST /chat HTTP/1.0",
        "without": ["Connection", "Upgrade", "Sec-WebSocket-Key"],
        "Sec_WebSocket_Version": "12",
    }
    repairs = [
        {"line": "GET /chat HTTP/1.0"},
        {"line": "GET /chat HTTP/1.1"},
        {"without": ["Upgrade", "Sec-WebSocket-Key"]},
        {"without": ["Sec-WebSocket-Key"]},
        {"without": []},
        {"Sec_WebSocket_Version": "13"},
    ]
    kwargs = {"origins": ["http://a"], "subprotocols": ["chat"]}
    found = []
    for repair in [{}, *repairs]:
        changes |= repair
        endpoint, _ = answer(request(**changes), **kwargs)
        found.append(str(endpoint.handshake_exc))
    endpoint, _ = answer(request(("Origin", "http://a")), **kwargs)
    found.append(str(endpoint.handshake_exc))

    assert [
        "unsupported HTTP method: POST",
        "unsupported HTTP version: HTTP/1.0",
        "missing Connection header",
        "missing Upgrade header",
        "missing Sec-WebSocket-Key header",
        "invalid Sec-WebSocket-Version header: 12",
        "missing Origin header",
        "missing subprotocol",
    ] == found


def test_tells_the_request_why_it_was_rejected():
    """
    The deprecated ``Request.exception`` has what ``handshake_exc`` has.
    """
    endpoint, event = receive(request(without=["Upgrade"]))
    endpoint.accept(event)

    with pytest.warns(DeprecationWarning):
        assert event.exception is endpoint.handshake_exc


def test_a_rejected_connection_drops_what_comes():
    """
    After a rejection nothing is received, until the peer closes.
    """
    endpoint, _ = answer(request(without=["Upgrade"]))
    endpoint.data_to_send()
    endpoint.receive_data(from_client(TEXT, b"hello"))
    assert ([], []) == (endpoint.events_received(), endpoint.data_to_send())
    endpoint.receive_eof()

    assert ([], []) == (endpoint.events_received(), endpoint.data_to_send())
    assert protocol.State.CLOSED is endpoint.state
    assert endpoint.parser_exc is None
    assert not endpoint.close_expected()


@pytest.mark.ours
def test_a_head_request_gets_no_body():
    """
    "The server MUST NOT send content in the response" (RFC 9110, 9.3.2); its
    headers are those of another method.
    """
    endpoint, response = answer(request(line="HEAD /chat HTTP/1.1"))
    [data, eof] = endpoint.data_to_send()

    assert 405 == response.status_code
    assert data.endswith(b"\r\n\r\n")
    assert f"Content-Length: {len(response.body)}\r\n".encode() in data
    assert b"" == eof


@pytest.mark.ours
def test_a_health_check_by_head_gets_no_body():
    """
    That holds for responses of the program as well.
    """
    endpoint, _ = receive(request(line="HEAD /health HTTP/1.1"))
    endpoint.send_response(endpoint.reject(200, "OK\n"))
    [data, _] = endpoint.data_to_send()

    assert data.endswith(b"Content-Type: text/plain; charset=utf-8\r\n\r\n")


# Responses of the program


def test_sends_a_response_of_the_program():
    """
    HTTP instead of WebSocket: a health check, for instance.
    """
    endpoint, _ = receive(request())
    response = endpoint.reject(200, "OK\n")
    endpoint.send_response(response)

    assert (200, "OK", b"OK\n") == (
        response.status_code,
        response.reason_phrase,
        response.body,
    )
    assert [response.serialize(), b""] == endpoint.data_to_send()
    assert endpoint.handshake_exc is None


def test_only_one_response_is_sent():
    """
    A second response would be nonsense.
    """
    endpoint, _ = receive(request())
    response = endpoint.reject(403, "No\n")
    endpoint.send_response(response)

    with pytest.raises(AssertionError):
        endpoint.send_response(response)


def test_the_text_of_a_rejection_is_utf_8():
    """
    The length is that of the bytes.
    """
    response = server.ServerProtocol().reject(404, "né\n")

    assert b"n\xc3\xa9\n" == response.body
    assert "4" == response.headers["Content-Length"]


def test_refuses_to_invent_status_codes():
    """
    A status code has a reason phrase from the register.
    """
    with pytest.raises(ValueError, match="299"):
        server.ServerProtocol().reject(299, "")


def test_the_program_may_open_the_connection_itself():
    """
    A response with status 101 opens the connection, wherever it comes from.
    """
    endpoint = server.ServerProtocol()
    endpoint.send_response(http11.Response(101, "Go", datastructures.Headers()))

    assert protocol.State.OPEN is endpoint.state
    assert [b"HTTP/1.1 101 Go\r\n\r\n"] == endpoint.data_to_send()


@pytest.mark.ours
def test_a_connection_that_the_program_has_opened_receives_frames():
    """
    There is no request to wait for any more.
    """
    endpoint = server.ServerProtocol()
    endpoint.send_response(http11.Response(101, "Go", datastructures.Headers()))
    endpoint.receive_data(from_client(TEXT, b"hello"))

    assert [frames.Frame(frames.Opcode.TEXT, b"hello")] == endpoint.events_received()
