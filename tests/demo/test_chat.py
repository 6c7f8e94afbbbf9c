"""The chat room, with real connections on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from socketeer.asyncio.client import connect
from socketeer.asyncio.server import serve
from socketeer.demo import chat
from socketeer.demo.chat import Allowance, ChatRoom, unused_nickname

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def opened(room):
    """Serve the room; give a function that connects to it."""
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(serve(room.handle, "127.0.0.1", 0))
        port = server.sockets[0].getsockname()[1]

        async def visit():
            return await stack.enter_async_context(connect(f"ws://127.0.0.1:{port}"))

        yield visit


async def send(connection, **fields):
    """Send a message as the page does."""
    await connection.send(json.dumps(fields))


async def receive(connection):
    """Receive an event as the page does."""
    async with asyncio.timeout(5):
        return json.loads(await connection.recv())


async def join(visit, nickname):
    """Come in; return the connection and the welcome."""
    connection = await visit()
    await send(connection, type="join", nickname=nickname)
    return connection, await receive(connection)


async def close_of(connection):
    """Wait until the server has closed; return code and reason."""
    async with asyncio.timeout(5):
        await connection.wait_closed()
    return connection.close_code, connection.close_reason


async def test_a_newcomer_learns_its_name_and_who_is_here():
    """
    The welcome names the members, the newcomer included, and the history.
    """
    async with opened(ChatRoom()) as visit:
        await join(visit, "Ada")
        _, welcome = await join(visit, "Grace")

    assert "welcome" == welcome["type"]
    assert "Grace" == welcome["nickname"]
    assert ["Ada", "Grace"] == welcome["members"]
    assert [] == welcome["history"]
    assert {"epoch", "server", "core"} < welcome.keys()


async def test_everybody_hears_what_is_said_the_speaker_included():
    """
    One message reaches every member, with its author, number and time.
    """
    async with opened(ChatRoom(clock=lambda: 1_000.5)) as visit:
        ada, _ = await join(visit, "Ada")
        grace, _ = await join(visit, "Grace")
        await receive(ada)  # Grace joined
        await send(grace, type="say", text="<i>Hello</i>")
        heard = [await receive(ada), await receive(grace)]

    said = {
        "at": 1_000.5,
        "type": "said",
        "number": 1,
        "nickname": "Grace",
        "text": "<i>Hello</i>",
    }
    assert [said, said] == heard


async def test_members_learn_who_joins_and_who_leaves():
    """
    Coming and going is told to the others, whatever ends the connection.
    """
    room = ChatRoom(clock=lambda: 7)
    async with opened(room) as visit:
        ada, _ = await join(visit, "Ada")
        grace, _ = await join(visit, "Grace")
        joined = await receive(ada)
        grace.transport.abort()
        left = await receive(ada)

        assert {"at": 7, "type": "joined", "nickname": "Grace"} == joined
        assert {"at": 7, "type": "left", "nickname": "Grace"} == left
        assert ["Ada"] == list(room.members.values())


async def test_newcomers_see_the_last_messages():
    """
    The history holds the newest messages only, oldest first.
    """
    async with opened(ChatRoom(memory=2)) as visit:
        ada, _ = await join(visit, "Ada")
        for text in ("one", "two", "three"):
            await send(ada, type="say", text=text)
            await receive(ada)
        _, welcome = await join(visit, "Grace")

    assert ["two", "three"] == [said["text"] for said in welcome["history"]]
    assert [2, 3] == [said["number"] for said in welcome["history"]]


async def test_pings_are_answered_to_the_one_who_asked():
    """
    The number comes back at once, to nobody else.
    """
    async with opened(ChatRoom()) as visit:
        ada, _ = await join(visit, "Ada")
        grace, _ = await join(visit, "Grace")
        await receive(ada)  # Grace joined
        await send(ada, type="ping", id=42)
        pong = await receive(ada)
        await send(ada, type="say", text="next")
        heard = await receive(grace)

    assert {"type": "pong", "id": 42} == pong
    assert "next" == heard["text"]


async def test_a_nickname_in_use_gets_a_number():
    """
    Nobody can pass for somebody else who is here.
    """
    async with opened(ChatRoom()) as visit:
        await join(visit, "Ada")
        _, welcome = await join(visit, "ADA")

    assert "ADA 2" == welcome["nickname"]


BREACHES = [
    ([{"type": "say", "text": "Hi"}], "expected to join first"),
    ([{"type": "join", "nickname": ""}], "empty nickname"),
    ([{"type": "join", "nickname": "Ada"}] * 2, "joined already"),
    ([{"type": "join", "nickname": "Ada"}, {"type": "shout"}], "unknown message"),
]


@pytest.mark.parametrize(("messages", "reason"), BREACHES)
async def test_who_breaks_a_rule_is_sent_away_and_told_which(messages, reason):
    """
    Close code 1008, "policy violation", comes with the rule as its reason.
    """
    room = ChatRoom()
    async with opened(room) as visit:
        connection = await visit()
        for fields in messages:
            await send(connection, **fields)

        assert (1008, reason) == await close_of(connection)
        assert {} == room.members


async def test_who_never_joins_is_sent_away(monkeypatch):
    """
    A connection that says nothing does not stay for ever.
    """
    monkeypatch.setattr(chat, "JOIN_TIMEOUT", 0.01)
    async with opened(ChatRoom()) as visit:
        connection = await visit()

        assert (1008, "expected to join in time") == await close_of(connection)


async def test_a_full_room_asks_to_come_back_later():
    """
    Close code 1013, "try again later": the page tries again by itself.
    """
    async with opened(ChatRoom(capacity=1)) as visit:
        await join(visit, "Ada")
        connection = await visit()
        await send(connection, type="join", nickname="Grace")

        assert (1013, "the room is full") == await close_of(connection)


async def test_who_sends_too_fast_is_slowed_down_and_finally_sent_away(monkeypatch):
    """
    Messages above the allowance are refused; a flood ends the connection.
    """
    monkeypatch.setattr(chat, "MAX_REFUSALS", 3)
    monkeypatch.setattr(chat, "RATE", 0)
    async with opened(ChatRoom()) as visit:
        ada, _ = await join(visit, "Ada")
        for number in range(chat.BURST + 4):
            await send(ada, type="ping", id=number)
        answers = [await receive(ada) for _ in range(chat.BURST + 3)]

        assert ["pong"] * chat.BURST + ["slow down"] * 3 == [
            answer["type"] for answer in answers
        ]
        assert (1008, "too many messages") == await close_of(ada)


def test_an_allowance_grants_a_burst_and_then_a_rate():
    """
    Three at once, then one every half second, and never more than three.
    """
    allowance = Allowance(rate=2, burst=3)

    assert [True, True, True, False] == [allowance.take(10.0) for _ in range(4)]
    assert [False, True, False] == [allowance.take(now) for now in (10.4, 10.5, 10.6)]
    assert [True, True, True, False] == [allowance.take(99.0) for _ in range(4)]


NICKNAMES = [
    ("Ada", [], "Ada"),
    ("Ada", ["Grace"], "Ada"),
    ("Ada", ["Ada"], "Ada 2"),
    ("ada", ["Ada", "ADA 2"], "ada 3"),
    ("x" * 24, ["X" * 24], "x" * 22 + " 2"),
]


@pytest.mark.parametrize(("wanted", "taken", "given"), NICKNAMES)
def test_nicknames_are_unique_and_stay_short(wanted, taken, given):
    """
    The first free number is taken; case makes no difference.
    """
    assert given == unused_nickname(wanted, taken)
