"""
Topics: their names, and what is set for them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..typing import Data
from .exceptions import LimitExceeded
from .history import Retention

if TYPE_CHECKING:
    from .presence import PresenceEvent
    from .session import Gap

__all__ = ["Settings", "Topics", "check_name"]

# A function of topic, message and position, for what clients receive.
Envelope = Callable[[str, Data, str | None], Data]
OnGap = Callable[["Gap"], Awaitable[None]]
OnPresence = Callable[["PresenceEvent"], Data | None]

# Bytes, in UTF-8. Names become keys and channels of the broker.
MAX_NAME_SIZE = 255


def check_name(what: str, name: str) -> str:
    """
    Check the name of a topic or of a user, or a key.

    Raises:
        TypeError: It is not a string.
        ValueError: It is empty, or has control characters or lone surrogates.
        LimitExceeded: It is longer than 255 bytes.
    """
    if not isinstance(name, str):
        raise TypeError(f"{what} must be str, not {type(name).__name__}")
    if not name or any(char < " " or char == "\x7f" for char in name):
        raise ValueError(f"{what} is empty or has control characters: {name[:80]!r}")
    size = len(name.encode())
    if size > MAX_NAME_SIZE:
        raise LimitExceeded(f"bytes of {what}", size, MAX_NAME_SIZE)
    return name


@dataclass(frozen=True, slots=True)
class Settings:
    """
    What is set for a topic; see :meth:`Topics.topic`.
    """

    history: int = 0
    max_bytes: int = 2**20
    max_age: float = 300.0
    presence: bool = False
    slow: Literal["close", "drop", "latest"] = "close"
    max_backlog: int = 2**20
    envelope: Envelope | None = None
    on_gap: OnGap | None = None
    on_presence: OnPresence | None = None

    def __post_init__(self) -> None:
        if self.slow not in {"close", "drop", "latest"}:
            raise ValueError(
                f"slow must be 'close', 'drop' or 'latest', not {self.slow!r}"
            )
        for name in ("history", "max_bytes", "max_age", "max_backlog"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be positive or equal to zero")
        if self.history and self.slow != "close":
            raise ValueError(
                "slow is for topics without history; "
                "with history, slow readers continue from the log"
            )
        if self.on_presence is not None and not self.presence:
            raise ValueError("on_presence needs presence=True")

    @property
    def retention(self) -> Retention | None:
        """
        What is kept of the topic, if anything.
        """
        if not self.history:
            return None
        return Retention(self.history, self.max_bytes, self.max_age)


class Topics:
    """
    The settings of topics, by name and by prefix.

    All processes that publish to a topic or subscribe to it must agree about them;
    make one object, import it everywhere, and give it to :class:`~.hub.Hub` and
    :class:`~.publisher.Publisher` as ``topics``.

    Args:
        settings: For topics for which nothing else is set; as of :meth:`topic`.
    """

    def __init__(self, **settings: Any) -> None:
        self._default = Settings(**settings)
        self._exact: dict[str, Settings] = {}
        # Longest first.
        self._prefixes: list[tuple[str, Settings]] = []

    def topic(
        self,
        pattern: str,
        *,
        history: int = 0,
        max_bytes: int = 2**20,
        max_age: float = 300.0,
        presence: bool = False,
        slow: Literal["close", "drop", "latest"] | None = None,
        max_backlog: int | None = None,
        envelope: Envelope | None = None,
        on_gap: OnGap | None = None,
        on_presence: OnPresence | None = None,
    ) -> None:
        """
        Set up a topic, or all topics whose names begin alike.

        The exact name counts before a prefix, a longer prefix before a shorter one.
        Topics in use keep the settings they began with.

        Args:
            pattern: A name, or a prefix with an asterisk behind it: ``"room:*"``.
            history: Messages that are kept, so that clients which were away can
                recover what they missed.
            max_bytes: Most bytes of payload that are kept for one topic.
            max_age: Seconds after which messages are forgotten.
            presence: Whether to know who is subscribed.
            slow: What happens to a subscriber that cannot keep up, on topics
                without history; as ``on_overflow`` of
                :func:`~socketeer.asyncio.server.broadcast`. By default, as for
                the hub.
            max_backlog: Bytes that may wait to be sent to a subscriber before it
                counts as slow. By default, as for the hub.
            envelope: A function of topic, message and position that returns what
                clients receive. Called once for each message and process.
            on_gap: A coroutine function that is called with a
                :class:`~.session.Gap` when a subscriber has missed messages that
                cannot be recovered. Without it, the connection is closed with
                code 1013, so that the client comes back and finds out.
            on_presence: A function that is called with a
                :class:`~.presence.PresenceEvent` when somebody joins or leaves, in
                each process that has subscribers; what it returns, unless
                :obj:`None`, is sent to the subscribers in this process.

        Raises:
            ValueError: A setting makes no sense.
        """
        prefix = pattern.removesuffix("*")
        if prefix or pattern != "*":
            check_name("topic", prefix)
        default = self._default
        settings = Settings(
            history=history,
            max_bytes=max_bytes,
            max_age=max_age,
            presence=presence,
            slow=slow or ("close" if history else default.slow),
            max_backlog=default.max_backlog if max_backlog is None else max_backlog,
            envelope=envelope or default.envelope,
            on_gap=on_gap or default.on_gap,
            on_presence=on_presence,
        )
        if prefix == pattern:
            self._exact[pattern] = settings
            return
        kept = [item for item in self._prefixes if item[0] != prefix]
        kept.append((prefix, settings))
        self._prefixes = sorted(kept, key=lambda item: -len(item[0]))

    def settings(self, topic: str) -> Settings:
        """
        Return what is set for a topic.
        """
        exact = self._exact.get(topic)
        if exact is not None:
            return exact
        for prefix, settings in self._prefixes:
            if topic.startswith(prefix):
                return settings
        return self._default
