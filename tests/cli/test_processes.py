"""
The program in processes of its own: pipes, workers, signals, files that change.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys

import pytest

from socketeer.asyncio.client import connect, unix_connect
from socketeer.cli.statuses import ExitStatus
from socketeer.exceptions import WebSocketException
from tests.cli.conftest import talking

# Processes take their time to start, on a machine that does other things, too.
PATIENCE = 50

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


@pytest.fixture(scope="module")
def anyio_backend():
    """
    Our own loop does not matter: the program chooses one.
    """
    return ("asyncio", {"use_uvloop": False})


async def test_the_program_filters(environment):
    """
    `echo ... | socketeer URI`, in a process of its own.
    """
    async with talking() as uri:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "socketeer", uri, "--linger", "0.1"],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        output, errors = await process.communicate(b"hello\nbinary\n")

    assert (0, b"hello\n00ff\n", b"") == (process.returncode, output, errors)


async def test_the_program_ends_with_its_reader(environment):
    """
    `socketeer URI | head -1`, with a terminal or anything else as input that
    does not end.
    """
    reader, writer = os.pipe()
    async with talking() as uri:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "socketeer", uri],
            stdin=asyncio.subprocess.PIPE,
            stdout=writer,
            env=environment,
        )
        os.close(writer)
        process.stdin.write(b"one\n")
        assert b"one\n" == await asyncio.to_thread(os.read, reader, 100)
        os.close(reader)
        process.stdin.write(b"two\n")
        await process.communicate()
        assert ExitStatus.NO_READER == process.returncode


@contextlib.asynccontextmanager
async def server_process(environment, *arguments, cwd=None):
    """
    Run `socketeer serve`; return the process and where it listens.
    """
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "socketeer", "serve", *arguments],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        cwd=cwd,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            line = (await process.stdout.readline()).decode()
            assert line.startswith("Listening on "), await process.stderr.read()
            yield process, line.split()[2]
    finally:
        if process.returncode is None:
            process.kill()
        # To the end of its pipes, too, which workers may still hold.
        await process.communicate()


async def first_word(uri):
    """
    Return the first message, once somebody listens.
    """
    while True:
        # A worker that ends refuses, or says nothing more.
        with contextlib.suppress(OSError, WebSocketException):
            async with connect(uri) as client:
                return await client.recv()
        await asyncio.sleep(0.01)


async def stop(process, number=signal.SIGTERM):
    """
    Signal the end; return the exit status and what was logged.
    """
    process.send_signal(number)
    _, errors = await process.communicate()
    return process.returncode, errors.decode()


WHO = """
import os

async def handler(connection):
    await connection.send(str(os.getpid()))
    await connection.wait_closed()
"""


async def test_workers_share_a_port_and_are_replaced(environment, tmp_path):
    """
    Connections reach all of them; one that dies is followed by another; the end
    of the supervisor is the end of all.
    """
    (tmp_path / "who.py").write_text(WHO)
    arguments = ["who:handler", "--port", "0", "--workers", "2", "--access-log"]
    async with server_process(environment, *arguments, cwd=tmp_path) as (process, uri):
        found = set()
        while len(found) < 2:
            found.add(await first_word(uri))
        victim = found.pop()
        os.kill(int(victim), signal.SIGKILL)
        survivor = found.copy()
        while len(found) < 2:
            word = await first_word(uri)
            if word != victim:
                found.add(word)
        client = await connect(uri)
        status, log = await stop(process)
        await client.wait_closed()

    assert (0, 1001) == (status, client.close_code)
    assert f"({victim}) ended with status -9; starting another in 0.5 s" in log
    assert '"GET /" 101' in log
    for pid in survivor | found:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


async def test_workers_do_not_outlive_their_supervisor(environment, tmp_path):
    """
    Even if it could not say goodbye.
    """
    (tmp_path / "who.py").write_text(WHO)
    path = str(tmp_path / "socket")
    arguments = ["who:handler", "--unix", path, "--workers", "2"]
    async with server_process(environment, *arguments, cwd=tmp_path) as (process, uri):
        assert f"ws+unix:{path}" == uri
        async with unix_connect(path) as client:
            await client.recv()
            process.kill()
            with contextlib.suppress(Exception):
                await client.wait_closed()
        # At last nobody accepts connections any more.
        with contextlib.suppress(OSError):
            while True:
                with contextlib.suppress(WebSocketException):
                    async with unix_connect(path):
                        await asyncio.sleep(0.01)


async def test_code_that_changes_is_started_again(environment, tmp_path):
    """
    Also after it was broken; connections learn that they have to come again.
    """
    code = "async def handler(connection):\n    await connection.send({!r})\n"
    file = tmp_path / "app.py"
    file.write_text(code.format("one"))
    arguments = ["app:handler", "--port", "0", "--reload"]
    async with server_process(environment, *arguments, cwd=tmp_path) as (process, uri):
        assert "one" == await first_word(uri)
        file.write_text("broken(")
        async for line in process.stderr:
            if b"cannot import" in line:
                break
        file.write_text(code.format("three"))
        assert "three" == await first_word(uri)
        status, log = await stop(process, signal.SIGINT)

    assert 0 == status
    assert "Traceback" not in log


async def test_workers_that_cannot_serve_end_the_program(environment):
    """
    Starting them again is no use.
    """
    arguments = ["nothing:handler", "--port", "0", "--workers", "2"]
    async with server_process(environment, *arguments) as (process, _):
        _, errors = await process.communicate()

    assert 1 == process.returncode
    assert b"cannot import 'nothing:handler'" in errors


async def test_a_port_that_is_taken_is_told(environment):
    """
    Without a traceback.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "socketeer", "serve", "--echo", "--reload"],
            *["--port", str(taken.getsockname()[1])],
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        _, errors = await process.communicate()

    assert 1 == process.returncode
    assert b"address already in use" in errors
    assert b"Traceback" not in errors
