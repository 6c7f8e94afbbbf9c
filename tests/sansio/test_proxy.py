"""
Which proxy, what its URL means, and what is said to it.
"""

from __future__ import annotations

import os
import sys

import pytest
import websockets.proxy
import websockets.uri

from socketeer.exceptions import (
    HeaderLineTooLong,
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
)
from socketeer.proxy import (
    ConnectRequest,
    Proxy,
    get_proxy,
    parse_proxy,
    prepare_connect_request,
    socks_arguments,
)
from socketeer.uri import parse_uri
from tests.ground.comparing import outcome

PROXY = "http://proxy:1"

# URLs of proxies.


@pytest.mark.parametrize(
    "url",
    [
        *("http://h", "http://h:8", "https://h:1", "https://h", "HTTP://H:1"),
        *("socks5://u:p@h:1080", "socks4a://h:9", "http://h:1/", "http://[::1]:80"),
        *("http://u%40:p%3A@h:1", "http://b\xfccher.example:3128", "http://h:0"),
        *("ftp://h:1", "http://", "http://h:1/x", "http://h:1?q", "http://h:1#f"),
        *("http://u@h:1", "h:8080", "http://@h:1", "http://:@h:1", ""),
    ],
)
def test_reads_the_url_of_a_proxy_as_websockets_does(url):
    """
    Parts and errors are the same.
    """
    assert outcome(websockets.proxy.parse_proxy, url) == outcome(parse_proxy, url)


@pytest.mark.parametrize("scheme", ["socks4", "socks4a", "socks5", "socks5h"])
def test_the_default_port_of_socks_is_its_own(scheme):
    """
    1080, as registered.
    """
    assert 1080 == parse_proxy(f"{scheme}://h").port


@pytest.mark.parametrize(
    "url", ["http://h:65536", "http://h:x", "http://[", "http://" + 70 * "\xfc"]
)
def test_refuses_what_is_no_url(url):
    """
    With the exception for proxies, whatever Python says.
    """
    with pytest.raises(InvalidProxy) as raised:
        parse_proxy(url)

    assert url == raised.value.proxy


@pytest.mark.parametrize(
    ("scheme", "kind", "is_resolving"),
    [
        ("socks4", "SOCKS4", False),
        ("socks4a", "SOCKS4", True),
        ("socks5", "SOCKS5", False),
        ("socks5h", "SOCKS5", True),
    ],
)
def test_knows_the_kinds_of_socks(scheme, kind, is_resolving):
    """
    Which version, and who looks up names.
    """
    proxy = parse_proxy(f"{scheme}://u:p@h:1")

    assert proxy.is_socks
    arguments = socks_arguments(proxy)
    assert kind == arguments.pop("proxy_type").name
    assert {
        "host": "h",
        "port": 1,
        "username": "u",
        "password": "p",
        "rdns": is_resolving,
    } == arguments


def test_http_is_no_socks():
    """
    With TLS or without.
    """
    assert not parse_proxy("http://h").is_socks
    assert not parse_proxy("https://h").is_socks


def test_says_what_socks_requires(monkeypatch):
    """
    ``python-socks`` is optional.
    """
    monkeypatch.setitem(sys.modules, "python_socks", None)

    with pytest.raises(ImportError, match=r"requires python-socks; socketeer\[socks\]"):
        socks_arguments(parse_proxy("socks5h://h"))


def test_user_info_needs_both():
    """
    A user name without a password is none.
    """
    assert ("u", "p") == Proxy("http", "h", 1, "u", "p").user_info
    assert Proxy("http", "h", 1, "u").user_info is None
    assert Proxy("http", "h", 1).user_info is None


# The environment.


