"""
A real Redis for tests: on a free port or a socket, killed and started as needed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.ports import free_port

__all__ = ["PROGRAMS", "RedisServer", "find_redis"]

# What to look for: Redis, or else Valkey, which is the same to us.
PROGRAMS = (
    [os.environ["SOCKETEER_TESTS_REDIS"]]
    if "SOCKETEER_TESTS_REDIS" in os.environ
    else ["redis-server", "valkey-server"]
)

# Seconds for a server to answer.
PATIENCE = 10

# With room for that of a cluster's bus, ten thousand above it.
_HIGHEST_PORT = 22_500


def find_redis():
    """
    Return the path of a Redis or Valkey server; `None` if there is none.
    """
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class RedisServer:
    """
    A server with a folder of its own.

    Args:
        program: The path of redis-server.
        options: Lines of its configuration, as words.

    Attributes:
        port: Where it listens on 127.0.0.1.
        url: Its address.
        folder: Where its files are.
    """

    def __init__(self, program, *options):
        self._program = program
        self._options = options
        self._process = None
        self.folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self.port = free_port(_HIGHEST_PORT)

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self):
        return self._process.pid

    def start(self):
        """
        Start the server; return when it answers.
        """
        command = [self._program, "--port", str(self.port), "--dir", str(self.folder)]
        command += ["--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"]
        command += ["--logfile", "log", *self._options]
        self._run(command)

    def start_sentinel(self, configuration):
        """
        Start as a sentinel; return when it answers.
        """
        command = [self._program, str(configuration), "--sentinel", "--port"]
        command += [str(self.port), "--dir", str(self.folder), "--logfile", "log"]
        self._run(command)

    def _run(self, command):
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE
        while not self.answers():
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text("utf-8"))
            time.sleep(0.01)

    def answers(self):
        """
        Tell whether the server is ready.
        """
        with contextlib.suppress(OSError):
            return b"LOADING" not in self.say(b"PING")
        return False

    def say(self, line):
        """
        Send an inline command; return the beginning of the answer.
        """
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as sock:
            sock.sendall(line + b"\r\n")
            return sock.recv(65536)

    def kill(self, number=signal.SIGKILL):
        """
        End the process the hard way.
        """
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE)
            self._process = None

    def pause(self):
        """
        Suspend the process.
        """
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        """
        Let the process go on.
        """
        self._process.send_signal(signal.SIGCONT)

    def close(self):
        """
        End the process, remove its files.
        """
        if self._process is not None:
            self.resume()
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
