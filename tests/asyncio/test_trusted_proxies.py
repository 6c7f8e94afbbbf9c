"""
The address of a client behind proxies, and the origin of its page.
"""

from __future__ import annotations

import contextlib

import pytest

from tests.asyncio.exchange import ask, connecting, dial, opening_request, serving
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, pytest.mark.ours]

LINE = "GET / HTTP/1.1"


async def tell(connection):
    """
    Say where the client is.
    """
    await connection.send(repr(connection.remote_address))


async def address_told(headers, **options):
    async with (
        serving(tell, **options) as server,
        connecting(server.uri, additional_headers=headers) as client,
    ):
        return await client.recv()


@pytest.mark.parametrize(
    ("header", "value", "address"),
    [
        ("X-Forwarded-For", "192.0.2.1", "('192.0.2.1', 0)"),
        ("Forwarded", 'for="192.0.2.1:4711"', "('192.0.2.1', 4711)"),
        ("Forwarded", 'for="[2001:db8::1]"', "('2001:db8::1', 0, 0, 0)"),
    ],
)
async def test_a_trusted_proxy(header, value, address):
    """
    `remote_address` is that of the client, in the form of its family.
    """
    told = await address_told({header: value}, trusted_proxies=["127.0.0.1"])

    assert address == told


@pytest.mark.parametrize("proxies", [None, [], ["10.0.0.0/8"]])
async def test_nobody_is_trusted(proxies):
    """
    `remote_address` is that of the socket.
    """
    headers = {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1"}

    assert "('127.0.0.1', " in await address_told(headers, trusted_proxies=proxies)


async def test_a_proxy_that_tells_nothing():
    """
    Speaks for itself.
    """
    assert "('127.0.0.1', " in await address_told({}, trusted_proxies=["127.0.0.1"])


async def test_a_proxy_on_a_unix_socket(tmp_path):
    """
    Has no address, and is trusted by the name of its kind.
    """
    path = str(tmp_path / "socket")
    headers = {"X-Forwarded-For": "192.0.2.1"}
    async with (
        lib.unix_serve(tell, path, trusted_proxies=["unix"]),
        lib.unix_connect(path, additional_headers=headers) as client,
    ):
        assert "('192.0.2.1', 0)" == await client.recv()


async def test_hooks_know_the_client():
    """
    The address is known before they are asked.
    """
    seen = []

    def process_request(connection, request):
        seen.append(connection.remote_address)

    await address_told(
        {"X-Forwarded-For": "192.0.2.1"},
        trusted_proxies=["127.0.0.1"],
        process_request=process_request,
    )

    assert [("192.0.2.1", 0)] == seen


async def test_headers_that_contradict_each_other():
    """
    400: one of them is a lie.
    """
    request = opening_request(
        LINE, ("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.2")
    )
    async with serving(trusted_proxies=["127.0.0.1"]) as server:
        answer = await ask(server.port, request)

    assert 400 == answer.status
    assert answer.text.endswith("Forwarded header: contradicts X-Forwarded-For.\n")


# Origins


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost", 101),
        ("https://LOCALHOST", 101),
        ("http://localhost:80", 101),
        ("http://localhost:8080", 403),
        ("http://evil.example", 403),
        (None, 403),
    ],
)
async def test_pages_from_the_same_host(origin, status):
    """
    `origins="same-host"`: the page and the server have host and port in common.
    """
    fields = [("Origin", origin)] if origin else []
    async with serving(origins="same-host") as server:
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.send(opening_request(LINE, *fields))
            head = await peer.read_head()

    assert f"HTTP/1.1 {status}" == head.first_line[:12]
