"""
The permessage-deflate codec (RFC 7692, section 7.2), on both builds and with
both zlibs.
"""

from __future__ import annotations

import importlib.util
import random
import sys
import zlib

import pytest
from zlib_ng import zlib_ng

from socketeer.exceptions import PayloadTooBig, ProtocolError

TAIL = b"\x00\x00\xff\xff"

# RFC 7692, 7.2.3.1 to 7.2.3.5: "Hello" in its various compressed shapes.
HELLO = bytes.fromhex("f248cdc9c90700")
HELLO_AGAIN = bytes.fromhex("f200110000")
HELLO_STORED = bytes.fromhex("000500faff48656c6c6f00")
HELLO_FINAL = bytes.fromhex("f348cdc9c9070000")
HELLO_IN_TWO_BLOCKS = bytes.fromhex("f248 0500 0000 ffff cac9 c907 00")

SMALLEST_FINAL_BLOCK = bytes.fromhex("0300")


@pytest.fixture(params=[zlib, zlib_ng], ids=["zlib", "zlib-ng"])
def backend(request):
    return request.param


@pytest.fixture
def codec(core, backend, monkeypatch):
    """
    The module, of either build, with either zlib.
    """
    monkeypatch.setattr(core.deflate, "zlib", backend)
    return core.deflate


@pytest.fixture
def deflate(codec):
    """
    An endpoint with context takeover and the largest windows.
    """
    return codec.Deflate(False, False, 15, 15, None)


def compress(data, *, bits=15, sync=zlib.Z_SYNC_FLUSH):
    compressor = zlib.compressobj(wbits=-bits)
    return compressor.compress(data) + compressor.flush(sync)


def inflate_strictly(data, bits):
    """
    Inflate with a window of exactly that size.

    In one call zlib finds distances beyond the window in its own output, so
    it is given room for one byte at a time.
    """
    decompressor = zlib.decompressobj(wbits=-bits)
    output = bytearray()
    while True:
        byte = decompressor.decompress(data, 1)
        data = decompressor.unconsumed_tail
        if not byte:
            return bytes(output)
        output += byte


def repeat_beyond(bits):
    """
    Return data which repeats itself at a distance beyond a window only.
    """
    block = random.Random(bits).randbytes(300)
    filler = random.Random(100 + bits).randbytes(2**bits)
    return block + filler + block


# Receiving


@pytest.mark.parametrize(
    "payload", [HELLO, HELLO_STORED, HELLO_FINAL, HELLO_IN_TWO_BLOCKS]
)
def test_decompresses_the_examples_of_the_rfc(deflate, payload):
    """
    Each example of RFC 7692, 7.2.3, is the message "Hello".
    """
    assert b"Hello" == deflate.decompress(payload, True, -1)


def test_decompresses_a_reference_to_the_message_before(deflate):
    """
    With context takeover, the second "Hello" refers to the first one
    (RFC 7692, 7.2.3.2).
    """
    deflate.decompress(HELLO, True, -1)

    assert b"Hello" == deflate.decompress(HELLO_AGAIN, True, -1)


def test_without_remote_context_takeover_each_message_stands_alone(codec):
    """
    A message cannot refer to the one before it.
    """
    deflate = codec.Deflate(True, False, 15, 15, None)
    deflate.decompress(HELLO, True, -1)

    assert b"Hello" == deflate.decompress(HELLO, True, -1)
    with pytest.raises(ProtocolError, match="^decompression failed$"):
        deflate.decompress(HELLO_AGAIN, True, -1)


def test_fragments_share_one_context_without_context_takeover(codec):
    """
    The context is dropped behind a message, not behind each of its frames.
    """
    deflate = codec.Deflate(True, True, 15, 15, None)
    peer = codec.Deflate(True, True, 15, 15, None)
    data = bytes(range(200))
    payloads = [peer.compress(data, False), peer.compress(data, True)]

    assert len(payloads[1]) < 20
    assert data == deflate.decompress(payloads[0], False, -1)
    assert data == deflate.decompress(payloads[1], True, -1)


@pytest.mark.parametrize("split", range(len(HELLO) + 1))
def test_decompresses_fragments_split_anywhere(deflate, split):
    """
    The frames of a message are split without regard to DEFLATE blocks
    (RFC 7692, 6.2); frames may be empty.
    """
    output = deflate.decompress(HELLO[:split], False, -1)
    output += deflate.decompress(HELLO[split:], True, -1)

    assert b"Hello" == output


@pytest.mark.parametrize("payload", [b"\x00", b"\x02\x00"])
def test_decompresses_an_empty_message(deflate, payload):
    """
    An empty message is one empty block, of any kind (RFC 7692, 7.2.3.6).
    """
    assert b"" == deflate.decompress(payload, True, -1)
    assert b"Hello" == deflate.decompress(HELLO, True, -1)


