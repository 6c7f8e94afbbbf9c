"""
The client as a filter.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket

import pytest

from socketeer.cli import pipe
from socketeer.cli.messages import Display
from socketeer.cli.options import Target
from socketeer.cli.pipe import Filter, lines
from socketeer.cli.statuses import ExitStatus
from tests.cli.conftest import talk, talking

pytestmark = pytest.mark.anyio


def source(*pieces, then=b""):
    """
    Return a function that reads these pieces, and then always the last.
    """
    rest = list(pieces)

    def read(size):
        return rest.pop(0) if rest else then

    return read


async def run_filter(uri, *pieces, display=None, target=None, **options):
    """
    Run a filter with this input; return its status and its output.
    """
    written = []
    options = {"linger": 0.05, **options}
    filter_ = Filter(
        Target(uri, **(target or {})),
        display or Display(),
        source(*pieces),
        written.append,
        **options,
    )
    status = await filter_.run()
    return status, b"".join(written).decode()


async def test_each_line_is_a_message_and_each_message_a_line():
    """
    However the input is cut into pieces; the last line need not end.
    """
    async with talking() as uri:
        result = await run_filter(uri, b"a\nb", b"c\r\n\nd")

    assert (ExitStatus.OK, "a\nbc\n\nd\n") == result


async def test_binary_messages_are_in_hex():
    """
    By default.
    """
    async with talking() as uri:
        assert (ExitStatus.OK, "00ff\n") == await run_filter(uri, b"binary\n")


async def test_json_lines_in_and_out():
    """
    Binary messages pass, and the end is told.
    """
    line = b'{"type": "binary", "data": "AP8="}\n'
    async with talking() as uri:
        status, output = await run_filter(uri, line, jsonl=True)

    assert ExitStatus.OK == status
    assert line.decode() + '{"type": "close", "code": 1000, "reason": ""}\n' == output


async def test_a_line_of_json_closes_the_connection():
    """
    With its code; that was our wish, and is no failure.
    """
    async with talking() as uri:
        status, output = await run_filter(
            uri, b'{"type": "close", "code": 4000, "reason": "r"}\n', jsonl=True
        )

    assert ExitStatus.OK == status
    assert '{"type": "close", "code": 4000, "reason": "r"}\n' == output


ENDS = [
    (b"close 1000\n", ExitStatus.OK, ""),
    (b"close 1001\n", ExitStatus.OK, ""),
    (b"close 1008\n", ExitStatus.CLOSED, "connection closed: 1008 (policy violation)"),
    (b"close 4000\n", ExitStatus.CLOSED, "4000 (private use) as you say"),
    (b"abort\n", ExitStatus.LOST, "connection closed: 1006"),
]


@pytest.mark.parametrize(("line", "status", "complaint"), ENDS)
async def test_the_exit_status_tells_how_it_ended(line, status, complaint, capsys):
    """
    What is wrong is said beside the output.
    """
    async with talking() as uri:
        assert (status, "") == await run_filter(uri, line, linger=20)

    error = capsys.readouterr().err
    assert complaint in error if complaint else error == ""


@pytest.mark.parametrize("uri", ["ws://127.0.0.1:1/", "http://localhost/", "x"])
async def test_without_a_connection_the_exit_status_is_1(uri, capsys):
    """
    The error says why.
    """
    assert (1, "") == await run_filter(uri, b"hello\n")
    assert f"failed to connect to {uri}: " in capsys.readouterr().err


BAD_INPUT = [
    (b"\xff\n", {}, "line 1 of the input: not UTF-8"),
    (b"hello\n", {"jsonl": True}, "line 1 of the input: Expecting value"),
    (
        b'{"type": "text", "data": ""}\n{"type": "close", "code": 1}\n',
        {"jsonl": True},
        "line 2 of the input: invalid status code",
    ),
]


@pytest.mark.parametrize(("line", "options", "complaint"), BAD_INPUT)
async def test_bad_input_ends_the_filter(line, options, complaint, capsys):
    """
    With the number of the line.
    """
    async with talking() as uri:
        status, _ = await run_filter(uri, line, **options)

    assert ExitStatus.USAGE == status
    assert complaint in capsys.readouterr().err


async def test_a_line_may_not_be_endless(monkeypatch):
    """
    Memory is bounded.
    """
    monkeypatch.setattr(pipe, "MAX_LINE_SIZE", 100)

    with pytest.raises(ValueError, match="longer than 100 bytes"):
        [line async for line in lines(source(then=b"x" * 60))]


async def test_an_input_that_cannot_be_read_is_at_its_end():
    """
    As when a terminal is gone.
    """

    def read(size):
        raise OSError

    assert [] == [line async for line in lines(read)]


async def test_a_reader_who_leaves_ends_the_filter():
    """
    As `head` does.
    """

    def write(data):
        raise BrokenPipeError

    async with talking() as uri:
        filter_ = Filter(
            Target(uri), Display(), source(b"a\n"), write, linger=float("inf")
        )
        assert ExitStatus.NO_READER == await filter_.run()


async def test_options_reach_the_server(server_ssl_context):
    """
    Headers, origin, subprotocol, authentication, TLS without a known certificate.
    """
    options = {
        "headers": (("X-A", "1"), ("X-A", "2")),
        "origin": "https://example.com",
        "subprotocols": ("chat",),
        "auth": "ada:secret",
        "insecure": True,
        "compression": False,
        "proxy": "",
    }
    names = [
        "X-A",
        "Origin",
        "Sec-WebSocket-Protocol",
        "Authorization",
        "Sec-WebSocket-Extensions",
    ]
    asked = "".join(f"header {name}\n" for name in names).encode()
    async with talking(ssl=server_ssl_context, subprotocols=["chat"]) as uri:
        _, output = await run_filter(uri, asked, target=options)

    assert [
        "['1', '2']",
        "['https://example.com']",
        "['chat']",
        "['Basic YWRhOnNlY3JldA==']",
        "[]",
    ] == output.splitlines()


async def test_a_token_is_a_bearer():
    """
    `--auth` without a colon.
    """
    async with talking() as uri:
        _, output = await run_filter(
            uri, b"header Authorization\n", target={"auth": "abc"}
        )

    assert "['Bearer abc']\n" == output


@pytest.mark.parametrize("compression", [True, False])
async def test_compression_is_offered_or_not(compression):
    """
    `--compression` and `--no-compression`.
    """
    async with talking() as uri:
        _, output = await run_filter(
            uri,
            b"header Sec-WebSocket-Extensions\n",
            target={"compression": compression},
        )

    assert compression is ("permessage-deflate" in output)


async def test_connecting_takes_no_longer_than_it_may(capsys):
    """
    `--open-timeout`, with a server that says nothing.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"ws://127.0.0.1:{server.getsockname()[1]}/"
        assert (1, "") == await run_filter(uri, target={"open_timeout": 0.05})

    assert "timed out during opening handshake" in capsys.readouterr().err


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:{}", None])
async def test_a_proxy_is_asked(proxy, monkeypatch):
    """
    That of `--proxy`, or that of the environment.
    """
    asked = []

    async def answer(reader, writer):
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        if proxy is None:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
            monkeypatch.setenv("no_proxy", "")
        options = {"proxy": proxy and proxy.format(port)}
        assert (1, "") == await run_filter("ws://test.invalid/", target=options)

    assert [b"CONNECT test.invalid:80 HTTP/1.1\r\n"] == asked


