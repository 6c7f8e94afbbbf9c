"""
What a server logs, on which logger, at which level.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re

import pytest

from tests.asyncio.exchange import (
    ask,
    connecting,
    dial,
    opening_request,
    serving,
)
from tests.asyncio.harness import settle
from tests.under_test import lib

pytestmark = pytest.mark.anyio

SERVER = f"{lib.__name__}.server"
CLIENT = f"{lib.__name__}.client"


@pytest.fixture(autouse=True)
def info(caplog):
    """
    Record INFO and above of both loggers.
    """
    caplog.set_level(logging.INFO, SERVER)
    caplog.set_level(logging.INFO, CLIENT)


def messages(caplog, logger, level=logging.INFO):
    """
    Return the messages of a logger at a level.
    """
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == logger and record.levelno == level
    ]


async def test_the_life_of_a_server(caplog):
    """
    Listening, closing and closed are INFO, with the address.
    """
    async with serving() as server:
        pass

    assert [
        f"server listening on 127.0.0.1:{server.port}",
        "server closing",
        "server closed",
    ] == messages(caplog, SERVER)


async def test_the_life_of_a_connection(caplog):
    """
    Open and closed are INFO at the server; a client says nothing.
    """
    async with serving() as server:
        caplog.clear()
        async with connecting(server.uri) as client:
            pass
        await client.wait_closed()
        await settle()
        at_server = messages(caplog, SERVER)

    assert ["connection open", "connection closed"] == at_server
    assert [r for r in caplog.records if r.levelno > logging.INFO] == []


async def test_a_rejected_connection(caplog):
    """
    The status that refused it is INFO.
    """
    async with serving() as server:
        await ask(server.port, opening_request("POST / HTTP/1.1"))

    assert "connection rejected (405 Method Not Allowed)" in messages(caplog, SERVER)


async def test_an_answer_of_a_hook(caplog):
    """
    The status of a health check is INFO, and that of a refusal by hand.
    """

    def process_request(connection, request):
        return connection.respond(int(request.path[1:]), "by hand\n")

    async with serving(process_request=process_request) as server:
        await ask(server.port, opening_request("GET /200 HTTP/1.1"))
        await ask(server.port, opening_request("GET /403 HTTP/1.1"))

    assert ["HTTP response sent (200 OK)", "HTTP response sent (403 Forbidden)"] == [
        text for text in messages(caplog, SERVER) if text.startswith("HTTP")
    ]


async def test_a_handler_that_fails_is_an_error_once(caplog):
    """
    One record with the traceback; nothing else above INFO.
    """

    async def handler(connection):
        raise LookupError("what happened")

    async with serving(handler) as server:
        async with connecting(server.uri) as client:
            await client.wait_closed()

    [record] = [r for r in caplog.records if r.levelno > logging.INFO]
    assert (SERVER, "ERROR", "connection handler failed") == (
        record.name,
        record.levelname,
        record.getMessage(),
    )
    assert "what happened" == str(record.exc_info[1])


@pytest.mark.ours
async def test_an_abrupt_disconnect_is_no_error(caplog):
    """
    A peer that vanishes leaves nothing above INFO, though iteration raises.
    """
    async with serving() as server:
        async with connecting(server.uri) as client:
            client.transport.abort()
        await settle()

    assert [] == [r for r in caplog.records if r.levelno > logging.INFO]


async def test_records_lead_to_their_connection(caplog):
    """
    Records about a connection have it as `websocket`.
    """
    seen = []

    class Watch(logging.Handler):
        def emit(self, record):
            if record.getMessage() == "connection open":
                seen.append(record.websocket.request.path)

    watch = Watch()
    logging.getLogger(SERVER).addHandler(watch)
    try:
        async with serving() as server, connecting(f"{server.uri}/who"):
            pass
    finally:
        logging.getLogger(SERVER).removeHandler(watch)

    assert ["/who"] == seen


async def test_a_logger_of_ones_own(caplog):
    """
    `logger=` takes a logger; the default one stays silent.
    """
    own = logging.getLogger("tests.own")
    own.setLevel(logging.INFO)
    async with serving(logger=own) as server, connecting(server.uri):
        pass

    assert [] == messages(caplog, SERVER)
    assert "connection open" in messages(caplog, "tests.own")


async def test_a_logger_adapter(caplog):
    """
    `logger=` takes an adapter, which changes every message.
    """

    class Prefix(logging.LoggerAdapter):
        def process(self, msg, kwargs):
            return f"[chat] {msg}", kwargs

    own = logging.getLogger("tests.own")
    own.setLevel(logging.INFO)
    async with serving(logger=Prefix(own)) as server, connecting(server.uri):
        pass

    assert "[chat] connection open" in messages(caplog, "tests.own")
    assert "[chat] server closed" in messages(caplog, "tests.own")


async def test_the_server_logger_is_an_attribute():
    """
    `Server.logger` and `connection.logger` are there for handlers.
    """
    own = logging.getLogger("tests.own")
    seen = []

    async def handler(connection):
        seen.append(connection.logger)

    async with serving(handler, logger=own) as server:
        async with connecting(server.uri) as client:
            await client.wait_closed()

        assert own is server.server.logger
    [adapter] = seen
    assert own is adapter.logger


async def test_frames_are_logged_at_debug(caplog):
    """
    `<` and `>` precede what was received and sent, heads and frames.
    """
    caplog.set_level(logging.DEBUG, SERVER)
    async with serving(compression=None) as server:
        async with connecting(server.uri, compression=None) as client:
            await client.send("hello")
            await client.recv()

    logged = messages(caplog, SERVER, logging.DEBUG)
    assert "< GET / HTTP/1.1" in logged
    assert "> HTTP/1.1 101 Switching Protocols" in logged
    assert "< TEXT 'hello' [5 bytes]" in logged
    assert "> TEXT 'hello' [5 bytes]" in logged
    assert "= connection is OPEN" in logged


async def test_long_payloads_are_cut_in_the_log(caplog):
    """
    75 characters of a payload are shown at most.
    """
    caplog.set_level(logging.DEBUG, SERVER)
    async with serving(compression=None) as server:
        async with connecting(server.uri, compression=None) as client:
            await client.send("x" * 1000)
            await client.recv()

    [line] = [
        text
        for text in messages(caplog, SERVER, logging.DEBUG)
        if text.startswith("< TEXT")
    ]
    assert re.fullmatch(r"< TEXT 'x+\.\.\.x+' \[1000 bytes\]", line)
    assert 75 == len(line.removeprefix("< TEXT ").removesuffix(" [1000 bytes]"))


async def test_a_scan_leaves_one_line_at_most(caplog):
    """
    Somebody who connects and leaves is not worth more.
    """
    async with serving() as server:
        caplog.clear()
        for _ in range(3):
            with contextlib.closing(await dial(server.port)):
                await asyncio.sleep(0)
        await settle()
        records = [*caplog.records]

    assert 3 >= len(records)
    assert [] == [r for r in records if r.levelno > logging.INFO]
