"""Runs ``python -m socketeer.demo`` as a person would, in its own process."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys

__all__ = ["DemoProgram"]


class DemoProgram:
    """
    The demo in a process of its own.

    Warnings are errors there, too, and whatever it writes to the standard
    error stream is kept: a program that works has nothing to say.
    """

    def __init__(self, *arguments):
        command = [sys.executable, "-W", "error", "-m", "socketeer.demo", *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.url = self.process.stdout.readline().strip()
        if not self.url.startswith("http://"):
            raise AssertionError(f"no address, but {self.process.communicate()}")
        self.port = int(self.url.rstrip("/").rpartition(":")[2])

    def stop(self, number=signal.SIGTERM):
        """Send a signal; return the exit status and what was complained."""
        self.process.send_signal(number)
        _, complaints = self.process.communicate(timeout=10)
        return self.process.returncode, complaints

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.communicate()
