"""
Rates and silence, at both ends and on both builds. Time is a number.
"""

from __future__ import annotations

import pytest

from socketeer.limits import Limits, Meter

from .ends import BINARY, CLOSING, CONTINUED, FIN, NEVER, OPEN, PING, TEXT, feed
from .session import take_all


def limited(end, *, idle=None, **limits):
    session = end.session(kind=end.core.limited.LimitedSession)
    if limits:
        session.meter = Meter(Limits(**limits), end.clock())
    if idle is not None:
        session.idle_timeout = idle
    session.start()
    return session


def advance(end, session, seconds):
    end.clock.now += seconds
    return session.advance(end.clock.now)


# Rates


def test_nothing_is_limited_by_itself(end):
    """
    Everything arrives, and there is no deadline.
    """
    session = limited(end)
    feed(session, end.peer(TEXT, b"a") * 1000)

    assert OPEN == session.state
    assert 1000 == len(take_all(session))
    assert NEVER == session.next_deadline()


def test_too_many_messages(end):
    """
    Closes with 1008, behind the messages which came before.
    """
    session = limited(end, max_message_rate=(1, 3))
    feed(session, end.peer(TEXT, b"a") * 3)
    assert OPEN == session.state
    feed(session, end.peer(TEXT, b"b"))

    assert ["a", "a", "a", "b"] == take_all(session)
    assert session.take_message(None) is None
    assert 1008 == session.fail_code
    close = end.own_close(1008, b"too many messages per second")
    assert close == session.data_to_send()


def test_too_many_bytes(end):
    """
    Headers and pings count, too.
    """
    data = end.peer(PING, b"four")
    session = limited(end, max_byte_rate=(1, 2 * len(data)))
    feed(session, data, data)
    assert OPEN == session.state
    session.data_to_send()
    feed(session, data)

    assert CLOSING == session.state
    assert session.data_to_send().endswith(
        end.own_close(1008, b"too many bytes per second")
    )


def test_nothing_after_an_excess_is_looked_at(end):
    """
    Input is dropped as after any failure.
    """
    session = limited(end, max_message_rate=(1, 1))
    feed(session, end.peer(TEXT, b"a") * 2, end.peer(TEXT, b"b"))

    assert ["a", "a"] == take_all(session)


def test_pings_are_no_messages(end):
    """
    A peer that keeps the connection alive is not punished.
    """
    session = limited(end, max_message_rate=(1, 1))
    feed(session, *[end.peer(PING)] * 10)

    assert OPEN == session.state


def test_fragments_are_messages(end):
    """
    Otherwise empty ones would be free.
    """
    session = limited(end, max_message_rate=(1, 2))
    feed(session, end.peer(0x02, b"a"), end.peer(CONTINUED))
    assert OPEN == session.state
    feed(session, end.peer(FIN | CONTINUED))

    assert [b"a"] == take_all(session)
    assert session.take_message(None) is None
    assert 1008 == session.fail_code


def test_what_waits_is_counted_when_it_is_parsed(end):
    """
    A peer is not blamed for a slow application.
    """
    session = limited(end, max_message_rate=(1, 4))
    session.high, session.low = 1, 0
    feed(session, end.peer(BINARY, b"a") * 6)
    assert OPEN == session.state
    take_all(session)
    end.clock.now += 10
    session.unhalt()
    take_all(session)
    session.unhalt()

    assert OPEN == session.state
    assert 2 == len(take_all(session))


def test_another_failure_comes_first(end):
    """
    A violation of the protocol is what ends the connection.
    """
    session = limited(end, max_message_rate=(1, 1))
    feed(session, end.peer(TEXT, b"a") * 2 + end.peer(0x83))
    take_all(session)
    session.take_message(None)

    assert 1002 == session.fail_code


def test_the_rate_allows_again_after_a_while(end):
    """
    Time is that of the session's clock.
    """
    session = limited(end, max_message_rate=(1, 1))
    for _ in range(5):
        feed(session, end.peer(TEXT, b"a"))
        end.clock.now += 1

    assert OPEN == session.state


# Silence


def test_silence_closes_with_1001(end):
    """
    In the ordinary way: the peer may answer.
    """
    session = limited(end, idle=30.0)

    assert end.clock() + 30 == session.next_deadline()
    assert advance(end, session, 30)
    assert end.own_close(1001, b"idle timeout") == session.data_to_send()
    assert CLOSING == session.state
    feed(session, end.peer(0x88, (1001).to_bytes(2, "big")))
    assert 1001 == session.close_rcvd.code


def test_a_message_gives_more_time(end):
    """
    Counted from when it came.
    """
    session = limited(end, idle=30.0)
    end.clock.now += 20
    feed(session, end.peer(TEXT, b"a"))
    take_all(session)
    assert advance(end, session, 10)
    assert OPEN == session.state
    assert end.clock() + 20 == session.next_deadline()
    assert advance(end, session, 20)

    assert CLOSING == session.state


def test_pings_give_no_time(end):
    """
    The keepalive of the peer is not the application's data.
    """
    session = limited(end, idle=30.0)
    end.clock.now += 20
    feed(session, end.peer(PING))
    advance(end, session, 10)

    assert CLOSING == session.state


def test_a_slow_application_is_no_silence(end):
    """
    As long as a message waits to be received, time starts anew.
    """
    session = limited(end, idle=30.0)
    feed(session, end.peer(TEXT, b"a"))
    advance(end, session, 30)
    assert OPEN == session.state
    session.high = 0
    take_all(session)
    feed(session, end.peer(TEXT, b"a"))
    assert session.halted
    advance(end, session, 30)
    assert OPEN == session.state
    take_all(session)
    session.unhalt()
    advance(end, session, 30)

    assert CLOSING == session.state


def test_a_failure_that_waits_is_not_overtaken(end):
    """
    It has a deadline of its own.
    """
    session = limited(end, idle=5.0)
    session.close_timeout = 10.0
    feed(session, end.peer(TEXT, b"a") + end.peer(0x83))
    assert end.clock() + 10 == session.next_deadline()
    advance(end, session, 5)
    assert OPEN == session.state
    advance(end, session, 5)

    assert 1002 == session.fail_code


def test_the_keepalive_goes_on(end):
    """
    Whichever is due first is next.
    """
    session = end.session(kind=end.core.limited.LimitedSession)
    session.ping_interval, session.ping_timeout = 20.0, 20.0
    session.idle_timeout = 30.0
    session.start()

    assert end.clock() + 20 == session.next_deadline()
    advance(end, session, 20)
    assert session.data_to_send()
    assert end.clock() + 10 == session.next_deadline()


@pytest.mark.parametrize("idle", [None, 5.0])
def test_no_deadline_of_silence_once_closing(end, idle):
    """
    The closing handshake has its own.
    """
    session = limited(end, idle=idle)
    session.close_timeout = 10.0
    session.send_close(1000)

    assert end.clock() + 10 == session.next_deadline()
    assert advance(end, session, 5)
    assert not advance(end, session, 5)
