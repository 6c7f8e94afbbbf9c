"""
The order in which addresses are tried, and what is said if none works.
"""

from __future__ import annotations

import errno
import socket

import pytest

from socketeer._addresses import interleave, sum_up

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


def test_failures_of_all_addresses_are_one():
    """
    The first if all say the same, a list otherwise.
    """
    refused, again = (OSError(errno.ECONNREFUSED, "refused") for _ in range(2))
    unreachable = OSError(errno.ENETUNREACH, "unreachable")

    assert refused is sum_up([refused, again])
    both = sum_up([refused, unreachable])
    assert errno.ECONNREFUSED == both.errno
    assert f"Multiple exceptions: {refused}, {unreachable}" == both.strerror


def test_no_attempt_was_made():
    """
    Since no local address fits.
    """
    assert "no address matches local_addr" == sum_up([]).strerror