def test_refuses_what_is_not_deflate(deflate):
    """
    The reason sent to the peer does not quote zlib; the cause does.
    """
    with pytest.raises(ProtocolError, match="^decompression failed$") as raised:
        deflate.decompress(b"\xff\xff\xff", True, -1)

    assert isinstance(raised.value.__cause__, (zlib.error, zlib_ng.error))


def test_bounds_the_output_exactly(codec):
    """
    As many bytes as allowed pass, one more does not.
    """
    payload = compress(bytes(1000))[:-4]

    deflate = codec.Deflate(False, False, 15, 15, None)
    assert 1000 == len(deflate.decompress(payload, True, 1000))
    deflate = codec.Deflate(False, False, 15, 15, None)
    with pytest.raises(PayloadTooBig) as raised:
        deflate.decompress(payload, True, 999)
    assert "frame exceeds limit of 999 bytes" == str(raised.value)


def test_a_limit_of_zero_admits_only_nothing(codec):
    """
    Zero is a limit, though zlib takes it for none.
    """
    deflate = codec.Deflate(False, False, 15, 15, None)

    assert b"" == deflate.decompress(b"\x00", True, 0)
    with pytest.raises(PayloadTooBig):
        deflate.decompress(HELLO, True, 0)


@pytest.mark.parametrize("limit", [2**31, 2**32, sys.maxsize - 1, sys.maxsize])
def test_accepts_limits_of_any_width(deflate, limit):
    """
    The largest size is a limit like others: nothing overflows.
    """
    assert b"Hello" == deflate.decompress(HELLO, True, limit)


def test_a_bomb_does_not_inflate_beyond_the_limit(deflate):
    """
    What a bomb may occupy is bounded by the limit, not by its content.
    """
    bomb = compress(bytes(2**26))[:-4]
    assert len(bomb) < 2**17

    with pytest.raises(PayloadTooBig):
        deflate.decompress(bomb, True, 2**10)


# BFINAL


def test_continues_behind_a_final_block(deflate):
    """
    After a message which ended its stream (RFC 7692, 7.2.3.4), further
    messages of both kinds follow.
    """
    for payload in (HELLO_FINAL, HELLO, HELLO_AGAIN, HELLO_FINAL, HELLO):
        assert b"Hello" == deflate.decompress(payload, True, -1)


def test_a_final_block_without_its_empty_block_is_understood(deflate):
    """
    A peer that forgets the octet of RFC 7692, 7.2.3.4, harms nobody.
    """
    for payload in (HELLO_FINAL[:-1], HELLO_FINAL[:-1], HELLO):
        assert b"Hello" == deflate.decompress(payload, True, -1)


@pytest.mark.parametrize("split", range(2 * len(HELLO_FINAL) + 1))
def test_a_message_has_several_final_blocks_in_several_frames(deflate, split):
    """
    Blocks with BFINAL may stand anywhere in a message (RFC 7692, 7.2.1),
    whichever way it is fragmented.
    """
    payload = HELLO_FINAL[:-1] + HELLO_FINAL[:-1] + HELLO
    output = deflate.decompress(payload[:split], False, -1)
    output += deflate.decompress(payload[split:], True, -1)

    assert b"HelloHelloHello" == output
    assert b"Hello" == deflate.decompress(HELLO_AGAIN, True, -1)


def test_bounds_the_output_of_all_blocks_together(codec):
    """
    The limit is for the payload, not for each stream in it.
    """
    data = random.Random(1).randbytes(3000)
    payload = compress(data, sync=zlib.Z_FINISH) * 3

    deflate = codec.Deflate(False, False, 15, 15, None)
    assert data * 3 == deflate.decompress(payload, True, 9000)
    for limit in (2999, 3000, 5999, 8999):
        deflate = codec.Deflate(False, False, 15, 15, None)
        with pytest.raises(PayloadTooBig):
            deflate.decompress(payload, True, limit)


def test_limits_the_number_of_final_blocks(deflate):
    """
    A payload made of final blocks only is an attack: each of them costs a new
    decompressor.
    """
    deflate.decompress(SMALLEST_FINAL_BLOCK * 200, True, -1)

    with pytest.raises(ProtocolError, match="^decompression failed$"):
        deflate.decompress(SMALLEST_FINAL_BLOCK * 2**20, True, -1)


def test_refuses_garbage_behind_a_final_block(deflate):
    """
    What follows a final block must be DEFLATE as well.
    """
    with pytest.raises(ProtocolError, match="^decompression failed$"):
        deflate.decompress(HELLO_FINAL[:-1] + b"\xff\xff", True, -1)


# Sending


