"""
The order in which addresses are tried.
"""

from __future__ import annotations

import socket

import pytest

from socketeer._addresses import interleave

V4, V6 = socket.AF_INET, socket.AF_INET6


def infos(text):
    """
    Make addresses of a text: capital letters are those of IPv6.
    """
    return [(V6 if letter.isupper() else V4, letter) for letter in text]


@pytest.mark.parametrize(
    ("found", "first_count", "order"),
    [
        ("", 1, ""),
        ("ABC", 1, "ABC"),
        ("ABCabc", 1, "AaBbCc"),
        ("abcA", 1, "aAbc"),
        ("ABCab", 2, "ABaCb"),
        ("ABCab", 9, "ABCab"),
        ("aBAb", 1, "aBbA"),
        ("ABCab", 0, "ABCab"),
    ],
)
def test_families_take_turns(found, first_count, order):
    """
    Within a family, the order stays (RFC 8305, 4).
    """
    assert infos(order) == interleave(infos(found), first_count)
