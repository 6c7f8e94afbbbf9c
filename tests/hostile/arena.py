"""
A target, its healthy clients, and how to reach the target as an attacker.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import os
import resource
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from tests.asyncio.raw import RawListener, RawPeer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = [
    "FULL",
    "OPEN_TIMEOUT",
    "PATIENCE",
    "PERIOD",
    "Arena",
    "arena_on",
    "until",
]

# Whether attacks run at full strength.
FULL = os.environ.get("HOSTILE") == "full"

# How much longer than otherwise the target waits.
PATIENCE = 5 if FULL else 1

# How long it waits for handshakes, seconds.
OPEN_TIMEOUT = 0.7 * PATIENCE

# How many clients are served meanwhile, and how often each sends, seconds.
CLIENTS = 200 if FULL else 20
PERIOD = 0.2 if FULL else 0.1


class Child:
    """
    A process that answers lines with lines.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"tests.hostile.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self.first_line = self.read()

    def read(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the process has died"
        return line

    def ask(self, line: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return json.loads(self.read())

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Arena:
    """
    Where attacks take place.

    Attributes:
        port: Where the target listens.
        role: The target's role in the attack, ``"server"`` or ``"client"``.
        has_loop: Whether the target has an event loop, which can be blocked.
    """

    def __init__(self, target: Child, healthy: Child, has_loop: bool) -> None:
        self._target = target
        self._healthy = healthy
        self.port = int(target.first_line)
        self.role = "server"
        self.has_loop = has_loop

    def in_role(self, role: str) -> Arena:
        """
        Return the same arena, with the target in this role.
        """
        other = copy.copy(self)
        other.role = role
        return other

    def tell(self, command: str, *arguments: Any) -> Any:
        """
        Have the target carry out a command.
        """
        return self._target.ask(json.dumps([command, *arguments]))

    def counted(self, name: str) -> int:
        """
        Return one of the target's statistics.
        """
        number: int = self.tell("statistics")[name]
        return number

    def latencies(self) -> tuple[int, float, int]:
        """
        Return how many messages the healthy clients have exchanged since the last
        call, their p99 in seconds, and how many clients were lost.
        """
        count, p99, failed = self._healthy.ask("")
        return count, p99, failed

    def settled(self, before: dict[str, Any]) -> dict[str, Any]:
        """
        Wait until everything is released; return the last measurement.
        """
        end = time.monotonic() + 20
        while True:
            after: dict[str, Any] = self.tell("measure")
            kept = [
                name
                for name in ("files", "tasks")
                if after[name] > before[name] + (1 if name == "tasks" else 0)
            ]
            if not kept:
                return after
            assert time.monotonic() < end, (kept, before, after)
            time.sleep(0.05)

    @contextlib.asynccontextmanager
    async def attacker(
        self,
        behaviour: str = "",
        *,
        extension: str = "",
        receive_buffer: int | None = None,
    ) -> AsyncIterator[RawPeer]:
        """
        Open a connection to the target, in the other role.

        Args:
            behaviour: What the target's application does.
            extension: What is agreed on.
            receive_buffer: SO_RCVBUF in bytes.
        """
        headers: tuple[tuple[str, str], ...] = ()
        if extension:
            headers = (("Sec-WebSocket-Extensions", extension),)
        if self.role == "server":
            asked = (*headers, ("X-Behaviour", behaviour)) if behaviour else headers
            peer = await RawPeer.connect(
                self.port, headers=asked, receive_buffer=receive_buffer
            )
            with contextlib.closing(peer):
                yield peer
            return
        listener = RawListener(receive_buffer=receive_buffer)
        try:
            # However busy the machine is: this handshake is no attack.
            self.tell("connect", listener.port, behaviour, 20)
            peer = await listener.accept()
            await peer.open_as_server(headers)
        finally:
            listener.close()
        with contextlib.closing(peer):
            yield peer


@contextlib.contextmanager
def arena_on(module: str, *arguments: str) -> Iterator[Arena]:
    """
    Start a target, and its healthy clients.

    Args:
        module: The module of the target.
        arguments: Its arguments.
    """
    if FULL:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.ExitStack() as stack:
        target = Child(module, *arguments)
        stack.callback(target.close)
        whom = ["--port", target.first_line.strip(), "--clients", str(CLIENTS)]
        healthy = Child("healthy", *whom, "--period", str(PERIOD))
        stack.callback(healthy.close)
        yield Arena(target, healthy, module != "target_threads")


async def until(arena: Arena, name: str, number: int) -> None:
    """
    Wait until one of the target's statistics has reached a number.
    """
    while arena.counted(name) < number:
        await asyncio.sleep(0.02)
