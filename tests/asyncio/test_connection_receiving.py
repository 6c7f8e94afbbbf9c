"""
recv() and iteration: what a receiver gets, and how it learns of the end.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.asyncio.harness import both_sides, facing_raw_peer, linked, settle
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, both_sides]


async def test_a_text_message_arrives_as_str(side):
    """
    `recv()` returns str for a text message.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("81", "Hé€😀".encode())
        message = await connection.recv()

        assert "Hé€😀" == message
        assert str is type(message)


async def test_a_binary_message_arrives_as_bytes(side):
    """
    `recv()` returns exactly bytes for a binary message, no bytes-like object.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("82", b"\x00\xff")
        message = await connection.recv()

        assert b"\x00\xff" == message
        assert bytes is type(message)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
async def test_a_message_of_any_size_arrives(side, size):
    """
    Every form of the length field is read (RFC 6455, 5.2).
    """
    payload = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    async with facing_raw_peer(side) as (connection, peer):
        sending = asyncio.create_task(peer.send_frame("82", payload))

        assert payload == await connection.recv()
        await sending


@pytest.mark.parametrize(
    ("opcode", "decode", "expected"),
    [
        ("81", None, "caf\u00e9"),
        ("81", True, "caf\u00e9"),
        ("81", False, b"caf\xc3\xa9"),
        ("82", None, b"caf\xc3\xa9"),
        ("82", True, "caf\u00e9"),
        ("82", False, b"caf\xc3\xa9"),
    ],
)
@pytest.mark.parametrize("fragmented", [False, True])
async def test_decode_chooses_the_type(side, opcode, decode, expected, fragmented):
    """
    `decode=True` gives str and `decode=False` bytes, whatever was sent.
    """
    async with facing_raw_peer(side) as (connection, peer):
        if fragmented:
            await peer.send_frame(f"0{opcode[1]}", b"caf\xc3")
            await peer.send_frame("80", b"\xa9")
        else:
            await peer.send_frame(opcode, b"caf\xc3\xa9")
        message = await connection.recv(decode=decode)

        assert expected == message
        assert type(expected) is type(message)


async def test_decode_may_be_given_by_position(side):
    """
    `recv(False)` means `recv(decode=False)`.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("81", b"text")

        assert b"text" == await connection.recv(False)


async def test_recv_joins_fragments(side):
    """
    A message in three fragments, one of them empty, arrives as one.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("01", b"one ")
        await peer.send_frame("00")
        await peer.send_frame("80", b"two")

        assert "one two" == await connection.recv()


@pytest.mark.parametrize(("opcode", "empty"), [("1", ""), ("2", b"")])
async def test_an_empty_message_is_a_message(side, opcode, empty):
    """
    An empty payload arrives, in one frame and in several.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame(f"8{opcode}")
        await peer.send_frame(f"0{opcode}")
        await peer.send_frame("80")

        assert [empty, empty] == [await connection.recv() for _ in range(2)]


async def test_control_frames_between_fragments_do_not_disturb(side):
    """
    A ping and a pong may come between fragments (RFC 6455, 5.4); the ping is
    answered at once.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("01", b"one ")
        await peer.send_frame("89", b"?")
        await peer.send_frame("8a", b"!")

        assert b"?" == (await peer.read_frame()).payload
        await peer.send_frame("80", b"two")
        assert "one two" == await connection.recv()


async def test_messages_keep_their_order(side):
    """
    Messages that arrive in one read are received one by one in order.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send(b"".join(peer.frame("81", b"%d" % i) for i in range(10)))

        assert [str(i) for i in range(10)] == [
            await connection.recv() for _ in range(10)
        ]


async def test_one_byte_at_a_time_is_enough(side):
    """
    Frames split at every byte are put together.
    """
    async with facing_raw_peer(side) as (connection, peer):
        receiving = asyncio.create_task(connection.recv())
        for byte in peer.frame("01 7e 00 03", b"abc") + peer.frame("80", b"def"):
            await peer.send(bytes([byte]))
            await asyncio.sleep(0)

        assert "abcdef" == await receiving


