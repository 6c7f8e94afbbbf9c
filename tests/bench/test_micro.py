"""
The costs of single operations.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from bench import micro


class Counted:
    """
    Counts calls of the functions and methods of something, and of its sessions.
    """

    def __init__(self, subject, calls):
        self._subject = subject
        self._calls = calls

    def __getattr__(self, name):
        function = getattr(self._subject, name)

        def call(*args):
            self._calls[name] += 1
            result = function(*args)
            return Counted(result, self._calls) if name == "Session" else result

        return call


# What an operation calls each time.
FUNCTIONS = {
    "unmask": "copy_payload",
    "parse": "take_message",
    "build": "send_message",
    "recv": "recv",
    "send": "send",
    "broadcast": "broadcast",
}


@pytest.mark.parametrize("name", micro.OPERATIONS)
def test_operations_run(name, monkeypatch):
    """
    Each operation does what it is named after, as often as asked.
    """
    calls = Counter()
    load, count = micro.load, 10 * micro.BATCH
    monkeypatch.setattr(micro, "load", lambda module: Counted(load(module), calls))
    for owner, function in [
        (micro, "broadcast"),
        (micro.ServerConnection, "recv"),
        (micro.ServerConnection, "send"),
    ]:
        counted = getattr(Counted(owner, calls), function)
        # A function, so that it becomes a method.
        monkeypatch.setattr(owner, function, counted)

    asyncio.run(asyncio.wait_for(micro.run(name, count), 10))

    messages = count // micro.RECEIVERS if name.startswith("broadcast") else count
    assert messages == calls[FUNCTIONS[name.partition("-")[0]]]


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
