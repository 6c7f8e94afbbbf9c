"""
Environment variables change defaults, under our prefix and under theirs.
"""

from __future__ import annotations

import pytest

from tests.asyncio.program import output_of

pytestmark = pytest.mark.anyio

# Prints what a server and a client made of the environment.
PROGRAM = """
import asyncio, logging
from http import HTTPStatus

lines = []

class Keep(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage())

async def read_status(port, request):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    status = (await reader.readline()).split()[1].decode()
    writer.close()
    return status

async def handler(connection):
    print("User-Agent", connection.request.headers["User-Agent"])
    print("message", await connection.recv())

async def main():
    logger = logging.getLogger("server")
    logger.addHandler(Keep())
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    async with websockets.serve(handler, "127.0.0.1", 0, logger=logger) as server:
        port = server.sockets[0].getsockname()[1]
        uri = f"ws://127.0.0.1:{port}"
        async with websockets.connect(uri, proxy=None, compression=None) as client:
            print("Server", client.response.headers["Server"])
            await client.send("abcdefghijklmnopqrstuvwxyz" * 3)
            await client.wait_closed()
        print([line for line in lines if line.startswith("< TEXT")][0])
        line = b"GET /" + 300 * b"a" + b" HTTP/1.1"
        print("long line", await read_status(port, line + bytes([13, 10, 13, 10])))
        fields = b"".join(b"X: %d" % n + bytes([13, 10]) for n in range(20))
        line = b"GET / HTTP/1.1" + bytes([13, 10])
        print("many", await read_status(port, line + fields + bytes([13, 10])))

asyncio.run(main())
"""

PREFIXES = [
    pytest.param("SOCKETEER", marks=pytest.mark.ours),
    "WEBSOCKETS",
]


@pytest.fixture
def anyio_backend():
    """
    Stock asyncio alone: the programs run on it whatever the tests run on.
    """
    return "asyncio"


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_variables_change_defaults(prefix):
    """
    Names of the products, sizes of the log and of heads.
    """
    environment = {
        "SERVER": "our server",
        "USER_AGENT": "our client",
        "MAX_LOG_SIZE": "30",
        "MAX_LINE_LENGTH": "256",
        "MAX_NUM_HEADERS": "16",
    }
    variables = {f"{prefix}_{name}": value for name, value in environment.items()}
    lines = await output_of(PROGRAM, **variables)

    assert {
        "User-Agent our client",
        "Server our server",
        f"message {'abcdefghijklmnopqrstuvwxyz' * 3}",
    } == set(lines[:3])
    assert [
        "< TEXT 'abcdefghijklmnopq...stuvwxyz' [78 bytes]",
        "long line 414",
        "many 431",
    ] == lines[3:]


async def test_defaults_without_variables():
    """
    The same program without variables.
    """
    lines = await output_of(PROGRAM)

    assert "long line 426" == lines[-2]
    assert "many 426" == lines[-1]


MANY_FRAGMENTS = """
import asyncio

async def handler(connection):
    try:
        await connection.recv()
    except websockets.ConnectionClosed as error:
        print(error)

async def main():
    async with websockets.serve(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with websockets.connect(f"ws://127.0.0.1:{port}", proxy=None) as client:
            try:
                await client.send(["fragment"] * 20)
            except websockets.ConnectionClosed:
                pass
            await client.wait_closed()
            print(client.close_code, client.close_reason)

asyncio.run(main())
"""


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_max_fragments(prefix):
    """
    More fragments than allowed close the connection with 1009.
    """
    lines = await output_of(MANY_FRAGMENTS, **{f"{prefix}_MAX_FRAGMENTS": "10"})

    assert "1009 too many fragments" in lines
    assert any(line.startswith("sent 1009 (message too big)") for line in lines)


@pytest.mark.ours
async def test_our_prefix_wins():
    """
    With both names set, ours counts.
    """
    lines = await output_of(
        PROGRAM, SOCKETEER_SERVER="our name", WEBSOCKETS_SERVER="their name"
    )

    assert "Server our name" in lines
