"""
The same bytes for both builds and for websockets: random frames, random splits.

What the core does otherwise on purpose is kept out of the comparison with
websockets, each time with a comment; the builds never differ.
"""

from __future__ import annotations

import pytest
import websockets.frames
import websockets.protocol
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import PACKAGES, Core, builds_under_test

from .ends import (
    BINARY,
    BINARY_BEGUN,
    CLOSE,
    CONTINUATION,
    CONTINUED,
    PING,
    PONG,
    TEXT,
    TEXT_BEGUN,
    End,
    close_payload,
    feed,
    split,
)

MAX_SIZE = 300

texts = st.text(max_size=20).map(str.encode)
payloads = st.one_of(
    texts,
    st.binary(max_size=20),
    st.sampled_from([bytes(125), bytes(126), bytes(127), bytes(301), b"\xff", b"\xc3"]),
)
closes = st.builds(
    close_payload,
    st.sampled_from([1000, 1001, 1005, 1011, 1014, 2999, 3000, 4999]),
    st.one_of(texts, st.binary(max_size=5)),
)
well_formed = st.one_of(
    st.tuples(st.sampled_from([TEXT, TEXT_BEGUN, CONTINUED, CONTINUATION]), texts),
    st.tuples(st.sampled_from([BINARY, BINARY_BEGUN]), payloads),
    st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125)),
)
frames = st.one_of(
    well_formed,
    well_formed,
    well_formed,
    st.tuples(st.integers(0, 255), payloads),
    st.tuples(st.just(CLOSE), closes),
    st.tuples(st.just(CLOSE), st.binary(max_size=1)),
)
streams = st.lists(frames, max_size=12)


def in_order(stream):
    """
    Turn data frames so that continuations stand where they should.
    """
    begun = False
    result = []
    for head, payload in stream:
        if head in {TEXT, BINARY, TEXT_BEGUN, BINARY_BEGUN, CONTINUED, CONTINUATION}:
            fin = head & 0x80
            head = fin | (0 if begun else head & 0x0F or 2)  # noqa: PLW2901
            begun = not fin
        result.append((head, payload))
    return result


@st.composite
def inputs(draw, *, whole=False):
    """
    Draw an end, the bytes it gets, where they are split, and when it is asked.
    """
    is_client = draw(st.booleans())
    stream = draw(streams)
    if draw(st.integers(0, 3)):
        stream = in_order(stream)
    peer = End(None, is_client)
    data = b"".join(peer.peer(*part) for part in stream)
    if not whole and draw(st.integers(0, 9)) == 0:
        data = data[: draw(st.integers(0, len(data)))]
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return is_client, split(data, *cuts)


def closing(close):
    return None if close is None else (int(close.code), close.reason)


def summary(session):
    return {
        "state": session.state,
        "received": closing(session.close_rcvd),
        "sent": closing(session.close_sent),
        "peer was first": session.close_rcvd_then_sent,
        "failure": (session.fail_code, str(session.failure)),
        "flags": (session.wants_eof, session.halted, session.discarding),
        "sizes": (session.kept_size(), session.message_size),
        "time": (session.next_deadline(), session.is_timed(), session.latency),
        "output": session.data_to_send(),
    }


def run(core, is_client, reads, *, queue, taking, deflate, fragments=4096):
    """
    Feed a session; note all that can be seen behind each read.
    """
    end = End(core, is_client)
    session = end.session(MAX_SIZE)
    session.high, session.low = queue, queue // 2
    session.close_timeout = 5.0
    session.max_fragments = fragments
    if deflate:
        session.deflate = core.deflate.Deflate(False, False, 15, 15, None)
        session.reserved_bits = 0x40
    session.send_ping(b"1", None)
    seen = []
    for i, part in enumerate(reads):
        end.clock.now += 1.0
        feed(session, part)
        seen.append(summary(session))
        for _ in range(taking if i % 2 else 0):
            seen.append(session.take_message(None))
            if session.may_resume():
                session.unhalt()
        seen.append(summary(session))
    messages = []
    while session.has_items() or session.kept_size():
        taken = session.take_message(None)
        if taken is not None:
            messages.append(taken)
        before = session.kept_size()
        if session.may_resume():
            session.unhalt()
        if taken is None and not session.has_items() and before == session.kept_size():
            break
    session.take_message(None)
    return messages, summary(session), seen


