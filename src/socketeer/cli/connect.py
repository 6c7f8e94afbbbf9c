"""
``socketeer connect``: the client.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from typing import Any

import click

from .loops import run
from .messages import BinaryForm, Display
from .options import Target, target_options
from .pipe import Filter
from .statuses import ExitStatus
from .terminal import Terminal, open_history

__all__ = ["connect"]


@click.command(
    epilog=(
        "At the prompt: /ping, /close CODE REASON, /file PATH, /help. In a pipe,"
        " each line of the input is sent as a text message, and each message is a"
        " line of the output. Exit status: 0 after a normal end, 1 without a"
        " connection, 3 after a close code that tells of an error, 4 if the"
        " connection was lost."
    )
)
@target_options
@click.option("--json", "as_json", is_flag=True, help="Lay out messages in JSON.")
@click.option(
    "--binary",
    type=click.Choice(["hex", "base64", "file"]),
    default="hex",
    show_default=True,
    help="How to show binary messages.",
)
@click.option("--reconnect", is_flag=True, help="Connect again, at growing intervals.")
@click.option(
    "--jsonl",
    is_flag=True,
    help="In a pipe: lines are JSON objects, such as"
    ' {"type": "text", "data": "..."}, with binary data in base64.',
)
@click.option(
    "--linger",
    type=click.FloatRange(min=0),
    default=1,
    show_default=True,
    metavar="SECONDS",
    help="In a pipe: after the end of the input, close the connection when no"
    " message has come for this time; inf waits for the server.",
)
def connect(
    target: Target,
    *,
    as_json: bool,
    binary: BinaryForm,
    reconnect: bool,
    jsonl: bool,
    linger: float,
) -> None:
    """
    Connect to the server at URI: talk in a terminal, filter in a pipe.
    """
    display = Display(as_json, binary)
    if sys.stdin.isatty() and sys.stdout.isatty() and not jsonl:
        # uvloop would leave the terminal non-blocking, to whoever reads from it next.
        sys.exit(asyncio.run(_terminal(target, display, reconnect=reconnect)))
    status = run(
        _filter(target, display, jsonl=jsonl, linger=linger, reconnect=reconnect)
    )
    # The thread that reads the input may still do so.
    sys.stdout.flush()
    sys.exit(status)


async def _terminal(target: Target, display: Display, **options: Any) -> ExitStatus:
    return await Terminal(target, display, history=open_history(), **options).run()


async def _filter(target: Target, display: Display, **options: Any) -> ExitStatus:
    read = functools.partial(os.read, sys.stdin.fileno())
    return await Filter(target, display, read, _write, **options).run()


def _write(data: bytes) -> None:
    """
    Write everything to the output, past its buffer.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(sys.stdout.fileno(), view) :]
