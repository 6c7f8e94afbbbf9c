"""
The configurations that the documentation shows, in the proxies they are for.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path

import pytest

from socketeer.asyncio.client import connect
from socketeer.asyncio.server import serve
from socketeer.exceptions import InvalidStatus
from tests.conftest import find_program
from tests.pages import parts
from tests.ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

PAGE = Path(__file__).parents[2] / "docs" / "deployment.md"
FILES = {part.name: part.text for part in parts(PAGE.read_text("utf-8")) if part.name}

# How each proxy is told to run in the foreground, with which configuration.
PROXIES = {
    "nginx": ("nginx.conf", ["-p", ".", "-e", "stderr", "-c"]),
    "haproxy": ("haproxy.cfg", ["-db", "-f"]),
}


@pytest.fixture(scope="module")
def anyio_backend():
    """
    The event loop makes no difference to a proxy.
    """
    return ("asyncio", {"use_uvloop": False})


@contextlib.asynccontextmanager
async def behind(name, handler, folder, **options):
    """
    Run a server behind a proxy; return the URI of the proxy.
    """
    program = find_program(name)
    file, arguments = PROXIES[name]
    async with asyncio.timeout(30), serve(handler, "127.0.0.1", 0, **options) as server:
        ports = {"8765": server.sockets[0].getsockname()[1], "8766": free_port()}
        text = re.sub(r"\b876[56]\b", lambda match: str(ports[match[0]]), FILES[file])
        (folder / file).write_text(text)
        with (folder / "log").open("w") as log:
            process = await asyncio.create_subprocess_exec(
                *[program, *arguments, file], cwd=folder, stdout=log, stderr=log
            )
        try:
            uri = f"ws://127.0.0.1:{ports['8766']}/"
            await listening(uri, process, folder / "log")
            yield uri
        finally:
            # At once: there are no connections left that deserve patience.
            process.terminate()
            await process.wait()


async def listening(uri, process, log):
    """
    Wait until the proxy lets connections through.
    """
    while True:
        assert process.returncode is None, log.read_text()
        with contextlib.suppress(OSError, InvalidStatus):
            async with connect(f"{uri}ready"):
                return
        await asyncio.sleep(0.02)


def health(connection, request):
    """
    Answer the checks of HAProxy, as the application of the page does.
    """
    if request.path == "/healthz":
        return connection.respond(200, "OK\n")
    return None


@pytest.mark.parametrize("proxy", PROXIES)
async def test_connections_pass(proxy, tmp_path):
    """
    Messages of any size in both directions, the headers about the client, pings,
    close codes, compression, and answers that are no handshake.
    """

    async def handler(connection):
        headers = connection.request.headers
        await connection.send(headers.get("X-Forwarded-For", ""))
        await connection.send(headers["Host"])
        async for message in connection:
            if message == "close":
                await connection.close(4000, "as you say")
            else:
                await connection.send(message)

    def refuse(connection, request):
        if request.path == "/secret":
            return connection.respond(403, "No.\n")
        return health(connection, request)

    async with behind(proxy, handler, tmp_path, process_request=refuse) as uri:
        async with connect(uri) as client:
            assert "127.0.0.1" == await client.recv()
            assert uri[5:-1] == await client.recv()
            for message in ["hello", b"\x00" * 200, "x" * 500_000, b"y" * 500_000]:
                await client.send(message)
                assert message == await client.recv()
            assert 0 < await (await client.ping())
            assert "permessage-deflate" in str(client.response.headers)
            await client.send("close")
            await client.wait_closed()
            assert (4000, "as you say") == (client.close_code, client.close_reason)
        with pytest.raises(InvalidStatus, match="HTTP 403"):
            await connect(f"{uri}secret")


@pytest.mark.slow
@pytest.mark.parametrize("proxy", PROXIES)
async def test_the_keepalive_outlives_the_timeout_of_the_proxy(proxy, tmp_path):
    """
    As on the page, in less time.
    """

    async def handler(connection):
        await asyncio.sleep(3)
        await connection.send("still here")

    shorter = {name: text.replace("60s", "2s") for name, text in FILES.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FILES, PROXIES[proxy][0], shorter[PROXIES[proxy][0]])
        async with behind(
            proxy, handler, tmp_path, process_request=health, ping_interval=0.4
        ) as uri:
            async with connect(uri, ping_interval=None) as client:
                assert "still here" == await client.recv()
