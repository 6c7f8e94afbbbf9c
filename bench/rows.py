"""
All rows: what is measured, on whom, and what is wanted.

This is the one place that holds targets. Unless a row says otherwise, servers
run on uvloop, with 50 connections, neither keepalive nor compression anywhere.
"""

from __future__ import annotations

import sys

from . import messages
from .model import Kind, Row, Subject, Target
from .natives import ROOT

__all__ = ["ROWS", "named"]

US = "socketeer"
WEBSOCKETS = "websockets"
PICOWS = "picows.websockets"
PICOWS_CORE = "picows core"
UWS = "uWebSockets.js"

NODE_SERVERS = ROOT / "bench" / "servers"


def module(name: str, *arguments: str, loop: str = "uvloop") -> tuple[str, ...]:
    """
    Return the command of a program in Python.
    """
    return (sys.executable, "-m", f"bench.{name}", *arguments, "--loop", loop)


def server(
    name: str, *arguments: str, loop: str = "uvloop", title: str = ""
) -> Subject:
    """
    Return a library with the common coroutine API as a server.
    """
    words = (name, "{port}", *arguments)
    return Subject(title or name, module("servers.coroutines", *words, loop=loop))


def core(*arguments: str, loop: str = "uvloop") -> Subject:
    """
    Return the callbacks of picows as a server.
    """
    words = ("{port}", *arguments)
    return Subject(PICOWS_CORE, module("servers.picows_core", *words, loop=loop))


def other(name: str, program: str, *arguments: str) -> Subject:
    """
    Return another server in Python.
    """
    return Subject(name, module(f"servers.{program}", "{port}", *arguments))


def node(name: str, program: str, *arguments: str) -> Subject:
    """
    Return a server on Node.js.
    """
    return Subject(name, ("node", str(NODE_SERVERS / program), "{port}", *arguments))


def pure(subject: Subject) -> Subject:
    """
    Return our server with the interpreted core.
    """
    environ = {"SOCKETEER_CORE": "pure"}
    return Subject(f"{subject.name}, pure", subject.command, environ, subject.load)


def loaded(subject: Subject, name: str, *arguments: str) -> Subject:
    """
    Return a subject under another name, with more arguments for the load.
    """
    return Subject(name, subject.command, subject.environ, arguments)


def hub(title: str, *arguments: str, load: tuple[str, ...] = ()) -> Subject:
    """
    Return our server with a hub.
    """
    words = ("servers.hub", "{port}", *arguments)
    return Subject(title, module(*words), load=load)


def at_least(factor: float, other: str, subject: str = US) -> Target:
    """
    Return the target of being so many times as fast as another.
    """
    return Target(subject, factor, other)


C_ECHO = Subject("echo server in C", ("{echoserver}", "{port}"))
C_ECHO_TLS = Subject(C_ECHO.name, ("{tls-echoserver}", "{port}", "{tls}"))

ALL_ECHO = (
    server(US),
    server(WEBSOCKETS),
    server(PICOWS),
    core(),
    other("aiohttp", "aiohttp_server"),
    other("uvicorn", "uvicorn_server"),
    node("node ws", "ws.mjs"),
    node(UWS, "uws.cjs"),
    C_ECHO,
)
ASYNCIO_ECHO = (
    server(US, loop="asyncio"),
    server(WEBSOCKETS, loop="asyncio"),
    server(PICOWS, loop="asyncio"),
    core(loop="asyncio"),
    C_ECHO,
)

SMALL = ("--size", "64")
MANY = (*SMALL, "--in-flight", "16")
LARGE = ("--size", "16384")

