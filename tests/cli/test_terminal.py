"""
The interactive client, with a terminal that is played.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from socketeer.cli import terminal as terminal_module
from socketeer.cli.messages import Display
from socketeer.cli.options import Target
from socketeer.cli.terminal import Terminal, open_history
from tests.cli.conftest import talk, talking

pytestmark = pytest.mark.anyio


class Screen:
    """
    A terminal: what is typed, and what appears.
    """

    def __init__(self, typed, output, running, terminal):
        self.typed = typed
        self.output = output
        self.running = running
        self.terminal = terminal

    def type(self, text):
        self.typed.send_text(text)

    async def shows(self, text):
        while text not in self.output.getvalue():
            assert not self.running.done(), self.output.getvalue()
            await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def screen(uri, display=None, **options):
    """
    Run the client in a terminal.
    """
    output = io.StringIO()
    with create_pipe_input() as typed:
        terminal_output = Vt100_Output(
            output, lambda: Size(rows=40, columns=100), term="xterm", enable_cpr=False
        )
        with create_app_session(input=typed, output=terminal_output):
            terminal = Terminal(Target(uri), display or Display(), **options)
            running = asyncio.create_task(terminal.run())
            shown = Screen(typed, output, running, terminal)
            try:
                async with asyncio.timeout(8):
                    yield shown
            finally:
                running.cancel()
                await asyncio.wait([running])


async def test_lines_are_sent_and_messages_are_shown():
    """
    As with `python -m websockets`: `<` in front of what comes.
    """
    async with talking() as uri, screen(uri) as there:
        await there.shows(f"Connected to {uri}.")
        there.type("hello\r")
        await there.shows("< hello")
        there.type("binary\r")
        await there.shows("< (binary) 00ff")
        there.type("\x04")
        assert 0 == await there.running

        assert "Connection closed: 1000 (OK)." in there.output.getvalue()


async def test_ctrl_c_closes_the_connection():
    """
    As Ctrl+D does.
    """
    async with talking() as uri, screen(uri) as there:
        await there.shows("Connected")
        there.type("\x03")
        assert 0 == await there.running
        assert "Connection closed: 1000 (OK)." in there.output.getvalue()


async def test_commands_at_the_prompt(tmp_path):
    """
    `/ping`, `/file`, `/help`, `/close`, and mistakes.
    """
    (tmp_path / "a file").write_bytes(b"\x01\x02")
    async with talking() as uri, screen(uri) as there:
        await there.shows("Connected")
        there.type("/ping now\r")
        await there.shows("Pong after ")
        assert " ms" in there.terminal.toolbar()
        there.type(f"/file '{tmp_path / 'a file'}'\r")
        await there.shows("Sent 2 bytes of ")
        await there.shows("< (binary) 0102")
        there.type("/file /nonexistent\r")
        await there.shows("No such file or directory")
        there.type("/ping " + "x" * 126 + "\r")
        await there.shows("control frame too long")
        there.type("/close 1\r")
        await there.shows("invalid status code")
        there.type("/help\r")
        await there.shows("/close [CODE [REASON]]")
        there.type("/close 4000 good bye\r")
        assert 0 == await there.running
        assert (
            "Connection closed: 4000 (private use) good bye." in there.output.getvalue()
        )


async def test_a_file_may_be_too_large(tmp_path, monkeypatch):
    """
    It would be one message.
    """
    monkeypatch.setattr(terminal_module, "MAX_FILE_SIZE", 1)
    (tmp_path / "file").write_bytes(b"\x01\x02")
    async with talking() as uri, screen(uri) as there:
        await there.shows("Connected")
        there.type(f"/file {tmp_path / 'file'}\r")
        await there.shows("is larger than 1 bytes")


async def test_json_is_laid_out_in_colour():
    """
    With `--json`; other text stays as it is.
    """
    async with talking() as uri, screen(uri, Display(as_json=True)) as there:
        await there.shows("Connected")
        there.type('{"a":1}\r')
        await there.shows('"a"')
        there.type("hello\r")
        await there.shows("< hello")


async def test_the_server_ends_it():
    """
    The prompt goes away, and the exit status tells how it was.
    """
    async with talking() as uri, screen(uri) as there:
        await there.shows("Connected")
        there.type("close 1011\r")
        assert 3 == await there.running
        assert "Connection closed: 1011 (internal error)" in there.output.getvalue()


async def test_without_a_connection_there_is_no_prompt():
    """
    As with `python -m websockets`: exit status 1.
    """
    async with screen("ws://127.0.0.1:1/") as there:
        assert 1 == await there.running
        assert "Failed to connect to ws://127.0.0.1:1/: " in there.output.getvalue()


async def test_the_toolbar_tells_the_state(monkeypatch):
    """
    Where we are connected to, whether we are, and how far away it is.
    """
    async with talking() as uri, screen(uri) as there:
        assert f" {uri} | connecting | latency - " == there.terminal.toolbar()
        await there.shows("Connected")
        while "latency -" in there.terminal.toolbar():
            await asyncio.sleep(0.002)
        assert f" {uri} | open | latency " in there.terminal.toolbar()


async def test_while_there_is_no_connection_nothing_is_sent(monkeypatch):
    """
    With `--reconnect` the prompt stays; what is typed is not kept.
    """
    monkeypatch.setattr("socketeer.cli.conversation.backoff", lambda: iter([60.0]))
    async with talking() as uri, screen(uri, reconnect=True) as there:
        await there.shows("Connected")
        there.type("close 1012\r")
        await there.shows("Reconnecting in 60.0 s.")
        assert "| closed |" in there.terminal.toolbar()
        there.type("hello\r")
        await there.shows("Not connected; nothing was sent.")
        there.type("\x04")
        assert 3 == await there.running


async def test_a_subprotocol_is_told():
    """
    When there is one.
    """
    async with talking(subprotocols=["chat"]) as uri:
        async with screen(uri) as there:
            there.terminal.conversation.target = Target(uri, subprotocols=("chat",))
            await there.shows("with subprotocol chat.")


async def test_a_connection_that_ends_while_sending_is_no_mistake():
    """
    The end is told once.
    """

    async def handler(connection):
        connection.transport.pause_reading()
        await talk(connection)

    async with talking() as uri, screen(uri) as there:
        await there.shows("Connected")
        there.terminal.conversation.connection.transport.abort()
        there.type("hello\r")
        assert 4 == await there.running


async def test_what_was_typed_is_kept(tmp_path, monkeypatch):
    """
    In a file that is nobody else's business; without one, for as long as it runs.
    """
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    history = open_history()
    mode = (tmp_path / "socketeer" / "history").stat().st_mode

    assert isinstance(history, FileHistory)
    assert 0o600 == mode & 0o777
    monkeypatch.setenv("XDG_STATE_HOME", os.devnull)
    assert isinstance(open_history(), InMemoryHistory)
