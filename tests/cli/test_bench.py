"""
The load generator: what it sends, what it counts, what it reports.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import os
import signal
import threading
import xml.etree.ElementTree as ET

import pytest
from rich.console import Console

from socketeer.asyncio.server import broadcast
from socketeer.cli import load as load_module
from socketeer.cli.histogram import Histogram
from socketeer.cli.load import Load, LoadOptions
from socketeer.cli.options import Target
from socketeer.cli.plot import plot
from socketeer.cli.report import duration, progress, report, summary
from tests.cli.conftest import talking


def filled(*values):
    """
    Return a histogram with these durations.
    """
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


def test_percentiles_are_close_to_the_truth():
    """
    To a bit more than one per cent; the smallest and the largest are exact.
    """
    histogram = filled(*[n / 1000 for n in range(1, 1001)])

    assert (1000, 0.5005) == (histogram.count, pytest.approx(histogram.mean))
    assert 0.5 == pytest.approx(histogram.percentile(50), rel=0.012)
    assert 0.99 == pytest.approx(histogram.percentile(99), rel=0.012)
    assert (0.001, 1.0) == (histogram.smallest, histogram.percentile(100))


def test_nothing_has_no_percentiles():
    """
    And no bars.
    """
    histogram = Histogram()

    assert (0, 0) == (histogram.mean, histogram.percentile(50))
    assert [] == list(histogram.bars(10))


@pytest.mark.parametrize("value", [0.0, 1e-9, 1e-6, 1.0, 255.9, 256.0, 1e6])
def test_any_duration_is_counted(value):
    """
    However short or long.
    """
    histogram = filled(value)

    assert value == histogram.percentile(50)
    assert 1 == sum(count for _, _, count in histogram.bars(5))


def test_bars_hold_everything_and_are_few():
    """
    Each begins where the one before it ends.
    """
    bars = list(filled(*[1.1**n / 1e6 for n in range(150)]).bars(16))

    assert (150, True) == (sum(count for _, _, count in bars), len(bars) <= 16)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(bars))


DURATIONS = [
    (0, "0 µs"),
    (0.000_001_4, "1 µs"),
    (0.000_999, "999 µs"),
    (0.001, "1 ms"),
    (0.012_34, "12.3 ms"),
    (0.999_6, "1 s"),
    (12, "12 s"),
]


@pytest.mark.parametrize(("seconds", "text"), DURATIONS)
def test_durations_have_units(seconds, text):
    """
    The one that fits.
    """
    assert text == duration(seconds)


class Others:
    """
    A server that sends each message to all others.
    """

    def __init__(self):
        self.connections = set()

    async def handle(self, connection):
        self.connections.add(connection)
        async for message in connection:
            broadcast(self.connections - {connection}, message)


async def measured(handler=None, **options):
    """
    Run a load against a server; return the load.
    """
    arguments = [] if handler is None else [handler]
    async with talking(*arguments) as uri:
        load = Load(Target(uri), LoadOptions(**{"duration": 0.05, **options}))
        await load.run()
        return load


def shown(load):
    """
    Return a report as text.
    """
    console = Console(width=100, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    with console.file:
        console.print(report(load, "ws://server/"))
    return console.export_text()


@pytest.mark.anyio
@pytest.mark.parametrize("pipeline", [1, 5])
async def test_echo_counts_each_message_once(pipeline):
    """
    What was sent comes back; some of it is in flight, all of it at the end.
    """
    load = await measured(connections=3, pipeline=pipeline, size=100)

    assert load.sent == load.received == load.latencies.count > 3
    assert (3, 0, 0) == (load.opened, load.failed, load.wrong)
    assert 0 < load.latencies.smallest
    assert 0.045 <= load.elapsed < 2


@pytest.mark.anyio
async def test_a_rate_is_kept():
    """
    Over all connections, evenly.
    """
    load = await measured(connections=2, rate=100, duration=0.1)

    # Fewer on a machine that does other things, too.
    assert 1 < load.sent <= 11
    assert load.sent == load.received


@pytest.mark.anyio
async def test_a_stall_counts_for_all_messages_it_delays():
    """
    With a rate, a message is late from when it was to be sent.
    """

    async def handler(connection):
        async for message in connection:
            await asyncio.sleep(0.02)
            await connection.send(message)

    load = await measured(handler, connections=1, rate=200, duration=0.1)

    assert 0.05 < load.latencies.largest


@pytest.mark.anyio
@pytest.mark.parametrize("rate", [None, 200])
async def test_broadcast_counts_deliveries(rate):
    """
    Each message once for each connection but the first.
    """
    load = await measured(
        Others().handle, connections=4, mode="broadcast", rate=rate, pipeline=2
    )

    assert 0 < load.sent
    assert 3 * load.sent == load.received == load.latencies.count


@pytest.mark.anyio
async def test_other_messages_are_told():
    """
    They are not answers.
    """

    async def handler(connection):
        await connection.send("hello")
        async for message in connection:
            await connection.send(message)

    load = await measured(handler, connections=1)

    assert 1 == load.wrong
    assert ", 1 of them unexpected" in shown(load)


@pytest.mark.anyio
async def test_lost_connections_are_told(monkeypatch):
    """
    With the reasons; the others go on.
    """
    count = 0

    async def handler(connection):
        nonlocal count
        count += 1
        if count == 1:
            await connection.recv()
            connection.transport.abort()
        async for message in connection:
            await connection.send(message)

    load = await measured(handler, connections=2)

    assert (2, 1) == (load.opened, load.failed)
    assert "1 x ConnectionClosedError: no close frame received or sent" in shown(load)
    assert 1 == sum(summary(load)["errors"].values())


@pytest.mark.anyio
async def test_a_server_that_does_not_answer_ends_the_wait(monkeypatch):
    """
    Answers are not waited for without end.
    """
    monkeypatch.setattr(load_module, "PATIENCE", 0.01)

    async def handler(connection):
        async for _ in connection:
            pass

    echo = await measured(handler, connections=2)
    many = await measured(handler, connections=2, mode="broadcast")

    assert (2, 0) == (echo.sent, echo.received)
    assert 0 < many.sent
    assert 0 == many.received


@pytest.mark.anyio
async def test_different_errors_are_bounded():
    """
    Each is told once, and not all of them.
    """
    load = Load(Target("ws://127.0.0.1:1/"), LoadOptions(connections=3))
    await load.run()
    for number in range(20):
        load.note(OSError(number))

    assert (0, 23, 8) == (load.opened, load.failed, len(load.errors))
    assert 3 == max(load.errors.values())


@pytest.mark.anyio
async def test_the_progress_is_shown():
    """
    While connecting and while sending.
    """
    async with talking() as uri:
        load = Load(Target(uri), LoadOptions(connections=2, duration=60))
        assert "connecting: 0 of 2" == progress(load).plain
        running = asyncio.create_task(load.run())
        while load.received < 10:
            await asyncio.sleep(0.001)
        assert "/60 s" in progress(load).plain
        load.stop()
        await running


@pytest.mark.anyio
async def test_stopped_before_it_began():
    """
    Nothing is sent.
    """
    async with talking() as uri:
        load = Load(Target(uri), LoadOptions())
        load.stop()
        await load.run()

    assert (0, 0.0) == (load.sent, load.since_beginning())


def test_the_plot_is_a_picture():
    """
    Well-formed, with a bar for each range, and what the server is called escaped.
    """
    load = Load(Target("ws://x/"), LoadOptions())
    for n in range(1, 500):
        load.latencies.add(math.sqrt(n) / 1000)

    picture = ET.fromstring(plot(load, "ws://x/?a&b"))
    texts = [node.text for node in picture.iter("{http://www.w3.org/2000/svg}text")]

    assert "Latency of ws://x/?a&b" == texts[0]
    assert any(text.startswith("99.9 %: ") for text in texts)
    assert "<svg" in plot(Load(Target("ws://x/"), LoadOptions()), "ws://x/")


@pytest.fixture
def background():
    """
    Run a server in a thread; return its URI.
    """
    started = threading.Event()
    found = []

    async def serve():
        stop = asyncio.Event()
        async with talking() as uri:
            found.extend([uri, asyncio.get_running_loop(), stop])
            started.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    started.wait(10)
    uri, loop, stop = found
    yield uri
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)


def test_the_program_reports(invoke, background, tmp_path):
    """
    For people, and as a picture.
    """
    file = tmp_path / "latency.svg"
    result = invoke("bench", background, "-d", "0.05", "-c", "2", "--plot", str(file))

    assert 0 == result.exit_code
    assert "messages per second" in result.output
    assert "99.9 %" in result.output
    assert "#" in result.output
    assert file.read_text().startswith("<svg")


def test_the_program_reports_in_json(invoke, background):
    """
    On the standard output, and nothing else there.
    """
    result = invoke("bench", background, "-d", "0.05", "--json", "--rate", "200")
    found = json.loads(result.stdout)

    assert 0 == result.exit_code
    assert (10, 0) == (found["connections"], found["failed"])
    assert found["latency"]["p50"] <= found["latency"]["p100"]
    assert found["received"] == sum(each["count"] for each in found["histogram"])


def test_the_program_cannot_connect(invoke, tmp_path):
    """
    Exit status 1, with the reasons; a picture that cannot be drawn is told.
    """
    result = invoke("bench", "ws://127.0.0.1:1/", "-c", "2")
    missing = str(tmp_path / "no" / "plot.svg")
    other = invoke("bench", "ws://127.0.0.1:1/", "--plot", missing)

    assert (1, 1) == (result.exit_code, other.exit_code)
    assert "2 x ConnectionRefusedError" in result.output
    assert "cannot write" in other.output


def test_progress_is_live_in_a_terminal_and_ends_early(invoke, background, monkeypatch):
    """
    Ctrl+C ends the load; what was measured is reported.
    """
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    timer = threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    result = invoke("bench", background, "-d", "60", "--pipeline", "2")
    timer.join()

    assert 0 == result.exit_code
    assert "msg/s" in result.stderr
    assert "messages per second" in result.stdout
