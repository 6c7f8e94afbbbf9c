"""
What Redis executes, and how it is asked to and understood; without I/O.

For each topic with history there are two keys, in one slot of a cluster:

- *meta*, a hash: ``epoch``, ``top``, ``size`` of the log in bytes, and ``life``;
- *log*, a stream, in which the ID of a message is its offset.

``life`` is the identity of the replication stream that the server writes
(``master_replid``). It changes when the server starts, when a replica is promoted,
and whenever else history may have forked. Meta and log are as durable as the server
is configured to be: after a crash or a failover they may be older than what has
been delivered, and their numbers would be given out a second time. So when the life
is another one, the epoch is, too: what may have been lost is told.

Appending and publishing are one script, and nobody else gives out numbers.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from ..history import Retention
from ..positions import Position
from .base import Packet, Publication, Reading

__all__ = [
    "ALIVE",
    "LIVING",
    "Call",
    "Names",
    "Script",
    "execution",
    "full",
    "parse_publication",
    "parse_reading",
    "publish_call",
    "read_call",
]

# Milliseconds for which idempotency keys are known.
KEY_AGE = 300_000

# Milliseconds for which meta stays at least: an epoch that is forgotten while
# clients are away is a gap told without need.
META_AGE = 24 * 3_600_000


class Script(NamedTuple):
    """
    A script for Redis.

    Attributes:
        source: The script, in Lua.
        digest: Its name at the server.
    """

    source: str
    digest: str


def script(source: str) -> Script:
    """
    Give a script its name.
    """
    digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    return Script(source, digest)


_COMMON = """
local function milliseconds()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function begin(meta, log, epoch, life)
    redis.call('DEL', log)
    redis.call('HSET', meta, 'epoch', epoch, 'top', 0, 'size', 0, 'life', life)
    return epoch, 0
end

local function this_life()
    local info = redis.call('INFO', 'replication')
    return string.match(info, 'master_replid:(%x+)')
end

local function open(meta, log, fresh)
    local life = this_life()
    local state = redis.call('HMGET', meta, 'epoch', 'top', 'life')
    if state[1] and state[3] == life then
        return state[1], tonumber(state[2])
    end
    return begin(meta, log, fresh, life)
end

local function trim(meta, log, messages, size, age, now)
    local count = redis.call('XLEN', log)
    local held = 0
    if count > 0 then
        held = tonumber(redis.call('HGET', meta, 'size'))
    end
    while count > 0 do
        local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
        local fields = oldest[2]
        local too_much = (count > messages or held > size) and count > 1
        if not too_much and tonumber(fields[6]) > now - age then
            break
        end
        redis.call('XDEL', log, oldest[1])
        count = count - 1
        held = held - #fields[4]
    end
    redis.call('HSET', meta, 'size', held)
end
"""

# KEYS: meta, log, and the idempotency key, if any.
# ARGV: channel, opcode, payload, messages, size, age, a fresh epoch, for how long
# meta and idempotency key stay. Sizes in bytes, times in milliseconds.
_APPEND = script(
    _COMMON
    + """
if KEYS[3] then
    local known = redis.call('GET', KEYS[3])
    if known then
        return known
    end
