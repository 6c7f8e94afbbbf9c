"""
Rates, numbers of connections, and counting them. Time is a number.
"""

from __future__ import annotations

import math

import pytest

from socketeer.limits import (
    Census,
    Limits,
    Meter,
    TokenBucket,
    address_key,
    retry_after,
    spread,
)

# Token buckets


def test_a_burst_then_the_rate():
    """
    What is allowed at once is allowed at once; then it comes back by the second.
    """
    bucket = TokenBucket(2.0, 5.0, now=100.0)

    assert [True] * 5 == [bucket.take(1, 100.0) for _ in range(5)]
    assert not bucket.take(1, 100.0)
    # One is owed, one comes back.
    assert bucket.take(1, 101.0)
    assert not bucket.take(1, 101.0)


def test_a_long_silence_saves_no_more_than_a_burst():
    """
    Tokens are not hoarded.
    """
    bucket = TokenBucket(2.0, 5.0, now=0.0)

    assert bucket.take(5, 1e6)
    assert not bucket.take(1, 1e6)


def test_the_rate_can_be_kept_for_ever():
    """
    Whoever keeps to the rate is never refused, whatever the steps.
    """
    bucket = TokenBucket(1000.0, 10.0, now=0.0)

    assert all(bucket.take(1, step / 1000) for step in range(1, 10_001))


# Meters


def test_a_meter_without_rates_allows_everything():
    """
    Nothing is refused that was not limited.
    """
    meter = Meter(Limits(), 0.0)

    assert "" == meter.take(2**40, 2**40, 0.0)


def test_bytes_and_messages_are_limited_each_for_itself():
    """
    The close reason tells which.
    """
    limits = Limits(max_byte_rate=(10, 100), max_message_rate=(1, 2))

    assert "too many bytes per second" == Meter(limits, 0.0).take(101, 0, 0.0)
    assert "too many messages per second" == Meter(limits, 0.0).take(0, 3, 0.0)
    assert "" == Meter(limits, 0.0).take(100, 2, 0.0)


@pytest.mark.parametrize(("rate", "burst"), [(3.0, 30), (0.05, 1)])
def test_a_rate_alone_allows_ten_seconds_at_once(rate, burst):
    """
    And never less than one message.
    """
    meter = Meter(Limits(max_message_rate=rate), 0.0)

    assert "" == meter.take(0, burst, 0.0)
    assert meter.take(0, 1, 0.0)


# Limits


@pytest.mark.parametrize(
    "limit",
    [
        {"max_connections": 0},
        {"max_connections_per_address": -1},
        {"max_handshakes": 0},
        {"max_byte_rate": 0},
        {"max_byte_rate": -1.0},
        {"max_message_rate": math.inf},
        {"max_message_rate": math.nan},
        {"max_message_rate": (1, 0.5)},
        {"max_message_rate": (1, math.inf)},
        {"idle_timeout": 0},
        {"idle_timeout": math.inf},
        {"idle_timeout": math.nan},
    ],
)
def test_limits_that_make_no_sense(limit):
    """
    Are refused, with the name of the limit and its value.
    """
    [(name, value)] = limit.items()

    with pytest.raises(ValueError, match=f"^{name} must be .*, got ") as caught:
        Limits(**limit)

    assert str(caught.value).endswith(repr(value))


def test_everything_is_off():
    """
    A server without limits watches nothing.
    """
    assert not Limits().is_metered
    assert Limits(max_byte_rate=1).is_metered
    assert Limits(max_message_rate=1).is_metered


# Addresses


@pytest.mark.parametrize(
    ("host", "key"),
    [
        (None, ""),
        ("", ""),
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("somewhere", "somewhere"),
    ],
)
def test_addresses_of_one_customer_count_as_one(host, key):
    """
    IPv6 networks of 64 bits do; IPv4 in the clothes of IPv6 is IPv4.
    """
    assert key == address_key(host)


# Times


def test_spreading():
    """
    Evenly, from now on.
    """
    assert [] == spread(0, 30.0)
    assert [0.0] == spread(1, 30.0)
    assert [0.0, 10.0, 20.0] == spread(3, 30.0)


def test_retry_after_is_a_number_of_seconds():
    """
    As RFC 9110, 10.2.3, wants it.
    """
    assert "10" == retry_after()


# Counting


def arrived(census, *, admitted=(), opened=0):
    for _ in admitted:
        census.arrive()
    found = [census.admit(key) for key in admitted]
    for _ in range(opened):
        census.open()
    return found


def test_a_life_in_numbers():
    """
    Gauges come back to zero, counters stay.
    """
    census = Census(Limits())
    census.arrive()
    assert 1 == census.statistics()["handshakes"]
    assert "" == census.admit("")
    census.open()
    numbers = census.statistics()
    assert (0, 1, 1) == (
        numbers["handshakes"],
        numbers["connections"],
        numbers["opened"],
    )
    census.leave("", 1001)
    numbers = census.statistics()

    assert (0, 0) == (numbers["handshakes"], numbers["connections"])
    assert {"accepted": 1, "opened": 1, "closed": 1, "closed_1001": 1} == {
        name: number for name, number in numbers.items() if number
    }


def test_codes_of_applications_are_counted_together():
    """
    A peer chooses its close code; the number of keys must not be its choice.
    """
    census = Census(Limits())
    before = set(census.statistics())
    arrived(census, admitted=["", ""], opened=2)
    census.leave("", 3000)
    census.leave("", 4999)

    assert before == set(census.statistics())
    assert 2 == census.statistics()["closed_other"]


def test_max_connections():
    """
    One more is refused, until one has left.
    """
    census = Census(Limits(max_connections=2))

    assert ["", "", "max_connections"] == arrived(census, admitted=["", "", ""])
    census.leave("", None)
    assert "" == census.admit("")
    assert 1 == census.statistics()["rejected_max_connections"]


def test_max_connections_per_address():
    """
    Each address has a count of its own, forgotten at zero; who has no address is
    not counted.
    """
    census = Census(Limits(max_connections_per_address=2))
    refused = "max_connections_per_address"

    assert ["", "", refused] == arrived(census, admitted=["a", "a", "a"])
    assert ["", "", ""] == arrived(census, admitted=["", "", "b"])
    assert 2 == census.statistics()["addresses"]
    census.leave("a", None)
    assert [""] == arrived(census, admitted=["a"])
    for key in ("a", "a", "b", "", ""):
        census.leave(key, None)
    census.leave(None, None)

    assert 0 == census.statistics()["addresses"]
    assert 0 == census.statistics()["handshakes"]
    assert 1 == census.statistics()[f"rejected_{refused}"]


def test_max_handshakes():
    """
    There is room for as many as were asked for.
    """
    census = Census(Limits(max_handshakes=1))
    assert not census.is_crowded()
    census.arrive()
    assert census.is_crowded()
    census.turn_away()
    census.admit("")
    census.open()

    assert not census.is_crowded()
    assert not Census(Limits()).is_crowded()
    numbers = census.statistics()
    assert (2, 1, 1) == (
        numbers["accepted"],
        numbers["rejected"],
        numbers["rejected_max_handshakes"],
    )


def test_counting_an_event():
    """
    By its name.
    """
    census = Census(Limits())
    census.count("handlers_failed")

    assert 1 == census.statistics()["handlers_failed"]
