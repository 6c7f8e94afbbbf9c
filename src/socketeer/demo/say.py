"""
Says something in a room, from a process without connections.

Whether the program with the pages runs or not makes no difference: this one
knows Redis only. Pages get what it says now, or when they are back::

    python -m socketeer.demo.say --redis redis://localhost:6379/0 'Hello!'
    seq 100 | python -m socketeer.demo.say --redis redis://localhost:6379/0
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import sys
import time
from collections.abc import Iterable

from socketeer.pubsub import BrokerUnavailable, SyncPublisher

from .messages import ChatError, clean_nickname, clean_text
from .rooms import ROOMS, room_topics, saying, topic_of

__all__ = ["main", "say"]


def main() -> None:
    """Parse the command line and publish."""
    parser = argparse.ArgumentParser(
        prog="python -m socketeer.demo.say",
        description="Say something in the live chat, whether its server runs or not.",
    )
    parser.add_argument(
        "text", nargs="*", help="what to say; without it, each line of the input"
    )
    parser.add_argument(
        "--redis", metavar="URL", required=True, help="where the rooms are kept"
    )
    parser.add_argument(
        "--room", choices=ROOMS, default=ROOMS[0], help="default: %(default)s"
    )
    parser.add_argument(
        "--nickname", default="Cron", help="who says it (default: %(default)s)"
    )
    arguments = parser.parse_args()
    texts = [" ".join(arguments.text)] if arguments.text else sys.stdin
    try:
        nickname = clean_nickname(arguments.nickname)
        publisher = SyncPublisher(arguments.redis, topics=room_topics())
        with contextlib.closing(publisher):
            say(publisher, arguments.room, nickname, texts)
    except (ChatError, ImportError, ValueError) as error:
        parser.error(str(error))
    except BrokerUnavailable as error:
        sys.exit(f"{parser.prog}: {error}")


def say(
    publisher: SyncPublisher, room: str, nickname: str, texts: Iterable[str]
) -> None:
    """Publish each text as a message; print the positions."""
    for text in texts:
        key = secrets.token_urlsafe(12)
        message = saying(clean_text(text), key=key, nickname=nickname, at=time.time())
        position = publisher.publish_json(topic_of(room), message, key=key)
        print(room, position)  # noqa: T201 - for those who want to know


if __name__ == "__main__":
    main()
