"""
The load generator counts what it should, and notices what is wrong.
"""

from __future__ import annotations

import asyncio

import pytest

from bench import messages, natives
from socketeer.asyncio.server import broadcast, serve
from socketeer.extensions.permessage_deflate import ServerPerMessageDeflateFactory

pytestmark = pytest.mark.anyio


class Counter:
    """
    A handler that sends messages back, or to all or some, and counts them.
    """

    def __init__(self, to_all=False, most=None):
        self.messages = []
        self._connections = {}
        self._to_all = to_all
        self._most = most

    async def __call__(self, connection):
        self._connections[connection] = None
        async for message in connection:
            self.messages.append(message)
            if self._to_all:
                broadcast(list(self._connections)[: self._most], message)
            else:
                await connection.send(message)


def serving(handler, **options):
    return serve(
        handler, "127.0.0.1", 0, **{"compression": None, "max_size": None, **options}
    )


def port_of(server):
    return next(iter(server.sockets)).getsockname()[1]


@pytest.mark.parametrize(
    ("options", "connections", "in_flight", "size"),
    [
        ((), 1, 1, 64),
        (("--text",), 3, 1, 64),
        ((), 3, 16, 64),
        (("--text",), 2, 2, 16_384),
        ((), 1, 1, 100_000),
        ((), 2, 1, 0),
    ],
)
async def test_echoes_are_counted(loadgen, run, options, connections, in_flight, size):
    """
    What the server saw was counted, but for what was in flight at the end.
    """
    counter = Counter()
    numbers = ["--connections", connections, "--in-flight", in_flight, "--size", size]
    async with serving(counter) as server:
        status, report, errors = await run(
            loadgen, port_of(server), "echo", *numbers, *options
        )

    assert (0, "") == (status, errors)
    assert connections == report["connections"]
    seen = len(counter.messages)
    assert (
        50 <= report["messages"] <= seen <= report["messages"] + connections * in_flight
    )
    assert {size} == set(map(len, counter.messages))
    assert {str if options else bytes} == set(map(type, counter.messages))


async def test_deliveries_are_counted(loadgen, run):
    """
    A message counts once for each receiver.
    """
    counter = Counter(to_all=True)
    options = ["--connections", 5, "--in-flight", 2]
    async with serving(counter) as server:
        status, report, errors = await run(loadgen, port_of(server), "fan", *options)

    assert (0, "") == (status, errors)
    assert 50 <= report["messages"] <= 5 * len(counter.messages)
    assert 5 * len(counter.messages) <= report["messages"] + 5 * 2


async def test_some_may_get_nothing(loadgen, run):
    """
    The next messages leave when as many have theirs as are told to.
    """
    counter = Counter(to_all=True, most=3)
    options = ["--connections", 5, "--receivers", 3]
    async with serving(counter) as server:
        status, report, errors = await run(loadgen, port_of(server), "fan", *options)

    assert (0, "") == (status, errors)
    assert 50 <= report["messages"] <= 3 * len(counter.messages)
    assert 3 * len(counter.messages) <= report["messages"] + 3


async def test_some_may_never_read(loadgen, run):
    """
    Nobody waits for them.
    """
    counter = Counter(to_all=True)
    options = ["--connections", 5, "--stalled", 2, "--size", 1000]
    async with serving(counter) as server:
        status, report, errors = await run(loadgen, port_of(server), "fan", *options)

    assert (0, "") == (status, errors)
    assert 50 <= report["messages"] <= 3 * len(counter.messages)
    assert 3 * len(counter.messages) <= report["messages"] + 3


async def test_the_sender_is_never_stalled(loadgen, run):
    """
    Nothing would ever be sent.
    """
    status, _, errors = await run(loadgen, 1, "fan", "--stalled", 1)

    assert status
    assert "the first connection must not be stalled" in errors


async def test_compressed_messages_are_sent(loadgen, run, tmp_path):
    """
    A script is sent as it was written, and what comes back is counted in bytes.
    """
    messages.write_script(tmp_path / "script", 1024, count=4)
    counter = Counter()
    options = ["--script", tmp_path / "script", "--extensions", messages.EXTENSIONS]
    extensions = [ServerPerMessageDeflateFactory()]
    async with serving(counter, extensions=extensions) as server:
        status, report, errors = await run(loadgen, port_of(server), "echo", *options)

    assert (0, "") == (status, errors)
    assert counter.messages[:4] == messages.records(4, 1024)
    assert 50 <= report["messages"] <= len(counter.messages)
    assert 100 < report["bytes"] / report["messages"] < 1000
    assert "server_max_window_bits=12" in report["extensions"]


