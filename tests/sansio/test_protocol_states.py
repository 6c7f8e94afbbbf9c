"""
What a connection tells of itself: states, causes, logs.
"""

from __future__ import annotations

import logging
import uuid

import pytest

from tests.under_test import NAME, submodule

from .wire import (
    CLOSE,
    CONT,
    KEY,
    PING,
    TEXT,
    close,
    frame,
    from_client,
    request,
    response,
    sent,
    to,
)

exceptions = submodule("exceptions")
frames = submodule("frames")
protocol = submodule("protocol")

Close, Frame, Opcode = frames.Close, frames.Frame, frames.Opcode
Side, State = protocol.Side, protocol.State


# States

SEND_DATA = [("send_text", b""), ("send_binary", b""), ("send_close",)]
SEND_CONTROL = [("send_ping", b""), ("send_pong", b"")]


@pytest.mark.parametrize("state", [State.CONNECTING, State.CLOSING, State.CLOSED])
@pytest.mark.parametrize(("name", "args"), [(n, a) for n, *a in SEND_DATA])
def test_data_are_sent_while_open(state, name, args):
    """
    InvalidState says which state it is.
    """
    endpoint = protocol.Protocol(Side.SERVER, state=state)

    with pytest.raises(
        exceptions.InvalidState, match=f"^connection is {state.name.lower()}$"
    ):
        getattr(endpoint, name)(*args)
    assert [] == endpoint.data_to_send()


@pytest.mark.parametrize("state", [State.CONNECTING, State.CLOSED])
@pytest.mark.parametrize(("name", "args"), [(n, a) for n, *a in SEND_CONTROL])
def test_control_frames_are_sent_while_open_or_closing(state, name, args):
    """
    InvalidState says which state it is.
    """
    endpoint = protocol.Protocol(Side.SERVER, state=state)

    with pytest.raises(
        exceptions.InvalidState, match=f"^connection is {state.name.lower()}$"
    ):
        getattr(endpoint, name)(*args)


def test_a_continuation_needs_an_open_connection(either):
    """
    A message that was begun cannot be finished behind a close frame.
    """
    either.send_text(b"one", fin=False)
    either.send_close()

    with pytest.raises(exceptions.InvalidState, match="^connection is closing$"):
        either.send_continuation(b"two", fin=True)


def test_control_frames_can_follow_a_close_frame(client):
    """
    As long as we have not ended the stream.
    """
    client.send_close(1000)
    client.send_ping(b"ping")

    assert [frame(CLOSE, close(1000)), frame(PING, b"ping")] == sent(client)


@pytest.mark.ours
def test_nothing_follows_the_end_of_the_stream(server):
    """
    Half-closed means half-closed.
    """
    server.receive_data(from_client(CLOSE))

    with pytest.raises(exceptions.InvalidState, match="^connection is closing$"):
        server.send_ping(b"ping")
    assert [frame(CLOSE), b""] == server.data_to_send()


def test_the_state_can_be_set():
    """
    For programs with an opening handshake of their own.
    """
    endpoint = protocol.Protocol(Side.SERVER, state=State.CONNECTING)
    assert not endpoint.close_expected()
    endpoint.state = State.OPEN
    endpoint.send_text(b"hello")

    assert [frame(TEXT, b"hello")] == endpoint.data_to_send()


@pytest.mark.ours
def test_sends_no_pong_before_the_handshake_is_over():
    """
    It would stand in front of the response.
    """
    endpoint = protocol.Protocol(Side.SERVER, state=State.CONNECTING)
    endpoint.receive_data(from_client(PING, b"early"))

    assert [] == endpoint.data_to_send()


# What a connection tells


def test_close_exc_needs_a_closed_connection(either):
    """
    Before the end there is nothing to tell.
    """
    with pytest.raises(AssertionError, match="^connection isn't closed yet$"):
        _ = either.close_exc


CLOSINGS = [
    (None, None, "ConnectionClosedError", "no close frame received or sent"),
    (1000, None, "ConnectionClosedOK", "received 1000 (OK); then sent 1000 (OK)"),
    (
        *(1001, None, "ConnectionClosedOK"),
        "received 1001 (going away); then sent 1001 (going away)",
    ),
    (
        *(1011, None, "ConnectionClosedError"),
        "received 1011 (internal error); then sent 1011 (internal error)",
    ),
    (
        *(None, 1000, "ConnectionClosedError"),
        "sent 1000 (OK); no close frame received",
    ),
    (
        *(1000, 1001, "ConnectionClosedOK"),
        "sent 1001 (going away); then received 1000 (OK)",
    ),
    (
        *(1000, 1011, "ConnectionClosedError"),
        "sent 1011 (internal error); then received 1000 (OK)",
    ),
]


@pytest.mark.parametrize(("received", "first_sent", "exc_type", "text"), CLOSINGS)
def test_close_exc_tells_how_it_ended(either, received, first_sent, exc_type, text):
    """
    OK means that both close frames say so.
    """
    if first_sent is not None:
        either.send_close(first_sent)
    if received is not None:
        either.receive_data(to(either, CLOSE, close(received)))
    either.receive_eof()
    exc = either.close_exc

    assert (exc_type, text) == (type(exc).__name__, str(exc))
    assert exc.__cause__ is either.parser_exc


def test_close_exc_has_a_cause(either):
    """
    The violation that ended the connection.
    """
    either.receive_data(to(either, CONT))
    either.receive_eof()

    assert either.parser_exc is either.close_exc.__cause__
    assert isinstance(either.parser_exc, exceptions.ProtocolError)


def test_every_connection_has_an_identifier(either):
    """
    For logs.
    """
    assert isinstance(either.id, uuid.UUID)
    assert either.id == either.id
    assert either.id != protocol.Protocol(either.side).id


