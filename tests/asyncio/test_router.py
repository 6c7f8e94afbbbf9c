"""
route() and unix_route(): the path chooses the handler.
"""

from __future__ import annotations

import contextlib

import pytest

from tests.asyncio.exchange import ask, connecting, opening_request
from tests.asyncio.harness import HANG
from tests.under_test import lib, submodule

router = submodule("asyncio.router")
routing = pytest.importorskip("werkzeug.routing")
Rule = routing.Rule

pytestmark = pytest.mark.anyio


async def tell(connection, **arguments):
    """
    Send what the rule found in the path.
    """
    await connection.send(repr(arguments))


def url_map(**options):
    """
    Return rules of every kind.
    """
    return routing.Map(
        [
            Rule("/number/<int:number>", endpoint=tell),
            Rule("/name/<name>", endpoint=tell),
            Rule("/folder/", endpoint=tell),
            Rule("/old/<name>", redirect_to="name/<name>"),
            Rule("/default", endpoint=tell, defaults={"a": 1}),
        ],
        **options,
    )


@contextlib.asynccontextmanager
async def routing_server(rules=None, **options):
    """
    Run a server on a port of 127.0.0.1; return the port.
    """
    rules = url_map() if rules is None else rules
    async with router.route(rules, "127.0.0.1", 0, **options) as server:
        yield server.sockets[0].getsockname()[1]


async def told(port, path):
    """
    Return what the handler of a path says.
    """
    async with connecting(f"ws://127.0.0.1:{port}{path}") as client:
        return await client.recv()


FOUND = [
    ("/number/42", "{'number': 42}"),
    ("/name/ada", "{'name': 'ada'}"),
    ("/name/ada?number=1", "{'name': 'ada'}"),
    ("/name/a%20b", "{'name': 'a%20b'}"),
    ("/folder/", "{}"),
    ("/default", "{'a': 1}"),
]


@pytest.mark.parametrize(("path", "arguments"), FOUND)
async def test_a_handler_gets_what_the_rule_found_in_the_path(path, arguments):
    """
    Arguments have the types of the rule's converters; the query is no part of
    the path; escapes stay as they are.
    """
    async with routing_server() as port:
        assert arguments == await told(port, path)


async def test_the_absolute_form_of_a_target_is_a_path_too():
    """
    Some proxies send it (RFC 9112, 3.2.2); it is accepted as the path alone.
    """
    request = opening_request("GET http://elsewhere:1/nowhere HTTP/1.1")
    found = opening_request("GET ws://elsewhere/folder?a=b HTTP/1.1")

    async with routing_server() as port:
        assert 404 == (await ask(port, request)).status
        assert "ws://localhost/folder/?a=b" == (await ask(port, found))["Location"]


@pytest.mark.parametrize("path", ["/", "/number/x", "/number/", "/name", "//x"])
async def test_a_path_without_a_rule_is_answered_with_404(path):
    """
    In plain text.
    """
    async with routing_server() as port:
        answer = await ask(port, opening_request(f"GET {path} HTTP/1.1"))

    assert (404, "Not Found") == (answer.status, answer.text)


REDIRECTS = [
    ({}, "/old/ada", "ws://localhost/name/ada"),
    ({}, "/folder", "ws://localhost/folder/"),
    ({}, "/folder?a=b&c", "ws://localhost/folder/?a=b&c"),
    ({"server_name": "example.com"}, "/folder", "ws://example.com/folder/"),
    ({"ssl": True}, "/folder", "wss://localhost/folder/"),
]


@pytest.mark.parametrize(("options", "path", "location"), REDIRECTS)
async def test_a_redirect_tells_where_it_goes(options, path, location):
    """
    With the scheme and the name by which clients know the server: `ssl=True` says
    that TLS ends in front of it.
    """
    async with routing_server(**options) as port:
        answer = await ask(port, opening_request(f"GET {path} HTTP/1.1"))

    assert (302, f"Found at {location}") == (answer.status, answer.text)
    assert location == answer["Location"]


async def test_with_tls_redirects_are_to_wss(server_ssl_context, client_ssl_context):
    """
    The context goes to the server, the scheme to the router.
    """
    async with routing_server(ssl=server_ssl_context) as port:
        uri = f"wss://localhost:{port}/name/ada"
        async with connecting(uri, ssl=client_ssl_context) as client:
            assert "{'name': 'ada'}" == await client.recv()


