"""
The other programs in C and Python, and how rows are measured.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from bench import natives
from bench.machine import describe
from bench.measuring import Bench, judged
from bench.model import Kind, Row, Settings, Subject
from bench.processes import MeasuringError, Server, cores, last_line
from bench.rows import C_ECHO_TLS, CLIENT, HANDSHAKES, HUBS, IMPORT, server
from socketeer.asyncio.client import connect

TINY = Settings(
    rounds=1,
    seconds=0.2,
    warmup=0.0,
    memory_rounds=1,
    memory_connections=10,
    idle_connections=20,
    # A busy machine may not run a server for a while.
    idle_interval=0.25,
)

ECHO = Row("echo", "Echo", Kind.ECHO, (server("socketeer", loop="asyncio"),), ())


@pytest.fixture
def bench(programs):
    said = []
    bench = Bench(TINY, sys.executable, said.append)
    bench.said = said
    yield bench
    bench.close()


def only_ours(row):
    if row.subjects[0].loop == "uvloop":
        pytest.importorskip("uvloop")
    return replace(row, subjects=row.subjects[:1], connections=2)


@pytest.mark.anyio
async def test_the_echo_server_in_c_echoes(echo_server):
    """
    It speaks to our client: messages of all sizes, text, pings, closing.
    """
    messages = ["", "text", b"\x00\xff" * 100, "x" * 70_000]
    uri = f"ws://127.0.0.1:{echo_server}/"
    async with connect(uri, compression=None) as client:
        for message in messages:
            await client.send(message)
        echoes = [await client.recv() for _ in messages]
        await (await client.ping())

    assert messages == echoes
    assert 1000 == client.close_code


def test_the_echo_server_in_c_speaks_tls(bench, compiler):
    """
    Messages longer than a record come back whole; how busy it was is reported.
    """
    if not natives.has_tls():
        pytest.skip("OpenSSL's headers are missing")
    load = ("--tls", "--size", "40000")
    row = Row("tls", "TLS", Kind.ECHO, (C_ECHO_TLS,), (), connections=2, load=load)

    (sample,) = bench.measure(row)[C_ECHO_TLS.name]

    assert sample["value"] > 0
    assert 0 < sample["server_core"] <= 1.5
    assert 0 < sample["load_core"] <= 1.5


@pytest.mark.parametrize(
    "row", [ECHO, CLIENT, HANDSHAKES, IMPORT], ids=lambda r: r.name
)
def test_a_row_is_measured(bench, row):
    """
    Each kind gives a figure above nought for each round.
    """
    samples = bench.measure(only_ours(row))

    assert ["socketeer"] == list(samples)
    assert [True] == [sample["value"] > 0 for sample in samples["socketeer"]]


@pytest.mark.parametrize("row", HUBS, ids=lambda r: r.name)
def test_a_hub_is_measured(bench, row, redis_server):
    """
    In memory and through a Redis that the row starts: what gets to everybody who
    reads, and how soon.
    """
    row = only_ours(row)
    (subject,) = row.subjects
    # Of two connections, which have no topic in common.
    if "--stalled" in subject.load:
        row = replace(row, subjects=(replace(subject, load=("--stalled", "1")),))
    if "--receivers" in row.load:
        row = replace(row, load=(*row.load, "--receivers", "1"))

    (sample,) = bench.measure(row)[subject.name]

    assert sample["value"] > 0
    assert 0 < sample["p50_us"] <= sample["p99_us"]
    assert (sample["value"] == sample["p99_us"]) == (row.kind is Kind.LATENCY)


def test_without_redis_memory_is_measured(bench, monkeypatch):
    """
    Somebody says so.
    """
    monkeypatch.setenv("PATH", "/nonexistent")
    row = next(row for row in HUBS if row.name == "redis-latency")

    possible = bench.possible(row)

    assert [row.subjects[0]] == possible
    message = "redis-latency: redis-server is missing; only memory is measured"
    assert [message] == bench.said


def test_idle_connections_are_pinged_while_the_processor_is_watched(bench):
    """
    What was measured is told beside the figure.
    """
    ours = server("socketeer", "--keepalive", "{interval}", loop="asyncio")
    samples = bench.measure(Row("idle", "Idle", Kind.CPU, (ours,), ()))

    (sample,) = samples["socketeer"]
    assert sample["value"] > 0
    assert (20, 0.25) == (sample["connections"], sample["interval"])
    assert sample["pings"] >= 20


def test_without_node_its_servers_are_left_out(bench, monkeypatch):
    """
    Somebody says so.
    """
    monkeypatch.setenv("PATH", "/nonexistent")
    row = replace(ECHO, subjects=(*ECHO.subjects, Subject("ws", ("node", "ws.mjs"))))

    possible = bench.possible(row)

    assert ECHO.subjects == tuple(possible)
    assert ["echo: Node.js is missing; its servers are left out"] == bench.said


def test_without_openssl_nothing_is_measured_over_tls(bench, monkeypatch):
    """
    The message names Debian's package.
    """
    monkeypatch.setattr("bench.measuring.has_tls", lambda: False)

    samples = bench.measure(replace(ECHO, load=("--tls",)))

    assert {} == samples
    assert "libssl-dev" in bench.said[0]


def test_a_server_that_does_not_start_is_an_error():
    """
    Its output tells why.
    """
    command = (sys.executable, "-c", "raise SystemExit('no')")

    with pytest.raises(MeasuringError, match="ours does not listen; its output: no"):
        Server("ours", command, cores()[0])


def test_a_run_without_messages_is_an_error():
    """
    It is no figure of nought.
    """
    with pytest.raises(MeasuringError, match="no message came back"):
        judged(Kind.ECHO, {"messages": 0})


def test_output_without_json_is_an_error():
    """
    A program that printed something else did not do its work.
    """
    with pytest.raises(MeasuringError, match="no JSON in 'hello'"):
        last_line("hello")


def test_a_refused_source_is_an_error(monkeypatch, tmp_path):
    """
    The compiler's words are shown.
    """
    monkeypatch.setenv("CC", "false")

    with pytest.raises(natives.CompilerError, match="failed"):
        natives.build("loadgen", folder=tmp_path)


def test_a_missing_compiler_is_an_error(monkeypatch, tmp_path):
    """
    It is named.
    """
    monkeypatch.setenv("CC", "/nonexistent/cc")

    with pytest.raises(natives.CompilerError, match="no C compiler: "):
        natives.build("loadgen", folder=tmp_path)


def test_the_machine_is_described():
    """
    A reader learns where, when and with what.
    """
    about = describe(quick=True)

    assert "quick" == about["run"]
    assert {"date", "processor", "system", "python", "websockets"} <= about.keys()