@pytest.mark.skipif(
    "fast" not in builds_under_test(), reason="runs where the fast build is tested"
)
@settings(max_examples=300, deadline=None)
@given(inputs(), st.integers(-1, 3), st.integers(0, 3), st.booleans())
def test_both_builds_do_the_same(given_input, queue, taking, deflate):
    """
    Whatever arrives, however it is split and taken: messages, states, bytes to
    send, errors and deadlines are equal behind every read.
    """
    is_client, reads = given_input
    how = {"queue": queue, "taking": taking, "deflate": deflate, "fragments": 4}
    pure, fast = (run(Core(build), is_client, reads, **how) for build in PACKAGES)

    assert pure == fast


@settings(max_examples=300, deadline=None)
@given(inputs(), st.data())
def test_splits_and_queues_do_not_matter(given_input, data):
    """
    One read gives the same messages and the same end as many, with any queue.
    """
    is_client, reads = given_input
    queue = data.draw(st.integers(0, 3))
    core = Core(data.draw(st.sampled_from(builds_under_test())))
    whole, end, _ = run(
        core, is_client, [b"".join(reads)], queue=-1, taking=0, deflate=0
    )
    others, other, _ = run(core, is_client, reads, queue=queue, taking=0, deflate=0)

    # A failure by a half-read frame may come before messages of a full queue
    # were fetched, but never instead of them.
    assert whole == others
    for key in ("state", "received", "sent", "failure"):
        assert end[key] == other[key]


def theirs(is_client, reads):
    """
    Return messages and closing as the Sans-I/O protocol of websockets has them.
    """
    side = websockets.protocol.Side(is_client)
    protocol = websockets.protocol.Protocol(side, max_size=MAX_SIZE)
    for part in reads:
        protocol.receive_data(part)
    messages, parts = [], []
    for frame in protocol.events_received():
        if frame.opcode in {8, 9, 10}:
            continue
        if frame.opcode:
            parts, opcode = [], frame.opcode
        parts.append(bytes(frame.data))
        if frame.fin:
            message = b"".join(parts)
            messages.append(message if opcode == 2 else str(message, "utf-8"))
    state = (closing(protocol.close_rcvd), closing(protocol.close_sent))
    return messages, *state, protocol.close_rcvd_then_sent


def is_comparable(is_client, reads):
    """
    Tell whether websockets can decode all text: it looks at it later than we do.
    """
    try:
        theirs(is_client, reads)
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("build", builds_under_test())
@settings(max_examples=300, deadline=None)
# We refuse a frame by its header, they when it is complete.
@given(inputs(whole=True))
def test_websockets_does_the_same(build, given_input):
    """
    Messages, close frames in both directions and who was first are equal.
    """
    is_client, reads = given_input
    if not is_comparable(is_client, reads):
        return
    messages, received, sent, first = theirs(is_client, reads)
    core = Core(build)
    ours, end, _ = run(core, is_client, reads, queue=-1, taking=0, deflate=False)

    # Text in a message without end, and pieces of frames, are validated by us.
    if end["failure"][0] == 1007:
        return
    assert messages == ours
    if sent == (1002, "incomplete fragmented message"):
        # We take a close frame in the middle of a message for what it is.
        sent = received
    codes = {close[0] for close in (sent, end["sent"]) if close}
    if codes == {1002, 1009}:
        # A frame that breaks two rules: either may be told.
        sent = end["sent"]
    assert (received, sent, first) == (
        end["received"],
        end["sent"],
        end["peer was first"],
    )
