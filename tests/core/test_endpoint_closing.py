"""
The closing handshake, failures and the end of input, at both ends and on both
builds (RFC 6455, 7).
"""

from __future__ import annotations

import pytest

from socketeer.exceptions import InvalidState, ProtocolError
from socketeer.frames import Close

from .ends import (
    CLOSE,
    CLOSED,
    CLOSING,
    OPEN,
    PING,
    PONG,
    TEXT,
    TEXT_BEGUN,
    close_payload,
    feed,
)

VALID_CODES = [*range(1000, 1004), *range(1007, 1015), 3000, 3456, 3999, 4000, 4999]
INVALID_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65_535]


# The peer closes


@pytest.mark.parametrize("code", VALID_CODES)
def test_echoes_the_close_code(end, code):
    """
    "it typically echos the status code it received" (RFC 6455, 5.5.1).
    """
    endpoint = end.endpoint()
    feed(endpoint, end.peer(CLOSE, close_payload(code, "früh".encode())))

    assert Close(code, "früh") == endpoint.close_rcvd == endpoint.close_sent
    assert endpoint.close_rcvd_then_sent is True
    assert end.own_close(code, "früh".encode()) == endpoint.data_to_send()
    assert (CLOSING, True) == (endpoint.state, endpoint.discarding)
    assert endpoint.wants_eof is not end.is_client
    assert (0, None) == (endpoint.fail_code, endpoint.failure)


def test_echoes_an_empty_close_frame(end):
    """
    No code is answered with no code; both read as 1005 (RFC 6455, 7.1.5).
    """
    endpoint = end.endpoint()
    feed(endpoint, end.peer(CLOSE))

    assert Close(1005, "") == endpoint.close_rcvd == endpoint.close_sent
    assert end.own(CLOSE) == endpoint.data_to_send()


def test_a_close_reason_fills_the_frame(end):
    """
    125 bytes less two for the code.
    """
    endpoint = end.endpoint()
    feed(endpoint, end.peer(CLOSE, close_payload(1000, b"r" * 123)))

    assert "r" * 123 == endpoint.close_rcvd.reason


@pytest.mark.parametrize("code", INVALID_CODES)
def test_refuses_codes_that_are_not_sent(end, code):
    """
    Reserved and unassigned codes "MUST NOT be set [...] in a Close control
    frame by an endpoint" (RFC 6455, 7.4).
    """
    endpoint = end.endpoint()
    feed(endpoint, end.peer(CLOSE, close_payload(code)))

    assert end.own_close(1002, b"invalid status code") == endpoint.data_to_send()
    assert (1002, None) == (endpoint.fail_code, endpoint.close_rcvd)


@pytest.mark.parametrize(
    ("payload", "code", "reason"),
    [
        (b"\x03", 1002, b"close frame too short"),
        (b"\x03\xe8\xff", 1007, b"invalid UTF-8"),
        (b"\x03\xe8cut\xc3", 1007, b"invalid UTF-8"),
        (b"\x03\xe8\xed\xa0\x80", 1007, b"invalid UTF-8"),
    ],
)
def test_refuses_close_frames_that_cannot_be_read(end, payload, code, reason):
    """
    A close frame has no payload, or a code and a reason in UTF-8
    (RFC 6455, 5.5.1).
    """
    endpoint = end.endpoint()
    feed(endpoint, end.peer(CLOSE, payload))

    assert end.own_close(code, reason) == endpoint.data_to_send()
    assert endpoint.discarding
    assert [] == endpoint.seen


def test_nothing_is_read_behind_a_close_frame(end):
    """
    "a peer discards any further data received" (RFC 6455, 1.4).
    """
    endpoint = end.endpoint()
    data = end.peer(CLOSE, close_payload(1000)) + end.peer(PING)
    feed(endpoint, data, end.peer(TEXT, b"late"))

    assert [(8, close_payload(1000))] == endpoint.seen
    assert end.own_close(1000) == endpoint.data_to_send()


