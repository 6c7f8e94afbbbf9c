"""
Attributes of a connection, and that it is an ordinary Python object.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
import uuid
import weakref
from unittest import mock

import pytest

from tests.asyncio.harness import both_sides, facing_raw_peer, linked
from tests.under_test import NAME, lib, submodule

pytestmark = [pytest.mark.anyio, both_sides]

COROUTINE_METHODS = ["recv", "send", "close", "wait_closed", "ping", "pong"]


def connection_class(side):
    """
    Return the class of connections on this side.
    """
    return lib.ServerConnection if side == "server" else lib.ClientConnection


async def test_the_classes_are_the_documented_ones(side):
    """
    Both sides have a class of their own and share a base.
    """
    async with linked(side) as (connection, _):
        assert isinstance(connection, connection_class(side))
        assert isinstance(connection, submodule("asyncio.connection").Connection)


async def test_every_connection_has_its_id(side):
    """
    `id` is a random UUID that stays.
    """
    async with linked(side) as (connection, other):
        assert uuid.UUID is type(connection.id)
        assert connection.id == connection.id
        assert connection.id != other.id


async def test_addresses(side):
    """
    Each end's local address is the other's remote address, also after the end.
    """
    async with linked(side) as (connection, other):
        before = (connection.local_address, connection.remote_address)
        await connection.close()

        assert "127.0.0.1" == connection.remote_address[0]
        assert before == (other.remote_address, other.local_address)
        assert before == (connection.local_address, connection.remote_address)


async def test_request_and_response_are_those_of_the_handshake(side):
    """
    Both ends see the same request and the same response.
    """
    async with linked(side) as (connection, other):
        assert "/" == connection.request.path
        assert other.request.headers == connection.request.headers
        assert "websocket" == connection.request.headers["Upgrade"]
        assert 101 == connection.response.status_code
        assert other.response.headers == connection.response.headers


@pytest.mark.parametrize(
    ("offered", "expected"), [(["b", "a"], "a"), (["b"], "b"), (None, None)]
)
async def test_subprotocol(side, offered, expected):
    """
    `subprotocol` is what was negotiated, `None` without negotiation.
    """
    supported = ["a", "b"] if offered else None
    options = {"server": supported, "client": offered}
    other_side = "client" if side == "server" else "server"
    async with linked(
        side,
        subprotocols=options[side],
        peer_options={"subprotocols": options[other_side]},
    ) as (connection, _):
        assert expected == connection.subprotocol


async def test_state_follows_the_connection(side):
    """
    OPEN, CLOSING while a closing handshake runs, CLOSED.
    """
    async with facing_raw_peer(side) as (connection, peer):
        states = [connection.state]
        closing = asyncio.create_task(connection.close())
        await peer.read_close()
        states.append(connection.state)
        await peer.send_close(1000)
        peer.close()
        await closing
        states.append(connection.state)

        state = lib.State
        assert [state.OPEN, state.CLOSING, state.CLOSED] == states


async def test_close_code_and_reason_of_the_peer(side):
    """
    Unknown until the end; then what the peer sent.
    """
    async with facing_raw_peer(side) as (connection, peer):
        before = (connection.close_code, connection.close_reason)
        await peer.close_with(4001, "enough")
        await connection.wait_closed()

        assert (None, None) == before
        assert (4001, "enough") == (connection.close_code, connection.close_reason)


async def test_close_code_without_a_code(side):
    """
    An empty close frame counts as 1005 (RFC 6455, 7.1.5).
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.close_with(None)
        await connection.wait_closed()

        assert (1005, "") == (connection.close_code, connection.close_reason)


# Logging


async def test_the_logger_knows_its_connection(side):
    """
    Records carry the connection as `websocket`; a weak reference, so that a
    log does not keep it alive.
    """
    async with linked(side) as (connection, _):
        adapter = connection.logger

        assert isinstance(adapter, logging.LoggerAdapter)
        assert weakref.ProxyType is type(adapter.extra["websocket"])
        assert connection.id == adapter.extra["websocket"].id
        assert f"{NAME}.{side}" == adapter.logger.name


async def test_a_logger_of_the_users(side):
    """
    `logger=` takes the place of the library's.
    """
    mine = logging.getLogger("mine")
    async with linked(side, logger=mine) as (connection, _):
        assert mine is connection.logger.logger


async def test_log_records_reach_formatters(side, caplog):
    """
    A handler finds the connection in the record.
    """
    async with linked(side) as (connection, _):
        connection.logger.warning("hello %s", "log")

        assert "hello log" == caplog.records[-1].getMessage()
        assert connection.id == caplog.records[-1].websocket.id


# The views


