"""
max_size and the number of fragments: what is refused, and when.
"""

from __future__ import annotations

import asyncio
import zlib

import pytest

from tests.asyncio.harness import both_sides, facing_raw_peer, linked
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, both_sides]

DEFLATE = (("Sec-WebSocket-Extensions", "permessage-deflate"),)


def deflate(payload):
    """
    Return the payload of a compressed message (RFC 7692, 7.2.1).
    """
    compressor = zlib.compressobj(wbits=-15)
    data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return data.removesuffix(b"\x00\x00\xff\xff")


async def check_failure(connection, peer, reason):
    """
    Check the close frame and what a receiver is told.
    """
    receiving = asyncio.create_task(connection.recv())
    assert (1009, reason) == await peer.answer_close()
    with pytest.raises(lib.ConnectionClosedError) as raised:
        await receiving
    assert lib.Close(1009, reason) == raised.value.sent
    return raised.value.__cause__


@pytest.mark.parametrize("max_size", [1000, (1000, None), (None, 1000), (2000, 1000)])
async def test_a_frame_is_refused_by_its_header(side, max_size):
    """
    Nothing of the payload is waited for.
    """
    async with facing_raw_peer(side, max_size=max_size) as (connection, peer):
        await peer.send_frame("82 7e 03e9")
        cause = await check_failure(
            connection, peer, "frame with 1001 bytes exceeds limit of 1000 bytes"
        )

        assert isinstance(cause, lib.PayloadTooBig)
        assert (1001, 1000, None) == (cause.size, cause.max_size, cause.current_size)


@pytest.mark.parametrize("max_size", [1000, (1000, None), (None, 1000), (2000, 1000)])
async def test_the_limit_itself_is_allowed(side, max_size):
    """
    `max_size` is the largest size accepted.
    """
    async with facing_raw_peer(side, max_size=max_size) as (connection, peer):
        await peer.send_frame("82", b"x" * 1000)

        assert b"x" * 1000 == await connection.recv()


async def test_fragments_are_added_up(side):
    """
    The fragment that exceeds the limit is refused by its header.
    """
    async with facing_raw_peer(side, max_size=1000) as (connection, peer):
        await peer.send_frame("02", b"x" * 500)
        await peer.send_frame("00", b"x" * 400)
        await peer.send_frame("80 7e 00c8")
        cause = await check_failure(
            connection,
            peer,
            "frame with 200 bytes after reading 900 bytes exceeds limit of 1000 bytes",
        )

        assert (200, 1000, 900) == (cause.size, cause.max_size, cause.current_size)


async def test_the_sum_starts_anew_with_each_message(side):
    """
    Messages before do not count, control frames neither.
    """
    async with facing_raw_peer(side, max_size=1000) as (connection, peer):
        for _ in range(3):
            await peer.send_frame("02", b"x" * 500)
            await peer.send_frame("89", b"y" * 125)
            await peer.send_frame("80", b"x" * 500)

            assert b"x" * 1000 == await connection.recv()


async def test_a_limit_for_fragments_alone(side):
    """
    `(None, fragment)` bounds frames and lets messages grow.
    """
    async with facing_raw_peer(side, max_size=(None, 1000)) as (connection, peer):
        for head in ("02", "00", "80"):
            await peer.send_frame(head, b"x" * 1000)

        assert b"x" * 3000 == await connection.recv()


async def test_both_limits(side):
    """
    `(message, fragment)`: the sum is bounded by the first.
    """
    async with facing_raw_peer(side, max_size=(1500, 1000)) as (connection, peer):
        await peer.send_frame("02", b"x" * 1000)
        await peer.send_frame("80 7e 01f5")
        await check_failure(
            connection,
            peer,
            "frame with 501 bytes after reading 1000 bytes exceeds limit of 1500 bytes",
        )


async def test_no_limit(side):
    """
    `max_size=None` accepts what fits into memory.
    """
    size = 3 * 2**20
    async with facing_raw_peer(side, max_size=None) as (connection, peer):
        sending = asyncio.create_task(peer.send_frame("82", bytes(size)))

        assert size == len(await connection.recv())
        await sending


async def test_the_default_limit_is_a_mebibyte(side):
    """
    2**20 bytes are accepted, one more is not.
    """
    async with facing_raw_peer(side) as (connection, peer):
        sending = asyncio.create_task(peer.send_frame("82", bytes(2**20)))
        assert 2**20 == len(await connection.recv())
        await sending
        await peer.send_frame("82 7f 0000000000100001")

        await check_failure(
            connection,
            peer,
            "frame with 1048577 bytes exceeds limit of 1048576 bytes",
        )