ECHO = (
    Row(
        "echo-64",
        "Echo, 64 B, 1 in flight",
        Kind.ECHO,
        ALL_ECHO,
        (at_least(3.4, WEBSOCKETS), at_least(1.25, PICOWS), at_least(1.0, PICOWS_CORE)),
        load=SMALL,
        yardstick=C_ECHO.name,
    ),
    Row(
        "echo-64-many",
        "Echo, 64 B, 16 in flight",
        Kind.ECHO,
        ALL_ECHO,
        (at_least(24, WEBSOCKETS), at_least(6, PICOWS_CORE)),
        load=MANY,
        yardstick=C_ECHO.name,
    ),
    Row(
        "echo-16k",
        "Echo, 16 KiB, 1 in flight",
        Kind.ECHO,
        ALL_ECHO,
        (at_least(3, WEBSOCKETS), at_least(1.6, PICOWS_CORE)),
        load=LARGE,
        yardstick=C_ECHO.name,
    ),
    Row(
        "echo-16k-many",
        "Echo, 16 KiB, 16 in flight",
        Kind.ECHO,
        (server(US), server(WEBSOCKETS), core(), C_ECHO),
        (),
        load=(*LARGE, "--in-flight", "16"),
    ),
    Row(
        "echo-64-asyncio",
        "Echo on stock asyncio, 64 B, 1 in flight",
        Kind.ECHO,
        ASYNCIO_ECHO,
        (at_least(3.3, WEBSOCKETS),),
        load=SMALL,
        yardstick=C_ECHO.name,
    ),
    Row(
        "echo-64-many-asyncio",
        "Echo on stock asyncio, 64 B, 16 in flight",
        Kind.ECHO,
        ASYNCIO_ECHO,
        (at_least(23, WEBSOCKETS),),
        load=MANY,
        yardstick=C_ECHO.name,
    ),
    Row(
        "echo-16k-asyncio",
        "Echo on stock asyncio, 16 KiB, 1 in flight",
        Kind.ECHO,
        ASYNCIO_ECHO,
        (at_least(2.7, WEBSOCKETS),),
        load=LARGE,
        yardstick=C_ECHO.name,
    ),
)


def text_row(name: str, title: str, *load: str) -> Row:
    """
    Return a row that compares text with binary messages.
    """
    binary = loaded(server(US), f"{US}, binary")
    text = loaded(server(US), f"{US}, text", "--text")
    theirs = loaded(server(WEBSOCKETS), f"{WEBSOCKETS}, text", "--text")
    targets = (at_least(0.95, binary.name, text.name),) if "64" in load else ()
    return Row(name, title, Kind.ECHO, (text, binary, theirs), targets, load=load)


TEXT = (
    text_row("text-64", "Text beside binary, 64 B, 1 in flight", *SMALL),
    text_row("text-64-many", "Text beside binary, 64 B, 16 in flight", *MANY),
    text_row("text-16k", "Text beside binary, 16 KiB, 1 in flight", *LARGE),
)

BROADCASTERS = (
    server(US, "--broadcast"),
    server(WEBSOCKETS, "--broadcast"),
    core("--broadcast"),
    node("node ws", "ws.mjs", "--broadcast"),
    node(UWS, "uws.cjs", "--broadcast"),
)
DEFLATE = ("--extensions", messages.EXTENSIONS, "--script", "{script}")

BROADCAST = (
    Row(
        "broadcast",
        "Broadcast 1 to 1000, 64 B, 1 in flight",
        Kind.FAN,
        BROADCASTERS,
        (at_least(1.6, WEBSOCKETS), at_least(1.05, PICOWS_CORE)),
        connections=1000,
        load=SMALL,
        yardstick=UWS,
    ),
    Row(
        "broadcast-many",
        "Broadcast 1 to 1000, 64 B, 8 in flight",
        Kind.FAN,
        BROADCASTERS,
        (at_least(7, WEBSOCKETS), at_least(4.5, PICOWS_CORE)),
        connections=1000,
        load=(*SMALL, "--in-flight", "8"),
        yardstick=UWS,
    ),
    Row(
        "broadcast-deflate",
        "Broadcast 1 to 1000 of a 1 KiB JSON text, compressed",
        Kind.FAN,
        (
            server(US, "--broadcast", "--deflate"),
            server(WEBSOCKETS, "--broadcast", "--deflate"),
            node(UWS, "uws.cjs", "--broadcast", "--deflate"),
        ),
        (at_least(10, WEBSOCKETS),),
        connections=1000,
        load=DEFLATE,
        note="permessage-deflate is negotiated with all receivers.",
    ),
)

REDIS = ("--redis", "{redis}")
HUB = f"{US} Hub"
HUB_REDIS = f"{HUB} through Redis"
BROADCAST_FUNCTION = f"{US} broadcast()"
THROUGH_REDIS = (
    hub(HUB_REDIS, *REDIS),
    other("broadcaster", "broadcaster_server", *REDIS),
    other("channels_redis", "channels_server", *REDIS),
)
FEW_TOPICS, MANY_TOPICS = f"{HUB}, 1 topic", f"{HUB}, 10 000 topics"
HEALTHY, SOME_STALLED = f"{HUB}, all read", f"{HUB}, 1 % stalled"

