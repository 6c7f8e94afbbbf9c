"""
Publish and subscribe: topics, users, presence, history and recovery.
"""

from __future__ import annotations

from .brokers.memory import MemoryBroker, MemoryStore
from .envelopes import json_envelope
from .exceptions import BrokerUnavailable, LimitExceeded, PubSubError
from .hub import Hub
from .presence import Member, PresenceEvent
from .publisher import Publisher
from .session import Gap, Session, Subscription
from .sync_publisher import SyncPublisher
from .topics import Topics

__all__ = [
    "BrokerUnavailable",
    "Gap",
    "Hub",
    "LimitExceeded",
    "Member",
    "MemoryBroker",
    "MemoryStore",
    "PresenceEvent",
    "PubSubError",
    "Publisher",
    "Session",
    "Subscription",
    "SyncPublisher",
    "Topics",
    "json_envelope",
]
