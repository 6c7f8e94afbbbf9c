"""
The client's part of the opening handshake (RFC 6455, 4.1).
"""

from __future__ import annotations

import base64
import logging

import pytest

from tests.under_test import submodule

from .wire import ACCEPT, KEY, TEXT, chain, frame, head, response

client = submodule("client")
exceptions = submodule("exceptions")
frames = submodule("frames")
protocol = submodule("protocol")
server = submodule("server")
uri = submodule("uri")
deflate = submodule("extensions.permessage_deflate")

EXAMPLE = "ws://example.com/chat"


def make(address=EXAMPLE, **kwargs):
    """
    Return a client with the key of the RFC's example.
    """
    endpoint = client.ClientProtocol(uri.parse_uri(address), **kwargs)
    endpoint.key = KEY
    return endpoint


def receive(data, **kwargs):
    """
    Return a client that has sent its request and received something.
    """
    endpoint = make(**kwargs)
    endpoint.send_request(endpoint.connect())
    endpoint.data_to_send()
    endpoint.receive_data(data)
    return endpoint


# Request


def test_sends_the_request_of_the_rfc():
    """
    The head of RFC 6455, 1.3, with the headers in the documented order.
    """
    endpoint = make()
    request = endpoint.connect()
    endpoint.send_request(request)

    assert [
        head(
            "GET /chat HTTP/1.1",
            ("Host", "example.com"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", KEY),
            ("Sec-WebSocket-Version", "13"),
        )
    ] == endpoint.data_to_send()
    assert protocol.State.CONNECTING is endpoint.state
    assert not endpoint.close_expected()


def test_sends_everything_it_was_given_in_order():
    """
    User information, origin, extensions and subprotocols have their places;
    headers that are added follow.
    """
    endpoint = make(
        "wss://ada:secret@example.com:8443/chat?room=1",
        origin="https://example.com",
        extensions=[
            deflate.ClientPerMessageDeflateFactory(),
            deflate.ClientPerMessageDeflateFactory(server_max_window_bits=9),
        ],
        subprotocols=["chat", "superchat"],
    )
    request = endpoint.connect()
    request.headers["X-Extra"] = "1"

    assert "/chat?room=1" == request.path
    assert [
        ("Host", "example.com:8443"),
        ("Authorization", "Basic YWRhOnNlY3JldA=="),
        ("Origin", "https://example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
        (
            "Sec-WebSocket-Extensions",
            (
                "permessage-deflate; client_max_window_bits, "
                "permessage-deflate; server_max_window_bits=9; client_max_window_bits"
            ),
        ),
        ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("X-Extra", "1"),
    ] == list(request.headers.raw_items())


@pytest.mark.parametrize(
    ("address", "host", "path"),
    [
        ("ws://example.com", "example.com", "/"),
        ("ws://example.com:80/", "example.com", "/"),
        ("wss://example.com:443/", "example.com", "/"),
        ("wss://example.com:80/", "example.com:80", "/"),
        ("ws://[::1]/?a", "[::1]", "/?a"),
        ("ws://[::1]:81/", "[::1]:81", "/"),
        ("ws://example.com/é", "example.com", "/%C3%A9"),
    ],
)
def test_writes_host_and_path_of_the_uri(address, host, path):
    """
    The port of the scheme is left out; IPv6 addresses have brackets.
    """
    request = make(address).connect()

    assert (host, path) == (request.headers["Host"], request.path)


@pytest.mark.ours
def test_empty_lists_are_not_offered():
    """
    An empty header would not follow its grammar.
    """
    request = make(extensions=[], subprotocols=[]).connect()

    assert "Sec-WebSocket-Extensions" not in request.headers
    assert "Sec-WebSocket-Protocol" not in request.headers


def test_draws_a_key_for_every_connection():
    """
    "The nonce MUST be selected randomly for each connection", 16 bytes
    (RFC 6455, 4.1).
    """
    keys = {
        client.ClientProtocol(uri.parse_uri(EXAMPLE))
        .connect()
        .headers["Sec-WebSocket-Key"]
        for _ in range(10)
    }

    assert 10 == len(keys)
    assert {16} == {len(base64.b64decode(key)) for key in keys}


# Response


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Connection": "keep-alive, Upgrade"},
        {"Upgrade": "WebSocket"},
        {"extra": [("Set-Cookie", "a"), ("Set-Cookie", "b")]},
    ],
)
def test_accepts_what_servers_write(changes):
    """
    The response to the key of RFC 6455, 1.3, opens the connection.
    """
    changes = dict(changes)
    endpoint = receive(response(*changes.pop("extra", []), **changes))
    [event] = endpoint.events_received()

    assert 101 == event.status_code
    assert protocol.State.OPEN is endpoint.state
    assert endpoint.handshake_exc is None
    assert [] == endpoint.data_to_send()


