"""
What the reports of the suite mean.
"""

from __future__ import annotations

import collections
import json
import re
from pathlib import Path
from typing import Any, NamedTuple, Self

__all__ = ["TITLES", "Run", "classify", "read_results", "sort_key"]

# What the groups of cases are about.
TITLES = {
    "1": "framing",
    "2": "pings and pongs",
    "3": "reserved bits",
    "4": "opcodes",
    "5": "fragmentation",
    "6": "UTF-8",
    "7": "closing handshake",
    "9": "limits",
    "10": "automatic fragmentation",
    "12": "compression, payloads",
    "13": "compression, parameters",
}


def sort_key(case: str) -> tuple[int, ...]:
    """
    Sort cases as people do: 2.10 comes after 2.9.
    """
    return tuple(int(part) for part in case.split("."))


def classify(result: dict[str, Any]) -> str:
    """
    Return what a result amounts to.

    A case is as good as the worse of its behaviour and its closing. A wrong or
    unclean close, or one that is left to the other end, is a failure here, even
    where the pages of the suite are milder.

    Returns:
        ``ok``, ``informational``, ``non-strict``, ``unimplemented``, ``failed``.
    """
    if result["behavior"] == "UNIMPLEMENTED":
        return "unimplemented"
    if result["behaviorClose"] not in {"OK", "INFORMATIONAL"}:
        return "failed"
    known = {"OK": "ok", "INFORMATIONAL": "informational", "NON-STRICT": "non-strict"}
    return known.get(result["behavior"], "failed")


class Run(NamedTuple):
    """
    What one peer did.

    Attributes:
        room: Such as ``asyncio``.
        role: ``server`` or ``client``.
        build: ``fast`` or ``pure``.
        outcomes: The outcome of each case; those that did not run are ``missing``.
        notes: For each case that is not as it should be, why.
        seconds: How long it took.
    """

    room: str
    role: str
    build: str
    outcomes: dict[str, str]
    notes: dict[str, str]
    seconds: float

    @property
    def name(self) -> str:
        """
        A name for people and for files.
        """
        return f"{self.room}-{self.role}-{self.build}"

    @property
    def is_good(self) -> bool:
        """
        Tell whether all cases are strictly OK, or only inform.
        """
        return set(self.outcomes.values()) <= {"ok", "informational"}

    def counts(self, group: str | None = None) -> collections.Counter[str]:
        """
        Count outcomes, of all cases or of one group.
        """
        return collections.Counter(
            outcome
            for case, outcome in self.outcomes.items()
            if group is None or case.partition(".")[0] == group
        )

    def save(self, folder: Path) -> None:
        """
        Keep the outcomes, with those of other cases from earlier runs.
        """
        path = folder / f"{self.name}.json"
        earlier = json.loads(path.read_text("utf-8")) if path.exists() else {}
        path.write_text(json.dumps({**earlier, **self.outcomes}, indent=1), "utf-8")

    def kept(self, folder: Path) -> Self:
        """
        Return this run with the outcomes of earlier ones.
        """
        outcomes = json.loads((folder / f"{self.name}.json").read_text("utf-8"))
        return self._replace(outcomes=outcomes)

    def summary(self) -> str:
        """
        Say in a line what happened.
        """
        counts = self.counts()
        parts = [f"{counts.pop('ok', 0)} strictly OK"]
        parts += [f"{counts[outcome]} {outcome}" for outcome in sorted(counts)]
        total = f"of {len(self.outcomes)}, {self.seconds:.0f} s"
        return f"{self.name}: {', '.join(parts)}, {total}"


def read_results(
    folder: Path, agent: str, selected: list[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """
    Read the reports about an agent.

    Returns:
        The outcome of each selected case, and why those that are not as they
        should be are not.
    """
    index = folder / "index.json"
    results = json.loads(index.read_text("utf-8")) if index.exists() else {}
    found: dict[str, Any] = results.get(agent, {})
    outcomes = {}
    notes = {}
    for case in sorted(selected, key=sort_key):
        outcomes[case] = classify(found[case]) if case in found else "missing"
        if case in found and outcomes[case] not in {"ok", "informational"}:
            notes[case] = _explain(folder / found[case]["reportfile"], found[case])
    return outcomes, notes


def _explain(report: Path, result: dict[str, Any]) -> str:
    verdict = f"{result['behavior']}, close {result['behaviorClose']}"
    if not report.exists():
        return verdict
    detail = json.loads(report.read_text("utf-8"))
    texts = [detail.get("result") or "", detail.get("resultClose") or ""]
    return " - ".join([verdict, *(re.sub(r"\s+", " ", text) for text in texts if text)])