@pytest.mark.parametrize("second", ["recv", "recv_streaming"])
async def test_only_one_receiver_at_a_time(side, second):
    """
    While a task waits in `recv()`, nobody else may receive.
    """
    async with facing_raw_peer(side) as (connection, peer):
        first = asyncio.create_task(connection.recv())
        await settle()
        with pytest.raises(lib.ConcurrencyError) as raised:
            await (
                connection.recv()
                if second == "recv"
                else anext(connection.recv_streaming())
            )

        assert (
            f"cannot call {second} while another coroutine is already running "
            "recv or recv_streaming"
        ) == str(raised.value)
        await peer.send_frame("81", b"still fine")
        assert "still fine" == await first


async def test_iterating_twice_is_a_runtime_error(side):
    """
    Iteration is a receiver too; programs written for older versions catch
    `RuntimeError`.
    """
    async with facing_raw_peer(side) as (connection, peer):
        first = asyncio.create_task(connection.recv())
        await settle()
        with pytest.raises(RuntimeError):
            await anext(aiter(connection))
        await peer.send_frame("81")
        await first


# The end


async def test_buffered_messages_are_received_after_the_close(side):
    """
    What came before the close frame can be read after it; then recv() fails,
    every time.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("81", b"one")
        await peer.send_frame("82", b"two")
        await peer.close_with(1000)
        await connection.wait_closed()

        assert ["one", b"two"] == [await connection.recv(), await connection.recv()]
        for _ in range(2):
            with pytest.raises(lib.ConnectionClosedOK):
                await connection.recv()


async def test_data_after_the_close_frame_is_discarded(side):
    """
    A close frame is the last frame (RFC 6455, 5.5.1).
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send(
            peer.frame("81", b"before")
            + peer.frame("88", b"\x03\xe8")
            + peer.frame("81", b"after")
        )

        await peer.answer_close()

        assert "before" == await connection.recv()
        with pytest.raises(lib.ConnectionClosedOK):
            await connection.recv()


async def test_an_incomplete_message_is_lost_with_the_connection(side):
    """
    Fragments of a message that never ended are not delivered.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("01", b"begun")
        peer.close()

        with pytest.raises(lib.ConnectionClosedError):
            await connection.recv()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (1000, "ConnectionClosedOK"),
        (1001, "ConnectionClosedOK"),
        (None, "ConnectionClosedOK"),
        (1002, "ConnectionClosedError"),
        (1011, "ConnectionClosedError"),
        (3456, "ConnectionClosedError"),
        (4999, "ConnectionClosedError"),
    ],
)
async def test_the_close_code_chooses_the_exception(side, code, error):
    """
    1000, 1001 and no code are normal ends; others are errors. The peer's code
    is sent back.
    """
    async with facing_raw_peer(side) as (connection, peer):
        assert (code, "") == await peer.close_with(code)
        with pytest.raises(getattr(lib, error)) as raised:
            await connection.recv()

        assert (code or 1005) == raised.value.rcvd.code
        assert (code or 1005) == raised.value.sent.code
        assert True is raised.value.rcvd_then_sent
        assert None is raised.value.__cause__


async def test_the_exception_tells_both_close_frames(side):
    """
    A close received first is answered by the same; the text tells the order.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.close_with(1001, "bye")
        with pytest.raises(lib.ConnectionClosedOK) as raised:
            await connection.recv()

        assert lib.Close(1001, "bye") == raised.value.rcvd
        assert lib.Close(1001, "bye") == raised.value.sent
        assert (
            "received 1001 (going away) bye; then sent 1001 (going away) bye"
        ) == str(raised.value)


