"""
Hubs that lose messages: the loss test has to notice, or it proves nothing.

    python -m tests.loss --seconds 10 --clients 50 --sabotage lose
"""

from __future__ import annotations

import random

from socketeer.pubsub.feed import Feed

__all__ = ["KINDS", "sabotage"]

# One in so many messages goes wrong.
RARITY = 100

hand_on, pass_on, recover = Feed._hand_on, Feed.pass_on, Feed.recover
held = {}


def strikes(feed):
    """
    Tell whether this is the one. What belongs to no topic is spared.
    """
    return bool(feed.topic) and random.random() < 1 / RARITY


def lose(feed, run, more):
    """
    Deliver a message to nobody.
    """
    kept = [message for message in run.messages if not strikes(feed)]
    pass_on(feed, run._replace(messages=kept), more)


def lose_for_one(feed, run, more):
    """
    Deliver messages to all subscribers but one.
    """
    members = feed.members()
    if not members or not strikes(feed):
        pass_on(feed, run, more)
        return
    unlucky = random.choice(members)
    feed.discard(unlucky)
    pass_on(feed, run, more)
    feed.add(unlucky, unlucky.session.connection)


def duplicate(feed, run, more):
    """
    Deliver a message twice.
    """
    twice = [message for message in run.messages for _ in range(1 + strikes(feed))]
    pass_on(feed, run._replace(messages=twice), more)


def reorder(feed, run, more):
    """
    Deliver a message after the one that follows it.
    """
    messages = list(run.messages)
    if feed in held:
        messages.insert(1, held.pop(feed))
    elif strikes(feed):
        held[feed] = messages.pop()
    pass_on(feed, run._replace(messages=messages), more)


def forge(feed, packet):
    """
    Deliver another message under a message's position.
    """
    if strikes(feed):
        packet = packet._replace(payload=b"%d" % (int(packet.payload) + 1))
    hand_on(feed, packet)


async def recover_too_little(feed, since):
    """
    Leave out the first of the messages that a client missed.
    """
    cursor = await recover(feed, since)
    is_some = cursor is not None and cursor < feed.head.offset
    return cursor + 1 if is_some else cursor


async def recover_too_much(feed, since):
    """
    Send the last message that a client has once more.
    """
    cursor = await recover(feed, since)
    is_there = cursor is not None and feed.log.get(cursor) is not None
    return cursor - 1 if is_there else cursor


async def recover_never(feed, since):
    """
    Tell clients of gaps that there are not.
    """
    del feed, since


# What is sabotaged, and how.
KINDS = {
    function.__name__.replace("_", " "): (name, function)
    for name, functions in {
        "pass_on": (lose, lose_for_one, duplicate, reorder),
        "_hand_on": (forge,),
        "recover": (recover_too_little, recover_too_much, recover_never),
    }.items()
    for function in functions
}


def sabotage(kind):
    """
    Sabotage the hubs of this process, until it ends.
    """
    setattr(Feed, *KINDS[kind])
