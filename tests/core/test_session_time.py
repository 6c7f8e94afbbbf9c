"""
Pings, keepalive and deadlines, at both ends and on both builds. Time is a number.
"""

from __future__ import annotations

import itertools

import pytest

from socketeer.exceptions import ConcurrencyError, ProtocolError

from .ends import (
    CLOSE,
    CLOSED,
    CLOSING,
    KEY,
    NEVER,
    OPEN,
    PING,
    PONG,
    TEXT,
    close_payload,
    feed,
)


def noting(end):
    """
    Return a session that notes who was told about which pong.
    """

    class Noting(end.core.session.Session):
        def __init__(self, *args):
            super().__init__(*args)
            self.told = []

        def pong_received(self, waiter, latency):
            self.told.append((waiter, latency))

    return end.session(kind=Noting)


def alive(end, *, interval=20.0, timeout=10.0):
    session = end.session()
    session.ping_interval = interval
    session.ping_timeout = timeout
    session.start()
    return session


def advance(end, session, seconds):
    end.clock.now += seconds
    return session.advance(end.clock.now)


# Pings of the application


def test_a_pong_tells_who_waits_and_the_latency(end):
    """
    The latency is the time between the ping and its pong.
    """
    session = noting(end)
    assert 0.0 == session.latency
    assert b"?" == session.send_ping(b"?", "ada")
    assert end.own(PING, b"?") == session.data_to_send()
    end.clock.now += 0.25
    feed(session, end.peer(PONG, b"?"))

    assert [("ada", 0.25)] == session.told
    assert (0.25, None) == (session.latency, session.pings)


def test_a_pong_answers_the_pings_before_it(end):
    """
    "a Pong frame for only the most recently processed Ping" (RFC 6455, 5.5.3).
    Those after it wait on.
    """
    session = noting(end)
    for payload, waiter in [(b"1", "a"), (b"2", None), (b"3", "c"), (b"4", "d")]:
        session.send_ping(payload, waiter)
        end.clock.now += 1.0
    feed(session, end.peer(PONG, b"3"))

    assert [("a", 4.0), ("c", 2.0)] == session.told
    assert (2.0, [b"4"]) == (session.latency, list(session.pings))


def test_unexpected_pongs_are_ignored(end):
    """
    "A response to an unsolicited Pong frame is not expected" (RFC 6455, 5.5.3).
    """
    session = noting(end)
    feed(session, end.peer(PONG, b"?"))
    session.send_ping(b"1", "ada")
    feed(session, end.peer(PONG, b"2"))

    assert ([], 0.0, [b"1"]) == (session.told, session.latency, list(session.pings))


def test_a_session_may_not_care_about_pongs(end):
    """
    Telling is for subclasses to override.
    """
    session = end.session()
    session.send_ping(b"1", "ada")
    feed(session, end.peer(PONG, b"1"))

    assert session.pings is None


def test_pings_that_wait_have_different_payloads(end):
    """
    Otherwise nobody could tell their pongs apart. Nothing was sent.
    """
    session = end.session()
    session.send_ping(b"1", None)
    session.data_to_send()
    text = "^already waiting for a pong with the same data$"
    with pytest.raises(ConcurrencyError, match=text):
        session.send_ping(b"1", None)
    assert b"" == session.data_to_send()

    feed(session, end.peer(PONG, b"1"))

    assert b"1" == session.send_ping(b"1", None)


def test_random_payloads_are_drawn_until_one_is_free(end):
    """
    Four bytes from the source of masking keys.
    """
    draws = itertools.chain([KEY] * 3, itertools.repeat(b"next"))
    keys = end.core.endpoint.MaskingKeys(lambda size: next(draws))
    session = end.core.session.Session(end.is_client, -1, -1, keys, end.clock)
    payloads = [session.send_ping(None, None)]
    payloads.append(session.send_ping(None, None))

    assert [KEY, b"next"] == payloads == list(session.pings)


