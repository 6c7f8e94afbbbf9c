"""
Real proxies, started when a test asks for one and stopped at the end.

Debian has ``tinyproxy`` for HTTP, ``microsocks`` for SOCKS5 and ``danted``, of the
package ``dante-server``, for SOCKS4 and SOCKS5; ``proxy.py`` and ``tiny-proxy`` from
PyPI do what these do not, TLS with clients and SOCKS4a.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import trustme

__all__ = ["KINDS", "WAYS", "Proxies"]

# What is asked for where a proxy wants to know its users.
USER, PASSWORD = "ada", "love.lace"
USER_INFO = f"{USER}:love%2Elace@"

# Seconds for a proxy to start; they need less than one.
_PATIENCE = 20


class Kind(NamedTuple):
    """
    A kind of proxy.

    Attributes:
        program: What to start; a name of ``PROGRAMS``, or ``python``.
        schemes: Schemes of its URLs.
        user_info: User name and password for its URLs, with the ``@``.
    """

    program: str
    schemes: tuple[str, ...]
    user_info: str = ""


KINDS = {
    "tinyproxy": Kind("tinyproxy", ("http",)),
    "tinyproxy with users": Kind("tinyproxy", ("http",), USER_INFO),
    "proxy.py": Kind("python", ("https",), USER_INFO),
    "microsocks": Kind("microsocks", ("socks5", "socks5h")),
    "microsocks with users": Kind("microsocks", ("socks5h",), USER_INFO),
    "danted": Kind("danted", ("socks4", "socks5", "socks5h")),
    "tiny-proxy": Kind("python", ("socks4a",)),
}

# Each kind, by each of its schemes.
WAYS = [
    pytest.param(name, scheme, id=f"{scheme} by {name}")
    for name, kind in KINDS.items()
    for scheme in kind.schemes
]

# Starts a program, and ends it with its group when the tests end, however they do:
# then standard input ends.
_KEEPER = """
import os, select, signal, subprocess, sys

program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
while program.poll() is None and not select.select([0], [], [], 0.2)[0]:
    pass
os.killpg(0, signal.SIGKILL)
"""

# tiny-proxy has no command line.
_TINY_PROXY = """
import logging
import sys

import anyio
import tiny_proxy

logging.basicConfig(level=logging.INFO)

async def main(port):
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    await listener.serve(tiny_proxy.Socks4ProxyHandler().handle)

anyio.run(main, int(sys.argv[1]))
"""


class Proxy(NamedTuple):
    """
    A proxy that runs.

    Attributes:
        process: Its process, the leader of a group.
        port: Port on 127.0.0.1.
        output: The file with its output.
    """

    process: subprocess.Popen[bytes]
    port: int
    output: Path

    def stop(self) -> None:
        """
        Stop it, with the processes it has started.
        """
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=2)
        assert self.process.stdin is not None
        self.process.stdin.close()


class Proxies:
    """
    The proxies of a test session.

    Args:
        folder: Where to write configurations and output.
        authority: Issues the certificate of proxies with TLS.
        find_program: Returns the path of a program, or skips the test.
    """

    def __init__(
        self,
        folder: Path,
        authority: trustme.CA,
        find_program: Callable[[str], str],
    ) -> None:
        self._folder = folder
        self._authority = authority
        self._find_program = find_program
        self._running: dict[str, Proxy] = {}

    def url(self, kind: str, scheme: str | None = None, user_info: str = "") -> str:
        """
        Return the URL of a proxy, which is started if need be.

        Args:
            kind: One of `KINDS`.
            scheme: One of its schemes; by default, the first.
            user_info: User name and password other than the right ones.
        """
        of_kind = KINDS[kind]
        user_info = user_info or of_kind.user_info
        return (
            f"{scheme or of_kind.schemes[0]}://{user_info}127.0.0.1:{self.port(kind)}"
        )

    def port(self, kind: str) -> int:
        """
        Return the port of a proxy.
        """
        if kind not in self._running:
            self._running[kind] = self._start(kind)
        return self._running[kind].port

    def output(self, kind: str) -> str:
        """
        Return what a proxy has said so far.
        """
        return self._running[kind].output.read_text("utf-8", "replace")

    def stop(self) -> None:
        """
        Stop all of them.
        """
        while self._running:
            _, proxy = self._running.popitem()
            proxy.stop()

    def _start(self, kind: str) -> Proxy:
        """
        Start a proxy and wait until it accepts connections.
        """
        output = self._folder / f"{kind}.log"
        # Somebody else may take the port before the proxy does.
        for _ in range(3):
            port = free_port()
            with output.open("wb") as stream:
                process = subprocess.Popen(
                    [sys.executable, "-c", _KEEPER, *self._command(kind, port)],
                    stdin=subprocess.PIPE,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            proxy = Proxy(process, port, output)
            if _accepts(proxy):
                return proxy
            proxy.stop()
        raise AssertionError(f"{kind} does not start: {output.read_text()}")

    def _command(self, kind: str, port: int) -> list[str]:
        """
        Return how to start a proxy; write its configuration.
        """
        program = KINDS[kind].program
        has_users = bool(KINDS[kind].user_info)
        if program == "tinyproxy":
            users = f"BasicAuth {USER} {PASSWORD}\n" if has_users else ""
            lines = f"Port {port}\nListen 127.0.0.1\n{users}"
            return [
                self._find_program(program),
                "-d",
                "-c",
                self._write(f"{kind}.conf", lines),
            ]
        if program == "microsocks":
            users = ["-u", USER, "-P", PASSWORD] if has_users else []
            path = self._find_program(program)
            return [path, "-i", "127.0.0.1", "-p", str(port), *users]
        if program == "danted":
            return [
                self._find_program(program),
                *("-f", self._write("danted.conf", _danted(port))),
                *("-p", str(self._folder / "danted.pid")),
            ]
        if kind == "tiny-proxy":
            return [sys.executable, "-c", _TINY_PROXY, str(port)]
        key, certificate = self._certificate()
        return [
            *(sys.executable, "-m", "proxy", "--hostname", "127.0.0.1"),
            *("--port", str(port), "--num-workers", "1", "--num-acceptors", "1"),
            *("--key-file", key, "--cert-file", certificate),
            *("--data-dir", str(self._folder)),
            *("--basic-auth", f"{USER}:{PASSWORD}"),
        ]

    def _certificate(self) -> tuple[str, str]:
        """
        Write the key and the certificate of 127.0.0.1.
        """
        issued = self._authority.issue_cert("127.0.0.1")
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        key = self._write("proxy.key", issued.private_key_pem.bytes().decode())
        return key, self._write("proxy.pem", chain.decode())

    def _write(self, name: str, text: str) -> str:
        """
        Write a file and return its path.
        """
        path = self._folder / name
        path.write_text(text)
        return str(path)


def _danted(port: int) -> str:
    """
    Return a configuration of danted.
    """
    return f"""\
logoutput: stderr
internal: 127.0.0.1 port = {port}
external: 127.0.0.1
clientmethod: none
socksmethod: none
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
"""


def _accepts(proxy: Proxy) -> bool:
    """
    Wait until a proxy accepts connections; return false if it has ended.
    """
    deadline = time.monotonic() + _PATIENCE
    while proxy.process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", proxy.port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False
