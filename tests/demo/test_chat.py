"""The chat, with real connections on loopback and a hub in memory."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from socketeer.asyncio.client import connect
from socketeer.asyncio.server import serve
from socketeer.demo import chat
from socketeer.demo.allowance import Allowance
from socketeer.demo.chat import Chat, unused_nickname, user_of
from socketeer.demo.rooms import nickname_of, room_topics
from socketeer.pubsub import BrokerUnavailable, Hub, Member

pytestmark = pytest.mark.anyio


class Page:
    """
    A page of the chat without a browser.

    Attributes:
        got: What came before the answer that was waited for, last.
    """

    def __init__(self, connection, nickname):
        self.connection = connection
        self.token = f"token-of-{nickname}".ljust(16, "-")
        self.nickname = nickname
        self.got = []

    @property
    def id(self):
        return user_of(self.token)

    async def send(self, **fields):
        """Send a message as the page does."""
        await self.connection.send(json.dumps(fields))

    async def receive(self):
        """Receive an event as the page does."""
        async with asyncio.timeout(5):
            return json.loads(await self.connection.recv())

    async def until(self, kind):
        """Receive up to an event of this type; return it."""
        self.got = []
        while (event := await self.receive()).get("type") != kind:
            self.got.append(event)
        return event

    async def join(self, room="Tavern", since=None):
        """Come in; return what the welcome and the room say."""
        await self.send(
            type="join",
            nickname=self.nickname,
            token=self.token,
            room=room,
            since=since,
        )
        return await self.until("welcome"), await self.until("entered")

    async def enter(self, room, since=None):
        """Go to another room; return what it says."""
        await self.send(type="enter", room=room, since=since)
        return await self.until("entered")

    async def say(self, text, key=None):
        """Say something; return the message as everybody gets it."""
        await self.send(type="say", text=text, key=key or text)
        message = await self.receive()
        await self.until("said")
        return message

    async def hear(self):
        """Return the next message that somebody said."""
        while "data" not in (event := await self.receive()):
            pass
        return event

    def texts(self):
        """Return what was said among what came before the last answer."""
        return [event["data"]["text"] for event in self.got if "data" in event]


@contextlib.asynccontextmanager
async def opened(**options):
    """Serve a chat; give it, and a function that opens pages."""
    async with contextlib.AsyncExitStack() as stack:
        hub = Hub(topics=room_topics(), grace=options.pop("grace", 0))
        rooms = Chat(await stack.enter_async_context(hub), **options)
        server = await stack.enter_async_context(serve(rooms.handle, "127.0.0.1", 0))
        port = server.sockets[0].getsockname()[1]

        async def visit(nickname):
            uri = f"ws://127.0.0.1:{port}"
            connection = await stack.enter_async_context(connect(uri))
            return Page(connection, nickname)

        visit.chat = rooms
        yield visit


async def close_of(page):
    """Wait until the server has closed; return code and reason."""
    async with asyncio.timeout(5):
        await page.connection.wait_closed()
    return page.connection.close_code, page.connection.close_reason


def names(entered):
    """Return who is in each room that is not empty."""
    return {
        room: [person["nickname"] for person in people]
        for room, people in entered["people"].items()
        if people
    }


async def test_a_newcomer_learns_its_name_and_who_is_where():
    """
    The welcome names the newcomer; the room says who is there, and in the others.
    """
    async with opened() as visit:
        ada, grace = await visit("Ada"), await visit("Grace")
        await ada.join("Garden")
        welcome, entered = await grace.join("Tavern")

        assert ("Grace", grace.id) == (welcome["nickname"], welcome["id"])
        assert {"server", "core", "keeper"} < welcome.keys()
        assert {"Garden": ["Ada"], "Tavern": ["Grace"]} == names(entered)
        assert (False, 0) == (entered["recovered"], entered["missed"])


async def test_everybody_hears_what_is_said_the_speaker_included():
    """
    One message reaches all members of the room, with author, position and time;
    those in other rooms get it, too, and can show that something was said.
    """
    async with opened(clock=lambda: 1_000.5) as visit:
        ada, grace, zoe = [await visit(name) for name in ("Ada", "Grace", "Zoe")]
        _, entered = await ada.join()
        await zoe.join("Library")
        await grace.join()
        said = await grace.say("<i>Hello</i>", "k1")

        assert said == await ada.hear() == await zoe.hear()
        assert said == {
            "topic": "demo:Tavern",
            "position": said["position"],
            "data": {
                "id": f"{grace.id}.k1",
                "by": grace.id,
                "nickname": "Grace",
                "text": "<i>Hello</i>",
                "at": 1_000.5,
            },
        }
        assert entered["position"].replace(".0", ".1") == said["position"]


async def test_everybody_learns_who_comes_and_who_goes():
    """
    Coming, walking from room to room, and going, whatever ends the connection.
    """
    async with opened() as visit:
        ada, grace = await visit("Ada"), await visit("Grace")
        await ada.join()
        await grace.join()
        joined = await ada.until("joined")
        entered = await grace.enter("Garden")
        left, walked = await ada.until("left"), await ada.until("joined")
        grace.connection.transport.abort()
        await ada.until("left")

        person = {"id": grace.id, "nickname": "Grace"}
        assert {"type": "joined", "room": "Tavern", **person} == joined
        assert {"type": "left", "room": "Tavern", **person} == left
        assert {"type": "joined", "room": "Garden", **person} == walked
        assert {"Tavern": ["Ada"], "Garden": ["Grace"]} == names(entered)


async def test_who_comes_back_in_time_has_never_left():
    """
    Same token, same user: nobody hears of it, and the nickname is still theirs.
    """
    async with opened(grace=60) as visit:
        ada, grace = await visit("Ada"), await visit("Grace")
        await ada.join()
        await grace.join()
        await ada.until("joined")
        await grace.connection.close()
        again, other = await visit("Grace"), await visit("Grace")
        other.token = "another-person-of-that-name"
        welcome, _ = await again.join()
        await again.say("back")
        await ada.until(None)
        assert [] == ada.got
        namesake, entered = await other.join()

        assert ("Grace", grace.id) == (welcome["nickname"], welcome["id"])
        assert "Grace 2" == namesake["nickname"]
        assert ["Ada", "Grace", "Grace 2"] == sorted(names(entered)["Tavern"])


async def test_newcomers_see_the_last_messages(monkeypatch):
    """
    Oldest first, as many as there may be.
    """
    monkeypatch.setattr(chat, "RECENT", 2)
    async with opened() as visit:
        ada, grace = await visit("Ada"), await visit("Grace")
        await ada.join()
        for text in ("one", "two", "three"):
            await ada.say(text)
        _, entered = await grace.join()

        assert ["two", "three"] == grace.texts()
        assert (False, 2) == (entered["recovered"], entered["missed"])


async def test_who_comes_back_gets_every_message():
    """
    To a room, or to the chat: what was said after the position, once.
    """
    async with opened() as visit:
        ada, grace = await visit("Ada"), await visit("Grace")
        await ada.join()
        seen = (await ada.say("one"))["position"]
        await grace.join()
        await ada.enter("Garden")
        for text in ("two", "three"):
            await grace.say(text)
        entered = await ada.enter("Tavern", seen)
        assert ["two", "three"] == ada.texts()[-2:]
        assert (True, 2) == (entered["recovered"], entered["missed"])
        await ada.connection.close()
        again = await visit("Ada")
        _, entered = await again.join("Tavern", seen)

        assert ["two", "three"] == again.texts()
        assert (True, 2) == (entered["recovered"], entered["missed"])


async def test_who_cannot_recover_is_told():
    """
    The position is one of another life of the server.
    """
    async with opened() as visit:
        ada, grace = await visit("Ada"), await visit("Grace")
        await ada.join()
        await ada.say("new")
        _, entered = await grace.join("Tavern", "former.17")

        assert (False, 1) == (entered["recovered"], entered["missed"])
        assert ["new"] == grace.texts()


async def test_a_message_is_said_once_however_often_it_is_sent():
    """
    The page sends it again when the answer was lost; keys are the page's own.
    """
    async with opened() as visit:
        ada, grace = await visit("Ada"), await visit("Grace")
        await ada.join()
        await grace.join()
        await ada.until("joined")
        for page, text in (ada, "Hi"), (ada, "again"), (grace, "Hello"):
            await page.send(type="say", text=text, key="same")
            await page.until("said")

        assert "Hello" == (await ada.hear())["data"]["text"]
        assert ["Hi"] == grace.texts()[:1]


async def test_while_the_broker_is_away_nothing_is_said(monkeypatch):
    """
    The page is told, and says it again later.
    """

    async def fail(*_, **__):
        raise BrokerUnavailable("away")

    async with opened() as visit:
        ada = await visit("Ada")
        await ada.join()
        with monkeypatch.context() as outage:
            outage.setattr(visit.chat.hub, "publish_json", fail)
            await ada.send(type="say", text="Hi", key="k1")
            refused = await ada.until("not said")
        said = await ada.say("Hi", "k1")

        assert {"type": "not said", "key": "k1"} == refused
        assert "Hi" == said["data"]["text"]


async def test_while_the_broker_is_away_nobody_comes_in(monkeypatch):
    """
    Close code 1013, "try again later": the page tries again by itself.
    """

    async def fail():
        raise BrokerUnavailable("away")

    async with opened() as visit:
        monkeypatch.setattr(visit.chat.hub, "users", fail)
        ada = await visit("Ada")
        await ada.send(type="join", **JOIN)

        assert (1013, "the broker is away") == await close_of(ada)


async def test_pings_are_answered_to_the_one_who_asked():
    """
    The number comes back at once, to nobody else.
    """
    async with opened() as visit:
        ada, grace = await visit("Ada"), await visit("Grace")
        await ada.join()
        await grace.join()
        await ada.send(type="ping", id=42)
        pong = await ada.until("pong")
        await ada.say("next")

        assert {"type": "pong", "id": 42} == pong
        assert "next" == (await grace.receive())["data"]["text"]


JOIN = {"nickname": "Ada", "token": "x" * 16, "room": "Tavern", "since": None}

BREACHES = [
    ([{"type": "say", "text": "Hi", "key": "k"}], "expected to join first"),
    ([{"type": "join", **JOIN, "nickname": ""}], "empty nickname"),
    ([{"type": "join", **JOIN}] * 2, "joined already"),
    ([{"type": "join", **JOIN}, {"type": "shout"}], "unknown message"),
]


@pytest.mark.parametrize(("messages", "reason"), BREACHES)
async def test_who_breaks_a_rule_is_sent_away_and_told_which(messages, reason):
    """
    Close code 1008, "policy violation", comes with the rule as its reason.
    """
    async with opened() as visit:
        page = await visit("Ada")
        for fields in messages:
            await page.send(**fields)

        assert (1008, reason) == await close_of(page)
        assert 0 == visit.chat.hub.statistics()["connections"]


async def test_who_never_joins_is_sent_away(monkeypatch):
    """
    A connection that says nothing does not stay for ever.
    """
    monkeypatch.setattr(chat, "JOIN_TIMEOUT", 0.01)
    async with opened() as visit:
        page = await visit("Ada")

        assert (1008, "expected to join in time") == await close_of(page)


async def test_who_sends_too_fast_is_read_more_slowly(monkeypatch):
    """
    Nothing is refused; what is above the allowance takes its time.
    """
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    async with opened() as visit:
        ada = await visit("Ada")
        await ada.join()
        monkeypatch.setattr(chat.asyncio, "sleep", sleep)
        for number in range(chat.BURST + 2):
            await ada.send(type="ping", id=number)
        answers = [await ada.until("pong") for _ in range(chat.BURST + 2)]

        assert list(range(chat.BURST + 2)) == [answer["id"] for answer in answers]
        assert [True] * 2 == [0 < wait < 1 for wait in waits[chat.BURST :]]
        assert {0} == set(waits[: chat.BURST])


def test_an_allowance_grants_a_burst_and_then_a_rate():
    """
    Three at once, then one every half second, and never more than three.
    """
    allowance = Allowance(rate=2, burst=3)

    assert [0, 0, 0, 0.5, 1.0] == [allowance.take(10.0) for _ in range(5)]
    assert [1.0, 0.5] == [allowance.take(now) for now in (10.5, 11.5)]
    assert [0, 0, 0, 0.5] == [allowance.take(99.0) for _ in range(4)]


def test_users_of_others_have_names_too():
    """
    Another program may use the same Redis.
    """
    assert "Ada" == nickname_of(Member("3f2a", {"nickname": "Ada"}))
    assert ["bob"] * 2 == [nickname_of(Member("bob", info)) for info in (None, [1])]


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
