"""Pages with ``new WebSocket(...)``, as in every tutorial."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import random

import pytest
import uvloop
from playwright.sync_api import expect

from socketeer.exceptions import ConnectionClosed

from .serving import Serving

# The page side of a test: opens a socket, does something, waits for the end.
CLIENT = """
async ([url, subprotocols, script]) => {
    const socket = new WebSocket(url, subprotocols);
    socket.binaryType = "arraybuffer";
    const closed = new Promise((resolve) => {
        socket.onclose = ({ code, reason, wasClean }) => {
            resolve([code, reason, wasClean]);
        };
    });
    const opened = new Promise((resolve) => {
        socket.onopen = resolve;
        closed.then(resolve);
    });
    const waiting = [];
    const received = [];
    socket.onmessage = ({ data }) => {
        if (waiting.length) waiting.shift()(data); else received.push(data);
    };
    const receive = () => new Promise((resolve, reject) => {
        if (received.length) resolve(received.shift()); else waiting.push(resolve);
        closed.then((how) => reject(new Error(`closed: ${how}`)));
    });
    await opened;
    const AsyncFunction = (async () => {}).constructor;
    const result = await new AsyncFunction("socket", "receive", "closed", script)(
        socket, receive, closed);
    socket.close();
    await closed;
    return result;
}
"""


@pytest.fixture(
    params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def serving(request):
    """Start servers in threads, on either event loop; stop them at the end."""
    with contextlib.ExitStack() as stack:

        def start(handler, **options):
            server = Serving(handler, loop_factory=request.param, **options)
            return stack.enter_context(server)

        yield start


@pytest.fixture
def run(window):
    """Run a script in a page with a new socket to the server."""
    page = window.new_page()

    def run(server, script, subprotocols=()):
        return page.evaluate(CLIENT, [server.url, list(subprotocols), script])

    return run


async def echo(connection):
    """Send back what comes."""
    async for message in connection:
        await connection.send(message)


TIME_PAGE = """
<!doctype html>
<title>What time is it?</title>
<ul id="times"></ul>
<script>
    const socket = new WebSocket("{url}");
    socket.onmessage = (event) => {{
        const item = document.createElement("li");
        item.textContent = event.data;
        document.getElementById("times").append(item);
    }};
