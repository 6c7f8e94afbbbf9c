"""
Masking keys on the wire (RFC 6455, 5.3 and 10.3).
"""

from __future__ import annotations

import os

import pytest

from tests.asyncio.harness import facing_raw_peer
from tests.asyncio.raw import mask

pytestmark = pytest.mark.anyio


async def read_frames(peer, count):
    """
    Return the next frames.
    """
    return [await peer.read_frame() for _ in range(count)]


async def test_a_server_masks_nothing():
    """
    No frame from the server to the client is masked.
    """
    async with facing_raw_peer("server") as (connection, peer):
        await connection.send("text")
        await connection.send([b"fragment"])
        await connection.ping()
        await connection.pong()
        frames = await read_frames(peer, 5)

        assert [None] * 5 == [frame.masking_key for frame in frames]


async def test_a_client_masks_everything():
    """
    Every frame from the client is masked: data, fragments, control frames,
    also empty ones.
    """
    async with facing_raw_peer("client") as (connection, peer):
        await connection.send("")
        await connection.send([b"fragment"])
        await connection.ping()
        await connection.pong()
        frames = await read_frames(peer, 5)
        await peer.send_close(1000)
        frames += await read_frames(peer, 1)

        assert [0x81, 0x02, 0x80, 0x89, 0x8A, 0x88] == [frame.head for frame in frames]
        assert all(frame.masking_key is not None for frame in frames)


async def test_masking_keys_are_fresh():
    """
    "A fresh masking key" for each frame, "derived from a strong source of
    entropy": equal messages look different, and no key comes twice.
    """
    async with facing_raw_peer("client") as (connection, peer):
        for _ in range(500):
            await connection.send(b"the same message")
        frames = await read_frames(peer, 500)
        keys = [frame.masking_key for frame in frames]

        assert {b"the same message"} == {frame.payload for frame in frames}
        # Two equal keys in 500 happen once in 34,000 runs.
        assert len(set(keys)) >= 499
        assert len({key[0] for key in keys}) > 1


async def test_masking_keys_differ_between_connections():
    """
    Connections do not repeat each other's keys.
    """
    keys = set()
    for _ in range(10):
        async with facing_raw_peer("client") as (connection, peer):
            await connection.send(b"x")
            keys.add((await peer.read_frame()).masking_key)

    assert 10 == len(keys)


@pytest.mark.parametrize("size", [*range(1, 20), 63, 64, 65, 1000, 65_537])
async def test_payloads_are_masked_byte_by_byte(size):
    """
    Masking undoes itself for any length and any key.
    """
    payload = os.urandom(size)
    async with facing_raw_peer("client") as (connection, peer):
        await connection.send(payload)

        assert payload == (await peer.read_frame()).payload


@pytest.mark.parametrize("key", ["00000000", "ffffffff", "01020304", "80000001"])
@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 125, 126, 5000])
async def test_a_server_unmasks_with_any_key(key, size):
    """
    Also a key of zeros is a key.
    """
    payload = os.urandom(size)
    async with facing_raw_peer("server") as (connection, peer):
        frame = peer.frame("82", payload)
        header_size = len(frame) - size - 4
        masked = mask(payload, bytes.fromhex(key))
        await peer.send(frame[:header_size] + bytes.fromhex(key) + masked)

        assert payload == await connection.recv()


async def test_masked_payloads_split_at_every_byte():
    """
    The position in the key goes on from read to read.
    """
    async with facing_raw_peer("server") as (connection, peer):
        for opcode in ("81", "82"):
            frame = peer.frame(opcode, b"0123456789" * 2)
            for at in range(1, len(frame)):
                await peer.send_split(frame, at)

                assert b"0123456789" * 2 == await connection.recv(decode=False)


async def test_the_argument_is_left_alone():
    """
    Masking does not change a buffer of the caller's.
    """
    data = bytearray(b"0123456789" * 100)
    async with facing_raw_peer("client") as (connection, peer):
        await connection.send(data)
        await connection.send(memoryview(data))
        frames = await read_frames(peer, 2)

        assert b"0123456789" * 100 == data
        assert [bytes(data)] * 2 == [frame.payload for frame in frames]