@pytest.mark.parametrize("cut", range(1, len(response())))
def test_reads_a_response_in_two_pieces(cut):
    """
    It does not matter where the network divides the response.
    """
    data = response()
    endpoint = receive(data[:cut])
    assert [] == endpoint.events_received()
    endpoint.receive_data(data[cut:])

    assert 1 == len(endpoint.events_received())
    assert protocol.State.OPEN is endpoint.state


def test_frames_behind_the_response_are_received():
    """
    A server may send as soon as it has accepted, and use extensions.
    """
    hello = bytes.fromhex("f248cdc9c90700")
    endpoint = receive(
        response(("Sec-WebSocket-Extensions", "permessage-deflate"))
        + frame(TEXT, hello, rsv=4),
        extensions=[deflate.ClientPerMessageDeflateFactory()],
    )
    [_, event] = endpoint.events_received()

    assert frames.Frame(frames.Opcode.TEXT, b"Hello") == event


def test_a_connection_that_is_open_already_has_no_handshake():
    """
    With state OPEN, frames are received at once.
    """
    endpoint = make(state=protocol.State.OPEN)
    endpoint.receive_data(frame(TEXT, b"hello"))

    assert [frames.Frame(frames.Opcode.TEXT, b"hello")] == endpoint.events_received()


DEFLATE = {"extensions": [deflate.ClientPerMessageDeflateFactory()]}
CHAT = {"subprotocols": ["chat", "superchat"]}

REFUSED = [
    *[
        ({"status": status}, {}, "InvalidStatus", f"HTTP {status}")
        for status in (100, 200, 204, 301, 400, 503)
    ],
    # Upgrade.
    ({"without": ["Connection"]}, {}, "InvalidUpgrade", "missing Connection header"),
    ({"Connection": "close"}, {}, "InvalidUpgrade", "invalid Connection header: close"),
    ({"without": ["Upgrade"]}, {}, "InvalidUpgrade", "missing Upgrade header"),
    ({"Upgrade": "h2c"}, {}, "InvalidUpgrade", "invalid Upgrade header: h2c"),
    # Accept.
    (
        {"without": ["Sec-WebSocket-Accept"]},
        *({}, "InvalidHeader", "missing Sec-WebSocket-Accept header"),
    ),
    (
        {"Sec_WebSocket_Accept": "x"},
        *({}, "InvalidHeaderValue", "invalid Sec-WebSocket-Accept header: x"),
    ),
    (
        {"extra": [("Sec-WebSocket-Accept", ACCEPT)]},
        *({}, "InvalidHeader", "invalid Sec-WebSocket-Accept header: multiple values"),
    ),
    # Extensions.
    (
        {"extra": [("Sec-WebSocket-Extensions", "permessage-deflate")]},
        *({}, "NegotiationError", "no extensions supported"),
    ),
    (
        {"extra": [("Sec-WebSocket-Extensions", "permessage-deflate")]},
        {"extensions": []},
        "NegotiationError",
        "Unsupported extension: name = permessage-deflate, params = []",
    ),
    (
        {"extra": [("Sec-WebSocket-Extensions", "x-unknown; a=1")]},
        DEFLATE,
        "NegotiationError",
        "Unsupported extension: name = x-unknown, params = [('a', '1')]",
    ),
    (
        {"extra": [("Sec-WebSocket-Extensions", "permessage-deflate; a")]},
        DEFLATE,
        "NegotiationError",
        "Unsupported extension: name = permessage-deflate, params = [('a', None)]",
    ),
    (
        {
            "extra": [
                ("Sec-WebSocket-Extensions", "permessage-deflate, permessage-deflate")
            ]
        },
        DEFLATE,
        "NegotiationError",
        "Unsupported extension: name = permessage-deflate, params = []",
    ),
    (
        {"extra": [("Sec-WebSocket-Extensions", "@")]},
        DEFLATE,
        "InvalidHeaderFormat",
        "invalid Sec-WebSocket-Extensions header: expected token at 0 in @",
    ),
    # Subprotocol.
    (
        {"extra": [("Sec-WebSocket-Protocol", "chat")]},
        *({}, "NegotiationError", "no subprotocols supported"),
    ),
    (
        {"extra": [("Sec-WebSocket-Protocol", "x")]},
        *(CHAT, "NegotiationError", "unsupported subprotocol: x"),
    ),
    (
        {"extra": [("Sec-WebSocket-Protocol", "chat, superchat")]},
        CHAT,
        "InvalidHeader",
        "invalid Sec-WebSocket-Protocol header: multiple values: chat, superchat",
    ),
    (
        {
            "extra": [
                ("Sec-WebSocket-Protocol", "chat"),
                ("Sec-WebSocket-Protocol", "superchat"),
            ]
        },
        CHAT,
        "InvalidHeader",
        "invalid Sec-WebSocket-Protocol header: multiple values: chat, superchat",
    ),
]