async def test_a_server_that_does_not_compress_is_noticed(loadgen, run, tmp_path):
    """
    Otherwise plain messages would be compared with compressed ones.
    """
    options = ["--extensions", messages.EXTENSIONS]
    async with serving(Counter()) as server:
        status, report, errors = await run(loadgen, port_of(server), "echo", *options)

    assert (1, None, "the server does not compress\n") == (status, report, errors)


async def test_tls_is_spoken(run, certificate, compiler):
    """
    Messages go to and fro over TLS.
    """
    program = natives.build("loadgen", tls=True)
    if not program.has_tls:
        pytest.skip("OpenSSL's headers (libssl-dev) are missing")
    counter = Counter()
    options = ["--tls", "--connections", 2, "--size", 16_384]
    async with serving(counter, ssl=certificate) as server:
        status, report, errors = await run(
            program.path, port_of(server), "echo", *options
        )

    assert (0, "") == (status, errors)
    assert 50 <= report["messages"] <= len(counter.messages)


async def test_without_tls_it_says_what_is_missing(loadgen, run):
    """
    The message names Debian's package.
    """
    status, report, errors = await run(loadgen, 1, "echo", "--tls")

    assert (1, None) == (status, report)
    assert "libssl-dev" in errors


async def test_connections_are_opened_side_by_side(loadgen, run):
    """
    Handshakes are counted by their time.
    """
    async with serving(Counter()) as server:
        options = ["--connections", 40, "--concurrency", 8]
        status, report, _ = await run(loadgen, port_of(server), "connect", *options)

    assert (0, 40) == (status, report["connections"])
    assert report["opening_seconds"] > 0


async def test_idle_connections_answer_pings(loadgen):
    """
    A server's keepalive finds them alive until the input ends.
    """
    pongs = asyncio.Queue()

    async def handler(connection):
        await (await connection.ping("are you there?"))
        pongs.put_nowait(connection)
        await connection.wait_closed()

    async with serving(handler) as server:
        process = await asyncio.create_subprocess_exec(
            *[loadgen, "--port", str(port_of(server)), "--mode", "idle"],
            *["--connections", "3", "--seconds", "20"],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(10):
            for _ in range(3):
                await pongs.get()
            output, _ = await process.communicate(b"")

    assert 0 == process.returncode
    assert b'"connections": 3' in output.splitlines()[0]
    assert b'"pings": 3' in output.splitlines()[1]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda m: m[:-1] + b"?", "with another payload"),
        (lambda m: m + b"?", "with another header: 82 41"),
        (lambda m: m.decode(), "with another header: 81 40"),
        (lambda m: [m[:9], m[9:]], "with another header: 02 09"),
    ],
)
async def test_wrong_answers_are_noticed(loadgen, run, answer, complaint):
    """
    A server is not fast by sending something else.
    """

    async def handler(connection):
        async for message in connection:
            await connection.send(answer(message))

    async with serving(handler) as server:
        status, _report, errors = await run(loadgen, port_of(server), "echo")

    assert 1 == status
    assert complaint in errors


async def test_a_close_is_noticed(loadgen, run):
    """
    The code is reported.
    """

    async def handler(connection):
        await connection.close(1013)

    async with serving(handler) as server:
        status, _report, errors = await run(loadgen, port_of(server), "echo")

    assert (1, "the server closed the connection with 1013\n") == (status, errors)


async def test_a_refused_handshake_is_noticed(loadgen, run):
    """
    The answer is shown.
    """

    def refuse(connection, request):
        return connection.respond(503, "full\n")

    async with serving(Counter(), process_request=refuse) as server:
        status, _report, errors = await run(loadgen, port_of(server), "echo")

    assert 1 == status
    assert errors.startswith("the handshake failed: HTTP/1.1 503")


@pytest.mark.parametrize(
    "options", [["--size", "-1"], ["--connections", "0"], ["--seconds", "x"]]
)
async def test_options_out_of_range_are_refused(loadgen, run, options):
    """
    The message names the option.
    """
    status, _report, errors = await run(loadgen, 1, "echo", *options)

    assert 1 == status
    assert errors.startswith(f"{options[0]}: not a number in range: ")
