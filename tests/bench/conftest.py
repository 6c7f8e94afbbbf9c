"""
The programs of the benchmarks, compiled, and servers for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl

import pytest
import trustme

from bench import natives, processes


@pytest.fixture(scope="session")
def programs(compiler):
    """
    The load generator and the echo server, by name.
    """
    return {name: natives.build(name).path for name in ("loadgen", "echoserver")}


@pytest.fixture(scope="session")
def loadgen(programs):
    return programs["loadgen"]


@pytest.fixture
def echo_server(programs):
    """
    The port of an echo server in C.
    """
    words = (str(programs["echoserver"]), "{port}")
    server = processes.Server("echo server", words, processes.cores()[0])
    yield server.port
    server.stop()


@pytest.fixture(scope="session")
def certificate():
    """
    A context for a server on this machine.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def run():
    """
    Run a load generator beside the test; return its status, report and errors.
    """

    async def run(program, port, mode, *options):
        command = [str(program), "--port", str(port), "--mode", mode]
        command += ["--seconds", "10", "--messages", "50", *map(str, options)]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(15):
                output, errors = await process.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        lines = output.decode().splitlines()
        report = json.loads(lines[-1]) if lines else None
        return process.returncode, report, errors.decode()

    return run
