"""
When a client connects again; time and chance are numbers here.
"""

from __future__ import annotations

import inspect
import itertools
import logging

import pytest
import websockets.asyncio.client
import websockets.client
import websockets.exceptions
import websockets.http11

from socketeer import client
from socketeer._reconnection import STABLE_TIME, Reconnection
from socketeer.client import backoff, process_exception
from socketeer.datastructures import Headers
from socketeer.exceptions import (
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
)
from socketeer.frames import Close
from socketeer.http11 import Response

LOGGER = logging.getLogger("socketeer.client")
REFUSED = ConnectionRefusedError(111, "refused")
LOST = ConnectionClosedError(None, None)
RESTART = ConnectionClosedError(Close(1012, ""), Close(1012, ""), True)
BYE = ConnectionClosedOK(Close(1000, ""), Close(1000, ""), True)
OUR_BYE = ConnectionClosedOK(Close(1000, ""), Close(1000, ""), False)
OUR_ERROR = ConnectionClosedError(Close(1011, ""), Close(1011, ""), False)


def first(count, delays):
    return list(itertools.islice(delays, count))


def bounds(**arguments):
    """
    Return the smallest and the largest value of the first dozen delays.
    """
    smallest = first(12, backoff(**arguments, random=lambda: 0.0))
    largest = first(12, backoff(**arguments, random=lambda: 1.0))
    return list(zip(smallest, largest, strict=True))


# Delays.


def test_delays_grow_as_those_of_websockets():
    """
    The lower bounds, up to the last one, are their delays.
    """
    theirs = first(9, websockets.client.backoff())[1:]
    ours = first(9, backoff(random=lambda: 0.0))[1:]

    assert pytest.approx(theirs[:-1]) == ours[:-1]


def test_every_delay_has_some_chance_in_it():
    """
    There is room between the bounds of each, and none between those of neighbours.
    """
    pairs = bounds()

    assert (0.0, 5.0) == pairs[0]
    assert all(high > 1.5 * low for low, high in pairs)
    assert all(pairs[n][1] >= pairs[n + 1][0] for n in range(1, 11))


def test_no_delay_is_out_of_bounds():
    """
    The longest is 90 seconds, the shortest, after the first, 3.1.
    """
    pairs = bounds()[1:]

    assert 3.1 == pairs[0][0]
    assert all(3.1 <= low < high <= 90.0 for low, high in pairs)
    assert 90.0 == pairs[-1][1]


@pytest.mark.parametrize(
    ("arguments", "pairs"),
    [
        (
            {"initial_delay": 1, "min_delay": 2, "max_delay": 8, "factor": 2},
            [(0, 1), (2, 4), (4, 8), (4, 8), (4, 8)],
        ),
        # Less than the factor between the limits.
        ({"min_delay": 7, "max_delay": 8, "factor": 2}, [(0, 5), (7, 8), (7, 8)]),
        # Limits that contradict each other: the upper one counts.
        ({"min_delay": 9, "max_delay": 8, "factor": 2}, [(0, 5), (8, 8), (8, 8)]),
    ],
)
def test_the_bounds_of_delays_are_arguments(arguments, pairs):
    """
    Also the odd ones.
    """
    assert pairs == bounds(**arguments)[: len(pairs)]


def test_delays_are_drawn_by_default():
    """
    Two clients do not wait equally long.
    """
    assert first(8, backoff()) != first(8, backoff())


def test_the_arguments_are_those_of_websockets():
    """
    Names and defaults; how to draw is an addition.
    """
    theirs = inspect.signature(websockets.client.backoff).parameters
    ours = inspect.signature(backoff).parameters

    assert [(p.name, p.default) for p in theirs.values()] == [
        (p.name, p.default) for p in ours.values() if p.name != "random"
    ]
    for name in ("INITIAL_DELAY", "MIN_DELAY", "MAX_DELAY", "FACTOR"):
        assert hasattr(websockets.client, f"BACKOFF_{name}")
        assert hasattr(client, f"BACKOFF_{name}")


# Which failures may pass.


def invalid_message(cause):
    exc = InvalidMessage("")
    exc.__cause__ = cause
    return exc


def invalid_status(status):
    return InvalidStatus(Response(status, "", Headers()))


@pytest.mark.parametrize(
    "exc",
    [
        REFUSED,
        TimeoutError(),
        invalid_message(EOFError()),
        *map(invalid_status, (500, 502, 503, 504)),
    ],
    ids=repr,
)
def test_tries_again_after_what_may_pass(exc):
    """
    The network, a server that goes away, a server that is overloaded.
    """
    assert process_exception(exc) is None


@pytest.mark.parametrize(
    "exc",
    [
        ValueError(),
        InvalidHandshake(),
        invalid_message(None),
        invalid_message(ValueError()),
        *map(invalid_status, (200, 302, 401, 403, 404, 429, 501, 505)),
    ],
    ids=repr,
)
def test_gives_up_after_what_will_not_pass(exc):
    """
    Everything else.
    """
    assert exc is process_exception(exc)