@contextlib.contextmanager
def no_delays(monkeypatch):
    """
    Connect again at once.
    """
    monkeypatch.setattr("socketeer.cli.conversation.backoff", lambda: iter([0.0] * 5))
    yield


async def test_reconnect_goes_on_after_an_end(monkeypatch, capsys):
    """
    The lines of the input that were not sent are sent on the next connection.
    """
    count = 0

    async def handler(connection):
        nonlocal count
        count += 1
        if count == 1:
            await connection.recv()
            connection.transport.abort()
        else:
            await talk(connection)

    sent = asyncio.Event()
    loop = asyncio.get_running_loop()
    pieces = [b"first\n", b"second\n"]

    def read(size):
        if len(pieces) == 1:
            asyncio.run_coroutine_threadsafe(sent.wait(), loop).result(20)
        return pieces.pop(0) if pieces else b""

    written = []
    with no_delays(monkeypatch):
        async with talking(handler) as uri:
            filter_ = Filter(
                Target(uri),
                Display(),
                read,
                written.append,
                linger=0.05,
                reconnect=True,
            )
            running = asyncio.create_task(filter_.run())
            while count < 2:
                await asyncio.sleep(0.001)
            sent.set()
            assert ExitStatus.OK == await running

    assert b"second\n" == b"".join(written)
    assert "reconnecting in 0.0 s" in capsys.readouterr().err


async def test_reconnect_does_not_help_against_every_error(capsys):
    """
    A URI that is wrong stays wrong.
    """
    assert (1, "") == await run_filter("http://x/", reconnect=True)


async def test_interrupting_while_waiting_to_reconnect_ends(monkeypatch):
    """
    A delay may be long.
    """
    monkeypatch.setattr("socketeer.cli.conversation.backoff", lambda: iter([60.0]))
    waiting = asyncio.Event()
    filter_ = Filter(
        Target("ws://127.0.0.1:1/"),
        Display(),
        source(),
        lambda data: None,
        linger=float("inf"),
        reconnect=True,
    )
    filter_.waiting = lambda delay: waiting.set()
    running = asyncio.create_task(filter_.run())
    await waiting.wait()
    os.kill(os.getpid(), signal.SIGTERM)

    assert ExitStatus.TERMINATED == await running


async def test_a_signal_closes_the_connection():
    """
    With good manners, and the exit status of the signal.
    """
    opened = asyncio.Event()
    codes = []

    async def handler(connection):
        opened.set()
        await connection.wait_closed()
        codes.append(connection.close_code)

    async with talking(handler) as uri:
        filter_ = Filter(
            Target(uri), Display(), source(), lambda data: None, linger=float("inf")
        )
        running = asyncio.create_task(filter_.run())
        await opened.wait()
        os.kill(os.getpid(), signal.SIGINT)
        assert ExitStatus.INTERRUPTED == await running

    assert [1000] == codes


async def test_a_signal_ends_connecting():
    """
    A server that accepts and says nothing does not keep us.
    """

    async def silent(reader, writer):
        reached.set()
        await reader.read()
        writer.close()

    reached = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        filter_ = Filter(
            Target(f"ws://127.0.0.1:{port}/"), Display(), source(), lambda data: None
        )
        running = asyncio.create_task(filter_.run())
        await reached.wait()
        os.kill(os.getpid(), signal.SIGINT)
        assert ExitStatus.INTERRUPTED == await running
