"""
Messages on their way in: the queue, fragments, UTF-8 and failures that wait,
at both ends and on both builds.
"""

from __future__ import annotations

import pytest

from socketeer.exceptions import ProtocolError, TooManyFragments

from .ends import (
    BINARY,
    BINARY_BEGUN,
    CLOSE,
    CLOSING,
    CONTINUATION,
    CONTINUED,
    OPEN,
    PING,
    PONG,
    TEXT,
    TEXT_BEGUN,
    close_payload,
    feed,
)
from .session import LETTERS, failed_with_utf8, take_all


def parts(fragment):
    return fragment and (fragment.opcode, fragment.payload, fragment.fin)


# Taking


def test_messages_are_taken_in_order(end):
    """
    Text as str, binary as bytes; without any there is None.
    """
    session = end.session()
    assert (None, False) == (session.take_message(None), session.has_items())
    data = [end.peer(TEXT, LETTERS), end.peer(BINARY, b"\xff"), end.peer(TEXT)]
    feed(session, b"".join(data))

    assert ["aé€😀", b"\xff", ""] == take_all(session)
    assert session.take_message(None) is None


@pytest.mark.parametrize("heads", [(TEXT,), (TEXT_BEGUN, CONTINUATION)])
def test_text_may_be_taken_undecoded(end, heads):
    """
    ``decode`` says which type it is to be, whole or fragmented.
    """
    for decode, expected in [(None, "aé€😀"), (True, "aé€😀"), (False, LETTERS)]:
        session = end.session()
        size = len(LETTERS) // len(heads)
        for i, head in enumerate(heads):
            feed(session, end.peer(head, LETTERS[i * size : (i + 1) * size]))
        assert expected == session.take_message(decode)


@pytest.mark.parametrize("heads", [(BINARY,), (BINARY_BEGUN, CONTINUATION)])
def test_binary_may_be_taken_decoded(end, heads):
    """
    What is not UTF-8 is lost; the connection does not mind.
    """
    session = end.session()
    for payload in (LETTERS, b"\xff" * 10):
        for i, head in enumerate(heads):
            half = len(payload) // len(heads)
            feed(session, end.peer(head, payload[i * half : (i + 1) * half]))

    assert "aé€😀" == session.take_message(True)
    with pytest.raises(UnicodeDecodeError):
        session.take_message(True)
    assert (None, OPEN) == (session.take_message(None), session.state)


def test_fragments_are_joined(end):
    """
    A message is there when its last fragment is, empty ones included.
    """
    session = end.session()
    for head, payload in [(BINARY_BEGUN, b"a"), (CONTINUED, b""), (CONTINUED, b"b")]:
        feed(session, end.peer(head, payload))
        assert session.take_message(None) is None
    feed(session, end.peer(CONTINUATION, b"c"), end.peer(TEXT, b"next"))

    assert [b"abc", "next"] == take_all(session)


def test_fragments_may_be_taken_one_by_one(end):
    """
    A whole message is its only fragment.
    """
    session = end.session()
    assert session.take_fragment() is None
    for head in (TEXT, BINARY, TEXT_BEGUN, CONTINUED, CONTINUATION):
        feed(session, end.peer(head, b"a"))
    taken = [parts(session.take_fragment()) for _ in range(6)]

    expected = [(1, True), (2, True), (1, False), (1, False), (1, True)]
    assert [(opcode, b"a", fin) for opcode, fin in expected] + [None] == taken


def test_fragments_put_aside_for_a_message_can_still_be_taken(end):
    """
    Waiting for a whole message loses nothing when it is given up.
    """
    session = end.session()
    feed(session, end.peer(BINARY_BEGUN, b"a"), end.peer(CONTINUED, b"b"))
    assert session.take_message(None) is None
    assert (1 + 1, b"a", False) == parts(session.take_fragment())
    assert (2, b"b", False) == parts(session.take_fragment())
    assert session.take_fragment() is None

    feed(session, end.peer(CONTINUATION, b"c"))

    assert (2, b"c", True) == parts(session.take_fragment())


def test_a_message_has_a_largest_number_of_fragments(end):
    """
    As many as allowed are joined; one more fails the connection with 1009, and
    what was in the queue is gone.
    """
    session = end.session()
    session.max_fragments = 3
    feed(session, *(end.peer(h, b"a") for h in (TEXT_BEGUN, CONTINUED, CONTINUATION)))
    assert "aaa" == session.take_message(None)

    feed(session, end.peer(TEXT_BEGUN), *[end.peer(CONTINUED)] * 3, end.peer(PING))
    session.data_to_send()

    assert session.take_message(None) is None
    assert isinstance(session.failure, TooManyFragments)
    assert end.own_close(1009, b"too many fragments") == session.data_to_send()
    assert not session.has_items()


