"""
Writes the figures of runs into a page, between two comments.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from verdicts import TITLES

if TYPE_CHECKING:
    from verdicts import Run

__all__ = ["replace_figures", "table", "write_figures"]

BEGIN = "<!-- figures of the Autobahn test suite, written by make autobahn -->"
END = "<!-- end of the figures -->"

# Cases of the suite, as of this version of it.
SUITE_SIZE = 517

# Run by the interpreter that the peers ran on.
PORTRAIT = """
import json, platform, socketeer
from socketeer._core.deflate import zlib
name = "zlib" if zlib.__name__ == "zlib" else "zlib-ng"
print(json.dumps([socketeer.__version__, platform.python_version(), name]))
"""


def table(runs: list[Run]) -> list[str]:
    """
    Return a table with a row for each group and a column for each run.
    """
    lines = ["| group | cases | " + " | ".join(_title(run) for run in runs) + " |"]
    lines.append("|---|--:|" + "--:|" * len(runs))
    for group, title in TITLES.items():
        size = sum(runs[0].counts(group).values())
        if size:
            cells = " | ".join(_cell(run, group) for run in runs)
            lines.append(f"| {group} {title} | {size} | {cells} |")
    cells = " | ".join(f"**{_cell(run, None)}**" for run in runs)
    lines.append(f"| **all** | **{len(runs[0].outcomes)}** | {cells} |")
    return lines


def _title(run: Run) -> str:
    build = "compiled" if run.build == "fast" else "pure"
    return f"{run.role}, {build}"


def _cell(run: Run, group: str | None) -> str:
    counts = run.counts(group)
    text = f"{counts.pop('ok', 0)} OK"
    return ", ".join([text, *(f"{counts[name]} {name}" for name in sorted(counts))])


def replace_figures(page: str, lines: list[str]) -> str:
    """
    Return a page with other figures.
    """
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    text = "\n".join([BEGIN, "", *lines, "", END])
    return pattern.sub(lambda _: text, page)


def write_figures(page: Path, runs: list[Run], python: str) -> None:
    """
    Write what was found, when, and with what, into a page.
    """
    done = subprocess.run(
        [python, "-c", PORTRAIT], capture_output=True, text=True, check=True
    )
    ours, version, zlib = json.loads(done.stdout)
    today = dt.datetime.now(dt.UTC).date()
    begin = (
        f"On {today}, {len(runs[0].outcomes)} of the suite's {SUITE_SIZE} cases; "
        f"socketeer {ours} on Python {version} with {zlib}, autobahntestsuite 25.10.1."
    )
    lines = [begin]
    for room, group in itertools.groupby(runs, lambda run: run.room):
        lines += ["", f"**{room}**", "", *table(list(group))]
    text = replace_figures(page.read_text("utf-8"), lines)
    page.write_text(text, "utf-8")
