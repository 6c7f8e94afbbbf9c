"""
Positions and logs, without a hub.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketeer.pubsub.history import Log, Retention
from socketeer.pubsub.positions import Position


def test_a_position_survives_being_text():
    """
    What clients get is what comes back.
    """
    position = Position("a-Z_9", 10**17)

    assert position == Position.parse(str(position))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a.",
        ".1",
        "a.-1",
        "a.01",
        "a.1.2",
        "a b.1",
        "a.١",
        "a." + "9" * 19,
        "x" * 33 + ".1",
        "a.1\n",
        1,
        1.5,
        True,
        ["a.1"],
        {"a": 1},
        b"a.1",
    ],
)
def test_what_is_no_position_is_none(text):
    """
    Clients may give back anything.
    """
    assert Position.parse(text) is None


# The log.


def test_a_log_keeps_so_many_messages():
    """
    The oldest go first; offsets stay contiguous.
    """
    log = Log(Retention(3, 1000, 10))
    for number in range(1, 6):
        assert number == log.append(f"m{number}", 1, 0)

    assert ["m3", "m4", "m5"] == log.after(0)
    assert ["m5"] == log.after(4)
    assert (3, 3) == (log.oldest, len(log))
    assert log.has_all_after(2)
    assert not log.has_all_after(1)
    assert log.has_all_after(5)
    assert not log.has_all_after(6)
    assert log.get(2) is None


def test_a_log_keeps_so_many_bytes_and_the_newest_in_any_case():
    """
    A message above the limit is still there for those who are a moment late.
    """
    log = Log(Retention(10, 5, 10))
    log.append("a", 3, 0)
    log.append("b", 3, 0)
    assert ["b"] == log.after(0)
    log.append("c", 99, 0)
    assert ["c"] == log.after(0)
    assert 99 == log.size


def test_a_log_forgets_with_time():
    """
    Everything, if need be; the top stays.
    """
    log = Log(Retention(10, 100, 10))
    log.append("a", 1, 0)
    log.append("b", 1, 5)
    log.trim(10)
    assert ["b"] == log.after(0)
    log.trim(15)
    assert (0, 2, 0) == (len(log), log.top, log.size)
    assert log.has_all_after(2)
    assert not log.has_all_after(1)


def test_older_messages_are_put_before_the_oldest():
    """
    As far as there is room.
    """
    log = Log(Retention(3, 100, 10), top=7)
    log.append("m8", 1, 0)
    log.prepend([("m5", 1), ("m6", 1), ("m7", 1)], 0)

    assert ["m6", "m7", "m8"] == log.after(0)


@given(
    st.integers(1, 5),
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4)), max_size=30),
)
def test_a_log_is_always_the_end_of_what_was_added(messages, size, added):
    """
    Whatever is trimmed, what remains is contiguous, ends with the newest message,
    is within its limits and adds up.
    """
    retention = Retention(messages, size, 10)
    log, now, everything = Log(retention), 0, []
    for length, pause in added:
        now += pause
        everything.append((now, length))
        log.append((now, length), length, now)
        kept = log.after(0)

        assert everything[log.oldest - 1 :] == kept
        assert log.size == sum(length for _, length in kept)
        assert len(kept) <= messages
        assert log.size <= size or len(kept) == 1
        assert all(at > now - 10 for at, _ in kept)
