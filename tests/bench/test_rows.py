"""
The table of rows and targets.
"""

from __future__ import annotations

import pytest

from bench.charts import CHARTS
from bench.model import Kind
from bench.rows import ROWS, named


def test_names_are_unique():
    """
    Results are kept by the names of rows, and of subjects in a row.
    """
    names = [row.name for row in ROWS]
    subjects = [[subject.name for subject in row.subjects] for row in ROWS]

    assert len(names) == len(set(names))
    assert all(len(each) == len(set(each)) for each in subjects)


def test_targets_are_about_subjects_of_their_row():
    """
    No target asks for what is not measured.
    """
    for row in ROWS:
        subjects = {subject.name for subject in row.subjects}
        for target in row.targets:
            assert {target.subject, target.other or target.subject} <= subjects


def test_yardsticks_are_subjects_of_their_row():
    """
    What the machine has to give is measured in the same rounds.
    """
    yardsticks = {row.name: row.yardstick for row in ROWS if row.yardstick}

    assert "echo-64" in yardsticks
    for row in ROWS:
        if row.yardstick:
            assert row.yardstick in {subject.name for subject in row.subjects}


def test_every_row_is_drawn_once():
    """
    Charts show all rows, and each of them in one place.
    """
    drawn = [name for chart in CHARTS for name in chart.rows]

    assert sorted(drawn) == sorted(row.name for row in ROWS)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("echo-64", ["echo-64"]),
        ("tls", ["tls-64", "tls-16k"]),
        ("tls-64, import", ["tls-64", "import"]),
    ],
)
def test_rows_are_chosen_by_name_or_beginning(wanted, names):
    """
    A whole name means that row alone.
    """
    assert names == [row.name for row in named(wanted)]


def test_without_names_all_rows_are_chosen():
    """
    Nothing is left out unless asked for.
    """
    assert list(ROWS) == named("")


def test_an_unknown_row_is_an_error():
    """
    The message names what there is.
    """
    with pytest.raises(
        ValueError, match=r"no row is called 'speed'; there are echo-64"
    ):
        named("speed")


def test_less_is_better_of_memory():
    """
    Bars are labelled with the direction.
    """
    assert (True, False) == (Kind.ECHO.more_is_better, Kind.MEMORY.more_is_better)
