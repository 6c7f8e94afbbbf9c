"""
Input that is kept while an endpoint is halted, at both ends and on both builds.
"""

from __future__ import annotations

import pytest

from .ends import (
    BINARY,
    CLOSE,
    OPEN,
    PING,
    PONG,
    TEXT,
    TEXT_BEGUN,
    close_payload,
    feed,
    frame,
    recorder,
    split,
)


def halting(end):
    """
    Return an endpoint that halts behind each data frame.
    """

    class Halting(recorder(end.core)):
        def receive_payload(self, head, opcode, payload):
            self.halted = True
            return super().receive_payload(head, opcode, payload)

    return end.endpoint(kind=Halting)


def go_on(endpoint):
    endpoint.halted = False
    endpoint.resume()


def test_input_is_kept_and_parsed_later(end):
    """
    Nothing is lost, one halt after the other.
    """
    endpoint = halting(end)
    frames = [end.peer(TEXT, b"%d" % i) for i in range(5)]
    feed(endpoint, b"".join(frames[:3]), frames[3], frames[4])
    assert [(TEXT, 1, b"0")] == endpoint.seen
    assert sum(map(len, frames[1:])) == endpoint.kept_size()

    for count in range(2, 6):
        go_on(endpoint)
        assert count == len(endpoint.seen)

    assert [b"0", b"1", b"2", b"3", b"4"] == [payload for *_, payload in endpoint.seen]
    assert 0 == endpoint.kept_size()


def test_nothing_is_kept_when_all_was_parsed(end):
    """
    An endpoint without unparsed input owns no buffer, halted or not.
    """
    endpoint = halting(end)
    feed(endpoint, end.peer(TEXT, b"a"))
    assert 0 == endpoint.kept_size()

    go_on(endpoint)

    assert 0 == endpoint.kept_size()
    assert [(TEXT, 1, b"a")] == endpoint.seen


def test_nothing_is_kept_when_the_read_that_halts_ends_with_the_frame(end):
    """
    Even if the frame's header came in two reads.
    """
    endpoint = halting(end)
    data = end.peer(TEXT, b"a")
    feed(endpoint, data[:1], data[1:])

    assert (True, 0) == (endpoint.halted, endpoint.kept_size())


def test_pings_are_answered_once_while_halted(end):
    """
    As far as they were read, behind complete frames; not again when their turn
    comes.
    """
    endpoint = halting(end)
    feed(endpoint, end.peer(TEXT, b"a"))
    feed(endpoint, end.peer(PING, b"1") + end.peer(TEXT, b"b") + end.peer(PING, b"2"))
    assert end.own(PONG, b"1") + end.own(PONG, b"2") == endpoint.data_to_send()
    feed(endpoint, end.peer(PING, b"3") + end.peer(PONG, b"4"))
    assert end.own(PONG, b"3") == endpoint.data_to_send()
    assert [(9, b"1"), (9, b"2"), (9, b"3"), (10, b"4")] == endpoint.seen[1:]

    go_on(endpoint)
    go_on(endpoint)

    assert b"" == endpoint.data_to_send()
    assert [(TEXT, 1, b"b")] == endpoint.seen[5:]
    assert 0 == endpoint.kept_size()


def test_pings_are_answered_in_the_read_that_halts(end):
    """
    The rest of that read is searched at once.
    """
    endpoint = halting(end)
    feed(endpoint, end.peer(TEXT, b"a") + end.peer(PING, b"1"))

    assert end.own(PONG, b"1") == endpoint.data_to_send()


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_pings_are_found_behind_frames_of_any_size(end, size):
    """
    All forms of lengths are stepped over, byte by byte as they arrive.
    """
    endpoint = halting(end)
    data = end.peer(BINARY, bytes(size)) + end.peer(PING, b"1")
    feed(endpoint, end.peer(TEXT, b"a"))
    cuts = range(1, min(20, len(data) - 3))
    feed(endpoint, *split(data, *cuts, len(data) - 3))

    assert end.own(PONG, b"1") == endpoint.data_to_send()


def test_a_ping_split_over_reads_is_answered_when_complete(end):
    """
    Half a ping is none.
    """
    endpoint = halting(end)
    ping = end.peer(PING, b"12345")
    for position in range(1, len(ping)):
        feed(endpoint, end.peer(TEXT, b"a"), ping[:position])
        assert b"" == endpoint.data_to_send()
        feed(endpoint, ping[position:])
        assert end.own(PONG, b"12345") == endpoint.data_to_send()
        while endpoint.kept_size():
            go_on(endpoint)
        endpoint.halted = False

    assert b"" == endpoint.data_to_send()


def test_pings_answered_before_a_partial_resume_stay_answered(end):
    """
    Wherever the kept input is cut, each ping has one pong.
    """
    for count in range(1, 8):
        endpoint = halting(end)
        feed(endpoint, end.peer(TEXT, b"first"))
        for i in range(count):
            feed(endpoint, end.peer(TEXT, bytes(10 * i)) + end.peer(PING, b"%d" % i))
            go_on(endpoint)
        feed(endpoint, end.peer(TEXT, b"last") + end.peer(PING, b"last"))
        while endpoint.kept_size():
            go_on(endpoint)

        pongs = [end.own(PONG, b"%d" % i) for i in range(count)]
        assert b"".join(pongs) + end.own(PONG, b"last") == endpoint.data_to_send()


