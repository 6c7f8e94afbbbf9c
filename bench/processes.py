"""
The processes of a measurement: servers on one core, the load on another.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

from tests.ports import free_port

from .natives import ROOT, build

__all__ = [
    "FIRST",
    "MeasuringError",
    "Server",
    "cores",
    "hold",
    "load",
    "resident",
    "run_client",
]

# Connections that are there before the growth of memory is looked at: they show
# a server what it allocates once.
FIRST = 200

# Seconds for a server to listen, and for programs to end beyond their time.
STARTING = 20.0
SLACK = 150.0


class MeasuringError(RuntimeError):
    """
    A server, a client or the load generator did not do its work.
    """


def cores() -> tuple[int, int]:
    """
    Return the core for what is measured and the core for the load.
    """
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def pinned(core: int) -> Callable[[], None]:
    """
    Return what a child does first: move to this core.
    """

    def pin() -> None:
        os.sched_setaffinity(0, {core})

    return pin


class Server:
    """
    A server: a process pinned to a core, listening on a port of its own.

    Args:
        name: For messages.
        command: Its words; ``{port}`` is replaced.
        core: The core to run on.
        environ: Environment variables that it gets in addition.

    Raises:
        MeasuringError: It does not listen within 20 seconds.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        core: int,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.port = free_port()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            [word.replace("{port}", str(self.port)) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, **(environ or {})},
            preexec_fn=pinned(core),  # noqa: PLW1509 - no threads here
            start_new_session=True,
        )
        try:
            self._wait_until_listening()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_until_listening(self) -> None:
        deadline = time.monotonic() + STARTING
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise MeasuringError(
                        f"{self.name} does not listen; its output: {self.output()}"
                    ) from None
                time.sleep(0.02)
            else:
                return

    def output(self) -> str:
        """
        Return the end of what it printed.
        """
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-2000:]

    def resident(self) -> int:
        """
        Return its resident memory, in bytes.
        """
        text = Path(f"/proc/{self.process.pid}/status").read_text("utf-8")
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        return int(fields["VmRSS"].split()[0]) * 1024

    def cpu_seconds(self) -> float:
        """
        Return the processor time that its threads have used.
        """
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        nanoseconds = 0
        for task in tasks:
            nanoseconds += int((task / "schedstat").read_text("utf-8").split()[0])
        return nanoseconds / 1e9

    def settle(self, patience: float = 10.0) -> None:
        """
        Wait until it has nothing to do, such as closing connections.
        """
        deadline = time.monotonic() + patience
        before = self.cpu_seconds()
        while time.monotonic() < deadline:
            time.sleep(0.05)
            now = self.cpu_seconds()
            if now - before < 0.002:
                return
            before = now

    def stop(self) -> None:
        """
        End it.
        """
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._log.close()


def last_line(text: str) -> dict[str, Any]:
    """
    Return the JSON that a program printed last.
    """
    try:
        result: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise MeasuringError(f"no JSON in {text!r}") from None
    return result


def load(
    port: int, core: int, arguments: Sequence[str], seconds: float
) -> dict[str, Any]:
    """
    Run the load generator to its end; return what it reports.

    Args:
        port: Where the server listens.
        core: The core to run on.
        arguments: For the load generator.
        seconds: How long it is expected to take.

    Raises:
        MeasuringError: It noticed something wrong, or did not end.
    """
    program = build("loadgen", tls="--tls" in arguments)
    return run_client(
        [str(program.path), "--port", str(port), *arguments], core, seconds
    )


def run_client(
    command: Sequence[str],
    core: int,
    seconds: float,
    environ: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """
    Run a program that ends by itself; return the JSON that it prints last.
    """
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(environ or {})},
            timeout=seconds + SLACK,
            preexec_fn=pinned(core),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MeasuringError(f"{command[0]} did not end") from None
    if done.returncode:
        raise MeasuringError(f"{command[0]} failed: {done.stderr.strip()[-2000:]}")
    return last_line(done.stdout)


@contextlib.contextmanager
def hold(
    port: int, core: int, connections: int, arguments: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """
    Keep idle connections open; the value tells how long opening them took.
    """
    program = build("loadgen", tls="--tls" in arguments)
    command = [str(program.path), "--port", str(port), "--mode", "idle"]
    command += ["--connections", str(connections), "--seconds", "600", *arguments]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=pinned(core),  # noqa: PLW1509 - no threads here
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise MeasuringError(f"load generator: {process.stderr.read().strip()}")
            report: dict[str, Any] = json.loads(line)
            yield report
            process.stdin.close()
            report.update(last_line(process.stdout.read()))
        finally:
            process.kill()


def resident(
    command: Sequence[str],
    connections: int,
    arguments: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> float:
    """
    Return by how much a server's resident memory grows with each connection.

    Args:
        command: The server; ``{port}`` stands for its port.
        connections: How many are added to those that are there.
        arguments: For the load generator.
        environ: Environment variables for the server.
    """
    core, load_core = cores()
    server = Server("server", command, core, environ)
    try:
        with hold(server.port, load_core, FIRST, arguments):
            server.settle()
            before = server.resident()
            with hold(server.port, load_core, connections, arguments):
                server.settle()
                return (server.resident() - before) / connections
    finally:
        server.stop()
