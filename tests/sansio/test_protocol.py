"""
Frames in, frames out: the open connection without I/O.
"""

from __future__ import annotations

import pytest

from tests.under_test import submodule

from .wire import (
    BINARY,
    CONT,
    PING,
    PONG,
    TEXT,
    frame,
    from_client,
    sent,
    to,
    unmasked,
)

exceptions = submodule("exceptions")
frames = submodule("frames")
protocol = submodule("protocol")

Close, Frame, Opcode = frames.Close, frames.Frame, frames.Opcode
Side, State = protocol.Side, protocol.State


# The example of the RFC


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("818537fa213d7f9f4d5158", Frame(Opcode.TEXT, b"Hello")),
        ("898537fa213d7f9f4d5158", Frame(Opcode.PING, b"Hello")),
        ("8a8537fa213d7f9f4d5158", Frame(Opcode.PONG, b"Hello")),
    ],
)
def test_server_receives_the_examples_of_the_rfc(server, data, expected):
    """
    The masked examples of RFC 6455, 5.7.
    """
    server.receive_data(bytes.fromhex(data))

    assert [expected] == server.events_received()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("810548656c6c6f", [Frame(Opcode.TEXT, b"Hello")]),
        (
            "010348656c80026c6f",
            [Frame(Opcode.TEXT, b"Hel", fin=False), Frame(Opcode.CONT, b"lo")],
        ),
        ("890548656c6c6f", [Frame(Opcode.PING, b"Hello")]),
        ("827e0100" + "00" * 256, [Frame(Opcode.BINARY, bytes(256))]),
        (
            "827f0000000000010000" + "00" * 65_536,
            [Frame(Opcode.BINARY, bytes(65_536))],
        ),
    ],
)
def test_client_receives_the_examples_of_the_rfc(client, data, expected):
    """
    The unmasked examples of RFC 6455, 5.7.
    """
    client.receive_data(bytes.fromhex(data))

    assert expected == client.events_received()


# Receiving


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_receives_frames_in_pieces(either, size):
    """
    It does not matter where the network divides frames.
    """
    data = to(either, TEXT, b"hello" * 30) + to(either, BINARY, b"") + to(either, PONG)
    for start in range(0, len(data), size):
        either.receive_data(data[start : start + size])

    assert [
        Frame(Opcode.TEXT, b"hello" * 30),
        Frame(Opcode.BINARY, b""),
        Frame(Opcode.PONG, b""),
    ] == either.events_received()
    assert [] == either.events_received()


def test_receives_fragments_with_control_frames_between_them(either):
    """
    "Control frames MAY be injected in the middle of a fragmented message"
    (RFC 6455, 5.4). Fragments are not put together.
    """
    either.receive_data(
        to(either, TEXT, b"one", fin=False)
        + to(either, PING, b"ping")
        + to(either, CONT, b"two", fin=False)
        + to(either, CONT, b"three")
        + to(either, TEXT, b"four")
    )

    assert [
        Frame(Opcode.TEXT, b"one", fin=False),
        Frame(Opcode.PING, b"ping"),
        Frame(Opcode.CONT, b"two", fin=False),
        Frame(Opcode.CONT, b"three"),
        Frame(Opcode.TEXT, b"four"),
    ] == either.events_received()


def test_text_is_not_validated(either):
    """
    Frames are divided anywhere; whoever puts them together validates.
    """
    either.receive_data(to(either, TEXT, b"\xff"))

    assert [Frame(Opcode.TEXT, b"\xff")] == either.events_received()
    assert State.OPEN is either.state


@pytest.mark.parametrize("form", [16, 64])
def test_lengths_need_not_be_minimal(either, form):
    """
    Senders must write the shortest form (RFC 6455, 5.2); we read all.
    """
    either.receive_data(to(either, TEXT, b"hello", form=form))

    assert [Frame(Opcode.TEXT, b"hello")] == either.events_received()


@pytest.mark.parametrize("data", [bytearray, bytes])
def test_what_was_received_belongs_to_the_program(server, data):
    """
    A buffer passed in may be used again; payloads are bytes.
    """
    buffer = data(from_client(TEXT, b"hello"))
    server.receive_data(buffer)
    [event] = server.events_received()

    assert from_client(TEXT, b"hello") == buffer
    assert b"hello" == bytes(event.data)


