"""
Programs that a run starts: in process groups of their own, each with a log.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Self

__all__ = ["LOOPBACK", "Program", "Suite", "SuiteError", "free_port", "wait_for_port"]

LOOPBACK = "127.0.0.1"

LAUNCHER = Path(__file__).with_name("wstest.py")


class SuiteError(Exception):
    """
    The run could not be done: nothing is known about the peer.
    """


class Program:
    """
    A program that runs until it ends or the context is left.

    Args:
        command: What to run.
        log: The file for its output.
        environment: What differs from our own environment.
    """

    def __init__(
        self, command: list[str], log: Path, environment: dict[str, str] | None = None
    ) -> None:
        self.log = log
        # When something happened last, by time.monotonic().
        self.last = time.monotonic()
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        with self.log.open("w", buffering=1, encoding="utf-8") as log:
            for line in self._popen.stdout:
                log.write(line)
                self.receive_line(line)

    def receive_line(self, line: str) -> None:
        """
        Look at a line of output.
        """

    def status(self) -> int | None:
        """
        Return the exit status, :obj:`None` while it runs.
        """
        return self._popen.poll()

    def stop(self, timeout: float = 10.0) -> None:
        """
        End the program and whatever it started.
        """
        if self._popen.poll() is None:
            self._kill(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(timeout)
        self._kill(signal.SIGKILL)
        self._popen.wait()
        self._reader.join(timeout)

    def _kill(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, number)

    def tail(self) -> str:
        """
        Return the end of its output.
        """
        lines = self.log.read_text("utf-8", errors="replace").splitlines()
        return "\n".join(lines[-15:])


class Suite(Program):
    """
    ``wstest``, and which case it runs.

    Attributes:
        case: The case that was started last.
    """

    STARTED = re.compile(r"Running test case ID (\S+) for agent")

    case = ""

    def __init__(self, python: Path, mode: str, spec: Path) -> None:
        # -E and -s: what is in PYTHONPATH is not for CPython 2.7.
        command = [str(python), "-E", "-s", str(LAUNCHER), "-m", mode, "-s", str(spec)]
        command += ["-u", "0"] if mode == "fuzzingserver" else []
        super().__init__(command, spec.with_name("wstest.log"))

    def receive_line(self, line: str) -> None:
        """
        Note the case that was started.
        """
        self.last = time.monotonic()
        if match := self.STARTED.match(line):
            self.case = match[1]


def free_port() -> int:
    """
    Return a port that nobody listens on.
    """
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        port: int = sock.getsockname()[1]
        return port


def wait_for_port(program: Program, port: int, timeout: float = 30.0) -> None:
    """
    Wait until a program accepts connections.

    Raises:
        SuiteError: It ended before, or took too long.
    """
    deadline = time.monotonic() + timeout
    while program.status() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection((LOOPBACK, port), timeout=2).close()
            return
        time.sleep(0.05)
    raise SuiteError(f"nothing accepts connections at port {port}:\n{program.tail()}")
