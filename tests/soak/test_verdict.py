"""
What counts as growth, and what does not.
"""

from __future__ import annotations

import pytest

from tests.soak.measuring import QUANTITIES
from tests.soak.verdict import growth, verdicts


def samples(values, *, of="memory"):
    return [{**dict.fromkeys(QUANTITIES, 50.0), of: value} for value in values]


def test_the_beginning_does_not_count():
    """
    Medians of the second and of the last quarter are compared.
    """
    assert (3.0, 7.0) == growth([1, 1, 3, 3, 5, 5, 7, 7])


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_what_grows_steadily_is_found(quantity):
    """
    A third more is too much, whatever it is.
    """
    [line] = verdicts("server", samples(range(100, 200), of=quantity))

    assert f"server: {quantity} grew from 137.0 to 187.0" == line


def test_noise_is_no_growth():
    """
    A few spikes, and little more at the end than before.
    """
    values = [10.0, *[100.0, 101.0, 102.0] * 30, 500.0, 104.0]

    assert [] == verdicts("server", samples(values))


def test_a_run_that_is_too_short():
    """
    Proves nothing.
    """
    assert ["client: only 3 samples"] == verdicts("client", samples([1, 2, 3]))