async def test_a_rule_may_name_the_host():
    """
    As `Map(host_matching=True)` has it.
    """
    rules = routing.Map(
        [Rule("/", endpoint=tell, host="<name>.test")], host_matching=True
    )

    async with routing_server(rules) as port:
        assert 404 == (await ask(port, opening_request())).status
        there = {"host": "127.0.0.1", "port": port}
        async with connecting("ws://ada.test/", **there) as client:
            assert "{'name': 'ada'}" == await client.recv()


ABSURD_HOSTS = [
    [],
    [("Host", "")],
    [("Host", "a b")],
    [("Host", "a..b")],
    [("Host", "a"), ("Host", "b")],
    [("Host", "x" * 80)],
    [("Host", "a/b")],
    [("Host", "[::1")],
    [("Host", "\xe9")],
]


@pytest.mark.ours
@pytest.mark.parametrize("hosts", ABSURD_HOSTS)
async def test_a_host_that_is_none_is_answered_with_400(hosts):
    """
    "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1
    request message that lacks a Host header field and to any request message that
    contains more than one Host header field line or a Host header field with an
    invalid field value" (RFC 9112, 3.2).
    """
    request = opening_request("GET /folder/ HTTP/1.1", *hosts, without=("Host",))

    async with routing_server() as port:
        answer = await ask(port, request)

    assert (400, "Bad Request") == (answer.status, answer.text)


def refuse(connection, request):
    """
    Refuse one path.
    """
    if request.path == "/folder/":
        return connection.respond(403, "No.\n")
    return None


async def refuse_later(connection, request):
    """
    Refuse one path; a coroutine.
    """
    return refuse(connection, request)


@pytest.mark.parametrize("hook", [refuse, refuse_later])
async def test_a_hook_is_asked_before_the_router(hook):
    """
    What `process_request` returns counts; otherwise the router finds a handler.
    """
    async with routing_server(process_request=hook) as port:
        answer = await ask(port, opening_request("GET /folder/ HTTP/1.1"))
        assert (403, "No.\n") == (answer.status, answer.text)
        assert "{'name': 'ada'}" == await told(port, "/name/ada")


@pytest.mark.ours
async def test_an_older_hook_is_asked_too():
    """
    A hook that takes the path and the headers works as with `serve()`.
    """

    def process_request(path, headers):
        return (418, {}, b"tea") if path == "/folder/" else None

    async with routing_server(process_request=process_request) as port:
        answer = await ask(port, opening_request("GET /folder/ HTTP/1.1"))
        assert (418, "tea") == (answer.status, answer.text)
        assert "{'name': 'ada'}" == await told(port, "/name/ada")


async def test_a_router_of_ones_own():
    """
    `create_router` gets the rules, the name and the scheme, and may be a class with
    other answers.
    """
    made = []

    class Router(router.Router):
        def __init__(self, *args):
            made.append(args)
            super().__init__(*args)

        def not_found(self, connection):
            return connection.respond(410, "Gone")

    rules = url_map()
    async with routing_server(rules, create_router=Router, server_name="a.b") as port:
        answer = await ask(port, opening_request("GET /nowhere HTTP/1.1"))

    assert (410, "Gone") == (answer.status, answer.text)
    assert [(rules, "a.b", "ws")] == made


async def test_the_connection_tells_its_handler():
    """
    As the attributes `handler` and `handler_kwargs`.
    """
    seen = []

    async def handler(connection, **arguments):
        seen.append((connection.handler, connection.handler_kwargs, arguments))

    rules = routing.Map([Rule("/<int:a>/<b>", endpoint=handler)])
    async with routing_server(rules) as port:
        async with connecting(f"ws://127.0.0.1:{port}/1/x") as client:
            await client.wait_closed()

    assert [(handler, {"a": 1, "b": "x"}, {"a": 1, "b": "x"})] == seen


async def test_unix_route_listens_on_a_path(tmp_path):
    """
    With the same rules.
    """
    path = str(tmp_path / "socket")
    async with router.unix_route(url_map(), path):
        async with lib.unix_connect(
            path, "ws://localhost/name/ada", open_timeout=HANG
        ) as client:
            assert "{'name': 'ada'}" == await client.recv()


@pytest.mark.ours
async def test_without_werkzeug_the_error_says_what_to_install(monkeypatch):
    """
    Importing the module works all the same.
    """
    monkeypatch.setattr("socketeer.routing.werkzeug", None)

    with pytest.raises(ImportError, match=r"route\(\) requires werkzeug: pip install"):
        router.route(url_map())
