"""The page of the chat over plain HTTP, from the port of the chat."""

from __future__ import annotations

import asyncio
import contextlib
import html.parser
import http.client
import re

import pytest

from socketeer.asyncio.client import connect
from socketeer.asyncio.server import serve
from socketeer.demo.chat import Chat
from socketeer.demo.pages import BODIES, FILES, process_request
from socketeer.demo.rooms import PREFIX, ROOMS
from socketeer.exceptions import InvalidStatus
from socketeer.pubsub import Hub

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def opened():
    """Serve page and chat; give the port."""
    handler = Chat(Hub()).handle
    async with serve(
        handler, "127.0.0.1", 0, process_request=process_request
    ) as server:
        yield server.sockets[0].getsockname()[1]


def fetch(port, method, path):
    """Make an HTTP request; return status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection):
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


async def request(path, method="GET"):
    """Make one HTTP request to a new server."""
    async with opened() as port:
        return await asyncio.to_thread(fetch, port, method, path)


@pytest.mark.parametrize("path", [*FILES, "/?from=readme"])
async def test_every_file_of_the_page_is_served(path):
    """
    Each file comes whole, with its type, and is not guessed at by browsers.
    """
    name, content_type = FILES[path.partition("?")[0]]

    status, headers, body = await request(path)

    assert 200 == status
    assert content_type == headers["Content-Type"]
    assert BODIES[name] == body
    assert str(len(body)) == headers["Content-Length"]
    assert "nosniff" == headers["X-Content-Type-Options"]


async def test_the_page_may_load_nothing_from_elsewhere():
    """
    The policy allows the own origin, no inline script, no frame around it.
    """
    _, headers, _ = await request("/")
    policy = headers["Content-Security-Policy"].split("; ")

    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/page.html", 404),
        ("GET", "/../chat.py", 404),
        ("GET", "/chat", 426),
        ("POST", "/", 405),
    ],
)
async def test_other_requests_are_refused(method, path, status):
    """
    There are no other files, and the chat is no page.
    """
    assert status == (await request(path, method))[0]


async def test_our_own_page_and_programs_may_connect():
    """
    The Origin of the page names the Host; programs send no Origin at all.
    """
    statuses = []
    async with opened() as port:
        for origin in (None, f"http://127.0.0.1:{port}"):
            uri = f"ws://127.0.0.1:{port}/chat"
            async with connect(uri, origin=origin) as connection:
                statuses.append(connection.response.status_code)

    assert [101, 101] == statuses


async def test_the_pages_of_other_sites_may_not_connect():
    """
    Browsers let any site try; the Origin header tells which one it was.
    """
    async with opened() as port:
        with pytest.raises(InvalidStatus) as raised:
            await connect(f"ws://127.0.0.1:{port}/chat", origin="https://evil.example")

    assert 403 == raised.value.response.status_code


def test_the_page_refers_only_to_files_that_are_served():
    """
    Every address in the page is one of ours, and no attribute is a script.
    """
    addresses = set()

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag, attributes):
            for name, value in attributes:
                assert not name.startswith("on")
                assert name != "style"
                if name in {"href", "src"}:
                    addresses.add(value)

    Reader().feed(BODIES["page.html"].decode())

    rooms = {f"#{room}" for room in ROOMS}
    assert {"favicon.svg", "page.css", "page.js"} | rooms == addresses


def scripts():
    """Return the scripts, by name."""
    return {
        name: body.decode() for name, body in BODIES.items() if name.endswith(".js")
    }


def test_scripts_import_only_files_that_are_served():
    """
    A page that lacks a module does nothing at all.
    """
    imported = {
        name for text in scripts().values() for name in re.findall(r'from "(.+)"', text)
    }

    assert {f"./{name}" for name in scripts() if name != "page.js"} == imported


def test_pages_and_rooms_agree_on_topics():
    """
    The page tells rooms by the names of topics.
    """
    assert f'const TOPIC = "{PREFIX}";' in scripts()["page.js"]


def test_what_others_write_never_becomes_html():
    """
    The scripts build the page without any of the ways to parse HTML.
    """
    for script in scripts().values():
        assert [] == re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|setHTML|eval\(",
            script,
        )