@pytest.mark.parametrize("status", [*range(400, 420), *range(500, 512)])
def test_statuses_are_judged_as_by_websockets(status):
    """
    The same ones are worth another attempt.
    """
    response = websockets.http11.Response(status, "", websockets.Headers())
    theirs = websockets.asyncio.client.process_exception(
        websockets.exceptions.InvalidStatus(response)
    )

    assert (theirs is None) is (process_exception(invalid_status(status)) is None)


# The loop.


def endless(delays=None, process=process_exception):
    """
    Make a loop whose delays count 1, 2, 3...
    """
    return Reconnection(process, delays or (lambda: itertools.count(1.0)), LOGGER)


def test_waits_longer_after_each_failure():
    """
    The delays are used one after the other.
    """
    loop = endless()

    assert [1.0, 2.0, 3.0] == [loop.failed(REFUSED) for _ in range(3)]


def test_tells_why_and_how_long_it_waits(caplog):
    """
    At level INFO, on one line.
    """
    caplog.set_level(logging.INFO)
    loop = endless(lambda: [1.25, 3.0])

    loop.failed(REFUSED)
    loop.opened(0.0)
    loop.ended(LOST, 1.0)

    reasons = [
        "ConnectionRefusedError: [Errno 111] refused",
        "socketeer.exceptions.ConnectionClosedError: no close frame received or sent",
    ]
    assert [
        f"connect failed; reconnecting in 1.2 seconds: {reasons[0]}",
        f"connection lost; reconnecting in 3.0 seconds: {reasons[1]}",
    ] == caplog.messages


def test_a_fatal_failure_is_raised():
    """
    As it is.
    """
    loop = endless()
    exc = ValueError("fatal")

    with pytest.raises(ValueError, match="fatal") as raised:
        loop.failed(exc)

    assert exc is raised.value


def returning(exc):
    return KeyError("other")


def raising(exc):
    raise KeyError("other")


@pytest.mark.parametrize("process", [returning, raising])
def test_another_exception_is_raised_from_the_failure(process):
    """
    ``process_exception`` may return it; raising it means the same.
    """
    loop = endless(process=process)

    with pytest.raises(KeyError, match="other") as raised:
        loop.failed(REFUSED)

    assert REFUSED is raised.value.__cause__


@pytest.mark.parametrize("exc", [LOST, RESTART, BYE, OUR_ERROR], ids=str)
def test_waits_after_a_connection_that_was_not_ended_by_us(exc):
    """
    The first delay keeps clients apart that lose the same server (RFC 6455, 7.2.3).
    """
    loop = endless()
    loop.opened(100.0)

    assert 1.0 == loop.ended(exc, 100.0 + STABLE_TIME)


@pytest.mark.parametrize("exc", [None, OUR_BYE], ids=str)
def test_does_not_wait_if_the_program_goes_on(exc):
    """
    It has left the connection open, or closed it itself.
    """
    loop = endless()
    loop.opened(100.0)

    assert 0.0 == loop.ended(exc, 100.0)


def test_delays_grow_while_connections_are_short():
    """
    A server that accepts and hangs up is no better than one that refuses.
    """
    loop = endless()
    assert 1.0 == loop.failed(REFUSED)

    delays = []
    for now in (0.0, 100.0, 200.0):
        loop.opened(now)
        delays.append(loop.ended(LOST, now + STABLE_TIME - 0.1))

    assert [2.0, 3.0, 4.0] == delays
    assert 5.0 == loop.failed(REFUSED)


@pytest.mark.parametrize("exc", [LOST, None])
def test_delays_begin_anew_after_a_stable_minute(exc):
    """
    However the connection ended.
    """
    loop = endless()
    for _ in range(3):
        loop.failed(REFUSED)
    loop.opened(100.0)
    loop.ended(exc, 100.0 + STABLE_TIME)

    assert (1.0 if exc is None else 2.0) == loop.failed(REFUSED)


def test_delays_may_run_out():
    """
    Then the last failure is raised, with its cause.
    """
    loop = endless(lambda: [1.0, 2.0])
    exc = invalid_message(EOFError("cause"))
    loop.failed(REFUSED)
    loop.failed(REFUSED)

    with pytest.raises(InvalidMessage) as raised:
        loop.failed(exc)

    assert exc is raised.value
    assert isinstance(exc.__cause__, EOFError)


def test_delays_may_run_out_after_a_connection():
    """
    Then it is told how that ended.
    """
    loop = endless(list)
    loop.opened(0.0)

    with pytest.raises(ConnectionClosedError) as raised:
        loop.ended(LOST, 1.0)

    assert LOST is raised.value


def test_a_negative_delay_is_none():
    """
    Not all event loops can wait for it.
    """
    loop = endless(lambda: [-1.0])

    assert 0.0 == loop.failed(REFUSED)
