"""
The costs of single operations.
"""

from __future__ import annotations

import asyncio

import pytest

from bench import micro


@pytest.mark.parametrize("name", micro.OPERATIONS)
def test_operations_run(name):
    """
    Each operation does what it is named after, as often as asked.
    """
    asyncio.run(asyncio.wait_for(micro.run(name, 2 * micro.BATCH), 10))


def test_counts_are_read_in_their_order(tmp_path):
    """
    Callgrind numbers its files; the one without a number is the rest.
    """
    for number, total in [(1, 10), (2, 20), (10, 30)]:
        (tmp_path / f"part.{number}").write_text(f"events: Ir\ntotals: {total}\n")
    (tmp_path / "part").write_text("totals: 5\n")

    assert [10, 20, 30] == micro.totals(tmp_path)


def test_an_unknown_operation_is_an_error():
    """
    The message names what there is.
    """
    with pytest.raises(ValueError, match="no operation begins with x: unmask-64, "):
        micro.chosen(["x"])


def test_without_names_all_operations_are_chosen():
    """
    Nothing is left out unless asked for.
    """
    assert list(micro.OPERATIONS) == micro.chosen([])