async def test_the_largest_length(side):
    """
    2**63 - 1 bytes are too many, and no reason to run out of memory.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("82 7f 7fffffffffffffff")

        await check_failure(
            connection,
            peer,
            "frame with 9223372036854775807 bytes exceeds limit of 1048576 bytes",
        )


@pytest.mark.parametrize("received", [1, 1000])
async def test_lengths_that_add_up_to_a_negative_number(side, received):
    """
    A sum beyond 2**63 - 1 does not wrap.
    """
    async with facing_raw_peer(side, max_size=2**62) as (connection, peer):
        await peer.send_frame("02", b"x" * received)
        await peer.send_frame("80 7f 7fffffffffffffff")

        await check_failure(
            connection,
            peer,
            f"frame with {2**63 - 1} bytes after reading {received} bytes "
            f"exceeds limit of {2**62} bytes",
        )


# Compressed


async def test_a_compressed_message_is_bounded_before_inflating(side):
    """
    The frame itself must not be larger than the limit.
    """
    options = {"compression": "deflate", "max_size": 1000}
    async with facing_raw_peer(side, headers=DEFLATE, **options) as (connection, peer):
        await peer.send_frame("c2 7e 03e9")

        await check_failure(
            connection, peer, "frame with 1001 bytes exceeds limit of 1000 bytes"
        )


async def test_a_compressed_message_is_bounded_after_inflating(side):
    """
    A small frame that inflates to more than the limit is refused.
    """
    options = {"compression": "deflate", "max_size": 1000}
    async with facing_raw_peer(side, headers=DEFLATE, **options) as (connection, peer):
        await peer.send_frame("c2", deflate(bytes(1001)))

        await check_failure(connection, peer, "frame exceeds limit of 1000 bytes")


async def test_the_limit_itself_is_allowed_after_inflating(side):
    """
    A message of exactly `max_size` bytes is accepted.
    """
    options = {"compression": "deflate", "max_size": 1000}
    async with facing_raw_peer(side, headers=DEFLATE, **options) as (connection, peer):
        await peer.send_frame("c2", deflate(bytes(1000)))

        assert bytes(1000) == await connection.recv()


@pytest.mark.parametrize("size", [2**20 + 1, 2**24])
async def test_a_deflate_bomb(side, size):
    """
    The default limit holds for what a message inflates to.
    """
    async with facing_raw_peer(side, headers=DEFLATE, compression="deflate") as (
        connection,
        peer,
    ):
        await peer.send_frame("c2", deflate(bytes(size)))

        await check_failure(connection, peer, "frame exceeds limit of 1048576 bytes")


async def test_data_that_is_not_deflate(side):
    """
    Garbage where deflate was agreed on: 1002.
    """
    async with facing_raw_peer(side, headers=DEFLATE, compression="deflate") as (
        connection,
        peer,
    ):
        await peer.send_frame("c1", b"\xff\xff\xff")
        receiving = asyncio.create_task(connection.recv())
        assert (1002, "decompression failed") == await peer.answer_close()
        with pytest.raises(lib.ConnectionClosedError):
            await receiving


async def test_a_compressed_continuation(side):
    """
    RSV1 belongs to the first frame of a message (RFC 7692, 6).
    """
    async with facing_raw_peer(side, headers=DEFLATE, compression="deflate") as (
        connection,
        peer,
    ):
        await peer.send_frame("41", deflate(b"a"))
        await peer.send_frame("c0", deflate(b"b"))
        receiving = asyncio.create_task(connection.recv())
        reason = "RSV1 bit set in continuation frame"
        assert (1002, reason) == await peer.answer_close()
        with pytest.raises(lib.ConnectionClosedError):
            await receiving


async def test_a_compressed_control_frame(side):
    """
    Control frames are never compressed (RFC 7692, 6.1).
    """
    async with facing_raw_peer(side, headers=DEFLATE, compression="deflate") as (
        _,
        peer,
    ):
        await peer.send_frame("c9", b"")

        assert (1002, "reserved bits must be 0") == await peer.answer_close()


# Fragments


async def test_a_message_of_4096_frames(side):
    """
    As many fragments are joined.
    """
    async with facing_raw_peer(side) as (connection, peer):
        frames = [peer.frame("02", b"a"), *[peer.frame("00", b"b")] * 4094]
        data = b"".join([*frames, peer.frame("80", b"c")])
        sending = asyncio.create_task(peer.send(data))

        assert 4096 == len(await connection.recv())
        await sending


async def test_a_message_of_too_many_frames(side):
    """
    `recv()` refuses to join more, with 1009.
    """
    async with facing_raw_peer(side) as (connection, peer):
        frames = [peer.frame("02", b"a"), *[peer.frame("00", b"b")] * 4096]
        sending = asyncio.create_task(peer.send(b"".join(frames)))
        cause = await check_failure(connection, peer, "too many fragments")
        await asyncio.wait([sending])
        sending.exception()

        assert isinstance(cause, lib.TooManyFragments)
        assert "fragmented message exceeds limit of 4096 frames" == str(cause)


async def test_the_sender_has_no_limit(side):
    """
    `max_size` and the number of fragments concern what is received.
    """
    peer_options = {"max_size": None}
    async with linked(side, max_size=10, peer_options=peer_options) as (
        connection,
        other,
    ):
        await connection.send(b"x" * 5000)

        assert 5000 == len(await other.recv())


async def test_the_rest_of_a_refused_message_does_not_matter(side):
    """
    The peer may go on sending it; it gets the close frame nevertheless.
    """
    async with facing_raw_peer(side, max_size=1000) as (_, peer):
        await peer.send_frame("82", b"x" * 100_000)

        assert (
            1009,
            "frame with 100000 bytes exceeds limit of 1000 bytes",
        ) == await peer.answer_close()