HUBS = (
    Row(
        "hub",
        "Publish 1 to 1000 in memory, 64 B, 1 in flight",
        Kind.FAN,
        (hub(HUB), server(US, "--broadcast", title=BROADCAST_FUNCTION)),
        (at_least(1, BROADCAST_FUNCTION, HUB),),
        connections=1000,
        load=SMALL,
    ),
    Row(
        "hub-topics",
        "Publish to one topic of many, 64 B, 16 in flight",
        Kind.FAN,
        (
            hub(MANY_TOPICS, "--topics", "10000", "--each", "20"),
            hub(FEW_TOPICS, load=("--connections", "2")),
        ),
        (at_least(0.95, FEW_TOPICS, MANY_TOPICS),),
        connections=1000,
        load=(*MANY, "--receivers", "2"),
        note="1000 connections with 20 topics each beside 2 with one. "
        "A topic has 2 subscribers.",
    ),
    Row(
        "hub-stalled",
        "Publish 1 to 1000 with history, 1 KiB, 1 in flight",
        Kind.LATENCY,
        (
            hub(SOME_STALLED, "--history", "100", load=("--stalled", "10")),
            hub(HEALTHY, "--history", "100"),
        ),
        (Target(SOME_STALLED, 1.5, HEALTHY, at_least=False),),
        connections=1000,
        load=("--size", "1024"),
        note="Until all who read have the message. 10 connections never read.",
    ),
    Row(
        "redis",
        "Publish 1 to 100 through Redis, 64 B, 8 in flight",
        Kind.FAN,
        THROUGH_REDIS,
        (
            at_least(1.5, "broadcaster", HUB_REDIS),
            at_least(10, "channels_redis", HUB_REDIS),
        ),
        connections=100,
        load=(*SMALL, "--in-flight", "8"),
        note="The peers are applications on uvicorn. Each message is published when "
        "the one before it has been.",
    ),
    Row(
        "redis-latency",
        "Publish 1 to 100 through Redis, 64 B, 1 in flight",
        Kind.LATENCY,
        (hub(HUB), *THROUGH_REDIS),
        (
            Target(HUB_REDIS, 1, "broadcaster", at_least=False),
            Target(HUB_REDIS, 0.5, "channels_redis", at_least=False),
        ),
        connections=100,
        load=SMALL,
        note="Until all have the message; what Redis adds is the difference to the "
        "hub in memory.",
    ),
)

TLS = ("--tls", "{tls}")
TLS_SERVERS = (server(US, *TLS), server(WEBSOCKETS, *TLS), server(PICOWS, *TLS))

SECURE = (
    Row(
        "tls-64",
        "Echo over TLS, 64 B, 1 in flight",
        Kind.ECHO,
        (*TLS_SERVERS, core(*TLS), C_ECHO_TLS),
        (at_least(2, WEBSOCKETS), at_least(1, PICOWS), at_least(1, PICOWS_CORE)),
        load=(*SMALL, "--tls"),
        yardstick=C_ECHO.name,
    ),
    Row(
        "tls-16k",
        "Echo over TLS, 16 KiB, 1 in flight",
        Kind.ECHO,
        (*TLS_SERVERS, core(*TLS), C_ECHO_TLS),
        (at_least(2, WEBSOCKETS), at_least(1, PICOWS), at_least(1, PICOWS_CORE)),
        load=(*LARGE, "--tls"),
        yardstick=C_ECHO.name,
    ),
)

COMPRESSED = Row(
    "deflate",
    "Echo of 1 KiB JSON texts of varied records, compressed",
    Kind.ECHO,
    (
        server(US, "--deflate", "--no-zlib-ng", title=f"{US}, zlib"),
        server(US, "--deflate", title=f"{US}, zlib-ng"),
        server(WEBSOCKETS, "--deflate"),
        server(PICOWS, "--deflate"),
    ),
    (
        at_least(1.4, WEBSOCKETS, f"{US}, zlib"),
        at_least(1.9, WEBSOCKETS, f"{US}, zlib-ng"),
    ),
    load=DEFLATE,
    note="Level 6, windows of 4 KiB, memory level 5, with context takeover.",
)


def client(name: str, *words: str) -> Subject:
    """
    Return a client under load.
    """
    return Subject(name, module(f"clients.{words[0]}", *words[1:], "{port}"))


