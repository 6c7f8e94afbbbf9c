"""
What a campaign says about its targets.
"""

from __future__ import annotations

import sys

import pytest

from fuzz import campaign


def test_a_target_that_found_nothing_says_how_much_it_tried():
    """
    One line.
    """
    output = "...\nstat::number_of_executed_units: 1234\n"

    assert "frames: 1234 inputs, nothing found" == campaign.report("frames", 0, output)


def test_a_target_that_found_something_shows_it():
    """
    The file, and the exception.
    """
    output = (
        "INFO: noise\n === Uncaught Python exception: ===\nAssertionError: x\n"
        "Test unit written to build/fuzz/frames/finding-1\n"
        "stat::number_of_executed_units: 3\n"
    )
    first, *rest = campaign.report("frames", 77, output).splitlines()

    assert "frames: 3 inputs, found by build/fuzz/frames/finding-1" == first
    assert "AssertionError: x" in rest
    assert "INFO: noise" not in rest


@pytest.mark.parametrize(("status", "failed"), [(0, 0), (77, 2)])
def test_the_exit_status_counts_targets(monkeypatch, capsys, status, failed):
    """
    Each target that found something makes the campaign fail.
    """
    monkeypatch.setattr(campaign, "run_target", lambda name, seconds: (status, name))
    monkeypatch.setattr(sys, "argv", ["campaign", "1", "frames", "heads"])

    assert failed == campaign.main()
    assert 2 <= len(capsys.readouterr().out.splitlines())
