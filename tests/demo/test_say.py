"""``python -m socketeer.demo.say``: speaking without a server."""

from __future__ import annotations

import contextlib
import io
import json
import sys

import pytest

from socketeer.demo import say as program
from socketeer.demo.rooms import room_topics, topic_of
from socketeer.pubsub import Hub
from tests.ports import free_port
from tests.pubsub.harness import FakeConnection
from tests.pubsub.redis_server import RedisServer

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def redis(redis_server):
    """Run a Redis."""
    server = RedisServer(redis_server)
    with contextlib.closing(server):
        server.start()
        yield server


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the program with arguments and lines; return what it printed."""

    def run(*arguments, lines=()):
        monkeypatch.setattr(sys, "argv", ["say", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(lines)))
        program.main()
        return capsys.readouterr().out

    return run


async def test_what_it_says_is_there_for_everybody_who_comes(redis, run):
    """
    Each line of the input, or the words of the command line, in its room.
    """
    printed = run("--redis", redis.url, lines=["one\n", "  two \n"])
    printed += run("--redis", redis.url, "--nickname", " Athos ", "three", "words")
    run("--redis", redis.url, "--room", "Garden", "elsewhere")
    connection = FakeConnection()
    async with (
        Hub(redis.url, topics=room_topics()) as hub,
        hub.attach(connection) as session,
    ):
        await session.subscribe(topic_of("Tavern"), recent=3)
        heard = [json.loads(message) for message in connection.take()]

    assert ["one", "two", "three words"] == [event["data"]["text"] for event in heard]
    said = [(event["data"]["nickname"], event["data"]["by"]) for event in heard]
    assert [("Cron", None)] * 2 + [("Athos", None)] == said
    assert 3 == len({event["data"]["id"] for event in heard})
    assert printed.split()[-2:] == ["Tavern", heard[-1]["position"]]


MISTAKES = [
    (["--redis", "redis://h/", " "], "error: empty text"),
    (["--redis", "redis://h/", "--nickname", "", "Hi"], "error: empty nickname"),
    (["--redis", "redis://h/", "--room", "Cellar", "Hi"], "invalid choice: 'Cellar'"),
    (["--redis", "http://h/", "Hi"], "no broker is known for 'http' addresses"),
    (["Hi"], "required: --redis"),
]


@pytest.mark.parametrize(("arguments", "complaint"), MISTAKES)
def test_it_says_what_is_wrong(run, capsys, arguments, complaint):
    """
    A mistake on the command line is one sentence and status 2.
    """
    with pytest.raises(SystemExit) as ended:
        run(*arguments)

    assert 2 == ended.value.code
    assert complaint in capsys.readouterr().err


def test_it_says_that_nobody_answers(run):
    """
    Without Redis, nothing can be said.
    """
    with pytest.raises(SystemExit, match=r"^python -m socketeer.demo.say: "):
        run("--redis", f"redis://127.0.0.1:{free_port()}/0", "Hi")