@pytest.mark.parametrize("method", ["send_ping", "send_pong"])
def test_pings_and_pongs_have_at_most_125_bytes(end, method):
    """
    "MUST have a payload length of 125 bytes or less" (RFC 6455, 5.5).
    """
    session = end.session()
    rest = (None,) if method == "send_ping" else ()
    with pytest.raises(ProtocolError, match="^control frame too long$"):
        getattr(session, method)(bytes(126), *rest)
    assert (b"", False) == (session.data_to_send(), bool(session.pings))

    getattr(session, method)(bytes(125), *rest)

    head = PING if rest else PONG
    assert end.own(head, bytes(125)) == session.data_to_send()


# Congestion


def test_only_the_last_ping_is_answered_after_congestion(end):
    """
    A peer cannot make us collect pongs which it does not read
    (RFC 6455, 5.5.3).
    """
    session = end.session()
    session.congested = True
    feed(session, *(end.peer(PING, b"%d" % i) for i in range(5)))
    assert b"" == session.data_to_send()

    session.settle_pong()

    assert end.own(PONG, b"4") == session.data_to_send()
    session.settle_pong()
    assert (b"", False) == (session.data_to_send(), session.congested)


def test_a_closed_session_owes_no_pong(end):
    """
    Nobody could read it.
    """
    session = end.session()
    session.congested = True
    feed(session, end.peer(PING, b"1"))
    session.receive_eof()
    session.settle_pong()

    assert b"" == session.data_to_send()


# Keepalive


def test_without_keepalive_there_is_no_deadline(end):
    """
    And nothing happens, however late it gets.
    """
    session = alive(end, interval=-1.0)

    assert NEVER == session.next_deadline()
    assert advance(end, session, 1e9)
    assert b"" == session.data_to_send()


def test_pings_are_sent_and_answered_at_intervals(end):
    """
    From ping to ping it takes the interval, if the pong comes in time.
    """
    session = alive(end)
    for _ in range(3):
        due = end.clock.now + 20.0
        assert due == session.next_deadline()
        assert advance(end, session, 19.5)
        assert b"" == session.data_to_send()
        assert advance(end, session, 0.5)
        assert end.own(PING, KEY) == session.data_to_send()
        assert due + 10.0 == session.next_deadline()
        assert not session.is_timed()
        feed(session, end.peer(PONG, KEY))
        assert [True, False] == [session.is_timed(), session.is_timed()]

    assert 0.0 == session.latency


def test_the_interval_counts_from_the_ping(end):
    """
    A late pong does not delay the next ping; a very late one brings it at once.
    """
    for timeout, late, wait in [(100.0, 15.0, 5.0), (100.0, 30.0, 0.0)]:
        session = alive(end, timeout=timeout)
        advance(end, session, 20.0)
        end.clock.now += late
        feed(session, end.peer(PONG, KEY))
        assert (late, end.clock.now + wait) == (
            session.latency,
            session.next_deadline(),
        )


def test_a_pong_to_a_later_ping_answers_the_keepalive(end):
    """
    It proves as much.
    """
    session = alive(end)
    advance(end, session, 20.0)
    session.send_ping(b"later", None)
    feed(session, end.peer(PONG, b"later"))

    assert session.is_timed()
    assert end.clock.now + 20.0 == session.next_deadline()


def test_a_pong_to_another_ping_does_not_answer_the_keepalive(end):
    """
    It was sent before.
    """
    session = alive(end)
    session.send_ping(b"other", None)
    advance(end, session, 20.0)
    feed(session, end.peer(PONG, b"other"))

    assert not session.is_timed()
    assert end.clock.now + 10.0 == session.next_deadline()


def test_a_missing_pong_fails_the_connection(end):
    """
    1011 at the deadline, not before.
    """
    session = alive(end)
    advance(end, session, 20.0)
    session.data_to_send()
    assert advance(end, session, 9.5)
    assert (OPEN, b"") == (session.state, session.data_to_send())

    assert advance(end, session, 0.5)

    assert end.own_close(1011, b"keepalive ping timeout") == session.data_to_send()
    assert (CLOSING, 1011) == (session.state, session.fail_code)


