"""
``socketeer bench``: the load generator.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live

from .load import Load, LoadOptions, Mode
from .loops import on_signals, run
from .options import Target, target_options
from .plot import plot
from .report import progress, report, summary
from .statuses import ExitStatus

__all__ = ["bench"]

# Seconds between updates of the progress.
_UPDATE = 0.25


@click.command()
@target_options
@click.option(
    "--connections",
    "-c",
    type=click.IntRange(1, 100_000),
    default=10,
    show_default=True,
    help="Number of connections.",
)
@click.option(
    "--rate",
    "-r",
    type=click.FloatRange(min=0, min_open=True),
    metavar="PER-SECOND",
    help="Messages per second, over all connections; as fast as possible by default.",
)
@click.option(
    "--size",
    "-s",
    type=click.IntRange(0, 2**26),
    default=64,
    show_default=True,
    metavar="BYTES",
    help="Size of a message.",
)
@click.option(
    "--duration",
    "-d",
    type=click.FloatRange(min=0, min_open=True),
    default=5,
    show_default=True,
    metavar="SECONDS",
    help="How long to send.",
)
@click.option(
    "--pipeline",
    "-p",
    type=click.IntRange(1, 100_000),
    default=1,
    show_default=True,
    help="Messages in flight on each connection.",
)
@click.option(
    "--mode",
    "-m",
    type=click.Choice(["echo", "broadcast"]),
    default="echo",
    show_default=True,
    help="echo: each connection gets its messages back. broadcast: the first one"
    " sends, all others get it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result in JSON.")
@click.option(
    "--plot",
    "plot_file",
    metavar="FILE.svg",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Draw the latencies.",
)
def bench(
    target: Target,
    *,
    connections: int,
    rate: float | None,
    size: int,
    duration: float,
    pipeline: int,
    mode: Mode,
    as_json: bool,
    plot_file: Path | None,
) -> None:
    """
    Send messages to the server at URI, and measure how long they take.

    The server has to answer as --mode says, as socketeer serve --echo does.
    """
    options = LoadOptions(connections, rate, size, duration, pipeline, mode)
    try:
        options.check()
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    load = Load(target, options)
    run(_measure(load))
    if plot_file is not None:
        try:
            plot_file.write_text(plot(load, target.uri), "utf-8")
        except OSError as exc:
            raise click.ClickException(f"cannot write {plot_file}: {exc}") from exc
    if as_json:
        click.echo(json.dumps(summary(load)))
    else:
        Console(highlight=False).print(report(load, target.uri))
    sys.exit(ExitStatus.OK if load.opened else ExitStatus.CANNOT_CONNECT)


async def _measure(load: Load) -> None:
    """
    Run the load, and show how it goes; Ctrl+C ends it early.
    """
    console = Console(stderr=True, highlight=False)
    with on_signals(lambda number: load.stop()):
        running = asyncio.create_task(load.run())
        if not console.is_terminal:
            await running
            return
        with Live(progress(load), console=console, transient=True) as live:
            while not running.done():
                await asyncio.wait({running}, timeout=_UPDATE)
                live.update(progress(load))
        await running
