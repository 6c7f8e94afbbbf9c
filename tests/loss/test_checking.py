"""
The judge of the loss test finds what it is there to find.
"""

from __future__ import annotations

import pytest

from tests.loss.checking import Follower

# What happens, and what is counted.
STORIES = {
    "nothing is lost": ("reply e.0, e.1=1, e.2=2", {"messages": 2}),
    "a message is left out": ("reply e.0, e.1=1, e.3=3", {"gaps untold": 1}),
    "a message comes twice": ("reply e.0, e.1=1, e.1=1", {"duplicates": 1}),
    "the epoch changes": ("reply e.0, e.1=1, f.1=2", {"gaps untold": 1}),
    "a position is given out twice": ("reply e.0, e.1=7", {"wrong": 1}),
    "recovery": ("reply e.0, e.1=1, connect, e.2=2, recovered e.2", {"messages": 2}),
    "recovery leaves out": (
        "reply e.0, e.1=1, connect, e.3=3, recovered e.3",
        {"gaps untold": 1},
    ),
    "a gap is told": (
        "reply e.0, e.1=1, connect, f.9=9, reply f.8",
        {"gaps told": 1, "messages": 2},
    ),
    "a gap is told that there is not": (
        "reply e.0, e.1=1, connect, e.9=9, reply e.8",
        {"gaps told": 1, "gaps told in vain": 1, "messages": 2},
    ),
    "recovery repeats": (
        "reply e.0, e.1=1, connect, e.1=1, recovered e.1",
        {"duplicates": 1},
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_the_judge(name):
    """
    Each kind of failure is counted as what it is, and nothing else is.
    """
    story, expected = STORIES[name]
    follower = Follower("t", {"e.1": 1, "e.2": 2})
    for event in story.split(", "):
        word, _, position = event.partition(" ")
        if word == "connect":
            follower.connected()
        elif word in {"reply", "recovered"}:
            follower.replied(word == "recovered", position)
        else:
            place, _, number = word.partition("=")
            follower.received(place, int(number))

    bad = {key: n for key, n in follower.counts.items() if n and key != "messages"}
    assert {key: n for key, n in expected.items() if key != "messages"} == bad
    assert (
        expected.get("messages", follower.counts["messages"])
        == (follower.counts["messages"])
    )


def test_followers_have_to_agree():
    """
    Two messages at one position are wrong, also if no publisher was told about them.
    """
    published = {}
    for number in (1, 2):
        follower = Follower("t", published)
        follower.replied(False, "e.0")
        follower.received("e.1", number)

    assert 1 == follower.counts["wrong"]