def test_halted_in_the_middle_of_a_payload(end):
    """
    Pings behind the rest of the payload are found, those inside it are not pings.
    """
    endpoint = end.endpoint()
    inside = end.peer(PING, b"no")
    data = end.peer(BINARY, inside * 3)
    feed(endpoint, data[:-15])
    endpoint.halted = True
    feed(endpoint, data[-15:-10], data[-10:-5], data[-5:] + end.peer(PING, b"1"))
    assert end.own(PONG, b"1") == endpoint.data_to_send()

    go_on(endpoint)

    assert [(9, b"1"), (BINARY, 2, inside * 3)] == endpoint.seen
    assert b"" == endpoint.data_to_send()


def test_a_close_frame_waits_for_its_turn(end):
    """
    It ends what came before it, and pings behind it count no more.
    """
    endpoint = halting(end)
    close = end.peer(CLOSE, close_payload(1000))
    feed(endpoint, end.peer(TEXT, b"a") + end.peer(TEXT, b"b"))
    feed(endpoint, close + end.peer(PING, b"late"))
    assert (OPEN, b"") == (endpoint.state, endpoint.data_to_send())

    go_on(endpoint)
    go_on(endpoint)

    assert end.own_close(1000) == endpoint.data_to_send()
    assert [(TEXT, 1, b"b"), (8, close_payload(1000))] == endpoint.seen[1:]


def violations(end):
    """
    Make frames that are wrong, and the reason why.
    """
    mask = not end.is_client
    return [
        (frame(PING, b"no", mask=not mask), "incorrect masking"),
        (end.peer(PING | 0x40, b"no"), "reserved bits must be 0"),
        (end.peer(PING & 0x0F, b"no"), "fragmented control frame"),
        (end.peer(PONG & 0x0F, b"no"), "fragmented control frame"),
        (end.peer(PING, bytes(126)), "control frame too long"),
        (end.peer(0x8B, close_payload(1000)), "invalid opcode"),
        (end.peer(0x8B, b"\x03"), "invalid opcode"),
        (end.peer(0x8F, b""), "invalid opcode"),
        (
            bytes([BINARY, 0x7F | mask << 7, 0x80]) + bytes(11),
            "payload length has its most significant bit set",
        ),
    ]


@pytest.mark.parametrize("number", range(9))
def test_a_violation_waits_for_its_turn(end, number):
    """
    In kept input nothing is answered from it on; it fails the connection once
    what came before was parsed, and is never raised.
    """
    data, reason = violations(end)[number]
    endpoint = halting(end)
    feed(endpoint, end.peer(TEXT, b"a"))
    feed(endpoint, end.peer(TEXT, b"b") + data + end.peer(PING, b"late"))
    assert (OPEN, b"") == (endpoint.state, endpoint.data_to_send())
    assert [(TEXT, 1, b"a")] == endpoint.seen

    go_on(endpoint)
    go_on(endpoint)

    assert [(TEXT, 1, b"a"), (TEXT, 1, b"b")] == endpoint.seen
    assert end.own_close(1002, reason.encode()) == endpoint.data_to_send()


@pytest.mark.parametrize("length", [2**31, 2**32, 2**62, 2**63 - 1])
def test_the_search_ends_at_a_frame_of_any_size(end, length):
    """
    No length wraps around to an earlier place.
    """
    endpoint = halting(end)
    second = 0x7F if end.is_client else 0xFF
    header = bytes([BINARY, second]) + length.to_bytes(8, "big")
    feed(endpoint, end.peer(TEXT, b"a") + header + bytes(4) + end.peer(PING, b"no"))

    assert b"" == endpoint.data_to_send()


def test_failing_forgets_what_was_kept(end):
    """
    After a failure, kept input means nothing; going on has no effect.
    """
    endpoint = halting(end)
    feed(endpoint, end.peer(TEXT, b"a") + end.peer(TEXT, b"b"))
    endpoint.fail(1011)
    go_on(endpoint)

    assert 0 == endpoint.kept_size()
    assert [(TEXT, 1, b"a")] == endpoint.seen


def test_a_small_rest_does_not_hold_a_large_buffer(end):
    """
    Whether the parsed part is dropped or not, the rest is the rest.
    """
    endpoint = halting(end)
    frames = [end.peer(TEXT_BEGUN, bytes(100)), end.peer(0, bytes(5))] * 2
    frames[2] = end.peer(0, bytes(1000))
    feed(endpoint, *frames)
    left = sum(map(len, frames))
    for data in frames:
        left -= len(data)
        assert left == endpoint.kept_size()
        go_on(endpoint)

    assert [100, 5, 1000, 5] == [len(payload) for *_, payload in endpoint.seen]
