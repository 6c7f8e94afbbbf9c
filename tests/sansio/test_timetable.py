"""
What is due first.
"""

from __future__ import annotations

from socketeer._timetable import NEVER, Timetable


def test_what_is_due_comes_in_order():
    """
    By time, and in the order in which it was added at the same time.
    """
    timetable = Timetable()
    for thing, at in (("b", 2.0), ("a", 1.0), ("c", 2.0), ("d", 3.0)):
        timetable.add(thing, at)

    assert 1.0 == timetable.next_at()
    assert ["a", "b", "c", None] == [timetable.take_due(2.5) for _ in range(4)]
    assert 3.0 == timetable.next_at()


def test_the_earliest_time_of_a_thing_counts():
    """
    A later one is not noted: what is done then finds out what comes next.
    """
    timetable = Timetable()
    for at in (2.0, 3.0, 1.0, NEVER):
        timetable.add("a", at)

    assert ["a", None] == [timetable.take_due(1.0), timetable.take_due(9.0)]
    assert NEVER == timetable.next_at()


def test_what_was_dropped_is_not_due():
    """
    Dropping what is not there has no effect.
    """
    timetable = Timetable()
    timetable.add("a", 1.0)
    timetable.add("b", 2.0)
    timetable.drop("a")
    timetable.drop("a")

    assert 2.0 == timetable.next_at()
    assert "b" == timetable.take_due(2.0)


def test_nothing_is_due_at_never():
    """
    Such a time is that of no thing.
    """
    timetable = Timetable()
    timetable.add("a", NEVER)

    assert NEVER == timetable.next_at()
    assert timetable.take_due(1e9) is None
