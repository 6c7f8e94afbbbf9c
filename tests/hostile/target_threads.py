"""
The process that is attacked, on threads: a server, and on demand a client.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import sys
import threading
import time
from typing import Any

from socketeer.exceptions import ConnectionClosed
from socketeer.sync.client import connect
from socketeer.sync.server import broadcast, serve
from tests.hostile.targets import (
    MESSAGE,
    OPTIONS,
    BaseTarget,
    client_options,
    wanted,
)

__all__: list[str] = []

# What careless applications do.


def echo(connection: Any) -> None:
    for message in connection:
        connection.send(message)


def be_deaf(connection: Any) -> None:
    connection.wait_closed()


def close(connection: Any) -> None:
    connection.recv()
    connection.close()


def send_broadcasts(connection: Any) -> None:
    while connection.state == 1:
        broadcast([connection], MESSAGE, max_backlog=2**20)
        time.sleep(0.001)
    connection.wait_closed()


def flood(connection: Any) -> None:
    while True:
        connection.send(MESSAGE)


def flood_and_close(connection: Any) -> None:
    def flood_quietly() -> None:
        with contextlib.suppress(ConnectionClosed):
            flood(connection)

    thread = threading.Thread(target=flood_quietly)
    thread.start()
    time.sleep(0.2)
    connection.close()
    thread.join()


def block(connection: Any) -> None:
    for message in connection:
        time.sleep(1.7)
        connection.send(message)


def be_stubborn(connection: Any) -> None:
    time.sleep(1.2)


BEHAVIOURS = {
    "": echo,
    "deaf": be_deaf,
    "closes": close,
    "broadcasts": send_broadcasts,
    "floods": flood,
    "floods and closes": flood_and_close,
    "blocks": block,
    "is stubborn": be_stubborn,
}


def handler(connection: Any) -> None:
    """
    Behave as the request wants it.
    """
    BEHAVIOURS[wanted(connection)](connection)


class Target(BaseTarget):
    """
    Carries out commands.
    """

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self.outcomes: list[concurrent.futures.Future[str]] = []

    def run(self) -> None:
        """
        Read commands and answer them, until there are no more.
        """
        for line in sys.stdin:
            self.answer(self.carry_out(line))

    def count_tasks(self) -> int:
        return threading.active_count()

    def connect(self, port: int, behaviour: str, patience: float) -> None:
        """
        Be the client of a hostile server, for whose handshake it waits so long.
        """
        options = client_options(patience)
        outcome: concurrent.futures.Future[str] = concurrent.futures.Future()

        def visit() -> None:
            try:
                with connect(f"ws://127.0.0.1:{port}", **options) as connection:
                    BEHAVIOURS[behaviour](connection)
            except Exception as exc:  # noqa: BLE001 - the outcome
                outcome.set_result(type(exc).__name__)
            else:
                outcome.set_result("ends")

        threading.Thread(target=visit, daemon=True).start()
        self.outcomes.append(outcome)

    def outcome(self) -> str:
        """
        Return how the last visit ended.
        """
        return self.outcomes.pop().result()

    def open_another(self) -> int:
        """
        Start another server; return its port.
        """
        self.another = serve(handler, "127.0.0.1", 0, **OPTIONS)
        threading.Thread(target=self.another.serve_forever).start()
        port: int = self.another.socket.getsockname()[1]
        return port

    def close_another(self) -> None:
        """
        Close it, as at the end of a program.
        """
        self.another.shutdown()


def main() -> None:
    """
    Serve until standard input ends.
    """
    with serve(handler, "127.0.0.1", 0, backlog=4096, **OPTIONS) as server:
        target = Target(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.socket.getsockname()[1], flush=True)
        target.run()


if __name__ == "__main__":
    main()