def test_a_close_frame_may_end_a_message_in_progress(end):
    """
    The peer has given its message up.
    """
    endpoint = end.endpoint()
    feed(endpoint, end.peer(TEXT_BEGUN, b"a"), end.peer(CLOSE, close_payload(1001)))

    assert Close(1001, "") == endpoint.close_rcvd


def test_a_close_frame_waits_until_it_is_accepted(end):
    """
    What does not accept it yet keeps it, whatever else arrives.
    """

    class Busy(end.core.endpoint.Endpoint):
        busy = True

        def accepts_close(self):
            return not self.busy

    endpoint = end.endpoint(kind=Busy)
    close = end.peer(CLOSE, close_payload(1000))
    feed(endpoint, end.peer(PING, b"1") + close, b"more")
    assert end.own(PONG, b"1") == endpoint.data_to_send()
    assert (OPEN, len(close) + 4) == (endpoint.state, endpoint.kept_size())

    endpoint.busy = False
    endpoint.resume()

    assert (CLOSING, 0) == (endpoint.state, endpoint.kept_size())
    assert end.own_close(1000) == endpoint.data_to_send()


# We close


@pytest.mark.parametrize("code", VALID_CODES)
def test_starts_the_closing_handshake(end, code):
    """
    The peer's answer completes it; it need not echo.
    """
    endpoint = end.endpoint()
    endpoint.send_close(code, "so long")
    assert end.own_close(code, b"so long") == endpoint.data_to_send()
    assert (CLOSING, False) == (endpoint.state, endpoint.discarding)
    assert not endpoint.wants_eof

    feed(endpoint, end.peer(CLOSE, close_payload(1001)))

    assert (Close(code, "so long"), Close(1001, "")) == (
        endpoint.close_sent,
        endpoint.close_rcvd,
    )
    assert endpoint.close_rcvd_then_sent is False
    assert b"" == endpoint.data_to_send()
    assert endpoint.discarding
    assert endpoint.wants_eof is not end.is_client


def test_messages_and_pings_are_read_while_closing(end):
    """
    Until the peer's close frame, its data count and its pings are answered:
    "unless it already received a Close frame" (RFC 6455, 5.5.2).
    """
    endpoint = end.endpoint()
    endpoint.send_close(1000)
    endpoint.data_to_send()
    feed(endpoint, end.peer(TEXT, b"last") + end.peer(PING, b"?"))

    assert [(TEXT, 1, b"last"), (9, b"?")] == endpoint.seen
    assert end.own(PONG, b"?") == endpoint.data_to_send()


def test_closes_without_a_code(end):
    """
    1005 stands for an empty close frame.
    """
    endpoint = end.endpoint()
    endpoint.send_close(1005)

    assert end.own(CLOSE) == endpoint.data_to_send()
    assert Close(1005, "") == endpoint.close_sent


@pytest.mark.parametrize("code", [c for c in INVALID_CODES if c != 1005] + [-1])
def test_does_not_send_invalid_codes(end, code):
    """
    Nothing was sent and the connection stays OPEN.
    """
    endpoint = end.endpoint()

    with pytest.raises(ProtocolError, match="^invalid status code$"):
        endpoint.send_close(code)

    assert (OPEN, b"") == (endpoint.state, endpoint.data_to_send())


@pytest.mark.parametrize(
    "code", [2**31 - 1, 2**31, 2**32 + 1000, 2**63, 2**64, -(2**70)]
)
def test_codes_of_any_width_are_invalid_alike(end, code):
    """
    No number is so large that it becomes another one, or another error.
    """
    endpoint = end.endpoint()

    with pytest.raises(ProtocolError, match="^invalid status code$"):
        endpoint.send_close(code)


def test_does_not_send_a_reason_without_a_code(end):
    """
    The reason follows the code (RFC 6455, 5.5.1).
    """
    endpoint = end.endpoint()

    with pytest.raises(ProtocolError, match="^cannot send a reason without a code$"):
        endpoint.send_close(1005, "why")

    assert (OPEN, b"") == (endpoint.state, endpoint.data_to_send())