</script>
"""


def test_a_page_from_the_disk_shows_the_time_that_a_server_sends(
    serving, window, tmp_path
):
    """
    Pattern D3: a server sends the time at random intervals, a page shows it.
    """
    times = (f"12:00:{second:02}" for second in range(60))

    async def tell_time(connection):
        for time in times:
            await connection.send(time)
            await asyncio.sleep(random.random() * 0.01)

    server = serving(tell_time)
    file = tmp_path / "time.html"
    file.write_text(TIME_PAGE.format(url=server.url))
    page = window.new_page()
    page.goto(file.as_uri())

    shown = page.get_by_role("listitem")
    expect(shown).to_have_text([f"12:00:{second:02}" for second in range(60)])


def test_chromium_negotiates_compression(serving, run):
    """
    The default of serve() and the offer of the browser agree on deflate.
    """
    script = """
        for (let i = 0; i < 3; i += 1) socket.send("compress me ".repeat(1000));
        const lengths = [await receive(), await receive(), await receive()];
        return [socket.extensions, lengths.map((text) => text.length)];
    """
    extensions, lengths = run(serving(echo), script)

    assert "permessage-deflate" == extensions.partition(";")[0]
    assert "server_max_window_bits=12" in extensions
    assert "client_max_window_bits=12" in extensions
    assert [12_000] * 3 == lengths


def test_compression_can_be_switched_off(serving, run):
    """
    With compression=None the browser sends and receives as well.
    """
    script = """socket.send("plain"); return [socket.extensions, await receive()];"""

    assert ["", "plain"] == run(serving(echo, compression=None), script)


TEXTS = {
    "empty": "''",
    "ascii": "'Hello!'",
    "several bytes a character": "'žluťoučký 你好 👩‍👩‍👧 \\u0000'",
    "exactly 1 MiB": "'x'.repeat(2 ** 20)",
    "1 MiB of three-byte characters": "'世'.repeat(349525)",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_comes_back_unchanged(serving, run, text):
    """
    A string of the page becomes str and returns as the same string.
    """
    script = f"""
        const sent = {text};
        socket.send(sent);
        return await receive() === sent;
    """

    assert run(serving(echo), script) is True


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 2**20])
def test_binary_comes_back_unchanged(serving, run, size):
    """
    Random bytes of every length class of frames return, as bytes.

    Compressing makes random bytes longer, and max_size bounds the payload on
    the wire, too: it leaves some room here.
    """
    script = f"""
        const sent = new Uint8Array({size});
        for (let i = 0; i < {size}; i += 65536)
            crypto.getRandomValues(sent.subarray(i, i + 65536));
        socket.send(sent);
        const data = await receive();
        const received = new Uint8Array(data);
        return data instanceof ArrayBuffer && received.length === sent.length
            && received.every((byte, i) => byte === sent[i]);
    """

    assert run(serving(echo, max_size=2**20 + 2**10), script) is True


def test_a_burst_of_messages_stays_in_order(serving, run):
    """
    A thousand messages sent at once return in the order in which they left.
    """
    script = """
        for (let i = 0; i < 1000; i += 1) socket.send(`message ${i}`);
        const received = [];
        while (received.length < 1000) received.push(await receive());
        return received;
    """

    assert [f"message {i}" for i in range(1000)] == run(serving(echo), script)


def test_a_fragmented_message_arrives_as_one(serving, run):
    """
    The browser joins fragments, also if a character is split over two.
    """
    character = "世".encode()

    async def send_fragments(connection):
        await connection.send([b"a", character[:2], character[2:], b"z"], text=True)
        await connection.wait_closed()

    assert "a世z" == run(serving(send_fragments), "return await receive();")


def test_the_browser_answers_pings(serving, run):
    """
    A ping is acknowledged without any doing of the page.
    """

    async def measure(connection):
        latency = await (await connection.ping())
        await connection.send(f"{0 <= latency < 10}")
        await connection.wait_closed()

    assert "True" == run(serving(measure), "return await receive();")


async def return_at_once(connection):
    """Do nothing: the connection is closed normally."""


async def close_with_reason(connection):
    """Close with a code of an application."""
    await connection.close(4321, "to be continued… 🎬")


async def restart(connection):
    """Close as a server does that will be back."""
    await connection.close(1012, "restart")


async def abort(connection):
    """Break the TCP connection without a close frame."""
    connection.transport.abort()


async def wait(connection):
    """Do nothing until the connection is closed by Server.close()."""
    await connection.send("ready")
    await connection.wait_closed()


CLOSES = [
    (return_at_once, [1000, "", True]),
    (close_with_reason, [4321, "to be continued… 🎬", True]),
    (restart, [1012, "restart", True]),
    (abort, [1006, "", False]),
]


@pytest.mark.parametrize(
    ("handler", "seen"), CLOSES, ids=[handler.__name__ for handler, _ in CLOSES]
)
def test_the_page_sees_how_the_server_closed(serving, run, handler, seen):
    """
    Code, reason and cleanness in the page are those of the server.
    """
    assert seen == run(serving(handler), "return closed;")


def test_the_page_sees_that_a_handler_failed(serving, run, caplog):
    """
    An exception in a handler is 1011 for the page and one line in the log.
    """

    async def fail(connection):
        await connection.recv()
        raise RuntimeError("a mistake of the program")

    server = serving(fail)

    assert [1011, "", True] == run(server, "socket.send('go'); return closed;")
    server.stop()
    assert ["connection handler failed"] == [
        record.message for record in caplog.records if record.levelname == "ERROR"
    ]


def test_the_page_sees_that_a_message_was_too_big(serving, run):
    """
    A message above max_size ends the connection with 1009.
    """
    script = "socket.send('x'.repeat(1001)); return (await closed)[0];"

    assert 1009 == run(serving(echo, max_size=1000, compression=None), script)


def test_the_page_sees_that_the_server_stops(serving, window):
    """
    Leaving the server's block closes all connections with 1001.
    """
    page = window.new_page()
    server = serving(wait)
    page.evaluate(
        """url => new Promise((resolve) => {
            window.socket = new WebSocket(url);
            window.ending = new Promise((resolve) => {
                socket.onclose = ({ code, wasClean }) => resolve([code, wasClean]);
            });
            socket.onmessage = resolve;
        }).then(() => null)""",
        server.url,
    )

    server.stop()

    assert [1001, True] == page.evaluate("window.ending")


def test_the_server_sees_how_the_page_closed(serving, run):
    """
    Code and reason that a page gives to close() reach the handler.
    """
    seen = queue.Queue()

    async def listen(connection):
        try:
            await connection.recv()
        except ConnectionClosed as closed:
            seen.put((closed.rcvd.code, closed.rcvd.reason, closed.rcvd_then_sent))

    run(serving(listen), "socket.close(3001, 'auf Wiedersehen 👋');")

    assert (3001, "auf Wiedersehen 👋", True) == seen.get(timeout=5)


def test_server_and_page_agree_on_a_subprotocol(serving, run):
    """
    The first of the server's list that the page knows is chosen.
    """

    async def tell(connection):
        await connection.send(str(connection.subprotocol))
        await connection.wait_closed()

    server = serving(tell, subprotocols=["chat.v3", "chat.v2", "chat.v1"])
    script = "return [await receive(), socket.protocol];"

    assert ["chat.v2"] * 2 == run(server, script, ["chat.v1", "chat.v2"])


def test_a_page_without_a_common_subprotocol_is_refused(serving, run):
    """
    The opening handshake fails; the page sees 1006, as browsers tell no more.
    """
    server = serving(echo, subprotocols=["chat.v3"])

    assert [1006, "", False] == run(server, "return closed;", ["chat.v1"])