async def test_the_exception_after_our_own_close(side):
    """
    A close of ours, answered by the peer, is told in that order.
    """
    async with facing_raw_peer(side) as (connection, peer):
        receiving = asyncio.create_task(connection.recv())
        closing = asyncio.create_task(connection.close(1000, "done"))
        await peer.answer_close(1001, "yes")
        await closing
        with pytest.raises(lib.ConnectionClosedOK) as raised:
            await receiving

        assert lib.Close(1001, "yes") == raised.value.rcvd
        assert lib.Close(1000, "done") == raised.value.sent
        assert False is raised.value.rcvd_then_sent
        assert "sent 1000 (OK) done; then received 1001 (going away) yes" == str(
            raised.value
        )


async def test_one_abnormal_code_makes_it_an_error(side):
    """
    OK needs normal codes in both directions.
    """
    async with facing_raw_peer(side) as (connection, peer):
        closing = asyncio.create_task(connection.close(1011))
        await peer.answer_close(1000)
        await closing

        with pytest.raises(lib.ConnectionClosedError):
            await connection.recv()


@pytest.mark.parametrize("end", ["close", "reset", "half_close"])
async def test_a_connection_that_breaks_off_is_an_error(side, end):
    """
    The end of TCP without close frames: code 1006, both frames missing.
    """
    async with facing_raw_peer(side) as (connection, peer):
        getattr(peer, end)()
        with pytest.raises(lib.ConnectionClosedError) as raised:
            await connection.recv()

        assert (None, None, None) == (
            raised.value.rcvd,
            raised.value.sent,
            raised.value.rcvd_then_sent,
        )
        assert "no close frame received or sent" == str(raised.value)
        assert 1006 == connection.close_code
        assert "" == connection.close_reason


async def test_the_cause_of_a_reset_is_kept(side):
    """
    The operating system's error is the `__cause__`.
    """
    async with facing_raw_peer(side) as (connection, peer):
        peer.reset()
        with pytest.raises(lib.ConnectionClosedError) as raised:
            await connection.recv()

        assert isinstance(raised.value.__cause__, ConnectionResetError)


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
async def test_code_and_reason_of_the_exception_still_work(side):
    """
    Older programs read `code` and `reason` on the exception.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.close_with(4000, "mine")
        with pytest.raises(lib.ConnectionClosed) as raised:
            await connection.recv()

        assert (4000, "mine") == (raised.value.code, raised.value.reason)


# Iteration


@pytest.mark.parametrize("code", [1000, 1001, None])
async def test_iteration_ends_quietly_at_a_normal_close(side, code):
    """
    `async for` yields what came and stops at 1000, 1001 or no code.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("81", b"one")
        await peer.send_frame("82", b"two")
        await peer.close_with(code)

        assert ["one", b"two"] == [message async for message in connection]


@pytest.mark.parametrize("code", [1002, 1011, 4000])
async def test_iteration_raises_at_an_abnormal_close(side, code):
    """
    `async for` yields what came and raises for any other code.
    """
    messages = []
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("81", b"one")
        await peer.close_with(code)
        with pytest.raises(lib.ConnectionClosedError):
            async for message in connection:
                messages.append(message)

        assert ["one"] == messages


async def test_iteration_raises_when_the_connection_breaks_off(side):
    """
    An end without close frame is an error for `async for`.
    """
    async with facing_raw_peer(side) as (connection, peer):
        peer.close()
        with pytest.raises(lib.ConnectionClosedError):
            async for _ in connection:
                pass


async def test_iteration_over_a_closed_connection_is_empty(side):
    """
    A loop that begins after a normal close does nothing.
    """
    async with linked(side) as (connection, other):
        await other.close()
        await connection.wait_closed()

        assert [] == [message async for message in connection]


async def test_iteration_may_be_left_and_taken_up_again(side):
    """
    `break` loses no message; `recv()` and a new loop continue.
    """
    async with linked(side) as (connection, other):
        for text in ("one", "two", "three"):
            await other.send(text)
        async for message in connection:
            assert "one" == message
            break

        assert "two" == await connection.recv()
        await other.close()
        assert ["three"] == [message async for message in connection]