def test_without_a_timeout_pings_go_on(end):
    """
    No pong is needed.
    """
    session = alive(end, timeout=-1.0)
    keys = iter([b"1111", b"2222", b"3333"])
    session = end.core.session.Session(
        end.is_client,
        -1,
        -1,
        end.core.endpoint.MaskingKeys(lambda size: next(keys, KEY)),
        end.clock,
    )
    session.ping_interval = 20.0
    session.start()
    for _ in range(2):
        assert end.clock.now + 20.0 == session.next_deadline()
        assert advance(end, session, 20.0)
        assert PING == session.data_to_send()[0]


def test_an_interval_of_zero_pings_all_the_time(end):
    """
    Zero is an interval.
    """
    session = alive(end, interval=0.0, timeout=0.0)
    assert end.clock.now == session.next_deadline()
    advance(end, session, 0.0)
    assert end.own(PING, KEY) == session.data_to_send()
    advance(end, session, 0.0)

    assert 1011 == session.fail_code


# Keepalive while we do not read


@pytest.fixture
def stalled(end):
    """
    A session whose queue is full and whose ping is out.
    """
    session = alive(end)
    session.high = session.low = 0
    feed(session, end.peer(TEXT, b"a"))
    advance(end, session, 20.0)
    session.data_to_send()
    return session


def test_the_pong_is_awaited_longer_while_halted(end, stalled):
    """
    It may stand in what we did not read. There is another ping each time, as only
    writing tells of a peer that is gone; one is remembered.
    """
    for _ in range(100):
        assert advance(end, stalled, 10.0)
        assert (OPEN, end.clock.now + 10.0) == (stalled.state, stalled.next_deadline())
        assert end.own(PING, KEY) == stalled.data_to_send()
        assert 1 == len(stalled.pings)


def test_a_stall_has_a_limit(end, stalled):
    """
    A queue that nobody reads fails the connection in the end.
    """
    stalled.stall_timeout = 40.0
    assert advance(end, stalled, 10.0)
    assert OPEN == stalled.state
    stalled.data_to_send()
    assert advance(end, stalled, 10.0)

    assert end.own_close(1011, b"receive queue not read") == stalled.data_to_send()


def test_a_stall_ends_when_reading_goes_on(end, stalled):
    """
    The next one counts anew.
    """
    stalled.stall_timeout = 40.0
    advance(end, stalled, 10.0)
    stalled.take_message(None)
    stalled.unhalt()
    feed(stalled, end.peer(TEXT, b"b"))
    advance(end, stalled, 30.0)
    assert OPEN == stalled.state

    advance(end, stalled, 10.0)

    assert 1011 == stalled.fail_code


# Closing


def test_closing_has_a_deadline(end):
    """
    ``close_timeout`` seconds after it was first asked for; then the room cuts.
    """
    session = alive(end)
    session.close_timeout = 5.0
    session.send_close(1000)
    due = end.clock.now + 5.0
    assert session.is_timed()
    assert due == session.next_deadline()
    assert advance(end, session, 4.0)
    assert due == session.next_deadline() == session.close_due_at
    assert not advance(end, session, 1.0)

    session.receive_eof()

    assert (CLOSED, due) == (session.state, session.next_deadline())


def test_closing_may_take_for_ever(end):
    """
    -1 stands for no timeout; keepalive is over.
    """
    session = alive(end)
    feed(session, end.peer(CLOSE, close_payload(1000)))

    assert NEVER == session.next_deadline()
    assert advance(end, session, 1e9)
    assert end.own_close(1000) == session.data_to_send()


def test_unanswered_pings_are_forgotten_without_a_timeout(end):
    """
    Without a `ping_timeout`, a peer that answers no ping costs no memory.
    """
    session = alive(end, timeout=-1.0)
    for _ in range(5):
        advance(end, session, 20.0)

    assert 1 == len(session.pings)