def test_compresses_the_examples_of_the_rfc(codec):
    """
    The RFC's bytes come from zlib, and so do ours (RFC 7692, 7.2.3.1 and 2).
    """
    codec.zlib = zlib
    deflate = codec.Deflate(False, False, 15, 15, None)

    assert HELLO == deflate.compress(b"Hello", True)
    assert HELLO_AGAIN == deflate.compress(b"Hello", True)


def test_without_local_context_takeover_each_message_starts_anew(codec):
    """
    Equal messages have equal payloads, whatever precedes them.
    """
    deflate = codec.Deflate(False, True, 15, 15, None)
    first = deflate.compress(b"Hello", True)

    assert first == deflate.compress(b"Hello", True)
    assert b"Hello" == zlib.decompress(first + TAIL + SMALLEST_FINAL_BLOCK, -15)


def test_empty_messages_and_fragments_are_empty_blocks(deflate):
    """
    An empty payload with RSV1 set would be no DEFLATE stream; a message ends
    without its tail, and all other frames are flushed (RFC 7692, 7.2.1).
    """
    assert b"\x00" == deflate.compress(b"", True)
    assert b"\x00" + TAIL == deflate.compress(b"", False)
    assert deflate.compress(b"abc", False).endswith(TAIL)
    assert b"\x00" == deflate.compress(b"", True)


def test_every_frame_can_be_decompressed_when_it_arrives(codec, deflate):
    """
    Fragments are flushed, so that streaming means streaming.
    """
    peer = codec.Deflate(False, False, 15, 15, None)
    fragments = [b"Hello", b"", b"Hello", b"a" * 70_000, b""]
    for data in fragments:
        assert data == peer.decompress(deflate.compress(data, False), False, -1)

    assert b"" == peer.decompress(deflate.compress(b"", True), True, -1)


@pytest.mark.parametrize("bits", range(9, 16))
def test_the_compressor_keeps_within_its_window(codec, bits):
    """
    No distance reaches beyond the window agreed on, over several messages.
    """
    deflate = codec.Deflate(False, False, 15, bits, None)
    data = repeat_beyond(bits)
    payload = deflate.compress(data, False) + deflate.compress(data, False)

    assert data + data == inflate_strictly(payload, bits)


@pytest.mark.parametrize("bits", range(9, 15))
def test_the_strict_inflater_notices_a_larger_window(bits):
    """
    Self-test: a stream with a larger window does not pass for a smaller one.
    """
    data = repeat_beyond(bits)

    with pytest.raises(zlib.error, match="invalid distance too far back"):
        inflate_strictly(compress(data, bits=15), bits)


@pytest.mark.parametrize("bits", range(9, 16))
def test_the_decompressor_honours_the_peers_window(codec, bits):
    """
    Whatever a peer compresses with its window is read, message by message.
    """
    deflate = codec.Deflate(False, False, bits, 15, None)
    compressor = zlib.compressobj(wbits=-bits)
    data = repeat_beyond(bits)
    for _ in range(3):
        payload = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
        assert data == deflate.decompress(payload[:-4], True, -1)


def test_a_peer_that_uses_9_bits_for_8_is_understood(codec):
    """
    Older zlibs compress with 9 bits when they are asked for 8.
    """
    data = random.Random(8).randbytes(300)
    compressor = zlib.compressobj(wbits=-9)
    deflate = codec.Deflate(False, False, 8, 15, None)
    messages = [data[:220], data[220:], data[:60]]
    payloads = []
    for message in messages:
        payload = compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH)
        payloads.append(payload[:-4])

    assert messages == [deflate.decompress(each, True, -1) for each in payloads]


@pytest.mark.parametrize(("remote", "local"), [(7, 15), (16, 15), (15, 8), (15, 16)])
def test_refuses_windows_that_zlib_cannot_do(codec, remote, local):
    """
    8 bits are for decompressing only: zlib does not compress with them.
    """
    with pytest.raises(ValueError, match="_max_window_bits must be between"):
        codec.Deflate(False, False, remote, local, None)


def test_compress_settings_reach_zlib(codec):
    """
    Level 0 stores instead of compressing.
    """
    data = bytes(100)
    settings = {"level": 0}
    deflate = codec.Deflate(False, False, 15, 15, settings)

    assert data in deflate.compress(data, True)
    assert data in codec.compress_once(data, 15, settings)
    assert data not in codec.compress_once(data, 15, None)


# Sharing


def test_a_message_compressed_once_fits_any_connection(codec, deflate):
    """
    It decompresses with the same window, whatever preceded it, and after the
    reset so does what follows.
    """
    peer = codec.Deflate(False, False, 12, 15, None)
    deflate = codec.Deflate(False, False, 15, 12, None)
    data = random.Random(0).randbytes(1000)
    shared = codec.compress_once(data[500:] + data[:500], 12, {"memLevel": 5})

    assert data == peer.decompress(deflate.compress(data, True), True, -1)
    assert data[500:] + data[:500] == peer.decompress(shared, True, -1)
    deflate.reset_compressor()
    assert data == peer.decompress(deflate.compress(data, True), True, -1)


