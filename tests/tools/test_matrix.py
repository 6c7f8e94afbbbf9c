"""
The matrix: which tests run where, and what is said about it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import matrix
from tools.matrix import Cell, cells, left_to_others

BOTH = ["3.11=.venv/3.11=compiled", "3.13=.venv/3.13=compiled"]


def cell(version="3.11", build="pure", is_first=False):
    return Cell(
        version,
        Path(".venv", version),
        build,
        is_first,
        is_oldest=version == "3.11",
        is_newest=version == "3.13",
    )


def test_each_python_is_tested_with_each_build():
    """
    The first cell is the pure build on the oldest Python.
    """
    expected = [
        cell("3.11", "pure", is_first=True),
        cell("3.11", "fast"),
        cell("3.13", "pure"),
        cell("3.13", "fast"),
    ]

    assert expected == cells(BOTH)


def test_without_a_compiler_only_the_pure_build_is_tested():
    """
    There is nothing else to test.
    """
    assert ["pure"] == [cell.build for cell in cells(["3.11=.venv/3.11=pure"])]


def test_every_test_runs_in_the_first_cell():
    """
    Coverage is measured there.
    """
    first, *others = cells(BOTH)

    assert [] == left_to_others(first)
    assert all(left_to_others(other) for other in others)


def test_rooms_and_core_run_everywhere():
    """
    They are what builds, Pythons and loops could change.
    """
    for one in cells(BOTH):
        assert not {"--ignore=tests/core", "--ignore=tests/asyncio"} & set(
            left_to_others(one)
        )


@pytest.mark.parametrize("pythons", [BOTH, BOTH[:1]])
def test_every_test_runs_on_each_build(pythons):
    """
    If not in each cell, then on another Python.
    """
    fast = [left_to_others(one) for one in cells(pythons) if one.build == "fast"]
    left = set.intersection(*map(set, fast))

    assert not left & {f"--ignore={path}" for path in matrix.TWICE}


def test_what_is_left_to_others_exists():
    """
    A renamed test is not ignored by its old name.
    """
    root = Path(matrix.__file__).parent.parent
    named = [
        *matrix.ONCE,
        *matrix.ONCE_PER_PYTHON,
        *matrix.ONCE_PER_BUILD,
        *matrix.TWICE,
        *matrix.LONGEST,
    ]

    assert [] == [path for path in named if not (root / path).exists()]


@pytest.fixture
def reports(tmp_path, monkeypatch):
    monkeypatch.setattr(matrix, "REPORTS", tmp_path)
    return tmp_path


def test_sums_up_what_was_tested(reports, capsys):
    """
    Build, Python and loop are told, and a cell that did not finish has failed.
    """
    (reports / "3.11-pure.json").write_text(
        json.dumps(
            {
                "subject": "socketeer, pure build, CPython 3.11.2",
                "passed": {"asyncio": 5, "uvloop": 5},
                "skipped": 1,
                "failed": 2,
            }
        )
    )

    total = matrix.sum_up([cell(), cell(build="fast")], {"compiled"})
    said = capsys.readouterr().out

    assert (10, 3) == total
    assert "pure build, CPython 3.11.2: 5 on asyncio, 5 on uvloop; 1 skipped" in said
    assert "3.11-fast: the run did not finish" in said
    assert "only one Python was found, 3.11" in said
    assert "compiler" not in said


def test_says_that_the_compiled_build_was_not_tested(reports, capsys):
    """
    A missing compiler is told.
    """
    matrix.sum_up([cell("3.11"), cell("3.13")], {"pure"})

    assert "no working C compiler was found" in capsys.readouterr().out


def test_continuous_integration_needs_a_compiler(monkeypatch, capsys):
    """
    With ``CI=true``, less than everything is a failure.
    """
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr("sys.argv", ["matrix.py", "3.11=.venv/3.11=pure"])

    assert 1 == matrix.main()
    assert "no C compiler" in capsys.readouterr().err