async def test_the_protocol_view(side):
    """
    `protocol` shows the state of the protocol.
    """
    expected_side = lib.Side.SERVER if side == "server" else lib.Side.CLIENT
    async with facing_raw_peer(side, max_size=5_000) as (connection, peer):
        protocol = connection.protocol

        assert expected_side is protocol.side
        assert lib.State.OPEN is protocol.state
        assert [] == protocol.extensions
        assert (None, None) == (protocol.subprotocol, protocol.handshake_exc)
        assert connection.id == protocol.id
        assert (5_000, None) == (
            protocol.max_message_size,
            protocol.max_fragment_size,
        )
        closes = (protocol.close_rcvd, protocol.close_sent)
        assert (None, None) == closes
        assert None is protocol.close_rcvd_then_sent
        await peer.close_with(1001, "bye")
        await connection.wait_closed()
        assert lib.Close(1001, "bye") == protocol.close_rcvd
        assert lib.Close(1001, "bye") == protocol.close_sent
        assert True is protocol.close_rcvd_then_sent
        assert (1001, "bye") == (protocol.close_code, protocol.close_reason)
        assert isinstance(protocol.close_exc, lib.ConnectionClosedOK)
        assert lib.State.CLOSED is protocol.state


async def test_the_protocol_view_shows_extensions(side):
    """
    Users look here for what was negotiated.
    """
    options = {"compression": "deflate"}
    async with linked(side, peer_options=options, **options) as (connection, _):
        assert ["permessage-deflate"] == [
            extension.name for extension in connection.protocol.extensions
        ]


async def test_the_transport(side):
    """
    `transport` answers what asyncio's transports answer.
    """
    async with linked(side) as (connection, _):
        transport = connection.transport

        assert connection.remote_address == transport.get_extra_info("peername")
        assert connection.local_address == transport.get_extra_info("sockname")
        assert None is transport.get_extra_info("ssl_object")
        assert "default" == transport.get_extra_info("unknown", "default")
        assert 0 == transport.get_write_buffer_size()
        assert not transport.is_closing()
        sock = transport.get_extra_info("socket")
        assert connection.local_address == sock.getsockname()
        assert sock.fileno() > 0
        await connection.close()
        assert transport.is_closing()


async def test_aborting_the_transport_ends_the_connection(side):
    """
    `transport.abort()` is the users' way to get rid of a peer at once.
    """
    async with linked(side) as (connection, other):
        connection.transport.abort()
        await connection.wait_closed()
        await other.wait_closed()

        assert (1006, 1006) == (connection.close_code, other.close_code)


@pytest.mark.parametrize(
    ("option", "value"),
    [("ping_interval", 300), ("ping_timeout", 301), ("close_timeout", 302)],
)
async def test_durations_can_be_read(side, option, value):
    """
    The durations given to `serve()` and `connect()` are attributes.
    """
    async with linked(side, **{option: value}) as (connection, _):
        assert value == getattr(connection, option)


# An ordinary object


async def test_users_set_attributes(side):
    """
    `connection.user = ...` works.
    """
    async with linked(side) as (connection, _):
        connection.user = "ada"

        assert "ada" == connection.user
        assert "ada" == vars(connection)["user"]


async def test_connections_are_keys(side):
    """
    Connections are hashable and equal to themselves only, also after the end.
    """
    async with linked(side) as (connection, other):
        users = {connection: "a", other: "b"}
        await connection.close()

        assert ["a", "b"] == [users[connection], users[other]]
        assert connection != other


async def test_connections_are_weakly_referable(side):
    """
    `weakref.WeakSet` and the like work.
    """
    async with linked(side) as (connection, _):
        assert connection in weakref.WeakSet([connection])


@pytest.mark.parametrize("name", COROUTINE_METHODS)
async def test_methods_are_coroutine_functions(side, name):
    """
    The methods are taken for coroutine functions, bound or not. Before Python
    3.12 only `asyncio` can be told so.
    """
    marker = inspect if sys.version_info >= (3, 12) else asyncio
    async with linked(side) as (connection, _):
        for method in (
            getattr(connection, name),
            getattr(connection_class(side), name),
        ):
            assert marker.iscoroutinefunction(method)


@pytest.mark.parametrize("name", COROUTINE_METHODS)
async def test_specs_make_async_mocks(side, name):
    """
    Users' tests replace connections by mocks made after the class.
    """
    for made in (
        mock.create_autospec(connection_class(side), instance=True),
        mock.AsyncMock(spec=connection_class(side)),
    ):
        getattr(made, name).return_value = "mocked"

        assert "mocked" == await getattr(made, name)(
            *(["message"] if name == "send" else [])
        )


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("recv", "(self, decode=None)"),
        ("recv_streaming", "(self, decode=None)"),
        ("send", "(self, message, *, text=None)"),
        ("close", "(self, code=1000, reason='')"),
        ("wait_closed", "(self)"),
        ("ping", "(self, data=None)"),
        ("pong", "(self, data=b'')"),
    ],
)
async def test_signatures(side, name, signature):
    """
    Names, kinds and defaults of parameters can be inspected; `compress=` is
    an addition.
    """
    inspected = inspect.signature(getattr(connection_class(side), name))
    parameters = [
        parameter.replace(
            annotation=inspect.Parameter.empty,
            default=parameter.default
            if name != "close" or parameter.name != "code"
            else int(parameter.default),
        )
        for parameter in inspected.parameters.values()
        if parameter.name != "compress"
    ]

    assert signature == str(inspect.Signature(parameters))
