"""The program behind ``python -m socketeer.demo``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import functools
import signal
import sys
import webbrowser

from socketeer.asyncio.server import Server, serve
from socketeer.frames import CloseCode
from socketeer.pubsub import BrokerUnavailable, Hub

from .chat import Chat
from .messages import MAX_MESSAGE_SIZE
from .pages import process_request
from .rooms import room_topics

# Tried first, so that pages find the server again after a restart. Any free
# port is taken if another program has it.
PREFERRED_PORT = 8765

# More pages are refused, and try again later.
MAX_PAGES = 200

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
        "--redis",
        metavar="URL",
        help="keep the rooms there, as in redis://localhost:6379/0, so that they"
        " outlive this program (default: in memory)",
    )
    parser.add_argument(
        "--grace",
        type=seconds,
        default=5.0,
        metavar="SECONDS",
        help="how long those count as here whose connection has ended, because"
        " they may be back in a moment (default: %(default)s)",
    )
    parser.add_argument(
        "--open", action="store_true", help="open the page in a browser"
    )
    arguments = parser.parse_args()
    try:
        hub = Hub(arguments.redis, topics=room_topics(), grace=arguments.grace)
    except (ImportError, ValueError) as error:
        parser.error(str(error))
    chat = Chat(hub, keeper="memory" if arguments.redis is None else "Redis")
    try:
        asyncio.run(run(chat, arguments.host, arguments.port, show=arguments.open))
    except KeyboardInterrupt:
        pass
    except BrokerUnavailable as error:
        sys.exit(f"{parser.prog}: {error}")


def seconds(text: str) -> float:
    """Read a number of seconds, at most an hour."""
    value = float(text)
    if not 0 <= value <= 3600:
        raise ValueError(text)
    return value


async def run(chat: Chat, host: str, port: int | None, *, show: bool = False) -> None:
    """Serve the chat until SIGINT or SIGTERM."""
    async with chat.hub, await listen(chat, host, port) as server:
        url = page_url(server)
        print(url, flush=True)  # noqa: T201 - what the program is asked for
        print(  # noqa: T201
            "Open it in several tabs and talk. Stop with Ctrl+C.", flush=True
        )
        if show:
            await asyncio.to_thread(webbrowser.open, url)
        close_on_signals(server)
        await server.wait_closed()


async def listen(chat: Chat, host: str, port: int | None) -> Server:
    """Start a server on this port, or on a free one if there is none given."""
    start = functools.partial(
        serve,
        chat.handle,
        host,
        max_connections=MAX_PAGES,
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
