"""
The rooms: topics of a hub.

All that makes a room is set here, once, for the program with the pages and for
any other one that publishes: the last messages are kept, the hub knows who is
there, and the pages learn with each message where they stand.
"""

from __future__ import annotations

import json
from typing import Any

from socketeer.pubsub import Member, PresenceEvent, Topics, json_envelope

__all__ = ["RECENT", "ROOMS", "nickname_of", "room_topics", "saying", "topic_of"]

ROOMS = ("Tavern", "Garden", "Library")

# Others may use the same Redis.
PREFIX = "demo:"

# Messages that are kept of each room, and for how many seconds: a page that was
# away finds all of these, or is told.
KEPT = 500
KEPT_FOR = 24 * 3600.0

# Messages that those see who come for the first time.
RECENT = 50


def topic_of(room: str) -> str:
    """Return the name of a room's topic."""
    return PREFIX + room


def room_topics() -> Topics:
    """Return what is set for the rooms."""
    topics = Topics()
    topics.topic(
        f"{PREFIX}*",
        history=KEPT,
        max_age=KEPT_FOR,
        presence=True,
        envelope=json_envelope,
        on_presence=tell_presence,
    )
    return topics


def tell_presence(event: PresenceEvent) -> str:
    """Return what pages hear when somebody comes or goes."""
    return json.dumps(
        {
            "type": {"join": "joined", "leave": "left"}[event.kind],
            "room": event.topic.removeprefix(PREFIX),
            "id": event.user,
            "nickname": nickname_of(Member(event.user, event.info)),
        }
    )


def nickname_of(member: Member) -> str:
    """Return the nickname of somebody; of users who are not ours, the name."""
    match member.info:
        case {"nickname": str(nickname)}:
            return nickname
    return member.user


def saying(
    text: str, *, key: str, nickname: str, at: float, by: str | None = None
) -> dict[str, Any]:
    """
    Return what is published when somebody says something.

    Args:
        text: What is said.
        key: Tells this message from all others.
        nickname: The name that is shown.
        at: Time of day, in seconds.
        by: Who it is, if it is somebody with a page.
    """
    return {"id": key, "by": by, "nickname": nickname, "text": text, "at": at}
