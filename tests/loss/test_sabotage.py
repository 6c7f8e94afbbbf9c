"""
What the loss test counts as wrong is what goes wrong, also behind a real hub.
"""

from __future__ import annotations

import json
import random

import pytest

from socketeer.pubsub import json_envelope
from socketeer.pubsub.feed import Feed
from tests.loss import sabotage
from tests.loss.checking import BAD, Follower
from tests.pubsub.harness import FakeConnection, end_turn, hub_with

pytestmark = pytest.mark.anyio

MESSAGES = 100

# What the judge says. A message too early is a gap, and then too late.
VERDICTS = {
    "nothing": set(),
    "lose": {"gaps untold"},
    "lose for one": {"gaps untold"},
    "duplicate": {"duplicates"},
    "reorder": {"gaps untold", "duplicates"},
    "forge": {"wrong", "duplicates"},
    "recover too little": {"gaps untold"},
    "recover too much": {"duplicates"},
    "recover never": {"gaps told in vain"},
}


async def publish(hub, numbers, published):
    """
    Publish numbers, each in a turn of its own; note where they stand.
    """
    for number in numbers:
        published[await hub.publish("a", str(number))] = number
        end_turn()


async def follow(hub, follower, numbers, published):
    """
    Be connected while numbers are published; hear them.
    """
    connection = FakeConnection()
    follower.connected()
    since = None if follower.position is None else str(follower.position)
    async with hub.attach(connection) as session:
        subscription = await session.subscribe("a", since=since)
        before = connection.take()
        await publish(hub, numbers, published)
        for text in before:
            hear(follower, text)
        follower.replied(subscription.recovered, subscription.position)
        for text in connection.take():
            hear(follower, text)


def hear(follower, text):
    """
    Be sent a message.
    """
    message = json.loads(text)
    follower.received(message["position"], message["data"])


@pytest.mark.parametrize("kind", VERDICTS)
async def test_sabotage_is_noticed(kind, monkeypatch):
    """
    One message in ten goes wrong, or each recovery; and nothing else is counted.
    """
    if kind != "nothing":
        monkeypatch.setattr(Feed, *sabotage.KINDS[kind])
    monkeypatch.setattr(sabotage, "RARITY", 10)
    monkeypatch.setattr(sabotage, "random", random.Random(3))
    published = {}
    follower = Follower("a", published)
    async with hub_with() as hub:
        hub.topic("a", history=1000, envelope=json_envelope)
        # Somebody else keeps the topic's feed, and is as likely to be struck.
        async with hub.attach(FakeConnection()) as other:
            await other.subscribe("a")
            for begin in (1, 201, 401):
                here, away = begin + MESSAGES, begin + MESSAGES + 2
                await follow(hub, follower, range(begin, here), published)
                await publish(hub, range(here, away), published)
            await follow(hub, follower, [], published)

    assert VERDICTS[kind] == {name for name in BAD if follower.counts[name]}
    assert follower.counts["messages"]