@pytest.mark.parametrize(("changes", "kwargs", "exc_type", "text"), REFUSED)
def test_refuses_what_does_not_answer_its_request(changes, kwargs, exc_type, text):
    """
    "If any of these [...] the client MUST Fail the WebSocket Connection"
    (RFC 6455, 4.1). The response is shown all the same.
    """
    changes = dict(changes)
    extra = [*changes.pop("extra", []), ("Content-Length", "0")]
    endpoint = receive(response(*extra, **changes), **kwargs)
    [_] = endpoint.events_received()
    exc = endpoint.handshake_exc

    assert exc_type == type(exc).__name__
    assert str(exc).endswith(text)
    assert protocol.State.CONNECTING is endpoint.state
    assert endpoint.close_expected()
    assert [b""] == endpoint.data_to_send()


def test_a_response_with_several_faults_is_told_by_the_first_one():
    """
    Connection, Upgrade, accept, extensions, subprotocol: in that order.
    """
    extra = [("Sec-WebSocket-Extensions", "x"), ("Sec-WebSocket-Protocol", "x")]
    without = ["Connection", "Upgrade", "Sec-WebSocket-Accept"]
    found = []
    while True:
        exc = receive(response(*extra, without=without)).handshake_exc
        if exc is None:
            break
        found.append(str(exc))
        if without:
            del without[0]
        else:
            del extra[0]

    assert [
        "missing Connection header",
        "missing Upgrade header",
        "missing Sec-WebSocket-Accept header",
        "no extensions supported",
        "no subprotocols supported",
    ] == found


def test_tells_the_response_why_it_was_refused():
    """
    The deprecated ``Response.exception`` has what ``handshake_exc`` has.
    """
    endpoint = receive(response(without=["Upgrade"]))
    [event] = endpoint.events_received()

    with pytest.warns(DeprecationWarning):
        assert event.exception is endpoint.handshake_exc


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ([("Content-Length", "4")], b"busy"),
        ([("Transfer-Encoding", "chunked")], b"2\r\nbu\r\n2\r\nsy\r\n0\r\n\r\n"),
        ([], b"busy"),
    ],
)
def test_reads_the_body_of_a_refusal(fields, body):
    """
    By its length, in chunks, or up to the end of the stream.
    """
    endpoint = receive(response(*fields, status=503, body=body))
    endpoint.receive_eof()
    [event] = endpoint.events_received()

    assert (503, b"busy") == (event.status_code, event.body)
    assert endpoint.handshake_exc.response is event
    assert protocol.State.CLOSED is endpoint.state


def test_after_a_refusal_nothing_is_received():
    """
    What the server sends now is dropped, until it closes.
    """
    endpoint = receive(response(without=["Upgrade"]) + frame(TEXT, b"hello"))
    endpoint.receive_data(frame(TEXT, b"hello"))
    assert 1 == len(endpoint.events_received())
    endpoint.receive_eof()

    assert protocol.State.CLOSED is endpoint.state
    assert endpoint.parser_exc is None


UNREADABLE = [
    (b"220 smtp.example.com ESMTP\r\n", "ValueError"),
    (b"HTTP/1.0 101 Hello\r\n\r\n", "ValueError"),
    (response(("X ", "x")), "ValueError"),
    (response(("X", "x" * 9000)), "HeaderLineTooLong"),
    (response(*[("X", "x")] * 126), "TooManyHeaders"),
    (response(("Content-Length", "1048577"), status=404), "SecurityError"),
]