CLIENT = Row(
    "client",
    "One client with 50 connections to an echo server in C, 64 B, 1 in flight",
    Kind.CLIENT,
    (
        client(US, "coroutines", US),
        client(WEBSOCKETS, "coroutines", WEBSOCKETS),
        client(PICOWS, "coroutines", PICOWS),
        client(PICOWS_CORE, "picows_core"),
    ),
    (at_least(3, WEBSOCKETS), at_least(1, PICOWS), at_least(1, PICOWS_CORE)),
    load=SMALL,
)

HANDSHAKES = Row(
    "handshakes",
    "Opening handshakes",
    Kind.HANDSHAKES,
    (server(US), server(WEBSOCKETS), server(PICOWS), core(), C_ECHO),
    (at_least(2, WEBSOCKETS), at_least(2.5, PICOWS), at_least(2.5, PICOWS_CORE)),
    connections=4000,
    note="32 at a time, with a request as long as a browser's.",
    yardstick=C_ECHO.name,
)


def at_most(limit: float, subject: str, other: str | None = None) -> Target:
    """
    Return an upper limit, of a ratio if there is another subject.
    """
    return Target(subject, limit, other, at_least=False)


def memory_row(loop: str) -> Row:
    """
    Return the row of resident memory on an event loop.
    """
    offered = ("--extensions", messages.EXTENSIONS)
    plain = server(US, loop=loop)
    alive = server(US, "--keepalive", "20", loop=loop, title=f"{US}, keepalive")
    deflate = loaded(server(US, "--deflate", loop=loop), f"{US}, deflate", *offered)
    secure = loaded(server(US, *TLS, loop=loop), f"{US}, TLS", "--tls")
    theirs = loaded(server(WEBSOCKETS, *TLS, loop=loop), f"{WEBSOCKETS}, TLS", "--tls")
    others = (server(WEBSOCKETS, loop=loop), server(PICOWS, loop=loop), core(loop=loop))
    return Row(
        f"memory-{loop}",
        f"Memory of an idle connection with a waiting handler, {loop}",
        Kind.MEMORY,
        (plain, alive, deflate, *others, secure, theirs),
        (
            at_most(4000, US),
            Target(alive.name, 200, US, at_least=False, difference=True),
            Target(deflate.name, 300, US, at_least=False, difference=True),
            at_most(0.6, secure.name, theirs.name),
        ),
        note="What a server grows by when connections are added to others.",
    )


IDLE = Row(
    "idle-cpu",
    "20 000 idle connections with keepalive every 20 s",
    Kind.CPU,
    (server(US, "--keepalive", "{interval}"),),
    (at_most(3, US),),
)


def interpreted(name: str, title: str, factor: float, load: tuple[str, ...]) -> Row:
    """
    Return a row of the pure build.
    """
    ours = pure(server(US))
    targets = (at_least(factor, WEBSOCKETS, ours.name),)
    subjects = (ours, server(WEBSOCKETS))
    note = "websockets with its C extension."
    return Row(name, title, Kind.ECHO, subjects, targets, load=load, note=note)


PURE = (
    interpreted("pure-64", "The pure build: echo, 64 B, 1 in flight", 1.0, SMALL),
    interpreted("pure-16k", "The pure build: echo, 16 KiB, 1 in flight", 0.5, LARGE),
)

IMPORT = Row(
    "import",
    "Import of the server's module",
    Kind.IMPORT,
    (
        Subject(US, ("socketeer.asyncio.server",)),
        Subject(WEBSOCKETS, ("websockets.asyncio.server",)),
    ),
    (at_most(1, US, WEBSOCKETS),),
)

ROWS = (
    *ECHO,
    *TEXT,
    *BROADCAST,
    *HUBS,
    *SECURE,
    COMPRESSED,
    CLIENT,
    HANDSHAKES,
    memory_row("uvloop"),
    memory_row("asyncio"),
    IDLE,
    *PURE,
    IMPORT,
)


def named(wanted: str) -> list[Row]:
    """
    Return the rows with these names, or whose names begin with them.

    Args:
        wanted: Names with commas or spaces between them; nothing for all rows.

    Raises:
        ValueError: There is no such row.
    """
    words = wanted.replace(",", " ").split()
    if not words:
        return list(ROWS)
    for word in words:
        if not any(row.name.startswith(word) for row in ROWS):
            known = ", ".join(row.name for row in ROWS)
            raise ValueError(f"no row is called {word!r}; there are {known}")
    exact = {row.name for row in ROWS}.intersection(words)
    begun = [word for word in words if word not in exact]
    return [r for r in ROWS if r.name in exact or r.name.startswith(tuple(begun))]