def test_nothing_can_be_received_after_the_end(either):
    """
    That would be a mistake of the program; a second end is none.
    """
    either.receive_eof()
    either.receive_eof()

    with pytest.raises(EOFError, match="^stream ended$"):
        either.receive_data(b"x")


def test_text_is_not_bytes(either):
    """
    Programs that pass text are told so.
    """
    with pytest.raises(TypeError):
        either.receive_data("text")
    with pytest.raises(TypeError, match="bytes-like"):
        either.send_text("text")
    with pytest.raises(TypeError):
        either.send_ping(5)

    assert [] == either.data_to_send()


# Sending


@pytest.mark.parametrize(
    "data", [b"hello", bytearray(b"hello"), memoryview(b"hello")], ids=type
)
def test_sends_data_frames(either, data):
    """
    Any bytes-like object is a payload.
    """
    either.send_text(data)
    either.send_binary(data)

    assert [frame(TEXT, b"hello"), frame(BINARY, b"hello")] == sent(either)
    assert [] == either.data_to_send()


def test_sends_fragments(either):
    """
    The first frame tells the opcode, the last one the end (RFC 6455, 5.4).
    """
    either.send_text(b"one", fin=False)
    either.send_ping(b"ping")
    either.send_continuation(b"two", fin=False)
    either.send_continuation(b"three", fin=True)
    either.send_binary(b"four")

    assert [
        frame(TEXT, b"one", fin=False),
        frame(PING, b"ping"),
        frame(CONT, b"two", fin=False),
        frame(CONT, b"three"),
        frame(BINARY, b"four"),
    ] == sent(either)


def test_fragments_must_be_in_order(either):
    """
    Neither a continuation of nothing nor a message within a message.
    """
    with pytest.raises(
        exceptions.ProtocolError, match="^unexpected continuation frame$"
    ):
        either.send_continuation(b"", fin=True)
    either.send_text(b"one", fin=False)
    for send in (either.send_text, either.send_binary):
        with pytest.raises(
            exceptions.ProtocolError, match="^expected a continuation frame$"
        ):
            send(b"two")

    assert [frame(TEXT, b"one", fin=False)] == sent(either)


def test_masks_every_frame_with_a_key_of_its_own(client):
    """
    "A new masking key for each masked frame" (RFC 6455, 5.3), also for pongs.
    """
    client.receive_data(frame(PING, b"hello"))
    for _ in range(20):
        client.send_text(b"hello")
    data = client.data_to_send()

    assert {b"hello"} == {unmasked(item)[2:] for item in data}
    assert len(data) == len({item[2:6] for item in data})


@pytest.mark.parametrize("size", [0, 1, 125])
def test_sends_pings_and_pongs(either, size):
    """
    Up to 125 bytes (RFC 6455, 5.5).
    """
    either.send_ping(b"x" * size)
    either.send_pong(b"x" * size)

    assert [frame(PING, b"x" * size), frame(PONG, b"x" * size)] == sent(either)


def test_control_frames_are_short(either):
    """
    Nothing is sent when the payload is too long.
    """
    for send in (either.send_ping, either.send_pong):
        with pytest.raises(exceptions.ProtocolError, match="^control frame too long$"):
            send(b"x" * 126)

    assert [] == either.data_to_send()


# Pings


def test_answers_pings(either):
    """
    "As soon as is practical", with the same payload (RFC 6455, 5.5.2 and 5.5.3).
    """
    either.receive_data(to(either, PING, b"one") + to(either, PING, b""))

    assert [frame(PONG, b"one"), frame(PONG, b"")] == sent(either)


def test_answers_pings_while_closing(either):
    """
    "Unless it already received a Close frame" (RFC 6455, 5.5.2): having sent one
    is no excuse.
    """
    either.send_close(1000)
    sent(either)
    either.receive_data(to(either, PING, b"one"))

    assert [frame(PONG, b"one")] == sent(either)


def test_pongs_are_only_shown(either):
    """
    A pong needs no answer (RFC 6455, 5.5.3).
    """
    either.receive_data(to(either, PONG, b"one"))

    assert [Frame(Opcode.PONG, b"one")] == either.events_received()
    assert [] == either.data_to_send()
