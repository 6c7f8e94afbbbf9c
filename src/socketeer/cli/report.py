"""
What was measured, for people and for programs.
"""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .load import Load

__all__ = ["PERCENTILES", "duration", "progress", "report", "summary"]

PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)

# Lines and columns of the histogram.
_LINES = 16
_WIDTH = 40


def duration(seconds: float) -> str:
    """
    Return a duration in a unit that fits.
    """
    if seconds < 0.000_999_5:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.999_5:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s"


def summary(load: Load) -> dict[str, Any]:
    """
    Return the result as JSON has it; durations are in seconds.
    """
    latencies = load.latencies
    elapsed = load.elapsed or load.since_beginning()
    return {
        "uri": load.target.uri,
        "mode": load.options.mode,
        "connections": load.opened,
        "failed": load.failed,
        "errors": dict(load.errors),
        "size": load.options.size,
        "elapsed": elapsed,
        "sent": load.sent,
        "received": load.received,
        "wrong": load.wrong,
        "received_per_second": load.received / elapsed if elapsed else 0.0,
        "latency": {
            "mean": latencies.mean,
            "min": latencies.smallest if latencies.count else 0.0,
            **{
                f"p{percent:g}": latencies.percentile(percent)
                for percent in PERCENTILES
            },
        },
        "histogram": [
            {"from": low, "to": high, "count": count}
            for low, high, count in latencies.bars(_LINES)
        ],
    }


def progress(load: Load) -> Text:
    """
    Return the line that is shown while it runs.
    """
    options = load.options
    if load.began_at is None:
        return Text(f"connecting: {load.opened} of {options.connections}")
    elapsed = load.since_beginning()
    share = min(1.0, elapsed / options.duration)
    bar = "━" * round(share * _WIDTH)
    speed = load.received / elapsed if elapsed else 0
    return Text.assemble(
        (bar, "green"),
        ("━" * (_WIDTH - len(bar)), "dim"),
        f" {min(elapsed, options.duration):.1f}/{options.duration:g} s"
        f"  {speed:,.0f} msg/s  p99 {duration(load.latencies.percentile(99))}",
    )


def report(load: Load, uri: str) -> RenderableType:
    """
    Return the result for a terminal.
    """
    result = summary(load)
    facts = Table.grid(padding=(0, 2))
    facts.add_row("Server", uri)
    failed = f", {load.failed} failed" if load.failed else ""
    facts.add_row("Connections", f"{load.opened}{failed}")
    facts.add_row("Sent", f"{load.sent:,}")
    wrong = f", {load.wrong:,} of them unexpected" if load.wrong else ""
    facts.add_row("Received", f"{load.received:,}{wrong}")
    facts.add_row("Speed", f"{result['received_per_second']:,.0f} messages per second")
    parts: list[RenderableType] = [facts]
    if load.latencies.count:
        latency = Table.grid(padding=(0, 2))
        latency.add_row("Latency", "mean", duration(load.latencies.mean))
        for percent in PERCENTILES:
            value = duration(load.latencies.percentile(percent))
            latency.add_row("", f"{percent:g} %", value)
        parts += [Text(), latency, Text(), histogram(load)]
    for error, number in load.errors.most_common():
        parts.append(Text(f"{number} x {error}", style="red"))
    return Group(*parts)


def histogram(load: Load) -> Table:
    """
    Return the latencies as bars.
    """
    bars = list(load.latencies.bars(_LINES))
    most = max(count for _, _, count in bars)
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column()
    table.add_column(justify="right")
    for _, high, count in bars:
        length = -(-count * _WIDTH // most)
        table.add_row(f"<= {duration(high)}", "#" * length, f"{count:,}")
    return table