def test_has_the_attributes_of_a_new_connection(either):
    """
    Names that programs use.
    """
    assert [None, None, None, None, None] == [
        either.origin,
        either.subprotocol,
        either.handshake_exc,
        either.parser_exc,
        either.close_rcvd_then_sent,
    ]
    assert [] == list(either.extensions)
    assert f"{NAME}.{either.side.name.lower()}" == either.logger.name
    assert either.debug is False


def test_has_the_enumerations_of_the_documentation():
    """
    Values are interface.
    """
    assert {"SERVER": 0, "CLIENT": 1} == dict(Side.__members__)
    assert {"CONNECTING": 0, "OPEN": 1, "CLOSING": 2, "CLOSED": 3} == dict(
        State.__members__
    )
    assert b"" == protocol.SEND_EOF


# Logging


@pytest.fixture
def log(caplog):
    """
    Collect what a connection logs, as pairs of level and text.
    """
    caplog.set_level(logging.DEBUG, "tests")

    def collect():
        records = [(r.levelname, r.getMessage()) for r in caplog.records]
        caplog.clear()
        return records

    return collect


def test_logs_frames_and_states(log):
    """
    With the prefixes of reference 2.6.
    """
    server = protocol.Protocol(Side.SERVER, logger=logging.getLogger("tests"))
    server.receive_data(from_client(TEXT, b"hi"))
    server.send_text(b"yo", fin=False)
    server.receive_data(from_client(PING, b"p") + from_client(CLOSE, close(1000)))
    server.receive_eof()

    assert server.debug
    assert [
        ("DEBUG", "= connection is OPEN"),
        ("DEBUG", "< TEXT 'hi' [2 bytes]"),
        ("DEBUG", "> TEXT 'yo' [2 bytes, continued]"),
        ("DEBUG", "< PING 'p' [text, 1 byte]"),
        ("DEBUG", "> PONG 'p' [text, 1 byte]"),
        ("DEBUG", "< CLOSE 1000 (OK) [2 bytes]"),
        ("DEBUG", "> CLOSE 1000 (OK) [2 bytes]"),
        ("DEBUG", "= connection is CLOSING"),
        ("DEBUG", "> EOF"),
        ("DEBUG", "= connection is CLOSED"),
        ("INFO", "connection closed"),
    ] == log()


def test_logs_a_failure(log):
    """
    Violations by the peer are no error of ours.
    """
    server = protocol.Protocol(Side.SERVER, logger=logging.getLogger("tests"))
    server.receive_data(from_client(3))

    assert [
        ("DEBUG", "= connection is OPEN"),
        ("DEBUG", "> CLOSE 1002 (protocol error) invalid opcode [16 bytes]"),
        ("DEBUG", "= connection is CLOSING"),
        ("DEBUG", "> EOF"),
    ] == log()


def test_logs_the_end_of_the_stream(log):
    """
    In both directions.
    """
    client = protocol.Protocol(Side.CLIENT, logger=logging.getLogger("tests"))
    client.receive_eof()
    records = log()

    assert ("DEBUG", "< EOF") == records[1]
    assert ("DEBUG", "> EOF") == records[-2]
    assert ("DEBUG", "= connection is CLOSED") == records[-1]


def test_says_only_at_a_server_that_a_connection_was_closed(caplog):
    """
    A client's program knows.
    """
    caplog.set_level(logging.INFO, "tests")
    for side in Side:
        protocol.Protocol(side, logger=logging.getLogger("tests")).receive_eof()

    assert ["connection closed"] == [r.getMessage() for r in caplog.records]


# For rooms


@pytest.mark.ours
@pytest.mark.parametrize("side", [Side.SERVER, Side.CLIENT], ids=["server", "client"])
def test_hands_the_open_connection_over(core, side):
    """
    The handshake is the protocol's; frames and states are those of another
    endpoint, which may be compiled.
    """
    keys = core.endpoint.MaskingKeys(bytes)
    endpoint = core.endpoint.Endpoint(side is Side.CLIENT, 100, -1, keys)
    if side is Side.SERVER:
        shell = submodule("server").ServerProtocol()
        shell.hand_over(endpoint)
        shell.receive_data(request() + b"more")
        [event] = shell.events_received()
        shell.send_response(shell.accept(event))
    else:
        shell = submodule("client").ClientProtocol(
            submodule("uri").parse_uri("ws://example.com")
        )
        shell.key = KEY
        shell.hand_over(endpoint)
        shell.receive_data(response() + b"more")

    assert State.OPEN == endpoint.state
    assert b"more" == shell.unread_data()
    assert b"" == shell.unread_data()
    assert [] == shell.extensions
    assert (100, None) == (shell.max_message_size, shell.max_fragment_size)

    endpoint.send_close(1001, "bye")
    endpoint.receive_eof()

    assert State.CLOSED is shell.state
    assert Close(1001, "bye") == shell.close_sent
    assert 1006 == shell.close_code
    assert isinstance(shell.close_exc.__cause__, EOFError)


@pytest.mark.ours
def test_tells_the_other_endpoint_that_the_handshake_failed(core):
    """
    It is not OPEN, drops what comes, and has nothing more to send.
    """
    keys = core.endpoint.MaskingKeys(bytes)
    endpoint = core.endpoint.Endpoint(False, 100, -1, keys)
    shell = submodule("server").ServerProtocol()
    shell.hand_over(endpoint)
    shell.receive_data(b"garbage\r\n\r\nmore")

    assert State.CONNECTING == endpoint.state
    assert endpoint.discarding
    assert endpoint.wants_eof
    assert b"" == shell.data_to_send()[-1]
    shell.receive_data(b"more")
    assert b"" == shell.unread_data()
