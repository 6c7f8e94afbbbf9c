"""
One process that serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from ..asyncio.server import Server, unix_serve
from ..asyncio.server import serve as serve_tcp
from .access_log import AccessLog
from .handlers import Broadcast, Handler, echo, refuse
from .lifespan import Lifespan, is_done_in_time
from .loading import CannotServe, load_handler, load_lifespan
from .loops import on_signals
from .static import StaticFiles

__all__ = ["ServeOptions", "announce", "log_to", "make_server", "serve_until_signal"]

logger = logging.getLogger("socketeer.cli")

# Seconds that handlers have after they were cancelled, and the lifespan if handlers
# have used up the time.
_LAST_WAIT = 1.0


@dataclasses.dataclass(frozen=True)
class ServeOptions:
    """
    What to serve, and where. Can be told to another process, in JSON.

    Attributes:
        target: ``MODULE:HANDLER``.
        echo: Whether to send each message back.
        broadcast: Whether to send each message to all others.
        static: Folder with files.
        host: Address.
        port: Port.
        unix: Path of a Unix socket.
        tls_cert: File with a certificate.
        tls_key: File with its key.
        lifespan: Whether to use the lifespan of the handler's module: ``"auto"``,
            ``"on"``, ``"off"``.
        grace: Seconds for handlers and lifespan to end.
        access_log: Whether to log requests and connections.
        descriptor: File descriptor of a listening socket, instead of an address.
        shared: Whether other processes listen on the port, too.
    """

    target: str | None = None
    echo: bool = False
    broadcast: bool = False
    static: str | None = None
    host: str = "127.0.0.1"
    port: int = 8765
    unix: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    lifespan: str = "auto"
    grace: float = 10
    access_log: bool = False
    descriptor: int | None = None
    shared: bool = False


def choose_handler(options: ServeOptions) -> Handler:
    """
    Return the handler that the options ask for.

    Raises:
        CannotServe: It cannot be imported.
    """
    if options.target is not None:
        return load_handler(options.target)
    if options.echo:
        return echo
    return Broadcast().handle if options.broadcast else refuse


def tls_context(options: ServeOptions) -> ssl.SSLContext | None:
    """
    Return the context with the certificate, if there is one.

    Raises:
        CannotServe: Certificate and key cannot be read, or do not match.
    """
    if options.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key)
    except OSError as exc:
        raise CannotServe(f"cannot use {options.tls_cert}: {exc}") from exc
    return context


def make_server(options: ServeOptions) -> Server:
    """
    Return the server that the options ask for; nothing is started yet.

    Raises:
        CannotServe: Handler or certificate cannot be used.
    """
    handler = choose_handler(options)
    arguments: dict[str, Any] = {"ssl": tls_context(options)}
    if options.static is not None:
        arguments["process_request"] = StaticFiles(options.static).process_request
    if options.access_log:
        log = AccessLog(logger)
        handler = log.around(handler)
        arguments["process_response"] = log.process_response
    if options.descriptor is not None:
        sock = socket.socket(fileno=options.descriptor)
        return unix_serve(handler, sock=sock, **arguments)
    if options.unix is not None:
        return unix_serve(handler, options.unix, **arguments)
    if options.shared:
        arguments["reuse_port"] = True
    return serve_tcp(handler, options.host, options.port, **arguments)


def addresses(options: ServeOptions, sockets: Any) -> Iterator[str]:
    """
    Return the URIs under which clients find the server.
    """
    scheme = "ws" if options.tls_cert is None else "wss"
    for sock in sockets:
        name = sock.getsockname()
        if not isinstance(name, tuple):
            yield f"{scheme}+unix:{name}"
        else:
            host = f"[{name[0]}]" if ":" in name[0] else name[0]
            yield f"{scheme}://{host}:{name[1]}/"


def announce(options: ServeOptions, sockets: Any) -> None:
    """
    Say where the server listens; other programs may wait for these lines.
    """
    for address in addresses(options, sockets):
        print(f"Listening on {address}", flush=True)  # noqa: T201


def log_to(stream: TextIO) -> None:
    """
    Show what happens: of the library warnings, of the program everything.
    """
    logging.basicConfig(
        format="%(asctime)s %(process)d %(levelname)s %(message)s", stream=stream
    )
    logger.setLevel(logging.INFO)


async def serve_until_signal(
    options: ServeOptions, *, lifeline: int | None = None
) -> int:
    """
    Serve until SIGINT or SIGTERM, or until the lifespan fails.

    Args:
        options: What to serve.
        lifeline: File descriptor from which the process that started this one can
            be heard; at its end, that one is gone. By default, there is none, and
            the addresses are printed.

    Returns:
        Exit status.

    Raises:
        CannotServe: There is nothing that could be served.
    """
    log_to(sys.stderr)
    stopping, hurry = asyncio.Event(), asyncio.Event()

    def stop(number: signal.Signals) -> None:
        if stopping.is_set():
            # Somebody insists.
            hurry.set()
        stopping.set()

    server = make_server(options)
    lifespan = Lifespan(load_lifespan(options.target, options.lifespan))
    patience = options.grace
    with on_signals(stop), heard(lifeline, stopping):
        try:
            if await lifespan.begin(stopping):
                await begin_to_listen(server)
                if lifeline is None:
                    announce(options, server.sockets)
                try:
                    await stopping.wait()
                finally:
                    patience = await close(server, options.grace, hurry)
                    remove_socket(options)
        finally:
            await lifespan.end(max(patience, _LAST_WAIT), hurry)
    return int(lifespan.has_failed)


@contextlib.contextmanager
def heard(lifeline: int | None, stopping: asyncio.Event) -> Iterator[None]:
    """
    Stop when the process at the other end of a lifeline, if there is one, is gone.
    """
    if lifeline is None:
        yield
        return
    loop = asyncio.get_running_loop()

    def listen_for_life() -> None:
        if not os.read(lifeline, 1):
            loop.remove_reader(lifeline)
            stopping.set()

    loop.add_reader(lifeline, listen_for_life)
    try:
        yield
    finally:
        loop.remove_reader(lifeline)


async def begin_to_listen(server: Server) -> None:
    """
    Listen.

    Raises:
        CannotServe: The address cannot be used.
    """
    try:
        await server
    except OSError as exc:
        raise CannotServe(str(exc)) from exc


def remove_socket(options: ServeOptions) -> None:
    """
    Remove the Unix socket, if it is nobody else's.
    """
    if options.unix is not None and options.descriptor is None:
        with contextlib.suppress(OSError):
            os.unlink(options.unix)


async def close(server: Server, grace: float, hurry: asyncio.Event) -> float:
    """
    Close a server; cancel handlers that do not end in time.

    Args:
        server: The server.
        grace: Seconds for handlers to end.
        hurry: Set when there is no time any more.

    Returns:
        Seconds of the grace that are left.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + grace
    server.close()
    closing = asyncio.ensure_future(server.wait_closed())
    if not await is_done_in_time(closing, grace, hurry):
        handlers = list(server.handler_tasks)
        logger.warning("%d handlers did not end within --grace", len(handlers))
        for task in handlers:
            task.cancel()
        for connection in list(server.all_connections):
            connection.transport.abort()
        # A handler may suppress its cancellation; the process ends all the same.
        await asyncio.wait({closing}, timeout=_LAST_WAIT)
    return end - loop.time()