end
local meta, log = KEYS[1], KEYS[2]
local messages, size, age = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local now = milliseconds()
local epoch, top = open(meta, log, ARGV[7])
trim(meta, log, messages, size, age, now)
top = top + 1
redis.call('HSET', meta, 'top', top)
redis.call('HINCRBY', meta, 'size', #ARGV[3])
redis.call('XADD', log, top .. '-0', 'o', ARGV[2], 'd', ARGV[3], 't', now)
trim(meta, log, messages, size, age, now)
redis.call('PEXPIRE', log, age)
redis.call('PEXPIRE', meta, ARGV[8])
local head = epoch .. ' ' .. top .. ' ' .. ARGV[2] .. '\\n'
redis.call('PUBLISH', ARGV[1], head .. ARGV[3])
local position = epoch .. '.' .. top
if KEYS[3] then
    redis.call('SET', KEYS[3], position, 'PX', ARGV[9])
end
return position
"""
)

# KEYS: the idempotency key. ARGV: channel, what is published, for how long the key
# stays in milliseconds.
_ONCE = script(
    """
if redis.call('SET', KEYS[1], '', 'NX', 'PX', ARGV[3]) then
    redis.call('PUBLISH', ARGV[1], ARGV[2])
end
return ''
"""
)

# KEYS: meta, log. ARGV: messages, size, age, a fresh epoch, for how long meta stays,
# and the epoch and offset of the last message that the process has seen, if any.
_READ = script(
    _COMMON
    + """
local meta, log = KEYS[1], KEYS[2]
local messages, size, age = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local epoch, top = open(meta, log, ARGV[4])
redis.call('PEXPIRE', meta, ARGV[5])
if not ARGV[6] then
    return {epoch, top, 1, 0}
end
local after = tonumber(ARGV[7])
if epoch ~= ARGV[6] then
    return {epoch, top, 0, 0}
end
if after > top then
    epoch, top = begin(meta, log, ARGV[4], this_life())
    return {epoch, top, 0, 0}
end
trim(meta, log, messages, size, age, milliseconds())
local oldest = top + 1 - redis.call('XLEN', log)
local entries = redis.call('XRANGE', log, (after + 1) .. '-0', '+')
if #entries ~= top - after then
    return {epoch, top, 0, oldest}
end
local reply = {epoch, top, 1, oldest}
for _, entry in ipairs(entries) do
    reply[#reply + 1] = entry[2][2]
    reply[#reply + 1] = entry[2][4]
end
return reply
"""
)

# KEYS: the nodes, sorted by when their leases end. ARGV: a node and for how many
# milliseconds it is alive. Returns whether it was not alive before, and who is.
ALIVE = script(
    _COMMON
    + """
local now = milliseconds()
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
local was_gone = (not score or tonumber(score) <= now) and 1 or 0
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if tonumber(ARGV[2]) > 0 then
    redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
else
    redis.call('ZREM', KEYS[1], ARGV[1])
end
return {was_gone, unpack(redis.call('ZRANGE', KEYS[1], 0, -1))}
"""
)

# KEYS: the nodes. Returns those that are alive.
LIVING = script(
    _COMMON
    + """
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. milliseconds(), '+inf')
"""
)


class Call(NamedTuple):
    """
    A call of a script.

    Attributes:
        script: The script.
        keys: Its keys.
        arguments: Its arguments.
    """

    script: Script
    keys: list[str]
    arguments: list[Any]


def execution(what: Call | tuple[Any, ...]) -> tuple[Any, ...]:
    """
    Return a command; scripts by their names.
    """
    if isinstance(what, Call):
        keys = what.keys
        return ("EVALSHA", what.script.digest, len(keys), *keys, *what.arguments)
    return what


def full(what: Call | tuple[Any, ...]) -> tuple[Any, ...]:
    """
    Return a command; scripts in full.
    """
    if isinstance(what, Call):
        keys = what.keys
        return ("EVAL", what.script.source, len(keys), *keys, *what.arguments)
    return what


class Names:
    """
    The names of keys and channels.

    Args:
        prefix: What all of them begin with.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.nodes = f"{prefix}:nodes"

    def key(self, kind: str, channel: str) -> str:
        """
        Return the name of a key. All keys of a channel are in one slot.
        """
        # What stands in the first braces decides about the slot.
        tag = channel.replace("%", "%25").replace("}", "%7D")
        return f"{self._prefix}:{{{tag}}}:{kind}"

    def channel(self, channel: str) -> str:
        """
        Return the name of a channel.
        """
        return f"{self._prefix}:{channel}"

    def channel_of(self, name: str) -> str:
        """
        Return the channel with a name.
        """
        return name.removeprefix(f"{self._prefix}:")


def publish_call(
    names: Names,
    channel: str,
    packet: Packet,
    retention: Retention | None,
    key: str | None,
    epoch: str,
) -> Call | tuple[str, bytes]:
    """
    Return how to publish.

    Args:
        names: The names of keys and channels.
        channel: The channel.
        packet: The packet.
        retention: What is kept.
        key: The idempotency key.
        epoch: An epoch that was never used.

    Returns:
        A call; or, if there is nothing but a publication, its channel and content.
    """
    target = names.channel(channel)
    once = [] if key is None else [names.key(f"key:{key}", channel)]
    if retention is not None:
        messages, size, age = limits(retention)
        keys = [names.key("meta", channel), names.key("log", channel), *once]
        opcode, payload = packet
        arguments = [target, opcode, payload, messages, size, age, epoch]
        return Call(_APPEND, keys, [*arguments, meta_age(age), KEY_AGE])
    content = b"- 0 %d\n%b" % packet
    if once:
        return Call(_ONCE, once, [target, content, KEY_AGE])
    return target, content


def read_call(
    names: Names,
    channel: str,
    after: Position | None,
    retention: Retention,
    epoch: str,
) -> Call:
    """
    Return how to read a log.
    """
    messages, size, age = limits(retention)
    keys = [names.key("meta", channel), names.key("log", channel)]
    arguments = [messages, size, age, epoch, meta_age(age), *(after or ())]
    return Call(_READ, keys, arguments)


def limits(retention: Retention) -> tuple[int, int, int]:
    """
    Return what is kept: messages, bytes, milliseconds.
    """
    return retention.messages, retention.size, max(1, int(retention.age * 1000))


def meta_age(age: int) -> int:
    """
    Return for how many milliseconds meta stays: for longer than the log.
    """
    return max(META_AGE, 2 * age)


def parse_publication(content: bytes) -> Publication:
    """
    Read what arrived on a channel.

    Raises:
        ValueError: It was not published by one of us.
    """
    head, _, payload = content.partition(b"\n")
    epoch, offset, opcode = head.decode("ascii").split(" ")
    packet = Packet(int(opcode), payload)
    position = None if epoch == "-" else Position(epoch, int(offset))
    return Publication(packet, position)


def parse_reading(reply: list[Any]) -> Reading:
    """
    Read what the log said.
    """
    epoch, top, is_complete, oldest, *rest = reply
    packets = [
        Packet(int(opcode), payload)
        for opcode, payload in zip(rest[::2], rest[1::2], strict=True)
    ]
    position = Position(epoch.decode("ascii"), int(top))
    return Reading(position, packets if is_complete else None, int(oldest))
