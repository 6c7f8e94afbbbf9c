"""
What a run of the Autobahn test suite amounts to, and how it gets into a page.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "compliance"


@pytest.fixture
def verdicts(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("verdicts")


@pytest.fixture
def document(monkeypatch, verdicts):
    return importlib.import_module("document")


@pytest.mark.parametrize(
    ("behavior", "close", "outcome"),
    [
        ("OK", "OK", "ok"),
        ("OK", "INFORMATIONAL", "ok"),
        ("INFORMATIONAL", "INFORMATIONAL", "informational"),
        ("NON-STRICT", "OK", "non-strict"),
        ("NON-STRICT", "UNCLEAN", "failed"),
        ("FAILED", "OK", "failed"),
        ("OK", "FAILED", "failed"),
        ("OK", "UNCLEAN", "failed"),
        ("OK", "WRONG CODE", "failed"),
        ("OK", "FAILED BY CLIENT", "failed"),
        ("INFORMATIONAL", "FAILED", "failed"),
        ("UNIMPLEMENTED", "OK", "unimplemented"),
        ("NO_CLOSE", "OK", "failed"),
        ("something new", "OK", "failed"),
    ],
)
def test_a_case_is_as_good_as_the_worse_half(verdicts, behavior, close, outcome):
    """
    The behaviour and the closing count alike.
    """
    result = {"behavior": behavior, "behaviorClose": close}

    assert outcome == verdicts.classify(result)


def test_a_case_that_did_not_run_is_missing(verdicts, tmp_path):
    """
    A run that was cut short is not a good one.
    """
    report = {"behavior": "OK", "behaviorClose": "OK", "reportfile": "report.json"}
    bad = {**report, "behavior": "FAILED"}
    index = {"agent": {"1.1": report, "1.2": bad}}
    (tmp_path / "index.json").write_text(json.dumps(index), "utf-8")
    detail = {"result": "Wrong\n echo", "resultClose": None}
    (tmp_path / "report.json").write_text(json.dumps(detail), "utf-8")

    outcomes, notes = verdicts.read_results(tmp_path, "agent", ["1.10", "1.2", "1.1"])

    assert [("1.1", "ok"), ("1.2", "failed"), ("1.10", "missing")] == [
        *outcomes.items()
    ]
    assert {"1.2": "FAILED, close OK - Wrong echo"} == notes
    assert not verdicts.Run("r", "server", "pure", outcomes, notes, 1.0).is_good


def test_outcomes_of_several_runs_add_up(verdicts, tmp_path):
    """
    A case that is run again counts once, as it ended the last time.
    """
    first = verdicts.Run("r", "server", "pure", {"1.1": "ok", "1.2": "failed"}, {}, 1.0)
    again = first._replace(outcomes={"1.2": "ok"})
    first.save(tmp_path)
    again.save(tmp_path)

    assert {"1.1": "ok", "1.2": "ok"} == again.kept(tmp_path).outcomes
    assert "r-server-pure: 1 strictly OK, 1 failed, of 2, 1 s" == first.summary()


def test_figures_replace_earlier_figures(verdicts, document):
    """
    The rest of the page stays.
    """
    outcomes = {"1.1": "ok", "7.1": "informational", "7.2": "ok"}
    run = verdicts.Run("asyncio", "server", "fast", outcomes, {}, 1.0)
    page = f"before\n{document.BEGIN}\nold\n{document.END}\nafter\n"

    changed = document.replace_figures(page, document.table([run]))

    assert changed.startswith("before\n")
    assert changed.endswith("\nafter\n")
    assert "old" not in changed
    assert "| 7 closing handshake | 2 | 1 OK, 1 informational |" in changed
    assert "| **all** | **3** | **2 OK, 1 informational** |" in changed