def test_without_the_reset_the_next_message_would_be_corrupt(codec):
    """
    Self-test of the claim that the reset is needed.
    """
    peer = codec.Deflate(False, False, 15, 15, None)
    deflate = codec.Deflate(False, False, 15, 15, None)
    data = random.Random(0).randbytes(1000)
    peer.decompress(deflate.compress(data, True), True, -1)
    peer.decompress(codec.compress_once(bytes(range(250)), 15, None), True, -1)

    assert peer.decompress(deflate.compress(data, True), True, -1) != data


def test_an_empty_message_compressed_once_is_an_empty_block(codec):
    """
    As for a message of the connection's own (RFC 7692, 7.2.3.6).
    """
    assert b"\x00" == codec.compress_once(b"", 15, None)


@pytest.mark.parametrize("bits", range(9, 16))
def test_a_message_compressed_once_keeps_within_its_window(codec, bits):
    """
    No distance reaches beyond the window asked for.
    """
    data = repeat_beyond(bits)

    assert data == inflate_strictly(codec.compress_once(data, bits, None) + TAIL, bits)


def test_contexts_are_made_at_first_use(deflate):
    """
    A connection that transfers nothing compressed holds no zlib objects.
    """
    seen = (deflate._compressor, deflate._decompressor)
    deflate.compress(b"", True)

    assert seen == (None, None) == (deflate._compressor, deflate._decompressor)


def test_one_for_another_connection_has_no_contexts(codec):
    """
    It compresses and decompresses as was agreed, and refers to nothing.
    """
    deflate = codec.Deflate(True, False, 8, 9, {"level": 9})
    first = deflate.compress(b"Hello", True)
    deflate.decompress(HELLO, True, -1)

    other = deflate.for_another()

    assert first == other.compress(b"Hello", True)
    with pytest.raises(ProtocolError):
        other.decompress(HELLO_AGAIN, True, -1)
    assert (True, False, 8, 9, {"level": 9}) == (
        other.remote_no_context_takeover,
        other.local_no_context_takeover,
        other.remote_max_window_bits,
        other.local_max_window_bits,
        other.compress_settings,
    )


# Both directions


def fresh_module():
    """
    Import the portable module once more.
    """
    spec = importlib.util.find_spec("socketeer._core.deflate")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_does_without_zlib_ng(monkeypatch):
    """
    zlib-ng is optional.
    """
    monkeypatch.setitem(sys.modules, "zlib_ng", None)
    module = fresh_module()

    assert zlib is module.zlib
    assert HELLO == module.compress_once(b"Hello", 15, None)


@pytest.mark.parametrize(
    ("wanted", "library"), [("", zlib_ng), ("zlib", zlib), ("zlib-ng", zlib_ng)]
)
def test_the_library_is_a_choice(monkeypatch, wanted, library):
    """
    SOCKETEER_ZLIB chooses; zlib-ng is the default if it is there.
    """
    monkeypatch.setenv("SOCKETEER_ZLIB", wanted)
    module = fresh_module()

    assert library is module.zlib
    assert HELLO == module.compress_once(b"Hello", 15, None)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("igzip", "SOCKETEER_ZLIB=igzip: expected zlib or zlib-ng"),
        ("zlib-ng", "SOCKETEER_ZLIB=zlib-ng: .*zlib_ng"),
    ],
)
def test_a_library_that_is_not_there_is_refused(monkeypatch, wanted, message):
    """
    What was chosen is used, or importing fails and says why.
    """
    monkeypatch.setenv("SOCKETEER_ZLIB", wanted)
    monkeypatch.setitem(sys.modules, "zlib_ng", None)

    with pytest.raises(ImportError, match=message):
        fresh_module()


def test_random_messages_survive_in_random_fragments(codec, backend):
    """
    Any sequence of messages, fragmented anyhow, arrives as it was sent, with
    every combination of context takeover.
    """
    source = random.Random(7692)
    for takeover in (0b00, 0b01, 0b10, 0b11):
        remote, local = bool(takeover & 1), bool(takeover & 2)
        bits = source.randint(9, 15)
        sender = codec.Deflate(remote, local, 15, bits, None)
        receiver = codec.Deflate(local, remote, bits, 15, None)
        words = [source.randbytes(source.randint(0, 40)) for _ in range(20)]
        for _ in range(50):
            count = source.randint(1, 4)
            for index in range(count):
                data = b"".join(source.choices(words, k=source.randint(0, 60)))
                fin = index == count - 1
                payload = sender.compress(data, fin)
                assert data == receiver.decompress(payload, fin, len(data))
