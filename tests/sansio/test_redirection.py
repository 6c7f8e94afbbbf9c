"""
Which redirects are followed, and what is taken along.
"""

from __future__ import annotations

import pytest
import websockets.asyncio.client
import websockets.datastructures
import websockets.exceptions
import websockets.http11

from socketeer._redirection import MAX_REDIRECTS, Redirect, follow_redirect
from socketeer.datastructures import Headers
from socketeer.exceptions import InvalidStatus, InvalidURI
from socketeer.http11 import Response
from tests.ground.comparing import outcome

SECRETS = {
    "Authorization": "a",
    "Cookie": "c",
    "Proxy-Authorization": "p",
    "X-Other": "x",
}


def rejection(location, status=302, *, of=(InvalidStatus, Response, Headers)):
    """
    Make the exception for a response.
    """
    exception, response, headers = of
    pairs = [] if location is None else [("Location", location)]
    return exception(response(status, "", headers(pairs)))


def follow(location, uri="ws://a.com/x/y?z", status=302, headers=None, pinned=None):
    return follow_redirect(rejection(location, status), uri, headers, pinned)


def their_answer(location, uri, status, arguments):
    """
    Return what websockets does with a redirect: the new URI, or the exception.
    """
    connect = websockets.asyncio.client.connect
    if "path" in arguments:
        connect = websockets.asyncio.client.unix_connect
        arguments = {**arguments, "uri": uri}
        attempt = connect(**arguments)
    else:
        attempt = connect(uri, **arguments)
    exc = rejection(
        location,
        status,
        of=(
            websockets.exceptions.InvalidStatus,
            websockets.http11.Response,
            websockets.datastructures.Headers,
        ),
    )
    answer = attempt.process_redirect(exc)
    return str(answer)


@pytest.mark.parametrize(
    "location",
    [
        *("/z", "z", "?q", "../z", "//b.com/z", "ws://b.com/", "ws://a.com:81/"),
        *("wss://a.com/", "ws://A.com/", "ws://u:p@a.com/", "ws://[::1]/", None),
        *("ftp://a.com/", "ws://a.com/#f", "ws://a.com:x/", "ws://[/"),
    ],
)
@pytest.mark.parametrize("uri", ["ws://a.com/x/y?z", "wss://u:p@a.com/x/y"])
@pytest.mark.parametrize(
    ("pinned", "arguments"),
    [
        (None, {}),
        ("socket", {"sock": "a socket"}),
        ("path", {"path": "/path"}),
        ("address", {"port": 8}),
    ],
)
def test_redirects_lead_where_those_of_websockets_do(location, uri, pinned, arguments):
    """
    The same URI or the same error, for every kind of location.
    """

    def ours():
        answer = follow(location, uri, pinned=pinned)
        return answer.uri if isinstance(answer, Redirect) else str(answer)

    theirs = outcome(their_answer, location, uri, 302, arguments)

    # Where theirs is a ValueError of Python, ours says which URI is meant.
    if theirs == ("raises", "ValueError"):
        assert ("raises", "InvalidURI") == outcome(ours)[:2]
    else:
        assert theirs == outcome(ours)


@pytest.mark.parametrize("status", range(300, 310))
def test_statuses_that_redirect_are_those_of_websockets(status):
    """
    304 and 305 do not, nor do those that are not assigned.
    """
    answer = follow("/z", status=status)

    followed = isinstance(answer, Redirect)
    theirs = their_answer("/z", "ws://a.com/x/y?z", status, {})
    assert followed is (theirs == "ws://a.com/z")
    assert followed is (status in {300, 301, 302, 303, 307, 308})


def test_other_exceptions_stay_what_they_are():
    """
    Only a response can redirect.
    """
    exc = OSError("no network")

    assert exc is follow_redirect(exc, "ws://a.com/", None, None)


def test_a_response_without_a_location_stays_a_rejection():
    """
    The exception is the one that came in.
    """
    exc = rejection(None)

    assert exc is follow_redirect(exc, "ws://a.com/", None, None)


@pytest.mark.parametrize(
    ("location", "uri"),
    [("http://a.com/z", "ws://a.com/z"), ("https://a.com/z", "wss://a.com/z")],
)
def test_web_addresses_mean_those_of_websocket(location, uri):
    """
    A web server redirects to what browsers know.
    """
    assert Redirect(uri, None) == follow(location)


def test_a_web_address_can_be_insecure_too():
    """
    From wss to http would be from wss to ws.
    """
    answer = follow("http://a.com/z", "wss://a.com/")

    assert "cannot follow redirect to non-secure URI ws://a.com/z" == str(answer)


def test_other_schemes_are_refused():
    """
    There is no WebSocket behind them.
    """
    with pytest.raises(InvalidURI):
        follow("ftp://a.com/")


def test_the_same_origin_gets_all_headers():
    """
    It is the server that they were meant for.
    """
    answer = follow("/z", headers=SECRETS)

    assert Redirect("ws://a.com/z", SECRETS) == answer


@pytest.mark.parametrize(
    "location",
    ["ws://b.com/", "ws://a.com:81/", "wss://a.com/", "//sub.a.com/"],
)
@pytest.mark.parametrize("form", [dict, lambda h: list(h.items()), Headers])
def test_another_origin_gets_no_credentials(location, form):
    """
    Another host, port or scheme is another origin (RFC 6454, 4).
    """
    headers = form(SECRETS)

    answer = follow(location, headers=headers)

    assert [("X-Other", "x")] == list(answer.additional_headers.raw_items())
    assert 4 == len(headers)


def test_no_headers_stay_no_headers():
    """
    There is nothing to take out.
    """
    assert Redirect("ws://b.com/", None) == follow("ws://b.com/")


def test_the_limit_is_that_of_websockets():
    """
    Ten redirects by default.
    """
    assert websockets.asyncio.client.MAX_REDIRECTS == MAX_REDIRECTS == 10
