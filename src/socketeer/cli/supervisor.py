"""
Several processes that serve: started, watched, started again, ended together.

For TCP, each has a socket of its own on the shared port (SO_REUSEPORT), and the
system distributes connections; a Unix socket is shared itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator

from .._sockets import bind_unix
from ..asyncio.listener import bind_tcp
from .loading import CannotServe
from .loops import on_signals
from .reloading import changes
from .serving import ServeOptions, announce, log_to
from .worker import CANNOT_SERVE

__all__ = ["Supervisor", "supervise"]

logger = logging.getLogger("socketeer.cli")

# Seconds before a worker that died is started again: the first time, and at most.
# They double from one time to the next.
FIRST_DELAY = 0.5
MAX_DELAY = 30.0

# A worker that lived for so many seconds was well; delays begin anew.
STABLE_TIME = 60.0

# Seconds on top of their own grace, until workers are killed: they cancel handlers and
# the lifespan before.
KILL_AFTER = 4.0

# Connections that wait to be accepted, on a shared Unix socket.
_BACKLOG = 100


async def supervise(options: ServeOptions, workers: int, watched: str | None) -> int:
    """
    Serve with several processes until SIGINT or SIGTERM.

    Args:
        options: What to serve.
        workers: How many processes.
        watched: Folder in which changes of code start the workers anew.

    Returns:
        Exit status.

    Raises:
        CannotServe: There is nothing that could be served.
    """
    log_to(sys.stderr)
    async with reserve(options) as (reserved, sockets):
        supervisor = Supervisor(reserved, workers, lasting=watched is not None)
        with on_signals(lambda number: supervisor.stop()):
            announce(reserved, sockets)
            return await supervisor.run(watched)


@contextlib.asynccontextmanager
async def reserve(
    options: ServeOptions,
) -> AsyncIterator[tuple[ServeOptions, list[socket.socket]]]:
    """
    Bind the address for as long as workers come and go.

    Raises:
        CannotServe: It cannot be bound.
    """
    try:
        if options.unix is None:
            # Bound and not listening, they get no connections.
            sockets = await bind_tcp(options.host, options.port, reuse_port=True)
            port = sockets[0].getsockname()[1]
            options = dataclasses.replace(options, port=port, shared=True)
        else:
            sockets = [bind_unix(options.unix)]
            sockets[0].listen(_BACKLOG)
            sockets[0].set_inheritable(True)
            options = dataclasses.replace(options, descriptor=sockets[0].fileno())
    except OSError as exc:
        raise CannotServe(str(exc)) from exc
    try:
        yield options, sockets
    finally:
        for sock in sockets:
            sock.close()
        if options.unix is not None:
            with contextlib.suppress(OSError):
                os.unlink(options.unix)


class Supervisor:
    """
    Keeps workers running.

    Args:
        options: What they serve.
        workers: How many there are.
        lasting: Whether to go on when workers cannot serve: their code may be
            changed.
        command: How to start one; it gets the options on its standard input.
    """

    def __init__(
        self,
        options: ServeOptions,
        workers: int,
        *,
        lasting: bool = False,
        command: list[str] | None = None,
    ) -> None:
        self.options = options
        self.workers = workers
        self.lasting = lasting
        self.command = command or [sys.executable, "-m", "socketeer.cli.worker"]
        self.processes: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        # Replaced by each reload: the workers of a generation end together.
        self._ending = asyncio.Event()
        self._status = 0

    def stop(self) -> None:
        """
        End all workers; the second time, without patience.
        """
        if self._stopping.is_set():
            for process in self.processes.values():
                _signal(process, signal.SIGKILL)
        self._stopping.set()
        self._ending.set()

    async def run(self, watched: str | None = None) -> int:
        """
        Keep workers running until :meth:`stop`; return the exit status.
        """
        watching = None
        if watched is not None:
            watching = asyncio.create_task(self._watch(watched))
        try:
            while not self._stopping.is_set():
                self._ending.clear()
                async with asyncio.TaskGroup() as group:
                    for number in range(1, self.workers + 1):
                        group.create_task(self._keep(number))
                if not self._stopping.is_set():
                    # Nothing runs: wait for a change, or for the end.
                    await self._ending.wait()
        finally:
            if watching is not None:
                watching.cancel()
        return self._status

    async def _watch(self, folder: str) -> None:
        """
        End the workers when code changes; others follow them.
        """
        async for path in changes(folder):
            logger.info("%s has changed; starting again", path)
            self._ending.set()

    async def _keep(self, number: int) -> None:
        """
        Keep one worker running until all shall end.
        """
        loop = asyncio.get_running_loop()
        delay = FIRST_DELAY
        while not self._ending.is_set():
            began = loop.time()
            process = await self._start(number)
            status = await self._outlive(process)
            del self.processes[number]
            if self._ending.is_set():
                return
            if status == CANNOT_SERVE:
                if not self.lasting:
                    self._status = 1
                    self.stop()
                return
            if loop.time() - began > STABLE_TIME:
                delay = FIRST_DELAY
            logger.error(
                "worker %d (%d) ended with status %d; starting another in %.1f s",
                number,
                process.pid,
                status,
                delay,
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._ending.wait()
            delay = min(delay * 2, MAX_DELAY)

    async def _start(self, number: int) -> asyncio.subprocess.Process:
        """
        Start a worker.
        """
        descriptor = self.options.descriptor
        process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=asyncio.subprocess.PIPE,
            pass_fds=() if descriptor is None else (descriptor,),
            # Ctrl+C is for us; we tell the workers.
            start_new_session=True,
        )
        self.processes[number] = process
        assert process.stdin is not None
        line = json.dumps(dataclasses.asdict(self.options))
        process.stdin.write(f"{line}\n".encode())
        return process

    async def _outlive(self, process: asyncio.subprocess.Process) -> int:
        """
        Wait for the end of a worker, or bring it about; return its status.
        """
        waiting = asyncio.create_task(process.wait())
        ending = asyncio.create_task(self._ending.wait())
        await asyncio.wait({waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if not waiting.done():
            _signal(process, signal.SIGTERM)
            timeout = self.options.grace + KILL_AFTER
            await asyncio.wait({waiting}, timeout=timeout)
        if not waiting.done():
            logger.error("worker %d does not end; killing it", process.pid)
            _signal(process, signal.SIGKILL)
        return await waiting


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """
    Send a signal to a process that may be gone.
    """
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
