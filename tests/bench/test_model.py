"""
What figures say about targets.
"""

from __future__ import annotations

import pytest

from bench.model import Kind, Row, Spread, Subject, Target, Verdict, judge

FIGURES = {"ours": [300.0, 280.0, 350.0], "theirs": [100.0, 100.0, 100.0]}


@pytest.mark.parametrize(
    ("limit", "verdict"),
    [(3.0, Verdict.OK), (3.5, Verdict.FLOOR), (3.6, Verdict.MISSED)],
)
def test_a_ratio_is_judged_by_its_median(limit, verdict):
    """
    The median of the ratios, 3, is compared with the limit and with 85 % of it.
    """
    outcome = judge(Target("ours", limit, "theirs"), FIGURES)

    assert (Spread(3.0, 2.8, 3.5), verdict) == (outcome.reached, outcome.verdict)


def test_ratios_are_taken_round_by_round():
    """
    A machine that was slow in one round was slow for both.
    """
    figures = {"ours": [300.0, 30.0, 200.0], "theirs": [100.0, 10.0, 100.0]}

    reached = judge(Target("ours", 1, "theirs"), figures).reached

    assert Spread(3.0, 2.0, 3.0) == reached


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(4000, Verdict.OK), (4700, Verdict.FLOOR), (4800, Verdict.MISSED)],
)
def test_an_upper_limit_is_kept_from_below(value, verdict):
    """
    Less than the limit is good; the floor is the limit over 0.85.
    """
    outcome = judge(Target("ours", 4000, at_least=False), {"ours": [value]})

    assert verdict is outcome.verdict


def test_a_difference_may_be_negative():
    """
    Whatever adds nothing keeps any limit.
    """
    target = Target("more", 200, "less", at_least=False, difference=True)

    outcome = judge(target, {"more": [100.0], "less": [110.0]})

    assert (-10, Verdict.OK) == (outcome.reached.median, outcome.verdict)


def test_what_was_not_measured_is_not_judged():
    """
    A peer that is not here leaves a target open.
    """
    outcome = judge(Target("ours", 1, "absent"), FIGURES)

    assert (None, Verdict.UNKNOWN) == (outcome.reached, outcome.verdict)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Target("a", 3.4, "b"), "≥ 3.4 ×"),
        (Target("a", 4000, at_least=False), "≤ 4 000"),
        (Target("a", 200, "b", at_least=False, difference=True), "≤ 200"),
    ],
)
def test_a_target_says_what_is_wanted(target, words):
    """
    Ratios are marked as such.
    """
    assert words == target.wanted


def test_rows_over_tls_are_known():
    """
    One subject over TLS is enough.
    """
    plain = Subject("plain", ("x",))
    secure = Subject("secure", ("x",), load=("--tls",))

    rows = [Row("r", "r", Kind.ECHO, s, ()) for s in [(plain,), (plain, secure)]]

    assert [False, True] == [row.needs_tls for row in rows]
