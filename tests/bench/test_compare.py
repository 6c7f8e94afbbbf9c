"""
Any servers, side by side.
"""

from __future__ import annotations

import argparse
import json
import sys

import pytest

from bench import compare
from bench.model import Kind


def test_servers_are_compared(programs, monkeypatch, capsys):
    """
    The last line tells medians, and ratios of the first server to the others.
    """
    command = f"{programs['echoserver']} {{port}}"
    words = ["compare", "echo", f"one={command}", f"two={command}"]
    words += ["--rounds", "1", "--seconds", "0.2", "--connections", "2"]
    monkeypatch.setattr(sys, "argv", words)

    assert 0 == compare.main()
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    figures = last["figures"]
    assert {"two": figures["one"] / figures["two"]} == last["ratios"]


def test_a_comparison_is_a_row():
    """
    The first server is compared with each of the others.
    """
    options = argparse.Namespace(
        mode="fan",
        servers=["a=x {port}", "b=y 'z z'"],
        connections=3,
        size=10,
        in_flight=2,
        text=True,
    )

    row = compare.row_of(options)

    assert (Kind.FAN, 3) == (row.kind, row.connections)
    assert [("x", "{port}"), ("y", "z z")] == [s.command for s in row.subjects]
    assert [("a", "b")] == [(t.subject, t.other) for t in row.targets]
    assert ("--size", "10", "--in-flight", "2", "--text") == row.load


@pytest.mark.parametrize("word", ["name", "name=", "=command"])
def test_a_server_without_name_or_command_is_an_error(word):
    """
    The message shows what is expected.
    """
    options = argparse.Namespace(mode="echo", servers=[word])

    with pytest.raises(ValueError, match="a server is NAME=COMMAND, not"):
        compare.row_of(options)