def test_a_negative_number_of_fragments_is_no_limit(end):
    """
    -1 stands for any.
    """
    session = end.session()
    session.max_fragments = -1
    feed(session, end.peer(TEXT_BEGUN), *[end.peer(CONTINUED)] * 5000)
    feed(session, end.peer(CONTINUATION, b"end"))

    assert "end" == session.take_message(None)


# The queue


def test_a_full_queue_halts_and_goes_on(end):
    """
    Above ``high`` frames parsing halts, at ``low`` it may go on.
    """
    session = end.session()
    session.high, session.low = 2, 1
    feed(session, b"".join(end.peer(TEXT, b"%d" % i) for i in range(5)))
    assert (True, True) == (session.halted, session.kept_size() > 0)
    taken = []
    for may in (False, True):
        taken.append(session.take_message(None))
        assert may is session.may_resume()

    session.unhalt()

    assert session.halted
    while session.has_items():
        taken.append(session.take_message(None))
        if session.may_resume():
            session.unhalt()
    assert ["0", "1", "2", "3", "4"] == taken
    assert (False, 0) == (session.halted, session.kept_size())


def test_fragments_count_in_the_queue(end):
    """
    The queue is measured in frames.
    """
    session = end.session()
    session.high = session.low = 1
    feed(session, end.peer(TEXT_BEGUN), end.peer(CONTINUED))

    assert session.halted


def test_without_a_limit_nothing_halts(end):
    """
    -1 stands for any.
    """
    session = end.session()
    feed(session, end.peer(TEXT) * 1000)

    assert (False, False) == (session.halted, session.may_resume())
    assert 1000 == len(take_all(session))


def test_a_halted_session_that_goes_over_the_limit_again_stays_halted(end):
    """
    Halting happens once, also when frames come in by another way.
    """
    session = end.session()
    session.high, session.low = 0, 0
    feed(session, end.peer(TEXT, b"1"))
    session.receive_payload(TEXT, 1, b"2")

    assert session.halted
    assert ["1", "2"] == take_all(session)


@pytest.mark.parametrize("head", [BINARY, BINARY_BEGUN])
def test_a_full_queue_looks_for_the_close_frame_while_closing(end, head):
    """
    Messages are kept up to a size, then dropped, so that the peer's close frame
    is found.
    """
    session = end.session()
    session.high = session.low = 1
    session.send_close(1000)
    feed(session, end.peer(head, bytes(10)))
    size = 2**18
    frames = [end.peer(head & 0x80 and BINARY, bytes(size))] * 10
    feed(session, *frames, end.peer(CLOSE, close_payload(1000)))

    assert session.close_rcvd is not None
    assert not session.halted
    count = 0
    while session.take_fragment() is not None:
        count += 1
    assert 4 == count


def test_a_close_frame_may_wait_for_the_messages_before_it(end):
    """
    With ``hold_close`` it takes effect when the queue is empty and somebody asks.
    """
    session = end.session()
    session.hold_close = True
    assert not session.may_resume()
    feed(session, end.peer(TEXT, b"a") + end.peer(CLOSE, close_payload(1000)))
    assert (OPEN, True) == (session.state, session.may_resume())
    assert "a" == session.take_message(None)
    session.unhalt()

    assert (CLOSING, False) == (session.state, session.hold_close)
    assert end.own_close(1000) == session.data_to_send()


def test_a_close_frame_behind_nothing_does_not_wait(end):
    """
    With an empty queue there is nothing to wait for.
    """
    session = end.session()
    session.hold_close = True
    feed(session, end.peer(CLOSE, close_payload(1000)))

    assert CLOSING == session.state


# UTF-8


def test_text_may_be_split_inside_letters(end):
    """
    By fragments and by reads at any byte (RFC 6455, 5.6).
    """
    for cut in range(len(LETTERS) + 1):
        data = end.peer(TEXT_BEGUN, LETTERS[:cut])
        data += end.peer(CONTINUATION, LETTERS[cut:]) + end.peer(TEXT, LETTERS)
        session = end.session()
        feed(session, *(data[i : i + 1] for i in range(len(data))))
        assert ["aé€😀", "aé€😀"] == take_all(session)
        session = end.session()
        feed(session, data)
        assert ["aé€😀", "aé€😀"] == take_all(session)