@pytest.mark.parametrize(("letter", "count"), [("r", 123), ("é", 61), ("€", 41)])
def test_a_reason_has_at_most_123_bytes(end, letter, count):
    """
    Bytes count, not letters.
    """
    endpoint = end.endpoint()
    with pytest.raises(ProtocolError, match="^control frame too long$"):
        endpoint.send_close(1000, letter * (count + 1))
    assert (OPEN, b"") == (endpoint.state, endpoint.data_to_send())

    endpoint.send_close(1000, letter * count)

    assert end.own_close(1000, (letter * count).encode()) == endpoint.data_to_send()


def test_closes_once(end):
    """
    A second close frame is never sent.
    """
    endpoint = end.endpoint()
    endpoint.send_close(1000)
    with pytest.raises(InvalidState, match="^connection is closing$"):
        endpoint.send_close(1001)
    endpoint.receive_eof()
    with pytest.raises(InvalidState, match="^connection is closed$"):
        endpoint.send_close(1001)

    assert end.own_close(1000) == endpoint.data_to_send()


# Failing


def test_fails_with_a_close_frame(end):
    """
    The peer is told why; what it sends is dropped (RFC 6455, 7.1.7).
    """
    endpoint = end.endpoint()
    endpoint.fail(1011, "tired")
    feed(endpoint, end.peer(TEXT, b"late"))

    assert end.own_close(1011, b"tired") == endpoint.data_to_send()
    assert (CLOSING, 1011, []) == (endpoint.state, endpoint.fail_code, endpoint.seen)
    assert endpoint.wants_eof is not end.is_client


def test_fails_without_a_close_frame(end):
    """
    1006 is never sent (RFC 6455, 7.1.5).
    """
    endpoint = end.endpoint()
    endpoint.fail(1006)

    assert b"" == endpoint.data_to_send()
    assert (CLOSING, 1006, None) == (
        endpoint.state,
        endpoint.fail_code,
        endpoint.close_sent,
    )


def test_the_first_failure_counts(end):
    """
    A connection fails once, and not again when it is closing.
    """
    endpoint = end.endpoint()
    endpoint.fail(1011)
    endpoint.fail(1002)
    endpoint.receive_eof()
    endpoint.fail(1006)

    assert (CLOSED, 1011) == (endpoint.state, endpoint.fail_code)
    assert end.own_close(1011) == endpoint.data_to_send()


def test_a_violation_while_closing_sends_nothing(end):
    """
    The close frame is out already.
    """
    endpoint = end.endpoint()
    endpoint.send_close(1000)
    endpoint.data_to_send()
    feed(endpoint, end.peer(3))

    assert (b"", 1002, CLOSING) == (
        endpoint.data_to_send(),
        endpoint.fail_code,
        endpoint.state,
    )


# The end of input


def test_the_end_without_a_closing_handshake_is_a_failure(end):
    """
    The connection is closed abnormally: 1006 (RFC 6455, 7.1.5).
    """
    endpoint = end.endpoint()
    endpoint.receive_eof()

    assert (CLOSED, 1006) == (endpoint.state, endpoint.fail_code)
    assert isinstance(endpoint.failure, EOFError)
    assert "unexpected end of stream" == str(endpoint.failure)
    assert (b"", True) == (endpoint.data_to_send(), endpoint.wants_eof)


def test_the_end_after_a_closing_handshake_is_none(end):
    """
    It is what both ends wait for; the second time it has no effect.
    """
    endpoint = end.endpoint()
    feed(endpoint, end.peer(CLOSE, close_payload(1000)))
    endpoint.receive_eof()
    endpoint.receive_eof()

    assert (CLOSED, 0, None) == (endpoint.state, endpoint.fail_code, endpoint.failure)
    assert (end.own_close(1000), True) == (endpoint.data_to_send(), endpoint.wants_eof)


