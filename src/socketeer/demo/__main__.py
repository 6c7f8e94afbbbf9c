"""The program behind ``python -m socketeer.demo``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import functools
import signal
import webbrowser

from socketeer.asyncio.server import Server, serve
from socketeer.frames import CloseCode

from .chat import ChatRoom
from .messages import MAX_MESSAGE_SIZE
from .pages import process_request

# Tried first, so that pages find the server again after a restart. Any free
# port is taken if another program has it.
PREFERRED_PORT = 8765

# Addresses that mean "all networks" to listen on, but nowhere to go to.
EVERYWHERE = {"", "0.0.0.0", "::"}  # noqa: S104 - compared only


def main() -> None:
    """Parse the command line and run the chat until a signal ends it."""
    parser = argparse.ArgumentParser(
        prog="python -m socketeer.demo",
        description="A live chat in the browser, served by Socketeer.",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 lets phones in your network join"
        " (default: %(default)s, this machine only)",
    )
    parser.add_argument(
        "--port",
        type=int,
        help=f"port to listen on (default: {PREFERRED_PORT} if free, else any)",
    )
    parser.add_argument(
        "--open", action="store_true", help="open the page in a browser"
    )
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(arguments.host, arguments.port, show=arguments.open))


async def run(host: str, port: int | None, *, show: bool = False) -> None:
    """Serve the chat until SIGINT or SIGTERM."""
    server = await listen(ChatRoom(), host, port)
    async with server:
        url = page_url(server)
        print(url, flush=True)  # noqa: T201 - what the program is asked for
        print("Open it in several tabs and talk. Stop with Ctrl+C.")  # noqa: T201
        if show:
            await asyncio.to_thread(webbrowser.open, url)
        close_on_signals(server)
        await server.wait_closed()


async def listen(room: ChatRoom, host: str, port: int | None) -> Server:
    """Start a server on this port, or on a free one if there is none given."""
    start = functools.partial(
        serve,
        room.handle,
        host,
        process_request=process_request,
        max_size=MAX_MESSAGE_SIZE,
    )
    if port is not None:
        return await start(port)
    try:
        return await start(PREFERRED_PORT)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return await start(0)


def close_on_signals(server: Server) -> None:
    """
    Close the server, and so all connections, when the program should end.

    With code 1012, "service restart", the pages know that it is worth trying
    to connect again.
    """
    close = functools.partial(
        server.close, code=CloseCode.SERVICE_RESTART, reason="server restart"
    )
    loop = asyncio.get_running_loop()
    # Windows has no signal handlers; there Ctrl+C raises KeyboardInterrupt,
    # and leaving the server's block closes it.
    with contextlib.suppress(NotImplementedError):
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, close)


def page_url(server: Server) -> str:
    """Return the address of the page for a browser on this machine."""
    host, port = next(iter(server.sockets)).getsockname()[:2]
    if host in EVERYWHERE:
        host = "127.0.0.1"
    elif ":" in host:
        host = f"[{host}]"
    return f"http://{host}:{port}/"


if __name__ == "__main__":
    main()
