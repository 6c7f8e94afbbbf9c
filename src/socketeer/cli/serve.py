"""
``socketeer serve``: the server.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import Any

import click

from .loading import CannotServe
from .loops import run
from .serving import ServeOptions, serve_until_signal
from .supervisor import supervise

__all__ = ["serve"]


@click.command()
@click.argument("target", metavar="[MODULE:HANDLER]", required=False)
@click.option("--echo", is_flag=True, help="Send each message back.")
@click.option("--broadcast", is_flag=True, help="Send each message to all others.")
@click.option(
    "--static",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    help="Serve the files in a folder over HTTP, alone or beside a handler.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port; 0 for a free one.",
)
@click.option("--unix", metavar="PATH", help="Listen on a Unix socket instead.")
@click.option(
    "--tls-cert",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Serve over TLS with this certificate chain.",
)
@click.option(
    "--tls-key",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Its key, if it is in another file.",
)
@click.option(
    "--lifespan",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    show_default=True,
    help="Use the lifespan of MODULE.",
)
@click.option("--reload", is_flag=True, help="Start again when a .py file changes.")
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Number of processes.",
)
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="Time for handlers and lifespan to end after SIGTERM or Ctrl+C.",
)
@click.option("--access-log", is_flag=True, help="Log requests and connections.")
def serve(*, reload: bool, workers: int, **arguments: Any) -> None:
    """
    Serve HANDLER, a coroutine function in MODULE that gets a connection.

    MODULE is found in the current folder, too. If it has a lifespan, an asynchronous
    context manager, that begins before the first connection and ends after the last.
    """
    options = ServeOptions(**arguments)
    chosen = [bool(options.target), options.echo, options.broadcast]
    if sum(chosen) > 1 or not (any(chosen) or options.static):
        raise click.UsageError(
            "one of MODULE:HANDLER, --echo and --broadcast is needed, or --static"
        )
    if options.broadcast and workers > 1:
        raise click.UsageError("--broadcast reaches the connections of one worker")
    if options.tls_key and not options.tls_cert:
        raise click.UsageError("--tls-key needs --tls-cert")
    if workers > 1 and not options.unix and not hasattr(socket, "SO_REUSEPORT"):
        raise click.UsageError("this system cannot share a port among --workers")
    try:
        if workers == 1 and not reload:
            status = run(serve_until_signal(options))
        else:
            # It only waits for processes; uvloop missed the end of one at times.
            watched = os.getcwd() if reload else None
            status = asyncio.run(supervise(options, workers, watched))
    except CannotServe as exc:
        raise click.ClickException(str(exc)) from exc
    sys.exit(status)