@pytest.fixture
def environment(monkeypatch):
    """
    Set proxies in the environment, and no others.
    """
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("REQUEST_METHOD", raising=False)

    def set_variables(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_variables


ENVIRONMENTS = [
    {},
    {"http_proxy": PROXY},
    {"https_proxy": PROXY},
    {"http_proxy": "http://other:1", "https_proxy": PROXY},
    {"all_proxy": PROXY},
    {"socks_proxy": "http://proxy:1", "https_proxy": "http://other:1"},
    {"socks_proxy": "socks4://proxy:1"},
    {"ws_proxy": PROXY, "socks_proxy": "socks5://other:1"},
    {"wss_proxy": PROXY, "socks_proxy": "socks5://other:1"},
    {"HTTPS_PROXY": PROXY},
    {"https_proxy": ""},
    *(
        {"https_proxy": PROXY, "no_proxy": exceptions}
        for exceptions in (
            *("example.com", ".com", "le.com", "*", "other.com", ""),
            *("example.com:80,example.com:443", "example.com:81", " example.com , x"),
        )
    ),
]


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("variables", ENVIRONMENTS)
def test_finds_the_proxy_of_the_environment_as_websockets_does(
    environment, variables, scheme
):
    """
    The order of the variables, exceptions included, is the same.
    """
    environment(**variables)
    uri = f"{scheme}://example.com/"

    found = get_proxy(parse_uri(uri))

    assert websockets.proxy.get_proxy(websockets.uri.parse_uri(uri)) == found


@pytest.mark.parametrize(
    ("variable", "value", "found"),
    [
        ("https_proxy", "proxy:1", "http://proxy:1"),
        ("socks_proxy", "proxy:1", "socks5h://proxy:1"),
    ],
)
def test_a_setting_without_a_scheme_has_the_usual_one(
    environment, variable, value, found
):
    """
    Many programs accept it, so it is often written like this.
    """
    environment(**{variable: value})

    assert found == get_proxy(parse_uri("wss://example.com/"))


@pytest.mark.parametrize(
    ("host", "no_proxy", "is_direct"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "a, 10.1.2.1/24 ,b", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "a/b,10.0.0.0/8", True),
        ("10.1.2.3", "fe80::/10", False),
        ("10.1.2.3", "10.1.2", False),
        ("[fd00::1]", "fd00::/8", True),
        ("[::1]", "::1", True),
        ("example.com", "10.0.0.0/8", False),
    ],
)
def test_no_proxy_may_name_networks(environment, host, no_proxy, is_direct):
    """
    Addresses in a network are reached directly; names are not looked up.
    """
    environment(https_proxy=PROXY, no_proxy=no_proxy)

    found = get_proxy(parse_uri(f"ws://{host}/"))

    assert (None if is_direct else PROXY) == found


# CONNECT.


@pytest.mark.parametrize("proxy", ["http://h:1", "http://u:p\xe9@h:1"])
@pytest.mark.parametrize(
    "uri",
    ["ws://e.com/", "wss://e.com/", "ws://[::1]/", "wss://e.com:9/x?y", "ws://\xe9/"],
)
@pytest.mark.parametrize("arguments", [("Agent",), (None,)])
def test_asks_for_a_connection_as_websockets_does(proxy, uri, arguments):
    """
    The request is the same, byte by byte.
    """
    theirs = websockets.proxy.prepare_connect_request(
        websockets.proxy.parse_proxy(proxy), websockets.uri.parse_uri(uri), *arguments
    )

    ours = prepare_connect_request(parse_proxy(proxy), parse_uri(uri), *arguments)

    assert theirs == ours


def asked():
    return ConnectRequest(parse_proxy(PROXY), parse_uri("ws://example.com/"))


def test_says_who_asks():
    """
    By default the request has our User-Agent, and no credentials.
    """
    request = asked()

    assert request.data_to_send.startswith(
        b"CONNECT example.com:80 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: Python/"
    )
    assert b"Proxy-Authorization" not in request.data_to_send


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nProxy-agent: tinyproxy/1.11.1\r\n\r\n",
        # Ignored (RFC 9110, 9.3.6).
        b"HTTP/1.1 204 \r\nContent-Length: 5\r\n\r\n",
    ],
)
def test_is_through_when_the_answer_is_complete(answer):
    """
    Also when it comes in single bytes.
    """
    request = asked()

    through = [request.receive_data(bytes([byte])) for byte in answer]

    assert [False] * (len(answer) - 1) + [True] == through


@pytest.mark.parametrize("status", [b"101 Switching Protocols", b"302 Found", b"407 "])
def test_a_refusal_has_the_response(status):
    """
    Only statuses from 200 to 299 let us through.
    """
    request = asked()

    with pytest.raises(InvalidProxyStatus) as raised:
        request.receive_data(b"HTTP/1.1 " + status + b"\r\nA: b\r\n\r\nbody")

    assert int(status[:3]) == raised.value.response.status_code
    assert "b" == raised.value.response.headers["A"]


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\n" + b"A: " + b"b" * 8192 + b"\r\n", HeaderLineTooLong),
        (b"HTTP/2 200 OK\r\n", ValueError),
    ],
)
def test_other_answers_are_invalid(answer, cause):
    """
    The cause says why.
    """
    request = asked()

    with pytest.raises(InvalidProxyMessage, match="valid HTTP response") as raised:
        request.receive_data(answer)

    assert isinstance(raised.value.__cause__, cause)


def test_an_end_instead_of_an_answer_is_invalid():
    """
    A proxy that hangs up has not answered.
    """
    request = asked()
    assert request.receive_data(b"HTTP/1.1 200 OK\r\n") is False

    with pytest.raises(InvalidProxyMessage) as raised:
        request.receive_data(b"")

    assert isinstance(raised.value.__cause__, EOFError)


def test_a_proxy_cannot_speak_for_the_server():
    """
    The server speaks after us, so what is behind the answer is not from it.
    """
    request = asked()

    with pytest.raises(InvalidProxyMessage, match="unexpected data"):
        request.receive_data(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 ")