@pytest.mark.parametrize(("data", "cause"), UNREADABLE)
def test_what_is_not_http_is_known_by_its_exception(data, cause):
    """
    The exception says that it is no response; its cause says why.
    """
    endpoint = receive(data)
    [exc, (name, _), *_] = chain(endpoint.handshake_exc)

    assert ("InvalidMessage", "did not receive a valid HTTP response") == exc
    assert cause == name
    assert ([], [b""]) == (endpoint.events_received(), endpoint.data_to_send())
    assert endpoint.close_expected()


def test_a_long_status_line_is_known_by_its_exception():
    """
    This one is a security matter of its own.
    """
    endpoint = receive(b"HTTP/1.1 200 " + b"x" * 8192)

    assert isinstance(endpoint.handshake_exc, exceptions.StatusLineTooLong)
    assert endpoint.close_expected()


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 101", response()[:-2]])
def test_a_server_that_goes_without_a_response_is_noticed(data):
    """
    The cause is EOFError: a program may try again.
    """
    endpoint = receive(data)
    endpoint.receive_eof()

    assert isinstance(endpoint.handshake_exc, exceptions.InvalidMessage)
    assert isinstance(endpoint.handshake_exc.__cause__, EOFError)
    assert protocol.State.CLOSED is endpoint.state
    assert [b""] == endpoint.data_to_send()


# Negotiation


def test_takes_the_extensions_that_the_server_accepted():
    """
    Parameters are those of the answer; the first factory they fit is used.
    """
    endpoint = receive(
        response(("Sec-WebSocket-Extensions", "permessage-deflate")),
        extensions=[
            deflate.ClientPerMessageDeflateFactory(server_max_window_bits=9),
            deflate.ClientPerMessageDeflateFactory(client_max_window_bits=10),
        ],
    )
    [extension] = endpoint.extensions

    assert (15, 10) == (
        extension.remote_max_window_bits,
        extension.local_max_window_bits,
    )


@pytest.mark.parametrize(
    ("extra", "chosen"), [([], None), ([("Sec-WebSocket-Protocol", "chat")], "chat")]
)
def test_takes_the_subprotocol_that_the_server_chose(extra, chosen):
    """
    A server may do without a subprotocol.
    """
    endpoint = receive(response(*extra), **CHAT)

    assert protocol.State.OPEN is endpoint.state
    assert chosen == endpoint.subprotocol


# Both sides


def test_client_and_server_understand_each_other():
    """
    A handshake with everything, then a message in each direction.
    """
    ours = client.ClientProtocol(
        uri.parse_uri(EXAMPLE), subprotocols=["chat"], **DEFLATE
    )
    theirs = server.ServerProtocol(
        subprotocols=["chat"], extensions=[deflate.ServerPerMessageDeflateFactory()]
    )
    ours.send_request(ours.connect())
    theirs.receive_data(b"".join(ours.data_to_send()))
    [request] = theirs.events_received()
    theirs.send_response(theirs.accept(request))
    ours.receive_data(b"".join(theirs.data_to_send()))
    ours.events_received()
    ours.send_text(b"hello")
    theirs.receive_data(b"".join(ours.data_to_send()))
    [message] = theirs.events_received()
    theirs.send_text(message.data)
    ours.receive_data(b"".join(theirs.data_to_send()))

    assert [frames.Frame(frames.Opcode.TEXT, b"hello")] == ours.events_received()
    assert "chat" == ours.subprotocol == theirs.subprotocol


# Logging


def test_logs_the_handshake(caplog):
    """
    Heads line by line, with the prefixes of reference 2.6.
    """
    caplog.set_level(logging.DEBUG, "tests")
    endpoint = make(logger=logging.getLogger("tests"))
    endpoint.send_request(endpoint.connect())
    endpoint.receive_data(response(("Content-Length", "4"), status=503, body=b"busy"))

    assert [
        "= connection is CONNECTING",
        "> GET /chat HTTP/1.1",
        "> Host: example.com",
        "> Upgrade: websocket",
        "> Connection: Upgrade",
        f"> Sec-WebSocket-Key: {KEY}",
        "> Sec-WebSocket-Version: 13",
        "< HTTP/1.1 503 Whatever",
        "< Upgrade: websocket",
        "< Connection: Upgrade",
        f"< Sec-WebSocket-Accept: {ACCEPT}",
        "< Content-Length: 4",
        "< [body] (4 bytes)",
        "> EOF",
    ] == [record.getMessage() for record in caplog.records]


def test_logs_to_the_client_logger_by_default():
    """
    There is a logger for all clients.
    """
    assert f"{client.__name__.partition('.')[0]}.client" == make().logger.name
