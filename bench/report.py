"""
Writes results for people: on the terminal and into ``docs/performance.md``.

The generated part of the page stands between two markers; the rest of it is
written by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from .charts import CHARTS, draw
from .memory import Portrait
from .memory import table as memory_table
from .model import Figures, Kind, Outcome, Row, Spread, Verdict, judge
from .natives import ROOT
from .rows import ROWS

__all__ = [
    "BEGIN",
    "END",
    "PAGE",
    "Results",
    "figures_of",
    "generated",
    "replaced",
    "summary",
    "write_page",
]

PAGE = ROOT / "docs" / "performance.md"
IMAGES = ROOT / "docs" / "images"

BEGIN = "<!-- results: written by `make bench`, not by hand -->"
END = "<!-- end of the results -->"

EXPLANATION = """\
Each figure is the median of all rounds, and so is each ratio, taken round by round; the
range is that of the rounds. “≥ 85 %” has reached the floor of a target, not all of it.
The yardstick is the same ratio of a program in C or C++, from the same rounds: what the
machine and the load generator have to give.

"""

Samples = Mapping[str, Sequence[Mapping[str, Any]]]


class Results(TypedDict):
    """
    What a run found out.
    """

    about: dict[str, str]
    rows: dict[str, Any]
    memory: list[Portrait]
    failed: list[str]


def figures_of(samples: Samples) -> Figures:
    """
    Return the figures of the rounds, without what else is known about them.
    """
    return {name: [each["value"] for each in found] for name, found in samples.items()}


def number(value: float, kind: Kind) -> str:
    """
    Return a figure of a row with as many digits as it deserves.
    """
    if kind in {Kind.CPU, Kind.IMPORT}:
        return f"{value:.2f}" if kind is Kind.CPU else f"{value:.1f}"
    digits = -2 if abs(value) >= 10_000 else 0
    return f"{round(value, digits):,.0f}".replace(",", " ")


def reached(outcome: Outcome, kind: Kind) -> str:
    """
    Return the median that was reached, with the range of the rounds.
    """
    if outcome.reached is None:
        return "–"  # noqa: RUF001
    target = outcome.target
    is_ratio = target.other is not None and not target.difference
    words = [f"{v:.2f}" if is_ratio else number(v, kind) for v in outcome.reached]
    return f"{words[0]} ({words[1]} to {words[2]})"


def compared(outcome: Outcome) -> str:
    """
    Return who is compared with whom.
    """
    target = outcome.target
    if target.other is None:
        return target.subject
    return f"{target.subject} {'−' if target.difference else '/'} {target.other}"  # noqa: RUF001


def summary(row: Row, samples: Samples) -> str:
    """
    Return the results of a row for the terminal.
    """
    figures = figures_of(samples)
    lines = []
    for name, values in figures.items():
        if values:
            spread = Spread.of(values)
            words = [number(value, row.kind) for value in spread]
            line = f"  {name:24} {words[0]:>12}   ({words[1]} to {words[2]})"
            lines.append(f"{line}{busy(samples[name])}")
    for target in row.targets:
        outcome = judge(target, figures)
        mark = outcome.verdict.value
        lines.append(
            f"  {compared(outcome)}: {reached(outcome, row.kind)}, "
            f"wanted {target.wanted}: {mark}"
        )
    return "".join(f"{line}\n" for line in lines)


def core(samples: Sequence[Mapping[str, Any]], whose: str) -> str:
    """
    Return how much of its core somebody used, if that was watched.

    Args:
        samples: Those of all rounds.
        whose: ``"server_core"`` or ``"load_core"``.
    """
    shares = [sample[whose] for sample in samples if whose in sample]
    return f"{100 * Spread.of(shares).median:.0f} %" if shares else ""


def busy(samples: Sequence[Mapping[str, Any]]) -> str:
    """
    Return, for the terminal, how much of both cores was used.
    """
    server, load = (core(samples, whose) for whose in ("server_core", "load_core"))
    return f"   server {server}, load {load}" if server else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: int = 1) -> str:
    """
    Return a table in Markdown, whose last columns are aligned to the right.
    """
    marks = ["---"] * (len(head) - right) + ["--:"] * right
    lines = [head, marks, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def about(results: Results) -> str:
    """
    Return where and when the figures were measured.
    """
    words = (f"{name}: {value}" for name, value in results["about"].items())
    return "".join(f"- {word}\n" for word in words)


def targets(results: Results) -> str:
    """
    Return the table of targets.
    """
    lines = []
    for row in ROWS:
        figures = figures_of(results["rows"].get(row.name, {}))
        for target in row.targets:
            outcome = judge(target, figures)
            verdict = outcome.verdict.value
            if outcome.verdict is Verdict.MISSED:
                verdict = f"**{verdict}**"
            words = (compared(outcome), target.wanted, reached(outcome, row.kind))
            most = row.most(target, figures)
            yardstick = "" if most is None else f"{most:.2f}"
            lines.append((row.title, *words, yardstick, verdict))
    head = ("what", "compared", "target", "reached", "yardstick", "")
    return table(head, lines, right=2)


def figures(row: Row, samples: Samples) -> str:
    """
    Return the table of a row.
    """
    has_bytes = any("--script" in row.load and s for s in samples.values())
    has_cores = any("server_core" in s for found in samples.values() for s in found)
    head = ["", f"median, {row.kind.value}", "range"]
    lines = []
    for name, found in samples.items():
        if not found:
            continue
        words = [number(v, row.kind) for v in Spread.of([s["value"] for s in found])]
        if row.kind is Kind.CPU:
            # The limit of open files may have allowed fewer than the title says.
            name = f"{name}, {found[0]['connections']} connections"  # noqa: PLW2901
        line = [name, words[0], f"{words[1]} to {words[2]}"]
        if row.kind is Kind.LATENCY:
            middle = Spread.of([s["p50_us"] for s in found]).median
            line.append(number(middle, row.kind))
        if has_bytes:
            line.append(f"{Spread.of([s['bytes'] for s in found]).median:.0f}")
        if has_cores:
            line.append(core(found, "server_core"))
        lines.append(line)
    if row.kind is Kind.LATENCY:
        head.append("50th percentile")
    if has_bytes:
        head.append("bytes per message")
    if has_cores:
        head.append("of its core")
    return table(head, lines, right=len(head) - 1)


def generated(results: Results, images: Iterable[str] = ()) -> str:
    """
    Return the generated part of the page, markers included.

    Args:
        results: What was measured.
        images: Names of the charts that were drawn.
    """
    drawn = set(images)
    parts = [BEGIN, "\n\n## Targets and what was reached\n\n", about(results), "\n"]
    parts += [
        EXPLANATION,
        targets(results),
    ]
    for chart in CHARTS:
        rows = [r for r in ROWS if r.name in chart.rows and r.name in results["rows"]]
        if not rows:
            continue
        parts.append(f"\n## {chart.title}\n")
        if chart.name in drawn:
            parts.append(f"\n![{chart.title}](images/{chart.file})\n")
        for row in rows:
            parts.append(f"\n### {row.title}\n\n")
            if row.note:
                parts.append(f"{row.note}\n\n")
            parts.append(figures(row, results["rows"][row.name]))
    if results["memory"]:
        parts.append("\n## How a connection's bytes add up\n")
        parts += [f"\n{memory_table(portrait)}" for portrait in results["memory"]]
    parts += ["\n", END]
    return "".join(parts)


def replaced(page: str, part: str) -> str:
    """
    Return a page with its generated part replaced.

    Raises:
        ValueError: The page does not have both markers, in order.
    """
    before, begin, rest = page.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page does not have the two markers of the results")
    return before + part + after


def write_page(results: Results, page: Path = PAGE, images: Path = IMAGES) -> None:
    """
    Draw the charts and put the results into the page.
    """
    images.mkdir(parents=True, exist_ok=True)
    samples = {
        row.name: figures_of(results["rows"][row.name])
        for row in ROWS
        if row.name in results["rows"]
    }
    drawn = draw(samples, images)
    text = replaced(page.read_text("utf-8"), generated(results, drawn))
    page.write_text(text, "utf-8")
    print(f"\nwritten: {page}")
