"""
Bar charts of results, as SVG.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .model import Figures, Row, Spread
from .rows import ROWS

__all__ = ["CHARTS", "Chart", "draw"]

OURS = "#c2410c"
OTHERS = "#64748b"

# Inches.
WIDTH = 8.0
BAR = 0.26
PANEL = 0.75


class Chart(NamedTuple):
    """
    A picture with a panel for each of some rows.

    Attributes:
        name: For the name of the file.
        title: For readers.
        rows: The names of the rows.
    """

    name: str
    title: str
    rows: tuple[str, ...]

    @property
    def file(self) -> str:
        """
        The name of the file.
        """
        return f"performance-{self.name}.svg"


CHARTS = (
    Chart(
        "echo",
        "Echo on uvloop",
        ("echo-64", "echo-64-many", "echo-16k", "echo-16k-many"),
    ),
    Chart(
        "asyncio",
        "Echo on stock asyncio",
        ("echo-64-asyncio", "echo-64-many-asyncio", "echo-16k-asyncio"),
    ),
    Chart("text", "Text beside binary", ("text-64", "text-64-many", "text-16k")),
    Chart(
        "broadcast", "Broadcast", ("broadcast", "broadcast-many", "broadcast-deflate")
    ),
    Chart(
        "hub",
        "Publish and subscribe",
        ("hub", "hub-topics", "hub-stalled", "redis", "redis-latency"),
    ),
    Chart("tls", "Echo over TLS, and compressed", ("tls-64", "tls-16k", "deflate")),
    Chart("opening", "Clients and opening handshakes", ("client", "handshakes")),
    Chart(
        "idle",
        "Idle connections",
        ("memory-uvloop", "memory-asyncio", "idle-cpu"),
    ),
    Chart("pure", "The pure build, and importing", ("pure-64", "pure-16k", "import")),
)


def panel(axes: Any, row: Row, figures: Figures) -> None:
    """
    Draw the bars of a row, with the range of the rounds.
    """
    names = [name for name, values in figures.items() if values]
    spreads = [Spread.of(figures[name]) for name in names]
    medians = [spread.median for spread in spreads]
    errors = [
        [spread.median - spread.least for spread in spreads],
        [spread.most - spread.median for spread in spreads],
    ]
    colours = [OURS if name.startswith("socketeer") else OTHERS for name in names]
    axes.barh(names, medians, xerr=errors, color=colours, ecolor="#1e293b", capsize=2)
    axes.invert_yaxis()
    direction = "more" if row.kind.more_is_better else "less"
    axes.set_title(f"{row.title}: {row.kind.value}, {direction} is better", loc="left")
    axes.xaxis.set_major_formatter("{x:,.10g}")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def draw(samples: Mapping[str, Figures], folder: Path) -> list[str]:
    """
    Draw all charts for which there are figures; return their names.

    Args:
        samples: The figures of each row, by the names of the rows.
        folder: Where the pictures go.
    """
    import matplotlib as mpl  # noqa: PLC0415 - only who draws needs it

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    # The same figures give the same file; text stays text.
    mpl.rcParams.update(
        {"svg.hashsalt": "socketeer", "svg.fonttype": "none", "font.size": 8}
    )
    drawn = []
    for chart in CHARTS:
        rows = [
            r for r in ROWS if r.name in chart.rows and any(samples.get(r.name, {}))
        ]
        if not rows:
            continue
        bars = [len(samples[row.name]) for row in rows]
        heights = [PANEL + BAR * count for count in bars]
        picture, axes = plt.subplots(
            len(rows),
            1,
            squeeze=False,
            figsize=(WIDTH, sum(heights)),
            height_ratios=heights,
            layout="constrained",
        )
        for row, (place,) in zip(rows, axes, strict=True):
            panel(place, row, samples[row.name])
        picture.savefig(folder / chart.file, metadata={"Date": None, "Creator": None})
        plt.close(picture)
        drawn.append(chart.name)
    return drawn