@pytest.mark.parametrize("bad", [b"\xff", b"\xed\xa0\x80", b"\xf4\x90", b"\xc0\x80"])
def test_a_bad_byte_fails_at_once(end, bad):
    """
    In a whole frame, in a fragment, in a piece of a frame that is not complete.
    """
    whole = end.session()
    feed(whole, end.peer(TEXT, b"a" + bad))
    assert failed_with_utf8(end, whole)
    fragment = end.session()
    feed(fragment, end.peer(TEXT_BEGUN, b"a"), end.peer(CONTINUED, bad))
    assert failed_with_utf8(end, fragment)
    piece = end.session()
    feed(piece, end.peer(TEXT, b"a" + bad + bytes(100))[:-50])
    assert failed_with_utf8(end, piece)
    later = end.session()
    data = end.peer(CONTINUED, b"a" + bad + bytes(100))
    feed(later, end.peer(TEXT_BEGUN, b"a"), data[:7], data[7:-50])
    assert failed_with_utf8(end, later)


@pytest.mark.parametrize("reads", [1, 100])
def test_text_does_not_end_inside_a_letter(end, reads):
    """
    A letter cut by the end of the message is an error, and the end of a
    fragment is none.
    """
    session = end.session()
    data = end.peer(TEXT_BEGUN, b"a\xc3") + end.peer(CONTINUATION, b"\xa9\xe2\x82")
    size = -(-len(data) // reads)
    feed(session, *(data[i : i + size] for i in range(0, len(data), size)))

    session.take_message(None)
    assert 1007 == session.fail_code


def test_binary_is_not_validated(end):
    """
    Bytes are bytes, in pieces too.
    """
    session = end.session()
    data = end.peer(BINARY, b"\xff" * 20) + end.peer(BINARY_BEGUN, b"\xff" * 20)
    data += end.peer(CONTINUATION, b"\xff" * 20)
    feed(session, *(data[i : i + 1] for i in range(len(data))))

    assert [b"\xff" * 20, b"\xff" * 40] == take_all(session)


# Failures that wait


def test_a_failure_waits_for_the_messages_before_it(end):
    """
    They are taken first; then the peer is told. Nothing more is read.
    """
    session = end.session()
    session.close_timeout = 5.0
    data = end.peer(TEXT, b"a") + end.peer(BINARY, b"b") + end.peer(3)
    feed(session, data + end.peer(TEXT, b"late"), end.peer(TEXT, b"later"))
    assert (OPEN, b"", True) == (
        session.state,
        session.data_to_send(),
        session.is_timed(),
    )
    assert isinstance(session.failure, ProtocolError)

    assert ["a", b"b"] == take_all(session)
    assert OPEN == session.state
    assert session.take_message(None) is None
    assert end.own_close(1002, b"invalid opcode") == session.data_to_send()


def test_a_failure_waits_for_fragments_too(end):
    """
    For whole messages in fragments, not for the beginning of one.
    """
    session = end.session()
    feed(session, end.peer(TEXT_BEGUN, b"a") + end.peer(3))
    assert CLOSING == session.state
    session = end.session()
    frames = [end.peer(TEXT_BEGUN, b"a"), end.peer(CONTINUATION, b"b"), end.peer(3)]
    feed(session, b"".join(frames))
    assert OPEN == session.state
    session.take_fragment()
    session.take_fragment()
    assert OPEN == session.state

    assert session.take_fragment() is None
    assert CLOSING == session.state


@pytest.mark.parametrize(("timeout", "wait"), [(3.0, 3.0), (0.0, 0.0), (-1.0, 10.0)])
def test_a_failure_does_not_wait_for_ever(end, timeout, wait):
    """
    After ``close_timeout``, or ten seconds without one, the peer is told.
    """
    session = end.session()
    session.close_timeout = timeout
    feed(session, end.peer(TEXT, b"a") + end.peer(3))
    assert end.clock.now + wait == session.next_deadline()
    assert session.advance(end.clock.now + wait - 0.25)
    assert OPEN == session.state

    assert session.advance(end.clock.now + wait)
    assert end.own_close(1002, b"invalid opcode") == session.data_to_send()
    assert "a" == session.take_message(None)


def test_messages_and_frames_are_traced(end):
    """
    Text as str when it arrived whole.
    """
    traced = []
    session = end.session()
    session.trace = lambda *args: traced.append(args)
    feed(session, end.peer(TEXT, b"a"), end.peer(BINARY_BEGUN, b"b"))
    session.send_message(1, "c", False)

    assert [("<", TEXT, "a"), ("<", BINARY_BEGUN, b"b"), (">", TEXT, "c")] == traced


def test_pings_are_answered_while_halted(end):
    """
    As by any endpoint, exactly once.
    """
    session = end.session()
    session.high = session.low = 0
    feed(session, end.peer(TEXT, b"a") + end.peer(TEXT, b"b") + end.peer(PING, b"?"))
    assert end.own(PONG, b"?") == session.data_to_send()
    session.take_message(None)
    session.unhalt()
    session.take_message(None)
    session.unhalt()

    assert b"" == session.data_to_send()