def test_the_end_before_the_answer_to_our_close_frame(end):
    """
    The peer did not answer: that is an error, though no second failure.
    """
    endpoint = end.endpoint()
    endpoint.send_close(1000)
    endpoint.receive_eof()

    assert (CLOSED, 0) == (endpoint.state, endpoint.fail_code)
    assert isinstance(endpoint.failure, EOFError)
    assert endpoint.wants_eof


def test_the_end_behind_a_violation_is_not_another_one(end):
    """
    The first reason stays.
    """
    endpoint = end.endpoint()
    feed(endpoint, end.peer(3))
    endpoint.receive_eof()

    assert "invalid opcode" == str(endpoint.failure)
    assert (CLOSED, 1002) == (endpoint.state, endpoint.fail_code)


def test_an_endpoint_that_starts_closed_answers_nothing(end):
    """
    Whoever sets the state to CLOSED gets neither pongs nor close frames.
    """
    endpoint = end.endpoint()
    endpoint.state = CLOSED
    feed(endpoint, end.peer(PING) + end.peer(CLOSE, close_payload(1000)))

    assert b"" == endpoint.data_to_send()
    assert Close(1000, "") == endpoint.close_rcvd
    assert endpoint.close_rcvd_then_sent is None


# Sending


@pytest.mark.parametrize("payload", [b"", b"Hello", "Hello", "é€😀"])
def test_sends_frames_of_text_and_bytes(end, payload):
    """
    A client masks, a server does not.
    """
    endpoint = end.endpoint()
    data = payload if isinstance(payload, bytes) else payload.encode()
    endpoint.send_frame(TEXT, payload)

    assert end.own(TEXT, data) == endpoint.data_to_send()
    assert b"" == endpoint.data_to_send()


def test_text_that_cannot_be_encoded_is_not_sent(end):
    """
    The connection stays as it was.
    """
    endpoint = end.endpoint()
    endpoint.send_frame(TEXT, "before")
    with pytest.raises(UnicodeEncodeError):
        endpoint.send_frame(TEXT, "\udc00")

    assert end.own(TEXT, b"before") == endpoint.data_to_send()


def test_an_outbox_may_come_from_elsewhere(end):
    """
    It is asked for when there is something to send.
    """
    outboxes = []

    class Borrowing(end.core.endpoint.Endpoint):
        def new_outbox(self):
            outboxes.append(end.core.outbox.Outbox())
            return outboxes[-1]

    endpoint = end.endpoint(kind=Borrowing)
    assert (b"", []) == (endpoint.data_to_send(), outboxes)
    endpoint.send_frame(TEXT, "a")
    endpoint.send_frame(TEXT, "b")

    assert [endpoint.outbox] == outboxes


# Masking keys


def test_masking_keys_are_drawn_in_blocks(core):
    """
    One call of the source gives many keys; each is used once.
    """
    sizes = []

    def entropy(size):
        sizes.append(size)
        start = sum(sizes[:-1])
        return b"".join(i.to_bytes(4, "big") for i in range(start, start + size // 4))

    keys = core.endpoint.MaskingKeys(entropy)
    taken = [keys.take() for _ in range(600)]

    assert 3 == len(sizes)
    assert 600 == len(set(taken))
    assert {4} == {len(key) for key in taken}


def test_masking_keys_are_discarded(core):
    """
    After a fork nobody uses a key that another process has, too.
    """
    blocks = iter([b"aaaabbbb", b"ccccdddd"])
    keys = core.endpoint.MaskingKeys(lambda size: next(blocks))
    assert b"aaaa" == keys.take()
    keys.discard()

    assert [b"cccc", b"dddd"] == [keys.take(), keys.take()]


def test_every_frame_of_a_client_has_a_key_of_its_own(core):
    """
    "a fresh masking key chosen at random [...] for each frame" (RFC 6455, 5.3).
    """
    keys = core.endpoint.MaskingKeys(lambda size: b"aaaabbbb")
    endpoint = core.endpoint.Endpoint(True, -1, -1, keys)
    endpoint.send_frame(TEXT, "")
    endpoint.send_frame(TEXT, "")

    assert b"\x81\x80aaaa\x81\x80bbbb" == endpoint.data_to_send()
